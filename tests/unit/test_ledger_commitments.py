"""Committed use: the laws first (never below the commitment, no unit paid twice), then cases to follow."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import AmountError
from fastcheck.ledger.commitments import (
    Basis,
    Commitment,
    LineKind,
    Ramp,
    Statement,
    StatementLine,
    minimum_spend,
    statement,
    statements,
)
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.ledger.tiers import Rate, Tier, graduated

MONTHLY = Recurrence(Span(1, Unit.MONTH), Anchor.ANNIVERSARY, 0)
QUANTITIES = st.integers(0, 300)
RATES = st.builds(Rate, st.integers(1, 20), st.integers(1, 12))


@st.composite
def commitments(draw: st.DrawFn, same_rate: bool = False) -> Commitment:
    rate = draw(RATES)
    true_up = draw(st.booleans())
    return Commitment(
        draw(st.integers(0, 200)),
        MONTHLY,
        rate,
        rate if same_rate else draw(RATES),
        true_up,
        rollover_unused=true_up and draw(st.booleans()),
        basis=draw(st.sampled_from(Basis)),
    )


@given(commitments(), QUANTITIES, QUANTITIES)
def test_every_unit_is_on_one_line(commitment: Commitment, used: int, rolled_over: int) -> None:
    found = statement(commitment, used, rolled_over)
    unused = (LineKind.TRUE_UP, LineKind.SHORTFALL)
    assert sum(line.units for line in found.lines if line.kind not in unused) == used
    assert all(line.units >= 0 and line.amount >= 0 for line in found.lines)
    covered = sum(line.units for line in found.lines if line.kind in (LineKind.COMMITTED, *unused))
    assert covered == int(commitment.covers)


@given(commitments(), QUANTITIES, QUANTITIES)
def test_more_use_never_costs_less(commitment: Commitment, one: int, other: int) -> None:
    assert statement(commitment, min(one, other)).total <= statement(commitment, max(one, other)).total


@given(commitments(same_rate=True), QUANTITIES)
def test_at_one_rate_it_is_a_minimum(commitment: Commitment, used: int) -> None:
    """Exactly, whatever the rates: the cost of what was used, and with a true-up no less than the fee."""
    cost = ceil(commitment.rate.exact(used))
    assert statement(commitment, used).total == (max(commitment.fee, cost) if commitment.true_up else cost)


@given(commitments(), QUANTITIES)
def test_money_committed_is_what_the_fee_comes_to(commitment: Commitment, used: int) -> None:
    if commitment.basis is Basis.MONEY:
        assert commitment.fee == commitment.committed
    if commitment.true_up:
        assert statement(commitment, used).total >= commitment.fee


@given(commitments(), st.lists(QUANTITIES, max_size=6))
def test_what_rolls_over_was_paid_for_and_is_used_once(commitment: Commitment, used: list[int]) -> None:
    found = statements(commitment, used)
    before = 0
    for one, quantity in zip(found, used, strict=True):
        free = sum(line.units for line in one.lines if line.kind is LineKind.ROLLED_OVER)
        assert free == min(before, quantity)
        trued_up = sum(line.units for line in one.lines if line.kind is LineKind.TRUE_UP)
        assert one.rolls_over == (trued_up if commitment.rollover_unused else 0)
        before = one.rolls_over


@given(
    st.integers(0, 2_000), QUANTITIES, st.lists(st.tuples(st.integers(1, 99), RATES), min_size=1, max_size=3)
)
def test_a_minimum_spend_is_the_greater_of_both(
    minimum: int, quantity: int, steps: list[tuple[int, Rate]]
) -> None:
    ends = [sum(width for width, _ in steps[:number]) for number in range(1, len(steps))]
    tiers = tuple(Tier(end, rate) for end, (_, rate) in zip([*ends, None], steps, strict=True))
    assert minimum_spend(minimum, tiers, quantity).total == max(minimum, graduated(tiers, quantity))


MILLION = Commitment(
    1_000_000, MONTHLY, Rate(20, per=1_000), Rate(30, per=1_000), true_up=True, currency="eur"
)
"""A million messages a month at 20 cents a thousand, more at 30."""


def test_use_below_the_commitment_is_trued_up() -> None:
    assert statement(MILLION, 600_000) == Statement(
        (StatementLine(LineKind.COMMITTED, 600_000, 12_000), StatementLine(LineKind.TRUE_UP, 400_000, 8_000)),
        currency="eur",
    )
    assert statement(MILLION, 600_000).total == MILLION.fee == 20_000


def test_use_beyond_the_commitment_is_overage() -> None:
    found = statement(MILLION, 1_250_000)
    assert found.amount(LineKind.COMMITTED) == 20_000
    assert found.amount(LineKind.OVERAGE) == 250 * 30
    assert found.amount(LineKind.TRUE_UP) == 0
    assert found.total == 27_500


def test_exactly_the_commitment_has_one_line() -> None:
    assert statement(MILLION, 1_000_000).lines == (StatementLine(LineKind.COMMITTED, 1_000_000, 20_000),)


def test_without_a_true_up_the_shortfall_is_shown_and_free() -> None:
    target = Commitment(1_000, MONTHLY, Rate(2), Rate(3), true_up=False)
    assert statement(target, 400).lines == (
        StatementLine(LineKind.COMMITTED, 400, 800),
        StatementLine(LineKind.SHORTFALL, 600, 0),
    )
    assert statement(target, 400).rolls_over == 0


def test_unused_units_roll_over_once_and_are_used_first() -> None:
    rolling = Commitment(100, MONTHLY, Rate(2), Rate(3), true_up=True, rollover_unused=True)
    found = statements(rolling, [70, 0, 250, 100])
    assert [one.rolls_over for one in found] == [30, 100, 0, 0]  # the first month's 30 lapsed in the second
    assert [one.total for one in found] == [200, 200, 200 + 50 * 3, 200]
    assert found[2].lines == (
        StatementLine(LineKind.ROLLED_OVER, 100, 0),
        StatementLine(LineKind.COMMITTED, 100, 200),
        StatementLine(LineKind.OVERAGE, 50, 150),
    )


def test_a_commitment_of_money_buys_what_it_buys() -> None:
    """100 cents at 3 for 2 units: 66 units and two thirds; the rest of the 67th is overage."""
    money = Commitment(100, MONTHLY, Rate(3, per=2), Rate(6, per=2), true_up=True, basis=Basis.MONEY)
    assert [statement(money, used).total for used in (0, 66, 67, 68)] == [100, 100, 101, 104]
    assert statement(money, 66).lines == (
        StatementLine(LineKind.COMMITTED, 66, 99),
        StatementLine(LineKind.TRUE_UP, 0, 1),
    )
    assert statement(money, 67).lines == (
        StatementLine(LineKind.COMMITTED, 66, 100),
        StatementLine(LineKind.OVERAGE, 1, 1),
    )


def test_rounding_is_paid_once_and_not_per_line() -> None:
    halves = Commitment(1, MONTHLY, Rate(1, per=2), Rate(1, per=2), true_up=True)
    assert statement(halves, 2).lines == (
        StatementLine(LineKind.COMMITTED, 1, 1),
        StatementLine(LineKind.OVERAGE, 1, 0),
    )


def test_a_ramp_commits_to_more_with_time() -> None:
    small, large = (Commitment(units, MONTHLY, Rate(1), Rate(2), true_up=True) for units in (100, 300))
    ramp = Ramp(((0, small), (2, large)))
    assert [one.total for one in statements(ramp, [150, 150, 150, 350])] == [200, 200, 300, 400]
    assert ramp.of(99) is large
    with pytest.raises(AmountError, match="count from 0"):
        ramp.of(-1)


def test_a_ramp_begins_at_its_beginning() -> None:
    yearly = Commitment(1, Recurrence(Span(1, Unit.YEAR), Anchor.CALENDAR, 0), Rate(1), Rate(1), True)
    for steps in (
        (),
        ((1, MILLION),),
        ((0, MILLION), (3, MILLION), (3, MILLION)),
        ((0, MILLION), (1, yearly)),
    ):
        with pytest.raises(AmountError, match=r"begin at 0|different periods"):
            Ramp(steps)


def test_a_minimum_spend_over_tiers() -> None:
    tiers = (Tier(10, Rate(5)), Tier(None, Rate(3)))
    assert minimum_spend(100, tiers, 12, "eur") == Statement(
        (
            StatementLine(LineKind.TIER, 10, 50),
            StatementLine(LineKind.TIER, 2, 6),
            StatementLine(LineKind.TRUE_UP, 0, 44),
        ),
        currency="eur",
    )
    assert [line.kind for line in minimum_spend(56, tiers, 12).lines] == [LineKind.TIER, LineKind.TIER]
    with pytest.raises(AmountError, match="minimum of -1"):
        minimum_spend(-1, tiers, 12)


def test_terms_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(AmountError, match="negative"):
        Commitment(-1, MONTHLY, Rate(1), Rate(1), True)
    with pytest.raises(AmountError, match="set true_up"):
        Commitment(1, MONTHLY, Rate(1), Rate(1), False, rollover_unused=True)
    with pytest.raises(AmountError, match="rate of 0"):
        Commitment(1, MONTHLY, Rate(0), Rate(1), True, basis=Basis.MONEY)
    with pytest.raises(AmountError, match="packages"):
        Commitment(1, MONTHLY, Rate(1), Rate(1, per=5, package=True), True)
    with pytest.raises(AmountError, match="0 or more of each"):
        statement(MILLION, -1)
