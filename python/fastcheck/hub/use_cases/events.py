"""Events: what happened, oldest first."""

from __future__ import annotations

from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.wire.answers import EventState, Page
from fastcheck.wire.cursor import number_of
from fastcheck.wire.operations.events import ListEvents


def listed(call: Call, request: ListEvents) -> Page[EventState]:
    """A page of events. Raises `UnknownCustomer`, `RecordError` for a cursor that no page gave."""
    after, count = number_of(request.cursor, 0), request.limit
    number = None if request.customer is None else call.number(request.customer)
    found = call.statements.events_after(after, count + 1, request.kind, number)
    part = tuple(
        EventState(one.id, one.kind.value, one.at, one.customer, dict(one.data)) for _, one in found[:count]
    )
    return Page(part, str(found[count - 1][0]) if len(found) > count else None)


USE_CASES = (UseCase(ListEvents, listed),)
