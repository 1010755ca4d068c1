"""Events: what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.errors import NameInvalid
from fastcheck.wire.answers import EventState, Page
from fastcheck.wire.events import Kind as What
from fastcheck.wire.fields import Cursor, CustomerKey, Kind, Limit, Told
from fastcheck.wire.operation import Operation, Request

WHATS = tuple(one.value for one in What)


def what_happened(value: object, what: str) -> str:
    """A kind of events. Raises `NameInvalid`."""
    if not isinstance(value, str) or value not in WHATS:
        raise NameInvalid(f"no event is of kind {value!r:.40}: use one of {', '.join(WHATS)}")
    return value


EventKind = Annotated[
    str,
    Kind(what_happened, None, {"maxLength": 64}, "Only of this kind, see docs/events.md."),
    Told(("low_balance",)),
]


@dataclass(frozen=True)
class ListEvents(Request[Page[EventState]]):
    """Everything that happened, oldest first. Amounts in `data` are decimal text, instants ms since 1970."""

    cursor: Cursor | None = None
    limit: Limit = 100
    kind: EventKind | None = None
    customer: CustomerKey | None = None
    """Only this one's: an id or alias."""


OPERATIONS = (Operation(ListEvents, "GET", "/events", "events.read"),)
