"""Credits as people write them, and units as everything stores them: a unit is 10^-scale of a credit."""

from __future__ import annotations

from decimal import Decimal

from fastcheck.errors import AmountError, WrongType

AMOUNT_MAX = (1 << 63) - 1
"""The largest amount, in units: what a signed 64-bit column holds."""

Credits = int | Decimal
"""An amount in credits: an int where it is whole."""


def units(credits: object, scale: int, what: str = "the amount") -> int:
    """Credits as units, exactly. Raises `WrongType` for anything but int and Decimal, `AmountError` for what
    is not positive, not exact at the scale, or too large."""
    if isinstance(credits, bool) or not isinstance(credits, (int, Decimal)):
        hint = (
            "; write it as an int or decimal.Decimal, a float is not exact"
            if isinstance(credits, float)
            else ""
        )
        raise WrongType(f"{what} must be an int or a decimal.Decimal, not {type(credits).__name__}{hint}")
    if isinstance(credits, int):
        # Compared before multiplying and printing: an int may have millions of digits.
        if credits > AMOUNT_MAX:
            raise AmountError(
                f"{what} is over the largest amount, {AMOUNT_MAX} units of 10^-{scale}: split it"
            )
        found = credits * _power(scale)
    else:
        found = _decimal_units(credits, scale, what)
    if found <= 0:
        raise AmountError(f"{what} is {'zero' if found == 0 else 'negative'}: give more than zero")
    if found > AMOUNT_MAX:
        raise AmountError(f"{what} is over the largest amount, {AMOUNT_MAX} units of 10^-{scale}: split it")
    return found


def _decimal_units(credits: Decimal, scale: int, what: str) -> int:
    if not credits.is_finite():
        raise AmountError(f"{what} is {credits}: give a number")
    sign, digits, exponent = credits.as_tuple()
    assert isinstance(exponent, int)
    # Bounded before any power is taken: Decimal("1e999999") is small to write and huge to hold.
    if credits and credits.adjusted() > 30:
        raise AmountError(f"{what} is over the largest amount, {AMOUNT_MAX} units of 10^-{scale}: split it")
    coefficient = int("".join(map(str, digits))) if len(digits) <= 64 else -1
    shift = exponent + scale
    if credits and shift < -64:
        coefficient = -1
    if coefficient < 0:
        raise AmountError(f"{what} has more digits than scale {scale} holds: round it first")
    if shift >= 0 or coefficient == 0:
        found = coefficient * _power(max(shift, 0))
    else:
        found, rest = divmod(coefficient, _power(-shift))
        if rest:
            needed = -exponent - (len(str(coefficient)) - len(str(coefficient).rstrip("0")))
            raise AmountError(
                f"{what} = {credits} needs scale {needed}, the pool has {scale}: round it, or raise the scale"
            )
    return -found if sign else found


def credits(units: int, scale: int) -> Credits:
    """Units as credits: an int where it is whole, else an exact Decimal."""
    whole, rest = divmod(units, _power(scale))
    if rest == 0:
        return whole
    digits = tuple(int(digit) for digit in str(abs(units)))
    return Decimal((1 if units < 0 else 0, digits, -scale)).normalize()


def _power(digits: int) -> int:
    return int(10**digits)
