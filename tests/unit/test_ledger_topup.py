"""Automatic top-ups: the laws first (never over the cap, never twice), then the cases a person can follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import AmountError
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.topup import Due, Reason, TopUpRule, due, key, month_ends_at, month_starts_at

MAY_MS, JUNE_MS = 1_714_521_600_000, 1_717_200_000_000
"""2024-05-01T00:00:00Z and a month later."""
RULES = st.tuples(st.integers(-50, 100), st.integers(1, 200), st.one_of(st.none(), st.integers(0, 500))).map(
    lambda terms: TopUpRule(terms[0], terms[0] + terms[1], terms[2])
)
USES = st.lists(st.tuples(st.integers(0, 10 * DAY_MS), st.integers(0, 150), st.integers(1, 3)))


@given(RULES, st.integers(-500, 500), st.integers(0, 600))
def test_after_a_top_up_the_balance_is_the_target_unless_capped(
    rule: TopUpRule, remaining: int, topped_up: int
) -> None:
    found = due(rule, remaining, topped_up, MAY_MS)
    if found.reason is Reason.DUE:
        assert remaining + found.units == rule.target
    elif found.reason is Reason.CAPPED:
        assert rule.monthly_cap is not None
        assert 0 < found.units == rule.monthly_cap - topped_up < rule.target - remaining
    else:
        assert found.units == 0
    assert (found.reason is Reason.ENOUGH) == (remaining > rule.threshold)
    assert (found.retry_at is not None) == (found.reason in (Reason.CAPPED, Reason.CAP_REACHED))


@given(RULES, st.integers(0, 300), USES)
def test_no_month_is_over_its_cap_and_no_crossing_is_paid_twice(
    rule: TopUpRule, remaining: int, uses: list[tuple[int, int, int]]
) -> None:
    """Every use is seen by up to three processes with one view; the grant's id lets one through."""
    at, granted = MAY_MS, dict[str, tuple[int, int]]()
    for later_ms, used, watchers in uses:
        at += later_ms
        remaining -= used
        this_month = [units for when, units in granted.values() if when >= month_starts_at(at)]
        found = due(rule, remaining, sum(this_month), at)
        for _ in range(watchers if found.units else 0):
            id = key("low", at, len(this_month))
            if id not in granted:
                granted[id] = (at, found.units)
                remaining += found.units
        again = sum(units for when, units in granted.values() if when >= month_starts_at(at))
        assert due(rule, remaining, again, at).units == 0
    totals: dict[int, int] = {}
    for when, units in granted.values():
        totals[month_starts_at(when)] = totals.get(month_starts_at(when), 0) + units
    assert rule.monthly_cap is None or all(total <= rule.monthly_cap for total in totals.values())


RULE = TopUpRule(threshold=100, target=500, monthly_cap=1_000)


def test_nothing_is_due_above_the_threshold() -> None:
    assert due(RULE, 101, 0, MAY_MS) == Due(0, Reason.ENOUGH)
    assert due(RULE, 100, 0, MAY_MS) == Due(400, Reason.DUE)


def test_what_is_owed_is_paid_as_well() -> None:
    assert due(RULE, -60, 0, MAY_MS) == Due(560, Reason.DUE)


def test_the_cap_cuts_the_last_top_up_and_then_waits_for_the_month() -> None:
    assert due(RULE, 0, 500, MAY_MS) == Due(500, Reason.DUE)
    assert due(RULE, 0, 700, MAY_MS) == Due(300, Reason.CAPPED, JUNE_MS)
    assert due(RULE, 0, 1_000, JUNE_MS - 1) == Due(0, Reason.CAP_REACHED, JUNE_MS)
    # A cap that was lowered below what was bought already takes nothing back.
    assert due(RULE, 0, 1_500, MAY_MS).units == 0
    assert due(TopUpRule(100, 500), 0, 10**9, MAY_MS) == Due(500, Reason.DUE)


def test_a_month_is_a_calendar_month_in_utc() -> None:
    assert month_starts_at(JUNE_MS - 1) == MAY_MS
    assert month_starts_at(JUNE_MS) == month_ends_at(MAY_MS) == JUNE_MS


def test_a_key_names_the_rule_the_month_and_the_number() -> None:
    assert key("low", MAY_MS, 0) == key("low", JUNE_MS - 1, 0) == "topup:low:2024-05:0"
    assert key("low", JUNE_MS, 0) == "topup:low:2024-06:0"
    assert key("low", JUNE_MS + 190 * DAY_MS, 3) == "topup:low:2024-12:3"
    with pytest.raises(AmountError, match="count from 0"):
        key("low", MAY_MS, -1)


def test_a_rule_that_would_buy_for_ever_is_refused() -> None:
    with pytest.raises(AmountError, match="raise the target"):
        TopUpRule(100, 100)
    with pytest.raises(AmountError, match="-1 is negative"):
        TopUpRule(0, 1, -1)
