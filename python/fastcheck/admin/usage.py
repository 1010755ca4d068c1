"""Use that was metered elsewhere, and what was used per period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from fastcheck.admin.base import AdminBase
from fastcheck.clock import INSTANT_MS_MAX, instant_ms
from fastcheck.errors import RecordError
from fastcheck.ledger import periods
from fastcheck.ledger.meters import Aggregation, Correction, Delivery, Event, Meter, Reading
from fastcheck.ledger.model import checked_amount
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.ledger.tally import Tally
from fastcheck.wire.answers import UsageTotal
from fastcheck.wire.fields import Instant, listed
from fastcheck.wire.names import name
from fastcheck.wire.operations.usage import EVENTS_MAX, CorrectUsage, ListUsageEvents, MeterUsage, UsageEvent
from fastcheck.wire.operations.usage_records import ListUsage
from fastcheck.wire.shapes import MeteredEvent

GRACE_MS = 3_600_000
"""How long after its end a period still takes what belongs to it."""
PAGE_ITEMS = 1_000


class UsageAdmin(AdminBase):
    """What customers used, by events."""

    def record_usage(self, events: Iterable[UsageEvent]) -> int:
        """Stores use that was metered elsewhere; how many events were new. An event is told by its id:
        again the same changes nothing, another body is a `Conflict`. It burns nothing. More than 1,000
        events are sent in parts, each all or nothing.

        Raises `UnknownCustomer`, `UnknownFeature`, `NotCountable`, `InstantError` (more than a minute ahead).

        >>> from fastcheck.admin import UsageEvent
        >>> ents.admin.record_usage([UsageEvent("call_1", 1_767_225_600_000, "acme", "api_calls", 5)])
        1
        >>> ents.admin.record_usage([UsageEvent("call_1", 1_767_225_600_000, "acme", "api_calls", 5)])
        0
        """
        given = listed(events, "events")
        parts = [MeterUsage(given[start : start + EVENTS_MAX]) for start in range(0, len(given), EVENTS_MAX)]
        return sum(self._ask(part, part=number).count for number, part in enumerate(parts))

    def correct_usage(self, id: str, units: int | None, reason: str = "") -> None:
        """Replaces the units of a recorded event; None: it never was. The newest correction counts. Raises
        `UnknownUsage`.

        >>> from fastcheck.admin import UsageEvent
        >>> ents.admin.record_usage([UsageEvent("call_1", 1_767_225_600_000, "acme", "api_calls", 5)])
        1
        >>> ents.admin.correct_usage("call_1", None, reason="a test")
        """
        self._ask(CorrectUsage(id, units), reason)

    def usage(
        self,
        customer: str,
        feature: str,
        *,
        aggregation: str = "sum",
        period: str = "month",
        since: Instant | None = None,
        until: Instant | None = None,
        zone: str = periods.UTC,
        grace_ms: int = GRACE_MS,
    ) -> list[UsageTotal]:
        """What a customer used of a feature per calendar period, by recorded events and by burns that named
        an event; whole periods that have something of [since, until). `aggregation`: sum, count, max, unique
        (distinct subjects) or latest; `period`: minute, hour, day, week, month, year.

        An event that arrives after the end of its period + `grace_ms` counts in the period open then. So does
        the difference that a later correction makes to a sum or count; of other aggregations such corrections
        are not applied, see docs/finance.md. In which order things arrived does not matter.

        >>> from fastcheck.admin import UsageEvent
        >>> now = ents.status().as_of
        >>> ents.admin.record_usage([UsageEvent(f"call_{n}", now, "acme", "api_calls", n) for n in (1, 2)])
        2
        >>> [(one.units, one.events) for one in ents.admin.usage("acme", "api_calls")]
        [(3, 2)]
        """
        key, named, zone = name(customer, "customer"), name(feature, "feature"), name(zone, "zone")
        meter = Meter(
            _one_of(Aggregation, aggregation, "aggregation"),
            Recurrence(Span(1, _one_of(Unit, period, "period")), Anchor.CALENDAR, 0, zone),
            checked_amount(grace_ms, "grace_ms"),
        )
        first, end = _whole(meter.period, since, until)
        tally = Tally(meter)
        for reading in chain(self._events(key, named, first, end), self._burns(key, named, first, end)):
            tally.add(reading)
        return [
            UsageTotal(
                start, periods.next_start(meter.period, start), one.units, one.events, one.late, one.adjusted
            )
            for start, one in tally.measured().items()
            if first <= start < end
        ]

    def _events(self, customer: str, feature: str, since: int, until: int) -> Iterator[Reading]:
        cursor: str | None = None
        late: set[str] = set()
        while True:
            page = self._ask(ListUsageEvents(customer, feature, since, until, cursor, PAGE_ITEMS))
            for one in page.items:
                if one.at < since:
                    if one.id in late:  # Heard of again while the pages were read.
                        continue
                    late.add(one.id)
                yield _reading(one)
            cursor = page.cursor
            if cursor is None:
                return

    def _burns(self, customer: str, feature: str, since: int, until: int) -> Iterator[Reading]:
        cursor: str | None = None
        while True:
            page = self._ask(ListUsage(cursor, PAGE_ITEMS, customer, feature, since, until))
            for at, event, _, _, _, quantities in page.items:
                units = sum(count for _, count in quantities)
                yield Reading(Delivery(Event(event, at, units), at))
            cursor = page.cursor
            if cursor is None:
                return


def _one_of(kind: Any, given: str, what: str) -> Any:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise RecordError(f"{what} must be one of {known}, not {given!r:.40}") from None


def _whole(period: Recurrence, since: Instant | None, until: Instant | None) -> tuple[int, int]:
    """The whole periods that have something of [since, until)."""
    first, end = 0, INSTANT_MS_MAX - 1
    if since is not None:
        first = max(0, periods.start(period, periods.index(period, instant_ms(since, "since"))))
    if until is not None:
        last = instant_ms(until, "until") - 1
        end = min(end, periods.next_start(period, periods.start(period, periods.index(period, last))))
    return first, end


def _reading(one: MeteredEvent) -> Reading:
    found = (
        Delivery(Correction(f"{one.id}#{place:09}", one.id, at, units), at)
        for place, at, units in one.corrections
    )
    return Reading(Delivery(Event(one.id, one.at, one.units, one.subject), one.received_at), tuple(found))
