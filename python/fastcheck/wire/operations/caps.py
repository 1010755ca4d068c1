"""Caps: at most so much in each window of time, whatever was granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.wire.answers import Page, SpendCap
from fastcheck.wire.fields import Credits, CustomerKey, Kind, Name, Note, PoolName, Told, one_of
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.shapes import Removed

PER: Final = ("hour", "day", "month")
"""The windows of a cap."""

Window = Annotated[str, Kind(one_of(*PER), schema={"enum": list(PER)}), Told(("day",))]


@dataclass(frozen=True)
class PutCap(Request[SpendCap]):
    """Bounds what is spent per window of the calendar (UTC), whatever was granted. A known cap keeps what was
    counted."""

    customer: CustomerKey
    pool: PoolName
    per: Window
    amount: Credits
    """0: nothing may be spent."""
    key: Name | None = None
    """Only spending that names this key counts."""
    reason: Note = ""


@dataclass(frozen=True)
class RemoveCap(Request[Removed]):
    """Ends a customer's caps, or those of a key."""

    customer: CustomerKey
    pool: PoolName
    per: Window | None = None
    """Only the cap of this window."""
    key: Name | None = None
    """Those of this key."""


@dataclass(frozen=True)
class ListCaps(Request[Page[SpendCap]]):
    """A customer's caps, with what was spent of them; on one page."""

    customer: CustomerKey


OPERATIONS = (
    Operation(
        PutCap, "PUT", "/customers/{customer}/caps/{pool}/{per}", "caps.write", Touches.LOWERS, Repeat.NAMES
    ),
    Operation(
        RemoveCap, "DELETE", "/customers/{customer}/caps/{pool}", "caps.write", Touches.LOWERS, Repeat.KEYED
    ),
    Operation(ListCaps, "GET", "/customers/{customer}/caps", "caps.read", Touches.SETTLED),
)
