"""What was used, per period, from events that come late, twice, out of order, or are corrected.

The rules:

- An event counts in the period of its `at`, if it arrives before that period's end + grace. Later it counts
  in the period that is open when it arrives, marked late. Nothing that arrives is silently dropped.
- An event dated more than `SKEW_MS` after its arrival is refused.
- The newest correction of an event, by (at, id), says its units, or that it never was (void).
- A correction that arrives before the end + grace of the period where the event counts changes that period.
  Later, that period is closed: sums and counts get the signed difference in the period open at its arrival;
  other aggregations refuse it, for a maximum or a set of subjects cannot be changed by a difference.
- The same id with the same body, again: no change (its first arrival counts). With another body: `Conflict`.

Where a thing counts depends on what was delivered and when it arrived, and on nothing else. So deliveries
may be processed in any order, by anybody, any number of times, with one result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fastcheck.errors import AmountError, Conflict
from fastcheck.ledger import periods
from fastcheck.ledger.model import AMOUNT_MAX
from fastcheck.ledger.periods import Recurrence

SKEW_MS = 60_000
"""How far a sender's clock may run ahead of ours."""


class Aggregation(str, Enum):
    """How a period's events become one number."""

    SUM = "sum"
    COUNT = "count"
    MAX = "max"
    UNIQUE = "unique"
    """Distinct subjects."""
    LATEST = "latest"
    """The units of the event with the greatest (at, id)."""

    @property
    def additive(self) -> bool:
        """Whether a closed period can be made good by a signed difference in a later one."""
        return self in (Aggregation.SUM, Aggregation.COUNT)


@dataclass(frozen=True)
class Event:
    """Something used at an instant."""

    id: str
    at: int
    units: int = 1
    subject: str | None = None
    """Who or what it is about; needed by UNIQUE."""

    def __post_init__(self) -> None:
        _check_units(self.id, self.units)


@dataclass(frozen=True)
class Correction:
    """Replaces the units of event `of`; None voids it."""

    id: str
    of: str
    at: int
    units: int | None

    def __post_init__(self) -> None:
        if self.units is not None:
            _check_units(self.id, self.units)


@dataclass(frozen=True)
class Delivery:
    """An event or correction, and when it arrived."""

    body: Event | Correction
    received_at: int


@dataclass(frozen=True)
class Meter:
    """How to measure. `grace_ms`: how long after its end a period still takes what belongs to it."""

    aggregation: Aggregation
    period: Recurrence
    grace_ms: int = 0

    def __post_init__(self) -> None:
        if self.grace_ms < 0:
            raise AmountError(f"a grace of {self.grace_ms} ms is negative: give 0 or more")


@dataclass(frozen=True)
class Refused:
    """A delivery that counts nowhere, and why."""

    id: str
    reason: str
    """future, no_subject or period_closed."""
    why: str


@dataclass(frozen=True)
class Measured:
    """One period."""

    units: int = 0
    """The aggregate, `adjusted` included: with corrections of earlier periods a sum may be below zero."""
    events: int = 0
    """Events that count in it, late ones included and voided ones not."""
    late: int = 0
    """Of those, events that arrived after the grace of their own period."""
    adjusted: int = 0
    """Units that late corrections of earlier periods' events brought."""


@dataclass(frozen=True)
class Share:
    """What one event or late correction brings to one period."""

    period_start: int
    id: str
    at: int
    units: int
    subject: str | None = None
    late: bool = False
    adjustment: bool = False


@dataclass(frozen=True)
class Reading:
    """All that is known of one event id: the event (None until it arrives) and its corrections. Readings of
    one id merge in any order."""

    event: Delivery | None = None
    corrections: tuple[Delivery, ...] = ()
    """In the order of their ids."""

    def merge(self, other: Reading) -> Reading:
        """What both know. Raises `Conflict` where they contradict each other."""
        event = earlier(self.event, other.event)
        known: dict[str, Delivery] = {}
        for one in (*self.corrections, *other.corrections):
            known[one.body.id] = earlier(known.get(one.body.id), one) or one
        return Reading(event, tuple(known[id] for id in sorted(known)))


def read(delivery: Delivery) -> Reading:
    """One delivery as a reading of the event it is about."""
    return Reading(delivery) if isinstance(delivery.body, Event) else Reading(None, (delivery,))


def refusal(meter: Meter, delivery: Delivery) -> Refused | None:
    """Why a delivery is refused whatever else is known; None = it is not."""
    body = delivery.body
    if body.at > delivery.received_at + SKEW_MS:
        ahead_ms = body.at - delivery.received_at
        return Refused(body.id, "future", f"dated {ahead_ms} ms after it arrived: mend the sender's clock")
    if isinstance(body, Event) and body.subject is None and meter.aggregation is Aggregation.UNIQUE:
        return Refused(body.id, "no_subject", "a meter of distinct subjects needs a subject: send one")
    return None


def shares(meter: Meter, reading: Reading) -> tuple[tuple[Share, ...], tuple[Refused, ...]]:
    """What an event and its corrections bring to which periods, and which corrections came too late.
    Corrections whose event has not arrived bring nothing yet."""
    if reading.event is None or not isinstance(event := reading.event.body, Event):
        return (), ()
    own, arrived = _starts_at(meter, event.at), reading.event.received_at
    late = arrived >= _closes_at(meter, own)
    counted_in = _starts_at(meter, arrived) if late else own
    closes_at = _closes_at(meter, counted_in)
    in_time = [one for one in reading.corrections if one.received_at < closes_at]
    too_late = [one for one in reading.corrections if one.received_at >= closes_at]

    newest = max((correction_of(one) for one in in_time), key=_rank, default=None)
    units = event.units if newest is None else newest.units
    found = []
    if units is not None:
        found.append(Share(counted_in, event.id, event.at, units, event.subject, late))
    if not meter.aggregation.additive:
        return tuple(found), tuple(_closed(one, closes_at) for one in too_late)

    for one in sorted(too_late, key=lambda one: (one.received_at, _rank(correction_of(one)))):
        correction = correction_of(one)
        if newest is not None and _rank(correction) < _rank(newest):
            continue
        difference = worth(meter, correction.units) - worth(meter, units)
        newest, units = correction, correction.units
        if difference:
            place = _starts_at(meter, one.received_at)
            found.append(Share(place, correction.id, correction.at, difference, adjustment=True))
    return tuple(found), ()


def fold(aggregation: Aggregation, brought: Iterable[Share]) -> Measured:
    """The number of a period, from all that was brought to it, in any order."""
    events: list[Share] = []
    adjusted = 0
    for one in brought:
        if one.adjustment:
            adjusted += one.units
        else:
            events.append(one)
    if aggregation is Aggregation.SUM:
        units = sum(one.units for one in events)
    elif aggregation is Aggregation.COUNT:
        units = len(events)
    elif aggregation is Aggregation.MAX:
        units = max((one.units for one in events), default=0)
    elif aggregation is Aggregation.UNIQUE:
        units = len({one.subject for one in events})
    else:
        units = max(((one.at, one.id, one.units) for one in events), default=(0, "", 0))[2]
    return Measured(units + adjusted, len(events), sum(one.late for one in events), adjusted)


def measure(meter: Meter, deliveries: Iterable[Delivery]) -> dict[int, Measured]:
    """Every period that something was brought to, by its start. Raises `Conflict` for an id with two
    bodies."""
    first: dict[str, Delivery] = {}
    for one in deliveries:
        if refusal(meter, one) is None:
            first[one.body.id] = earlier(first.get(one.body.id), one) or one
    readings: dict[str, Reading] = {}
    for one in first.values():
        event_id = about_of(one)
        readings[event_id] = readings.get(event_id, Reading()).merge(read(one))
    brought: dict[int, list[Share]] = {}
    for reading in readings.values():
        for share in shares(meter, reading)[0]:
            brought.setdefault(share.period_start, []).append(share)
    return {start: fold(meter.aggregation, brought[start]) for start in sorted(brought)}


def worth(meter: Meter, units: int | None) -> int:
    """What an event of so many units (None: void) adds to an additive meter."""
    if units is None:
        return 0
    return 1 if meter.aggregation is Aggregation.COUNT else units


def earlier(one: Delivery | None, other: Delivery | None) -> Delivery | None:
    """Of two deliveries of one id, the one that arrived first. Raises `Conflict` if their bodies differ."""
    if one is None or other is None:
        return one or other
    if one.body != other.body:
        raise Conflict(f"{one.body.id!r} was delivered with another body before: give new things new ids")
    return one if one.received_at <= other.received_at else other


def about_of(delivery: Delivery) -> str:
    """The event id that a delivery is about."""
    return delivery.body.id if isinstance(delivery.body, Event) else delivery.body.of


def correction_of(delivery: Delivery) -> Correction:
    """The body of a delivery known to be a correction."""
    assert isinstance(delivery.body, Correction)
    return delivery.body


def _rank(correction: Correction) -> tuple[int, str]:
    return correction.at, correction.id


def _closed(delivery: Delivery, closes_at: int) -> Refused:
    late_ms = delivery.received_at - closes_at
    why = f"the period closed {late_ms} ms before: only sums and counts can be corrected after that"
    return Refused(delivery.body.id, "period_closed", why)


def _starts_at(meter: Meter, at: int) -> int:
    return periods.start(meter.period, periods.index(meter.period, at))


def _closes_at(meter: Meter, start: int) -> int:
    return periods.next_start(meter.period, start) + meter.grace_ms


def _check_units(id: str, units: int) -> None:
    if not 0 <= units <= AMOUNT_MAX:
        raise AmountError(f"{id!r} has {units} units: give 0 to {AMOUNT_MAX}, and correct to take back")
