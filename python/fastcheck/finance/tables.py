"""The tables of an export: names, columns and what their cells are."""

from __future__ import annotations

from enum import Enum

from fastcheck.amounts import Credits, credits


class Cell(Enum):
    """What a column holds."""

    TEXT = "text"
    UNITS = "units"
    """An int: pool units, minor units of a currency, or a count."""
    INSTANT = "instant"
    """Ms since 1970 UTC."""
    DECIMAL = "decimal"
    """Exact decimal text."""


_TEXT, _UNITS, _AT, _DECIMAL = Cell.TEXT, Cell.UNITS, Cell.INSTANT, Cell.DECIMAL

TABLES: dict[str, dict[str, Cell]] = {
    "movements": {
        "place": _UNITS, "at": _AT, "booked_at": _AT, "customer": _TEXT, "pool": _TEXT, "grant": _TEXT,
        "grant_kind": _TEXT, "movement": _TEXT, "units": _UNITS, "credits": _DECIMAL, "class": _TEXT,
        "worth": _UNITS, "currency": _TEXT,
    },
    "balances": {
        "customer": _TEXT, "pool": _TEXT, "grant": _TEXT, "opening": _UNITS, "issued": _UNITS,
        "burned": _UNITS, "returned": _UNITS, "expired": _UNITS, "voided": _UNITS, "closing": _UNITS,
    },
    "usage": {
        "customer": _TEXT, "pool": _TEXT, "feature": _TEXT, "period": _TEXT, "units": _UNITS,
        "credits": _DECIMAL, "records": _UNITS,
    },
    "revenue": {
        "pool": _TEXT, "grant_kind": _TEXT, "currency": _TEXT, "deferred_start": _UNITS, "sold": _UNITS,
        "burned": _UNITS, "breakage": _UNITS, "voided": _UNITS, "refunded": _UNITS, "charged_back": _UNITS,
        "deferred_end": _UNITS,
    },
}  # fmt: skip
"""Table -> column -> what it holds, in their order."""


def decimal_text(units: int, scale: int | None) -> str:
    """Units as credits, exactly; "" where the pool's scale is not known any more."""
    if scale is None:
        return ""
    found: Credits = credits(units, scale)
    return str(found) if isinstance(found, int) else format(found, "f")
