"""What a quantity costs under a tiered price: graduated, volume, flat fees and packages.

The rounding rule: the exact cost of a *cumulative* quantity is rounded up once, to a whole minor unit of
money (or unit of a pool). A step costs the difference of two such totals, so the steps of a period always
add up to the price of the whole, however often and wherever it was cut; nothing is rounded per event.

A tier includes its `up_to`: with `up_to=10_000` the 10,000th unit is still in it. Nothing used costs
nothing, and a flat fee is owed from the first unit in its tier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from fastcheck.errors import AmountError, CatalogError


@dataclass(frozen=True)
class Rate:
    """`amount` for every `per` units, exactly: Rate(3, per=1000) is 3 cents per thousand, 0.003 a unit."""

    amount: int
    per: int = 1
    package: bool = False
    """Sold in whole blocks of `per`: a block begun is a block paid."""

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise AmountError(f"a rate of {self.amount} is negative: charge 0 or more")
        if self.per < 1:
            raise AmountError(f"a rate per {self.per} units has no meaning: give 1 or more")

    def exact(self, quantity: int | Fraction) -> Fraction:
        """The cost of a quantity, not rounded."""
        parts = Fraction(quantity, self.per)
        return self.amount * (Fraction(ceil(parts)) if self.package else parts)


@dataclass(frozen=True)
class Tier:
    """A stretch of quantity with one rate: from where the tier before ends (exclusive) to `up_to`."""

    up_to: int | None
    """The last unit in the tier; None = no end. A last tier that ends is a cap: more is an `AmountError`."""
    rate: Rate
    flat: int = 0
    """Owed once, from the first unit in the tier."""


Tiers = tuple[Tier, ...]


@dataclass(frozen=True)
class Line:
    """One tier's line on an invoice."""

    tier: int
    """Which tier, from 0."""
    units: int
    amount: int


def problems(tiers: Tiers) -> list[str]:
    """Every mistake in a list of tiers, for the error of a catalog; empty = none."""
    found = [] if tiers else ["no tiers: give at least one"]
    floor = 0
    for number, tier in enumerate(tiers):
        if tier.flat < 0:
            found.append(f"tier {number}: the flat fee {tier.flat} is negative")
        if tier.up_to is None:
            if number != len(tiers) - 1:
                found.append(f"tier {number}: only the last tier may be without an end")
            continue
        if tier.up_to <= floor:
            found.append(f"tier {number}: ends at {tier.up_to}, but must end after {floor}: tiers ascend")
        floor = max(floor, tier.up_to)
    return found


def graduated(tiers: Tiers, quantity: int) -> int:
    """The cost where each unit has the rate of the tier it lies in.

    Raises `CatalogError` for mistakes in the tiers, `AmountError` for a quantity below 0 or past the cap."""
    return sum(line.amount for line in graduated_lines(tiers, quantity))


def graduated_lines(tiers: Tiers, quantity: int) -> tuple[Line, ...]:
    """`graduated` tier by tier; the lines add up to it. Rounded from the first tier on, so a fraction that
    one tier was rounded up by is not paid again by the next."""
    _check(tiers, quantity)
    found: list[Line] = []
    exact, floor = Fraction(0), 0
    for number, tier in enumerate(tiers):
        inside = (quantity if tier.up_to is None else min(quantity, tier.up_to)) - floor
        if inside <= 0:
            break
        before = ceil(exact)
        exact += tier.flat + tier.rate.exact(inside)
        found.append(Line(number, inside, ceil(exact) - before))
        floor += inside
    return tuple(found)


def volume(tiers: Tiers, quantity: int) -> int:
    """The cost where all units have the rate of the tier that the whole quantity lies in; of the flat fees
    only that tier's is owed. It may fall as the quantity grows into a cheaper tier. Raises as
    `graduated`."""
    return sum(line.amount for line in volume_lines(tiers, quantity))


def volume_lines(tiers: Tiers, quantity: int) -> tuple[Line, ...]:
    """`volume` as its one line; none where nothing was used."""
    _check(tiers, quantity)
    if quantity == 0:
        return ()
    number = _tier_of(tiers, quantity)
    tier = tiers[number]
    return (Line(number, quantity, ceil(tier.flat + tier.rate.exact(quantity))),)


Scheme = Callable[[Tiers, int], tuple[Line, ...]]
"""`graduated_lines` or `volume_lines`."""


def between(tiers: Tiers, before: int, after: int, scheme: Scheme = graduated_lines) -> int:
    """What moving a period's quantity from `before` to `after` costs. between(0, b) + between(b, c) is
    exactly between(0, c); downwards (a correction) it is negative, and by volume it may be so upwards too."""
    return sum(line.amount for line in lines_between(tiers, before, after, scheme))


def lines_between(
    tiers: Tiers, before: int, after: int, scheme: Scheme = graduated_lines
) -> tuple[Line, ...]:
    """`between` tier by tier. By volume, entering a tier takes back the line of the tier that was left."""
    old = {line.tier: line for line in scheme(tiers, before)}
    new = {line.tier: line for line in scheme(tiers, after)}
    found = []
    for number in sorted(old.keys() | new.keys()):
        nothing = Line(number, 0, 0)
        was, now = old.get(number, nothing), new.get(number, nothing)
        if was != now:
            found.append(Line(number, now.units - was.units, now.amount - was.amount))
    return tuple(found)


def crossed(tiers: Tiers, before: int, after: int) -> tuple[int, ...]:
    """The tiers entered from the one below on the way up from `before` to `after`; none on the way down. The
    first tier is where everybody starts, so it is never among them."""
    _check(tiers, before)
    _check(tiers, after)
    if after <= before:
        return ()
    first = 0 if before == 0 else _tier_of(tiers, before)
    return tuple(range(first + 1, _tier_of(tiers, after) + 1))


def _tier_of(tiers: Tiers, quantity: int) -> int:
    return next(number for number, tier in enumerate(tiers) if tier.up_to is None or quantity <= tier.up_to)


def _check(tiers: Tiers, quantity: int) -> None:
    if found := problems(tiers):
        raise CatalogError(found)
    if quantity < 0:
        raise AmountError(f"a quantity of {quantity} is negative: charge for 0 or more")
    cap = tiers[-1].up_to
    if cap is not None and quantity > cap:
        raise AmountError(f"{quantity} units are past the last tier, which ends at {cap}: add a tier")
