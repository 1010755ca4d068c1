"""Generated traces: the same from the same seed, valid, and shaped like traffic."""

from collections import defaultdict
from itertools import pairwise

import pytest

from fastcheck.replay.generate import BLOCK_TOKENS, SPAN_MS, generate
from fastcheck.replay.trace import read_trace, write_trace


def test_same_seed_same_trace() -> None:
    assert generate(500, 3) == generate(500, 3)
    assert generate(500, 3) != generate(500, 4)


def test_a_generated_trace_is_valid(tmp_path):
    requests = generate(2000, 1)
    assert len(requests) == 2000
    write_trace(tmp_path / "t.csv.gz", requests)
    assert read_trace(tmp_path / "t.csv.gz") == requests
    assert all(0 <= request.ts_ms < SPAN_MS for request in requests)


def test_context_grows_and_its_prefix_is_cached() -> None:
    sessions = defaultdict(list)
    for request in generate(5000, 1):
        sessions[request.session].append(request)
    assert max(map(len, sessions.values())) >= 10
    for turns in sessions.values():
        for before, after in pairwise(turns):
            assert after.input_tokens >= before.input_tokens
            assert after.cached_input_tokens == before.input_tokens // BLOCK_TOKENS * BLOCK_TOKENS


def test_count_is_bounded() -> None:
    for count in (0, -1, 10**9):
        with pytest.raises(ValueError, match="count must be 1 to"):
            generate(count)
