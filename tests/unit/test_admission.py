"""Places for transfers, the line before them, and rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.hub.access.rate import TURN_MS_MAX, Buckets, Turns
from fastcheck.hub.stream.admission import WAIT_MS_MAX, Admission, Entered


def test_places_are_given_in_the_order_in_which_hosts_came() -> None:
    admission = Admission(places=2)
    assert [admission.enter(host, 1, 0) for host in "ab"] == [Entered.ADMITTED] * 2
    assert [admission.enter(host, 1, 0) for host in "cde"] == [Entered.WAITING] * 3
    assert (admission.transfers, admission.waiting) == (2, 3)
    assert admission.leave("a", 10) == ["c"]
    assert admission.leave("d", 10) == []  # It hung up while it waited.
    assert admission.leave("b", 20) == ["e"]
    assert admission.leave("nobody", 20) == []
    assert (admission.transfers, admission.waiting) == (2, 0)


def test_nobody_overtakes_the_line_although_there_is_room_for_them() -> None:
    admission = Admission(places=4, cost_max=10)
    assert admission.enter("a", 8, 0) is Entered.ADMITTED
    assert admission.enter("large", 5, 0) is Entered.WAITING
    assert admission.enter("small", 1, 0) is Entered.WAITING
    assert admission.leave("a", 1) == ["large", "small"]


def test_the_bytes_of_all_are_bounded_but_one_alone_is_let_in() -> None:
    admission = Admission(places=4, cost_max=10)
    assert admission.enter("huge", 50, 0) is Entered.ADMITTED
    assert admission.enter("b", 6, 0) is Entered.WAITING
    assert admission.enter("c", 6, 0) is Entered.WAITING
    assert admission.leave("huge", 1) == ["b"]
    assert admission.leave("b", 2) == ["c"]
    assert admission.leave("c", 3) == []


def test_who_finds_the_line_full_is_told_a_turn_and_each_another() -> None:
    admission = Admission(places=1, waiting_max=2)
    assert [admission.enter(host, 1, 0) for host in "abc"][1:] == [Entered.WAITING] * 2
    turns = [admission.enter(number, 1, 0) for number in range(10)]
    assert turns == sorted(turns, key=lambda one: one if isinstance(one, int) else 0)
    assert len(set(turns)) == 10
    assert admission.waiting == 2


def test_a_line_that_is_too_slow_is_not_joined() -> None:
    admission = Admission(places=1, waiting_max=1_000)
    for number in range(200):  # Each place is held for 20 s: the mean learns it.
        admission.enter(number, 1, number * 20_000)
        admission.leave(number, (number + 1) * 20_000)
    now = 201 * 20_000
    assert admission.enter("a", 1, now) is Entered.ADMITTED
    turn = admission.enter("b", 1, now)
    assert isinstance(turn, int)
    assert turn > WAIT_MS_MAX


@pytest.mark.parametrize("held_ms", [10, 50, 200])
def test_a_herd_of_20_000_is_served_in_order_and_nobody_waits_for_ever(held_ms: int) -> None:
    """Each place is held for so long; who is turned away comes back when told."""
    admission, now, served = Admission(places=64, waiting_max=1_024), 0, []
    coming: dict[int, list[int]] = {0: list(range(20_000))}
    leaving: dict[int, list[int]] = {}
    refusals = 0

    def admitted(host: int) -> None:
        served.append(host)
        leaving.setdefault(now + held_ms, []).append(host)

    while len(served) < 20_000:
        for host in leaving.pop(now, []):
            for waiting in admission.leave(host, now):
                assert isinstance(waiting, int)
                admitted(waiting)
        for host in coming.pop(now, []):
            outcome = admission.enter(host, 1, now)
            if outcome is Entered.ADMITTED:
                admitted(host)
            elif isinstance(outcome, int):
                refusals += 1
                coming.setdefault(now + outcome, []).append(host)
        assert admission.transfers <= 64
        assert admission.waiting <= 1_024
        now += 1
        assert now < 120_000
    assert sorted(served) == list(range(20_000))
    assert served[:64] == list(range(64))
    # What 64 places need at least, half as much again, and what was told before the mean had learned.
    assert now < 20_000 * held_ms / 64 * 1.5 + 20_000
    assert refusals < 8 * 20_000


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    buckets = Buckets(burst_s=2.0)
    taken = [buckets.take("a", 10, 0.0) for _ in range(21)]
    assert taken[:20] == [0.0] * 20
    assert 0.09 < taken[20] < 0.11
    assert buckets.take("b", 10, 0.0) == 0.0
    assert buckets.take("a", 10, 0.1) == 0.0
    assert buckets.take("a", 10, 0.1) > 0
    assert buckets.take("a", 10, 1_000.0) == 0.0


def test_a_slow_bucket_still_lets_one_through() -> None:
    buckets = Buckets(burst_s=2.0)
    assert buckets.take("a", 0.01, 0.0) == 0.0
    assert 99 < buckets.take("a", 0.01, 0.0) <= 100
    assert buckets.take("none", 0.0, 0.0) == 0.0
    assert buckets.take("none", 0.0, 0.0) > 1_000


@given(st.lists(st.floats(0, 0.3), max_size=60), st.floats(0.5, 50))
def test_no_bucket_gives_more_than_its_rate_and_a_burst(pauses: list[float], per_s: float) -> None:
    buckets, now, given_out = Buckets(burst_s=2.0), 100.0, 0
    for pause in pauses:
        now += pause
        given_out += buckets.take("a", per_s, now) == 0.0
    assert given_out <= (now - 100.0) * per_s + max(2.0 * per_s, 1.0) + 1e-6


def test_buckets_are_few_and_the_one_used_longest_ago_goes() -> None:
    buckets = Buckets(burst_s=1.0, keys_max=2)
    for key in "aba":
        assert buckets.take(key, 0.5, 0.0) == 0.0 or key == "a"
    buckets.take("c", 0.5, 0.0)  # Forgets a: b was used after it.
    assert buckets.take("b", 0.5, 0.0) > 0
    assert buckets.take("a", 0.5, 0.0) == 0.0


def test_turns_are_one_after_the_other_and_never_too_far() -> None:
    turns = Turns()
    assert [turns.give(1_000, 10.0) for _ in range(3)] == [1, 10, 20]
    assert turns.give(1_000, 10.0, after_ms=500) == 500
    far = [turns.give(1_000, 100.0) for _ in range(5_000)]
    assert max(far) <= TURN_MS_MAX
    assert min(far[1_000:]) >= TURN_MS_MAX // 2
