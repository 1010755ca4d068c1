"""Use that was metered elsewhere: stored once per id, corrected by id, read in pages. It burns nothing."""

from __future__ import annotations

from fastcheck.errors import Conflict, InstantError, NotCountable, UnknownFeature, UnknownUsage
from fastcheck.hub.store.statements.metered import StoredCorrection, StoredEvent
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.ledger.meters import SKEW_MS
from fastcheck.wire.answers import Page
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.kinds import kind_of
from fastcheck.wire.operations.usage import CorrectUsage, ListUsageEvents, MeterUsage, UsageEvent
from fastcheck.wire.shapes import Count, MeteredEvent, UsageCorrection

_FIRST = (False, -1, "")
"""(whether late ones are being read, instant, id) of the last that was read."""


def put(call: Call, request: MeterUsage) -> Count:
    """Stores events, all or none; how many were new. Raises `UnknownCustomer`, `UnknownFeature`,
    `NotCountable`, `InstantError` for one that is dated ahead, `Conflict` for an id with another body."""
    events = request.events
    numbers = {key: call.number(key) for key in {one.customer for one in events}}
    wanted: dict[str, StoredEvent] = {}
    for one in events:
        _check(call, one)
        row = StoredEvent(
            one.id, numbers[one.customer], one.feature, one.at, call.now, one.units, one.subject, call.now
        )
        if wanted.setdefault(one.id, row) != row:
            raise _another(one.id)
    known = call.statements.usage_events(list(wanted))
    new = [row for id, row in wanted.items() if id not in known]
    call.statements.put_usage_events(new)
    # Read again: another process may have stored one of the same id meanwhile.
    for id, stored in call.statements.usage_events(list(wanted)).items():
        if _body(stored) != _body(wanted[id]):
            raise _another(id)
    return Count(len(new))


def _body(one: StoredEvent) -> StoredEvent:
    return one._replace(received_at=0, touched_at=0)


def _another(id: str) -> Conflict:
    return Conflict(f"usage event {id!r:.80} was sent with another body: take a new id, or correct it")


def _check(call: Call, one: UsageEvent) -> None:
    feature = call.product.features.get(one.feature)
    if feature is None:
        raise UnknownFeature(f"the catalog has no feature {one.feature!r:.80}: see the catalog")
    kind = kind_of(feature.kind)
    if not (kind.countable or kind.bounded):
        raise NotCountable(f"{one.feature} is a {feature.kind}: there is nothing to count")
    if one.at > call.now + SKEW_MS:
        ahead_ms = one.at - call.now
        raise InstantError(f"usage event {one.id!r:.80} is {ahead_ms} ms ahead: mend the sender's clock")


def correct(call: Call, request: CorrectUsage) -> None:
    """Says what an event's units are from now on; None: it never was. Raises `UnknownUsage`."""
    id, units = request.id, request.units
    known = call.statements.usage_events([id]).get(id)
    if known is None:
        raise UnknownUsage(f"there is no usage event {id!r:.80}")
    call.statements.lock([known.number])
    before = call.statements.usage_corrections([id])
    last = before[-1] if before else None
    place, at = (1, call.now) if last is None else (last.place + 1, max(call.now, last.at))
    call.statements.put_usage_correction(
        StoredCorrection(id, place, at, units), call.by.reason, call.by.author
    )
    was = known.units if last is None else last.units
    call.note(
        "correct_usage",
        call.statements.customer(known.number).record.id,
        {"event": id, "units": was},
        {"event": id, "units": units},
    )


def page(call: Call, request: ListUsageEvents) -> Page[MeteredEvent]:
    """Events that may count in [since, until): those dated in it, then those dated before that were heard of
    later. Raises `UnknownCustomer`, `RecordError` for a cursor that no page gave."""
    late, at, id = place_of(request.cursor, _FIRST)
    number, count = call.number(request.customer), request.limit
    found = call.statements.metered(
        number, request.feature, request.since, request.until, (at, id), count, late=late
    )
    corrections: dict[str, list[UsageCorrection]] = {}
    for one in call.statements.usage_corrections([one.id for one in found]):
        corrections.setdefault(one.event, []).append(UsageCorrection(one.place, one.at, one.units))
    events = tuple(
        MeteredEvent(
            one.id, one.at, one.received_at, one.units, one.subject, tuple(corrections.get(one.id, ()))
        )
        for one in found
    )
    if len(found) == count:
        last = found[-1]
        return Page(events, cursor_of((late, last.touched_at if late else last.at, last.id)))
    return Page(events, None if late else cursor_of((True, -1, "")))


USE_CASES = (UseCase(MeterUsage, put), UseCase(CorrectUsage, correct), UseCase(ListUsageEvents, page))
