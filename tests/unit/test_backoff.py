"""How long a host waits before it comes again."""

from __future__ import annotations

import random

from fastcheck.host.following.backoff import BASE_MS, CAP_MS, RETRY_AFTER_MS_MAX, STABLE_MS, Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.failed(0) for _ in range(40)]
    assert waits[:4] == [BASE_MS, 2 * BASE_MS, 4 * BASE_MS, 8 * BASE_MS]
    assert waits[10:] == [CAP_MS] * 30


def test_the_jitter_is_full() -> None:
    chance = random.Random(7)
    backoff = Backoff(chance.random)
    for _ in range(10):
        backoff.failed(0)
    waits = [backoff.failed(0) for _ in range(2_000)]
    assert min(waits) < CAP_MS * 0.01
    assert max(waits) > CAP_MS * 0.99
    assert 0.45 < sum(waits) / len(waits) / CAP_MS < 0.55


def test_what_a_hub_asks_for_is_waited_at_least_and_bounded() -> None:
    assert Backoff(lambda: 0.0).failed(0, retry_after_ms=5_000) == 5_000
    assert Backoff(lambda: 1.0).failed(0, retry_after_ms=5_000) == 5_000 + BASE_MS
    assert Backoff(lambda: 0.0).failed(0, retry_after_ms=10**12) == RETRY_AFTER_MS_MAX
    assert Backoff(lambda: 0.0).failed(0, retry_after_ms=-5) == 0
    assert Backoff(lambda: 0.0).failed(0, at_least_ms=30_000) == 30_000


def test_a_connection_that_lasted_makes_the_next_wait_short_again() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.failed(0)
    backoff.connected(1_000)
    assert backoff.failed(1_000 + STABLE_MS - 1) == 32 * BASE_MS
    assert backoff.failed(10**9) == 64 * BASE_MS  # It was never connected since.
    backoff.connected(1_000)
    assert backoff.failed(1_000 + STABLE_MS) == BASE_MS
