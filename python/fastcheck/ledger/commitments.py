"""Committed use: so much is paid for per period, used or not; more is overage.

The rounding rule: a statement's amounts are rounded up once, to a whole minor unit, from its first line on:
each line is the rounded running total less the lines before it. So the lines add up to the total, and a
price cut into lines costs what it would in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import pairwise
from math import ceil

from fastcheck.errors import AmountError
from fastcheck.ledger.periods import Recurrence
from fastcheck.ledger.tiers import Rate, Tiers, graduated_lines


class Basis(str, Enum):
    """What a commitment is counted in."""

    UNITS = "units"
    MONEY = "money"
    """Minor units of the currency."""


@dataclass(frozen=True)
class Commitment:
    """What a customer commits to per period."""

    committed: int
    period: Recurrence
    rate: Rate
    """Of what is within the commitment."""
    overage_rate: Rate
    """Of what is beyond it."""
    true_up: bool
    """Whether what was committed and not used is charged. False: it is shown, and costs nothing."""
    rollover_unused: bool = False
    """Whether units paid for by a true-up may be used in the next period, before its own; there they
    lapse."""
    basis: Basis = Basis.UNITS
    currency: str = ""

    def __post_init__(self) -> None:
        if self.committed < 0:
            raise AmountError(f"a commitment of {self.committed} is negative: give 0 or more")
        if self.rollover_unused and not self.true_up:
            raise AmountError("only units that were paid for roll over: set true_up as well")
        if self.basis is Basis.MONEY and self.rate.amount == 0:
            raise AmountError("money buys no number of units at a rate of 0: commit to units instead")
        if self.rate.package or self.overage_rate.package:
            raise AmountError("a commitment has rates per unit: sell packages as tiers")

    @property
    def fee(self) -> int:
        """What the whole commitment costs."""
        return ceil(self.rate.exact(self.covers))

    @property
    def covers(self) -> Fraction:
        """The units that it pays for. Money may end within a unit; the rest of that unit is overage."""
        if self.basis is Basis.UNITS:
            return Fraction(self.committed)
        return Fraction(self.committed * self.rate.per, self.rate.amount)


class LineKind(str, Enum):
    """What a line of a statement is for."""

    ROLLED_OVER = "rolled_over"
    """Used from what the period before had paid for."""
    COMMITTED = "committed"
    """Used within the commitment."""
    SHORTFALL = "shortfall"
    """Committed, not used, and not charged."""
    TRUE_UP = "true_up"
    """Committed, not used, and charged."""
    OVERAGE = "overage"
    """Used beyond the commitment."""
    TIER = "tier"
    """Used within one tier."""


@dataclass(frozen=True)
class StatementLine:
    """`units` are whole: where money ends within a unit, that unit is in the overage's."""

    kind: LineKind
    units: int
    amount: int


@dataclass(frozen=True)
class Statement:
    """What one period costs."""

    lines: tuple[StatementLine, ...]
    rolls_over: int = 0
    """Units paid for that the next period may use."""
    currency: str = ""

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)

    def amount(self, kind: LineKind) -> int:
        """The lines of one kind together."""
        return sum(line.amount for line in self.lines if line.kind is kind)


def statement(commitment: Commitment, used: int, rolled_over: int = 0) -> Statement:
    """What a period's use costs. `rolled_over`: units from the period before, used up first. Raises
    `AmountError` for a negative quantity."""
    if used < 0 or rolled_over < 0:
        raise AmountError(f"{used} used, {rolled_over} rolled over: give 0 or more of each")
    free = min(used, rolled_over)
    own = used - free
    covered = commitment.covers
    within = min(own, covered.numerator // covered.denominator)
    lines = [StatementLine(LineKind.ROLLED_OVER, free, 0)] if free else []
    rolls_over = 0
    if own <= covered:
        charged = ceil(commitment.rate.exact(own))
        lines.append(StatementLine(LineKind.COMMITTED, own, charged))
        unused = int(covered) - own
        missing = commitment.fee - charged
        if commitment.true_up and (unused or missing):
            lines.append(StatementLine(LineKind.TRUE_UP, unused, missing))
            rolls_over = unused if commitment.rollover_unused else 0
        elif unused:
            lines.append(StatementLine(LineKind.SHORTFALL, unused, 0))
    else:
        exact = commitment.rate.exact(covered) + commitment.overage_rate.exact(own - covered)
        lines.append(StatementLine(LineKind.COMMITTED, within, commitment.fee))
        lines.append(StatementLine(LineKind.OVERAGE, own - within, ceil(exact) - commitment.fee))
    return Statement(tuple(lines), rolls_over, commitment.currency)


@dataclass(frozen=True)
class Ramp:
    """A commitment that changes with time: each step from its period's number on, counted from 0."""

    steps: tuple[tuple[int, Commitment], ...]

    def __post_init__(self) -> None:
        numbers = [number for number, _ in self.steps]
        if not numbers or numbers[0] != 0 or any(a >= b for a, b in pairwise(numbers)):
            raise AmountError(f"the steps of a ramp begin at {numbers}: begin at 0, and ascend")
        if len({commitment.period for _, commitment in self.steps}) != 1:
            raise AmountError("the steps of a ramp have different periods: use one")

    def of(self, number: int) -> Commitment:
        """The commitment of a period. Raises `AmountError` below 0."""
        if number < 0:
            raise AmountError(f"period {number} is before the commitment began: count from 0")
        return [commitment for first, commitment in self.steps if first <= number][-1]


def statements(terms: Commitment | Ramp, used: Iterable[int]) -> tuple[Statement, ...]:
    """One statement per period from number 0 on, each with what the one before rolls over."""
    found: list[Statement] = []
    for number, quantity in enumerate(used):
        commitment = terms.of(number) if isinstance(terms, Ramp) else terms
        rolled_over = found[-1].rolls_over if found else 0
        found.append(statement(commitment, quantity, rolled_over))
    return tuple(found)


def minimum_spend(minimum: int, tiers: Tiers, quantity: int, currency: str = "") -> Statement:
    """A tiered price of at least `minimum`: the tiers' lines, and a true-up to the minimum where they come to
    less. Raises as `tiers.graduated`, and `AmountError` for a negative minimum."""
    if minimum < 0:
        raise AmountError(f"a minimum of {minimum} is negative: give 0 or more")
    lines = [StatementLine(LineKind.TIER, one.units, one.amount) for one in graduated_lines(tiers, quantity)]
    missing = minimum - sum(line.amount for line in lines)
    if missing > 0:
        lines.append(StatementLine(LineKind.TRUE_UP, 0, missing))
    return Statement(tuple(lines), currency=currency)
