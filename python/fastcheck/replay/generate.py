"""A trace from a seed, shaped like real chat traffic, for machines without a real one.

Sessions start at random over an hour; most ask once, a few go on for dozens of turns. A prompt is a shared
system prompt, the conversation so far and a new message; what was seen before is cached in whole blocks of
512 tokens. New messages and answers have lognormal lengths. The same seed gives the same trace.
"""

import math
from random import Random

from fastcheck.replay.trace import Request

SPAN_MS = 3_600_000
BLOCK_TOKENS = 512
CONTEXT_TOKENS_MAX = 128_000
OUTPUT_TOKENS_MAX = 2_000
REQUESTS_MAX = 10_000_000


def generate(count: int, seed: int = 1) -> list[Request]:
    """`count` requests in the order of arrival, all within one hour."""
    if not 1 <= count <= REQUESTS_MAX:
        raise ValueError(f"count must be 1 to {REQUESTS_MAX:,}, not {count}")
    random = Random(seed)
    requests: list[Request] = []
    session = 0
    while len(requests) < count:
        requests += _session(f"s{session:06d}", random)
        session += 1
    del requests[count:]
    return sorted(requests, key=lambda request: (request.ts_ms, request.session))


def _session(key: str, random: Random) -> list[Request]:
    ts_ms = int(random.random() * SPAN_MS)
    context = BLOCK_TOKENS  # the system prompt, which every session shares
    seen = BLOCK_TOKENS
    turns: list[Request] = []
    while ts_ms < SPAN_MS:
        message = _lognormal(random, 2500 if not turns else 600, 1.5)
        prompt = min(context + message, CONTEXT_TOKENS_MAX)
        output = min(_lognormal(random, 250, 1.1), OUTPUT_TOKENS_MAX)
        cached = min(seen, prompt) // BLOCK_TOKENS * BLOCK_TOKENS
        turns.append(Request(ts_ms, key, prompt, cached, output))
        seen = prompt
        context = min(prompt + output, CONTEXT_TOKENS_MAX)
        if random.random() < (0.65 if len(turns) == 1 else 0.3):
            break
        ts_ms += 1000 + _lognormal(random, 90_000, 1.0)  # reading and writing take the person a minute or two
    return turns


def _lognormal(random: Random, median: int, sigma: float) -> int:
    """A positive whole number by Box and Muller's method."""
    normal = math.sqrt(-2 * math.log(1 - random.random())) * math.cos(2 * math.pi * random.random())
    return max(1, round(median * math.exp(sigma * normal)))
