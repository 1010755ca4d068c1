"""Usage: use that was metered elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.clock import INSTANT_MS_MAX
from fastcheck.errors import RecordError, WrongType
from fastcheck.ledger.model import checked_amount
from fastcheck.wire.answers import Page
from fastcheck.wire.fields import (
    Called,
    Checked,
    Cursor,
    CustomerKey,
    FeatureName,
    InstantMs,
    Kind,
    Limit,
    Name,
    Told,
)
from fastcheck.wire.names import INTEGER_MAX
from fastcheck.wire.operation import Operation, Repeat, Request
from fastcheck.wire.shapes import Count, MeteredEvent

EVENTS_MAX: Final = 1_000
"""Of one request."""

Units = Annotated[int, Kind(checked_amount, schema={"minimum": 0, "maximum": INTEGER_MAX})]
EventId = Annotated[Name, Called("the id of a usage event"), Told(("call_1",))]


@dataclass(frozen=True)
class UsageEvent(Checked):
    """Something that a customer used."""

    id: EventId
    """The sender's own: the same event is counted once, however often it is sent."""
    at: InstantMs
    customer: CustomerKey
    """An id or alias."""
    feature: FeatureName
    units: Units = 1
    subject: Name | None = None
    """Who or what it is about, for counts of distinct ones."""


def _events(value: object, what: str) -> tuple[UsageEvent, ...]:
    if not isinstance(value, (tuple, list)):
        raise WrongType(f"{what} must be a list of UsageEvent, not {type(value).__name__}")
    if len(value) > EVENTS_MAX:
        raise RecordError(f"{len(value)} events: send at most {EVENTS_MAX} at once")
    for one in value:
        if not isinstance(one, UsageEvent):
            raise WrongType(f"a usage event is a UsageEvent, not {type(one).__name__}")
    return tuple(value)


Events = Annotated[tuple[UsageEvent, ...], Kind(_events, schema={"maxItems": EVENTS_MAX})]


@dataclass(frozen=True)
class MeterUsage(Request[Count]):
    """Stores use that was metered elsewhere, all events or none; how many were new. Again the same changes
    nothing. It burns nothing."""

    events: Events


@dataclass(frozen=True)
class CorrectUsage(Request[None]):
    """Replaces the units of a recorded event; the newest correction counts."""

    id: EventId
    units: Units | None
    """None: the event never was."""


@dataclass(frozen=True)
class ListUsageEvents(Request[Page[MeteredEvent]]):
    """Events that may count in [since, until): those dated in it, then those dated before of which was heard
    later."""

    customer: CustomerKey
    feature: FeatureName
    since: InstantMs = 0
    until: InstantMs = INSTANT_MS_MAX - 1
    cursor: Cursor | None = None
    limit: Limit = 100


OPERATIONS = (
    Operation(MeterUsage, "POST", "/usage-events", "usage.write", repeat=Repeat.NAMES),
    Operation(CorrectUsage, "PATCH", "/usage-events/{id}", "usage.correct", repeat=Repeat.KEYED),
    Operation(ListUsageEvents, "GET", "/customers/{customer}/features/{feature}/usage-events", "usage.read"),
)
