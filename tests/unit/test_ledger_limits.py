"""Limits and caps: the laws first (no window is ever over its cap), then the cases a person can follow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import Entitlements
from fastcheck.errors import AmountError
from fastcheck.ledger import periods
from fastcheck.ledger.limits import (
    Cap,
    Capped,
    CapState,
    Room,
    SoftLimit,
    Verdict,
    Watermark,
    carry,
    give_back,
    rearmed,
    room,
    spend,
    warnings,
)
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit

HOUR_MS = DAY_MS // 24
MAY_MS = 1_714_521_600_000
"""2024-05-01T00:00:00Z."""
AMOUNTS = st.integers(0, 1_000)
WINDOWS = st.one_of(
    st.builds(Span, st.integers(1, 3), st.sampled_from([Unit.HOUR, Unit.DAY, Unit.MONTH])),
    st.builds(
        Recurrence,
        st.builds(Span, st.integers(1, 3), st.sampled_from([Unit.HOUR, Unit.DAY])),
        st.just(Anchor.ANNIVERSARY),
        st.integers(0, DAY_MS),
    ),
)
CAPS = st.lists(st.builds(Cap, st.integers(0, 60), WINDOWS, st.sampled_from([None, "a", "b"])), max_size=4)
USES = st.lists(
    st.tuples(
        st.integers(0, 40 * HOUR_MS).map(lambda ms: MAY_MS + ms),
        st.integers(0, 30),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=25,
)


@given(CAPS, USES)
def test_no_window_is_ever_over_its_cap(caps: list[Cap], uses: list[tuple[int, int, str | None]]) -> None:
    """Counted by a list of all that was allowed; and nothing that fits is denied."""
    state, allowed = CapState(), list[tuple[int, int, str | None]]()
    for at, units, key in sorted(uses, key=lambda one: one[0]):

        def used(cap: Cap, at: int = at) -> int:
            number = periods.index(cap.recurrence, at)
            return sum(
                n
                for when, n, k in allowed
                if cap.applies(k) and periods.index(cap.recurrence, when) == number
            )

        fits = all(used(cap) + units <= cap.units for cap in caps if cap.applies(key))
        left = room(caps, state, at, key)
        assert left.units is None or (units <= left.units) == fits or units == 0
        match spend(caps, state, at, units, key):
            case Capped(cap=cap, left=cap_left, resets_at=resets_at):
                assert not fits
                assert cap_left == cap.units - used(cap)
                assert resets_at > at
                assert periods.index(cap.recurrence, resets_at) > periods.index(cap.recurrence, at)
            case CapState() as state:
                assert fits
                allowed.append((at, units, key))


@given(CAPS, st.integers(0, 30), st.integers(0, 30), st.sampled_from([None, "a"]))
def test_spending_at_once_or_in_two_steps_is_the_same(
    caps: list[Cap], one: int, other: int, key: str | None
) -> None:
    first = spend(caps, CapState(), MAY_MS, one, key)
    both = spend(caps, CapState(), MAY_MS, one + other, key)
    if isinstance(first, Capped):
        assert isinstance(both, Capped)
        return
    second = spend(caps, first, MAY_MS, other, key)
    assert isinstance(second, Capped) if isinstance(both, Capped) else second == both


@given(CAPS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 3 * HOUR_MS))
def test_giving_back_undoes_spending_in_windows_still_open(
    caps: list[Cap], kept: int, held: int, later_ms: int
) -> None:
    before = spend(caps, CapState(), MAY_MS, kept)
    after = spend(caps, before, MAY_MS, held) if isinstance(before, CapState) else before
    if isinstance(before, CapState) and isinstance(after, CapState):
        at = MAY_MS + later_ms
        back = give_back(caps, after, at, MAY_MS, held)
        assert [back.used(cap, at) for cap in caps] == [before.used(cap, at) for cap in caps]


@given(st.integers(0, 500), st.lists(AMOUNTS, min_size=2))
def test_on_the_way_up_each_percent_warns_once(limit: int, usage: list[int]) -> None:
    usage = [0, *sorted(usage)]
    heard = [one for before, after in pairwise(usage) for one in warnings(limit, before, after)]
    assert heard == [one for one in (80, 90, 100) if limit and usage[-1] * 100 >= limit * one]


@given(st.integers(1, 500), st.lists(AMOUNTS, min_size=1))
def test_going_up_and_down_between_refills_warns_once(limit: int, usage: list[int]) -> None:
    mark, heard = Watermark(), list[int]()
    for used in usage:
        mark, now = mark.rise(limit, used)
        heard += now
    assert len(heard) == len(set(heard))
    mark, again = mark.refill(limit, 0)
    assert set(again) == set(heard)
    assert list(mark.rise(limit, max(usage))[1]) == sorted(heard)


def test_warnings_of_a_limit_of_two_hundred() -> None:
    assert warnings(200, 0, 159) == ()
    assert warnings(200, 159, 160) == (80,)
    assert warnings(200, 160, 200) == (90, 100)
    assert warnings(200, 200, 100) == ()
    assert rearmed(200, 200, 170) == (90, 100)
    assert warnings(200, 0, 150, (75, 50)) == (50, 75)
    assert warnings(0, 0, 10) == ()


def test_a_soft_limit_allows_overage_up_to_its_ceiling() -> None:
    limit = SoftLimit(100, ceiling=120)
    assert limit.verdict(90, 10) is Verdict.WITHIN
    assert limit.verdict(90, 11) is Verdict.OVER
    assert limit.verdict(100, 20) is Verdict.OVER
    assert limit.verdict(100, 21) is Verdict.DENIED
    assert SoftLimit(100, None).verdict(10**12, 1).allowed
    assert not SoftLimit(100, 100).verdict(100, 1).allowed
    assert limit.verdict(500, 0) is Verdict.OVER


def test_a_limit_of_odd_numbers_is_refused() -> None:
    for wrong in ((-1, None), (5, 4)):
        with pytest.raises(AmountError, match=r"give 0 or more|below the limit"):
            SoftLimit(*wrong)
    with pytest.raises(AmountError, match="negative"):
        SoftLimit(1, 1).verdict(0, -1)
    with pytest.raises(AmountError, match="negative"):
        Cap(-1, Span(1, Unit.DAY))
    with pytest.raises(AmountError, match="negative"):
        spend([], CapState(), 0, -1)
    with pytest.raises(AmountError, match="negative"):
        give_back([], CapState(), 0, 0, -1)


HOURLY, DAILY = Cap(10, Span(1, Unit.HOUR)), Cap(25, Span(1, Unit.DAY))


def spent(*uses: tuple[int, int], caps: tuple[Cap, ...] = (HOURLY, DAILY)) -> CapState:
    """After uses of (hours after midnight, units), all allowed."""
    state = CapState()
    for hours, units in uses:
        after = spend(caps, state, MAY_MS + hours * HOUR_MS, units)
        assert isinstance(after, CapState)
        state = after
    return state


def test_a_denial_names_the_cap_and_when_it_resets() -> None:
    assert spend((HOURLY, DAILY), spent((0, 8)), MAY_MS, 3) == Capped(HOURLY, 2, MAY_MS + HOUR_MS, False)
    full = spent((0, 10), (1, 10), (2, 3))
    at = MAY_MS + 2 * HOUR_MS
    assert spend((HOURLY, DAILY), full, at, 3) == Capped(DAILY, 2, MAY_MS + DAY_MS, False)
    # Both are in the way: waiting for the hour would not help.
    assert spend((HOURLY, DAILY), full, at, 8) == Capped(DAILY, 2, MAY_MS + DAY_MS, False)


def test_what_is_larger_than_a_whole_cap_never_fits() -> None:
    assert spend((HOURLY, DAILY), CapState(), MAY_MS, 11) == Capped(HOURLY, 10, MAY_MS + HOUR_MS, True)
    assert spend((HOURLY, DAILY), spent((0, 1)), MAY_MS, 10) == Capped(HOURLY, 9, MAY_MS + HOUR_MS, False)


def test_room_is_what_the_tightest_window_leaves() -> None:
    caps = (HOURLY, DAILY)
    assert room(caps, CapState(), MAY_MS) == Room(10, MAY_MS + HOUR_MS, MAY_MS + HOUR_MS)
    late = spent((0, 10), (1, 10))
    # The day leaves 5, the hour 10; a lease ends with the hour nevertheless.
    at = MAY_MS + 2 * HOUR_MS
    assert room(caps, late, at) == Room(5, MAY_MS + DAY_MS, at + HOUR_MS)
    assert room((), late, at) == Room(None)
    # Both leave nothing: more is to be had when the later one ends.
    assert room((Cap(0, Span(1, Unit.HOUR)), Cap(0, Span(1, Unit.DAY))), late, at).ends_at == MAY_MS + DAY_MS


def test_a_sub_key_has_a_cap_of_its_own_within_the_customers() -> None:
    whole, robot = Cap(10, Span(1, Unit.DAY)), Cap(4, Span(1, Unit.DAY), key="robot")
    state = spend((whole, robot), CapState(), MAY_MS, 3, "robot")
    assert isinstance(state, CapState)
    assert room((whole, robot), state, MAY_MS, "robot").units == 1
    assert room((whole, robot), state, MAY_MS, "person").units == 7
    assert room((robot,), state, MAY_MS).units is None
    denied = spend((whole, robot), state, MAY_MS, 2, "robot")
    assert isinstance(denied, Capped)
    assert denied.cap is robot


def test_a_raised_cap_forgets_nothing_and_a_month_starts_anew() -> None:
    month = Span(1, Unit.MONTH)
    state = spent((0, 100), caps=(Cap(100, month),))
    assert room((Cap(150, month),), state, MAY_MS).units == 50
    assert room((Cap(50, month),), state, MAY_MS).units == 0
    assert room((Cap(150, month),), state, MAY_MS + 31 * DAY_MS).units == 150


def test_a_clock_that_steps_back_opens_no_window_again() -> None:
    state = spent((5, 10))
    assert room((HOURLY,), state, MAY_MS).units == 0
    assert isinstance(spend((HOURLY,), state, MAY_MS, 1), Capped)
    # Nor does it give back to an hour that had ended before the step.
    assert give_back((HOURLY,), state, MAY_MS, MAY_MS, 10) == state


def test_calendar_windows_are_the_same_whatever_their_anchor_says() -> None:
    one, other = (Cap(10, Recurrence(Span(1, Unit.HOUR), Anchor.CALENDAR, at)) for at in (0, 77))
    assert room((other,), spent((0, 8), caps=(one,)), MAY_MS).units == 2


def test_a_day_that_is_over_gets_nothing_back() -> None:
    state = spent((0, 10), (24, 6))
    at = MAY_MS + DAY_MS
    assert give_back((HOURLY, DAILY), state, at, MAY_MS, 10) == state
    assert give_back((HOURLY, DAILY), state, at, at, 4).used(DAILY, at) == 2


def test_windows_that_ended_are_not_kept() -> None:
    assert len(spent(*((hour, 1) for hour in range(20))).spent) == 2


@given(AMOUNTS, st.lists(AMOUNTS))
def test_carried_overage_is_paid_once(overage: int, grants: list[int]) -> None:
    owed, left = overage, 0
    for grant in grants:
        owed, rest = carry(owed, grant)
        left += rest
        assert not (owed and rest)
    assert sum(grants) - left == overage - owed
    assert owed == max(0, overage - sum(grants))


CATALOG = """
fastcheck: 1
pools: {credits: {policy: soft, scale: 0}}
features: {call: {kind: credit, pool: credits, rate: 1}}
plans: {pro: {features: {call: true}}}
"""


@pytest.mark.parametrize(("overage", "grant"), [(30, 100), (30, 30), (30, 7), (0, 5)])
def test_overage_is_carried_as_the_ledger_carries_it(tmp_path: Path, overage: int, grant: int) -> None:
    with Entitlements.open(tmp_path, catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        assert overage == 0 or ents.consume("acme", "call", overage)
        ents.admin.grant("acme", "credits", grant)
        balance = ents.admin.balance("acme", "credits")
        assert (balance.overage, balance.remaining) == carry(overage, grant)
