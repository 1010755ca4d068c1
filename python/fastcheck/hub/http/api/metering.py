"""Use that was metered elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt
from starlette.responses import Response

from fastcheck.clock import INSTANT_MS_MAX
from fastcheck.hub.http.api.asked import Changes, Reads, Spends
from fastcheck.hub.http.api.bodies import (
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
from fastcheck.hub.http.api.bodies import Until as UntilText
from fastcheck.hub.http.api.cursors import cursor_of, place_of
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.hub.use_cases.metering import EVENTS_MAX
from fastcheck.wire.answers import Page
from fastcheck.wire.names import INTEGER_MAX
from fastcheck.wire.requests import usage_event
from fastcheck.wire.shapes import Count, MeteredEvent, UsageCorrection

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
        customer,
        feature,
        given_instant(since, "since"),
        given_instant(until, "until"),
        place_of(cursor, bool, int, str),
        limit,
    )
    events = tuple(MeteredEvent(*row[:5], tuple(UsageCorrection(*one) for one in row[5])) for row in rows)
    return asked.answer(Page(events, cursor_of(after)), Page[MeteredEvent])
