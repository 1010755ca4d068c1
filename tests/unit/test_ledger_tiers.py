"""Tiered prices: the laws first (cut anywhere, the parts cost the whole), then lists to follow by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import AmountError, CatalogError
from fastcheck.ledger.tiers import (
    Line,
    Rate,
    Scheme,
    Tier,
    Tiers,
    between,
    crossed,
    graduated,
    graduated_lines,
    lines_between,
    problems,
    volume,
    volume_lines,
)

QUANTITIES = st.integers(0, 400)
SCHEMES = st.sampled_from([graduated_lines, volume_lines])
RATES = st.builds(Rate, st.integers(0, 20), st.integers(1, 12), st.booleans())


@st.composite
def price_lists(draw: st.DrawFn, packages: bool = True) -> Tiers:
    ends: list[int | None] = [*sorted(draw(st.sets(st.integers(1, 300), max_size=4))), None]
    rates = RATES if packages else st.builds(Rate, st.integers(0, 20), st.integers(1, 12))
    return tuple(Tier(end, draw(rates), draw(st.integers(0, 50))) for end in ends)


def unit_by_unit(tiers: Tiers, quantity: int) -> int:
    """The slow model: each unit at the rate of its tier, flat fees at the first unit, one rounding."""
    total, entered = Fraction(0), set[int]()
    for unit in range(1, quantity + 1):
        number = next(n for n, tier in enumerate(tiers) if tier.up_to is None or unit <= tier.up_to)
        tier = tiers[number]
        total += Fraction(tier.rate.amount, tier.rate.per) + (0 if number in entered else tier.flat)
        entered.add(number)
    return ceil(total)


@given(price_lists(packages=False), QUANTITIES)
def test_graduated_is_the_price_of_unit_after_unit(tiers: Tiers, quantity: int) -> None:
    assert graduated(tiers, quantity) == unit_by_unit(tiers, quantity)


@given(price_lists(), QUANTITIES, QUANTITIES, QUANTITIES, SCHEMES)
def test_cut_anywhere_the_parts_cost_the_whole(
    tiers: Tiers, start: int, cut: int, end: int, scheme: Scheme
) -> None:
    """Upwards and downwards, for both schemes."""
    parts = between(tiers, start, cut, scheme) + between(tiers, cut, end, scheme)
    assert parts == between(tiers, start, end, scheme)
    assert between(tiers, 0, end) == graduated(tiers, end)
    assert between(tiers, 0, end, volume_lines) == volume(tiers, end)


@given(price_lists(), QUANTITIES, QUANTITIES, SCHEMES)
def test_the_lines_of_an_invoice_add_up(tiers: Tiers, before: int, after: int, scheme: Scheme) -> None:
    lines = lines_between(tiers, before, after, scheme)
    assert sum(line.amount for line in lines) == between(tiers, before, after, scheme)
    assert sum(line.units for line in lines) == after - before


@given(price_lists(), QUANTITIES, QUANTITIES)
def test_more_never_costs_less_when_graduated(tiers: Tiers, one: int, other: int) -> None:
    assert all(line.amount >= 0 for line in lines_between(tiers, min(one, other), max(one, other)))


@given(price_lists(), st.lists(QUANTITIES, min_size=1))
def test_on_the_way_up_each_tier_is_crossed_once(tiers: Tiers, marks: list[int]) -> None:
    marks = [0, *sorted(marks)]
    seen = [n for before, after in pairwise(marks) for n in crossed(tiers, before, after)]
    assert seen == list(crossed(tiers, 0, marks[-1]))
    assert seen == [line.tier for line in graduated_lines(tiers, marks[-1])][1:]
    assert crossed(tiers, marks[-1], 0) == ()


MESSAGES = (
    Tier(10_000, Rate(50, per=1_000)),
    Tier(100_000, Rate(40, per=1_000)),
    Tier(None, Rate(25, per=1_000)),
)
"""Cents per thousand messages."""


def test_a_price_list_of_three_tiers() -> None:
    # 10 thousand at 50, 90 thousand at 40, 20 thousand at 25.
    assert graduated_lines(MESSAGES, 120_000) == (
        Line(0, 10_000, 500),
        Line(1, 90_000, 3_600),
        Line(2, 20_000, 500),
    )
    assert graduated(MESSAGES, 120_000) == 4_600
    assert volume(MESSAGES, 120_000) == 120 * 25


def test_a_tier_includes_its_last_unit() -> None:
    assert [line.tier for line in graduated_lines(MESSAGES, 10_000)] == [0]
    assert [line.tier for line in graduated_lines(MESSAGES, 10_001)] == [0, 1]
    assert volume(MESSAGES, 100_000) == 4_000
    assert volume(MESSAGES, 100_001) == 2_501  # 2500.025, rounded up
    assert crossed(MESSAGES, 9_999, 10_000) == ()
    assert crossed(MESSAGES, 10_000, 10_001) == (1,)
    assert crossed(MESSAGES, 0, 1_000_000) == (1, 2)


def test_one_message_at_a_time_costs_what_all_cost_at_once() -> None:
    """At 0.05 cents each, the first is charged a cent, the next nineteen nothing."""
    steps = [between(MESSAGES, n, n + 1) for n in range(40)]
    assert [n for n, cost in enumerate(steps) if cost] == [0, 20]
    assert sum(steps) == graduated(MESSAGES, 40) == 2


def test_rounding_is_not_paid_twice_across_tiers() -> None:
    tiers = (Tier(1, Rate(1, per=2)), Tier(None, Rate(1, per=2)))
    assert graduated_lines(tiers, 2) == (Line(0, 1, 1), Line(1, 1, 0))


def test_volume_may_give_back_when_a_cheaper_tier_is_entered() -> None:
    assert lines_between(MESSAGES, 10_000, 10_001, volume_lines) == (
        Line(0, -10_000, -500),
        Line(1, 10_001, 401),
    )
    assert volume_lines(MESSAGES, 0) == ()


def test_a_flat_fee_is_owed_from_the_first_unit_of_its_tier() -> None:
    tiers = (Tier(100, Rate(0), flat=500), Tier(None, Rate(2), flat=1_000))
    assert [graduated(tiers, quantity) for quantity in (0, 1, 100, 101, 150)] == [0, 500, 500, 1_502, 1_600]
    assert [volume(tiers, quantity) for quantity in (0, 1, 100, 101)] == [0, 500, 500, 1_202]


def test_a_package_begun_is_a_package_paid() -> None:
    tiers = (Tier(None, Rate(300, per=1_000, package=True)),)
    assert [graduated(tiers, quantity) for quantity in (0, 1, 1_000, 1_001)] == [0, 300, 300, 600]
    assert [between(tiers, 1, 1_000), between(tiers, 1_000, 1_001)] == [0, 300]


def test_the_last_tier_may_be_a_cap() -> None:
    tiers = (Tier(10, Rate(1)), Tier(20, Rate(2)))
    assert graduated(tiers, 20) == 30
    for ask in (graduated, volume):
        with pytest.raises(AmountError, match="past the last tier, which ends at 20"):
            ask(tiers, 21)
    with pytest.raises(AmountError, match="past the last tier"):
        crossed(tiers, 0, 21)


def test_mistakes_in_tiers_are_named_all_at_once() -> None:
    assert problems(MESSAGES) == []
    assert problems(()) == ["no tiers: give at least one"]
    wrong = (Tier(None, Rate(1)), Tier(5, Rate(1), flat=-1), Tier(5, Rate(1)))
    assert problems(wrong) == [
        "tier 0: only the last tier may be without an end",
        "tier 1: the flat fee -1 is negative",
        "tier 2: ends at 5, but must end after 5: tiers ascend",
    ]
    with pytest.raises(CatalogError, match="tiers ascend"):
        graduated(wrong, 1)


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(AmountError, match="-1 is negative"):
        graduated(MESSAGES, -1)
    with pytest.raises(AmountError, match="-3 is negative"):
        Rate(-3)
    with pytest.raises(AmountError, match="per 0 units"):
        Rate(3, per=0)
