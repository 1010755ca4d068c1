"""Grants: amounts that are put into pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastcheck.errors import InstantError, RecordError, WrongType
from fastcheck.ledger.model import GrantKind
from fastcheck.ledger.periods import UTC, Anchor, Recurrence
from fastcheck.wire.answers import GrantState, Page
from fastcheck.wire.fields import (
    At,
    Called,
    Checked,
    Credits,
    CustomerKey,
    Every,
    InstantMs,
    Kind,
    Name,
    Note,
    Paid,
    PoolName,
    one_of,
    span,
    whole,
)
from fastcheck.wire.operation import Operation, Repeat, Request, Touches

PRIORITY_MAX: Final = (1 << 31) - 1
KINDS: Final = tuple(one.value for one in GrantKind)
ANCHORS: Final = tuple(one.value for one in Anchor)


def _flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise WrongType(f"{what} must be True or False")
    return value


GrantId = Annotated[Name, Called("a grant's id")]
Priority = Annotated[
    int,
    Kind(
        lambda value, what: whole(value, what, -PRIORITY_MAX, PRIORITY_MAX),
        schema={"minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX},
    ),
]
Percent = Annotated[
    int, Kind(lambda value, what: whole(value, what, 1, 100), schema={"minimum": 1, "maximum": 100})
]
Flag = Annotated[bool, Kind(_flag)]


@dataclass(frozen=True)
class RolloverTerms(Checked):
    """What a refill keeps of the period before."""

    max: Annotated[Credits, Called("rollover max")]
    min: Annotated[Credits, Called("rollover min")] | None = None
    percent: Annotated[Percent, Called("rollover percent")] | None = None
    once: Annotated[Flag, Called("rollover once")] | None = None


def rollover_of(given: Mapping[str, Any] | None) -> RolloverTerms | None:
    """The terms as callers in Python give them. Raises `WrongType`, `RecordError`, `AmountError`."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise WrongType(f"rollover must be a dict, not {type(given).__name__}")
    unknown = sorted(set(given) - {"min", "max", "percent", "once"}, key=str)
    if unknown:
        raise RecordError(f"rollover has no {unknown[0]!r:.40}: it has min, max, percent, once")
    if "max" not in given:
        raise RecordError("rollover needs max, the most credits that a refill keeps")
    return RolloverTerms(**given)


@dataclass(frozen=True)
class MakeGrant(Request[GrantState]):
    """Puts credits into a pool. With an `id` or an Idempotency-Key, asking again changes nothing."""

    customer: CustomerKey
    pool: PoolName
    amount: Credits
    id: Name | None = None
    """Your own, under which asking again changes nothing."""
    priority: Priority = 100
    """Smaller burns first."""
    effective_at: InstantMs | None = None
    expires_at: InstantMs | None = None
    kind: Annotated[str, Kind(one_of(*KINDS), schema={"enum": list(KINDS)})] = GrantKind.PAID.value
    reason: Note = ""
    every: Every | None = None
    """How often the balance is set to the full amount again: `1 month`, `2 weeks`; null: once."""
    anchor: Annotated[str, Kind(one_of(*ANCHORS), schema={"enum": list(ANCHORS)})] = Anchor.ANNIVERSARY.value
    """Where periods begin: at the anniversary of `effective_at`, or with the calendar."""
    zone: Name = UTC
    """The time zone in which periods begin."""
    rollover: RolloverTerms | None = None
    cost: Paid | None = None
    """What is paid for the amount, each time."""

    def agree(self) -> None:
        starts, ends = self.effective_at, self.expires_at
        if starts is not None and ends is not None and ends <= starts:
            raise InstantError("expires_at is not after effective_at: the grant would never be active")
        if self.every is None and (self.rollover is not None or self.zone != UTC):
            raise RecordError("rollover and zone are about a grant that is made again: give every, too")
        if self.every is not None:
            Recurrence(span(self.every, "every"), Anchor(self.anchor), 0, self.zone)  # Knows which zones are.


@dataclass(frozen=True)
class VoidGrant(Request[GrantState]):
    """Takes back what is left of a grant; again changes nothing."""

    id: GrantId


@dataclass(frozen=True)
class ListGrants(Request[Page[GrantState]]):
    """A customer's grants, now or at an instant, oldest first, ended ones included; on one page."""

    customer: CustomerKey
    pool: PoolName | None = None
    """Only of this pool."""
    at: At | None = None


OPERATIONS = (
    Operation(
        MakeGrant,
        "POST",
        "/customers/{customer}/grants",
        "grants.write",
        Touches.RAISES,
        Repeat.NAMES,
        id_prefix="g",
    ),
    Operation(VoidGrant, "DELETE", "/grants/{id}", "grants.write", Touches.LOWERS, Repeat.NAMES),
    Operation(ListGrants, "GET", "/customers/{customer}/grants", "grants.read", Touches.SETTLED),
)
