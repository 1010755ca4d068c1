"""Use that was metered elsewhere."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from pydantic import Field, StrictInt
from starlette.responses import Response

from ....answers import Page
from ....clock import INSTANT_MS_MAX
from ....errors import RecordError
from ....rest.shapes import Count, MeteredEvent, UsageCorrection
from ....wire import INTEGER_MAX
from ...metering import EVENTS_MAX
from ...requests import usage_event
from .asked import Changes, Reads, Spends
from .bodies import (
    Body,
    Cursor,
    CustomerKey,
    FeatureName,
    Id,
    Instant,
    Limit,
    Name,
    given_instant,
)
from .bodies import Until as UntilText
from .documented import answers, subject

router = subject("metering")

Units = Annotated[StrictInt, Field(ge=0, le=INTEGER_MAX)]


class MeteredUse(Body):
    """Something that a customer used."""

    id: Name = Field(description="The sender's own: the same event is counted once.", examples=["call_1"])
    at: Instant
    customer: Name = Field(description="An id or alias.", examples=["acme"])
    feature: Name = Field(examples=["api_calls"])
    units: Units = 1
    subject: Name | None = Field(default=None, description="Who or what it is about, to count distinct ones.")


class MeteredUses(Body):
    """Events, all or none of which are stored."""

    events: list[MeteredUse] = Field(max_length=EVENTS_MAX)


class Correction(Body):
    """What an event's units are from now on."""

    units: Units | None = Field(description="null: the event never was.")


@router.post("/usage-events", **answers(Count, changes=True))
def meter_usage(body: MeteredUses, change: Spends) -> Response:
    """Stores use that was metered elsewhere; how many events were new. Again the same changes nothing. It
    burns nothing."""
    events = [
        usage_event(one.id, given_instant(one.at, "at"), one.customer, one.feature, one.units, one.subject)
        for one in body.events
    ]
    return change.done(Count(change.service.meter_usage(events)))


@router.patch("/usage-events/{id:name}", **answers(None, changes=True))
def correct_usage(id: Id, body: Correction, change: Changes) -> Response:
    """Replaces the units of a recorded event; the newest correction counts."""
    change.service.correct_usage(id, body.units, by=change.by)
    return change.nothing()


@router.get("/customers/{customer:name}/features/{feature:name}/usage-events", **answers(Page[MeteredEvent]))
def list_usage_events(
    customer: CustomerKey,
    feature: FeatureName,
    asked: Reads,
    since: UntilText = "0",
    until: UntilText = str(INSTANT_MS_MAX - 1),
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Events that may count in [since, until): those dated in it, then those dated before of which was heard
    later."""
    rows, after = asked.service.metered(
        customer, feature, given_instant(since, "since"), given_instant(until, "until"),
        None if cursor is None else place_of(cursor), limit,
    )  # fmt: skip
    events = tuple(MeteredEvent(*row[:5], tuple(UsageCorrection(*one) for one in row[5])) for row in rows)
    return asked.answer(Page(events, None if after is None else cursor_of(after)), Page[MeteredEvent])


def cursor_of(place: tuple[Any, ...]) -> str:
    """A place in a list as text that is safe in an address."""
    text = json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def place_of(cursor: str) -> Any:
    """The inverse of `cursor_of`; what is in it, the service checks. Raises `RecordError`."""
    try:
        data = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        place = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError, binascii.Error):
        place = None
    if not isinstance(place, list) or not all(type(one) in (bool, int, str) for one in place):
        raise RecordError("cursor must be one that an earlier page gave")
    if any(type(one) is int and not -1 <= one <= INTEGER_MAX for one in place):
        raise RecordError("cursor must be one that an earlier page gave")
    return tuple(place)
