"""Use that was metered elsewhere: what is stored and read back is what the meters' rules say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fastcheck import errors
from fastcheck.admin import Admin, UsageEvent
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import usage as usage_books
from fastcheck.ledger.meters import (
    Aggregation,
    Correction,
    Delivery,
    Event,
    Meter,
    Reading,
    about_of,
    measure,
    read,
)
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.ledger.tally import Tally
from hub.test_finance_export import MAY_MS, Ledger, in_memory
from rig.samples import examples

HOUR_MS = 3_600_000
HOURLY = Recurrence(Span(1, Unit.HOUR), Anchor.CALENDAR, 0)
aggregations = some.sampled_from(list(Aggregation))
instants = some.integers(0, 5 * HOUR_MS)


@some.composite
def deliveries(draw: some.DrawFn) -> list[Delivery]:
    found = []
    for place in range(draw(some.integers(0, 6))):
        subject = draw(some.sampled_from((None, "jo", "al")))
        event = Event(f"e{place}", draw(instants), draw(some.integers(0, 9)), subject)
        found.append(Delivery(event, event.at + draw(some.integers(0, 3 * HOUR_MS))))
        for number in range(draw(some.integers(0, 3))):
            at = found[-1].received_at + draw(some.integers(0, 2 * HOUR_MS))
            units = draw(some.none() | some.integers(0, 9))
            found.append(Delivery(Correction(f"e{place}#{number}", f"e{place}", at, units), at))
    return found


@given(deliveries(), aggregations, some.integers(0, 2 * HOUR_MS))
def test_a_tally_says_what_measure_says(
    found: list[Delivery], aggregation: Aggregation, grace_ms: int
) -> None:
    meter = Meter(aggregation, HOURLY, grace_ms)
    readings: dict[str, Reading] = {}
    for one in found:
        readings[about_of(one)] = readings.get(about_of(one), Reading()).merge(read(one))
    tally = Tally(meter)
    for reading in readings.values():
        tally.add(reading)
    assert tally.measured() == measure(meter, found)


def admin_of(ledger: Ledger) -> Admin:
    return Admin(ledger.service.ask, lambda: True)


@examples(15)
@given(
    some.lists(some.tuples(some.integers(0, 20), instants, some.integers(0, 9), some.integers(0, HOUR_MS))),
    aggregations,
    some.integers(0, 2 * HOUR_MS),
    instants,
    instants,
)
def test_what_is_stored_and_read_back_is_what_the_meter_measures(
    story: list[tuple[int, int, int, int]], aggregation: Aggregation, grace_ms: int, since: int, until: int
) -> None:
    for ledger in in_memory():
        admin, sent = admin_of(ledger), []
        known: dict[str, int] = {}
        for number, back_ms, units, wait_ms in story:
            ledger.clock.advance(wait_ms)
            now, id = ledger.clock.now_ms(), f"e{number}"
            if id in known:
                admin.correct_usage(id, units or None, "wrong")
                known[id] += 1
                sent.append(Delivery(Correction(f"{id}#{known[id]:09}", id, now, units or None), now))
            else:
                known[id] = 0
                event = UsageEvent(id, now - back_ms, "a", "api_calls", units, f"s{number % 3}")
                assert admin.record_usage([event]) == 1
                ledger.clock.advance(1)
                assert admin.record_usage([event]) == 0
                sent.append(Delivery(Event(id, event.at, units, event.subject), now))
        expected = measure(Meter(aggregation, HOURLY, grace_ms), sent)
        kinds: Any = {"aggregation": aggregation.value, "period": "hour", "grace_ms": grace_ms}
        found = admin.usage("a", "api_calls", **kinds)
        assert {one.start_at: (one.units, one.events, one.late, one.adjusted) for one in found} == {
            start: (one.units, one.events, one.late, one.adjusted) for start, one in expected.items()
        }
        first, end = sorted((MAY_MS - 2 * HOUR_MS + since, MAY_MS - 2 * HOUR_MS + until))
        part = admin.usage("a", "api_calls", since=first, until=end + 1, **kinds)
        assert part == [one for one in found if one.end_at > first and one.start_at <= end]


@pytest.fixture
def ledger(any_store: Store) -> Ledger:
    ledger = Ledger(any_store)
    ledger.put("acme", aliases=["stripe:1"])
    ledger.put("tiny", "free")
    return ledger


def test_an_event_is_counted_once_and_another_body_is_a_conflict(ledger: Ledger) -> None:
    admin = admin_of(ledger)
    event = UsageEvent("call_1", MAY_MS, "stripe:1", "api_calls", 5, "jo")
    assert admin.record_usage([event, event]) == 1
    for other in (
        UsageEvent("call_1", MAY_MS, "acme", "api_calls", 6, "jo"),
        UsageEvent("call_1", MAY_MS - 1, "acme", "api_calls", 5, "jo"),
        UsageEvent("call_1", MAY_MS, "tiny", "api_calls", 5, "jo"),
        UsageEvent("call_1", MAY_MS, "acme", "gpt-4o", 5, "jo"),
        UsageEvent("call_1", MAY_MS, "acme", "api_calls", 5),
    ):
        with pytest.raises(errors.Conflict, match="call_1"):
            admin.record_usage([UsageEvent("new", MAY_MS, "acme", "api_calls"), other])
    assert [(one.units, one.events) for one in admin.usage("acme", "api_calls")] == [(5, 1)]
    assert admin.usage("tiny", "api_calls") == []


def test_a_correction_is_audited_and_done_once_under_a_key(ledger: Ledger) -> None:
    admin = admin_of(ledger)
    admin.record_usage([UsageEvent("call_1", MAY_MS, "acme", "api_calls", 5)])
    for _ in range(2):
        admin.by("jo").once("fix").correct_usage("call_1", 4, "counted twice")
    admin.correct_usage("call_1", 3)
    ledger.clock.set(MAY_MS - 10)  # A clock that steps back does not make the older one newer.
    admin.correct_usage("call_1", 2)
    assert [one.units for one in admin.usage("acme", "api_calls")] == [2]
    entries = [one for one in admin.audit(subject="acme").items if one.action == "correct_usage"]
    assert [(one.before, one.after) for one in reversed(entries)] == [
        ({"event": "call_1", "units": was}, {"event": "call_1", "units": now})
        for was, now in ((5, 4), (4, 3), (3, 2))
    ]
    assert (entries[-1].author, entries[-1].reason) == ("jo", "counted twice")


def test_what_cannot_be_counted_is_refused_and_nothing_is_stored(ledger: Ledger) -> None:
    admin = admin_of(ledger)
    good = UsageEvent("good", MAY_MS, "acme", "api_calls")
    for error, wrong in (
        (errors.UnknownCustomer, lambda: UsageEvent("e", MAY_MS, "nobody", "api_calls")),
        (errors.UnknownFeature, lambda: UsageEvent("e", MAY_MS, "acme", "nothing")),
        (errors.NotCountable, lambda: UsageEvent("e", MAY_MS, "acme", "export")),
        (errors.InstantError, lambda: UsageEvent("e", MAY_MS + 60_001, "acme", "api_calls")),
        (errors.AmountError, lambda: UsageEvent("e", MAY_MS, "acme", "api_calls", -1)),
        (errors.NameInvalid, lambda: UsageEvent("", MAY_MS, "acme", "api_calls")),
    ):
        with pytest.raises(error):
            admin.record_usage([good, wrong()])
    not_one: Any = {"id": "e"}
    with pytest.raises(errors.WrongType):
        admin.record_usage([not_one])
    with pytest.raises(errors.UnknownUsage):
        admin.correct_usage("good", 1)
    for kind in ({"aggregation": "mean"}, {"period": "decade"}):
        given_kind: Any = kind
        with pytest.raises(errors.RecordError):
            admin.usage("acme", "api_calls", **given_kind)
    assert admin.usage("acme", "api_calls") == []


def test_thousands_of_events_are_sent_and_read_in_parts(ledger: Ledger) -> None:
    admin = admin_of(ledger)
    events = [UsageEvent(f"e{n}", MAY_MS - n % 7, "acme", "api_calls", 2) for n in range(2_500)]
    assert admin.record_usage(events) == 2_500
    ledger.service.record_usage([("p", MAY_MS, "req", "acme", "api_calls", 3, [("input", 2), ("output", 1)])])
    [april, may] = admin.usage("acme", "api_calls")
    assert april.units + may.units == 5_003
    assert april.end_at == may.start_at == MAY_MS


def filtered(admin: Admin, limit: int, **filters: Any) -> Iterator[tuple[Any, ...]]:
    cursor = None
    while True:
        page = admin.list_usage(cursor, limit, **filters)
        assert len(page.items) <= limit
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


@pytest.mark.parametrize("scan", [3, 10_000])
def test_filters_find_what_is_meant_and_nothing_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(usage_books, "SCAN_ROWS", scan)
    admin = admin_of(ledger)
    ledger.service.record_usage(
        [
            (
                f"p{n}",
                MAY_MS + n * 7 % 20,
                f"e{n}",
                ("acme", "tiny", "gone")[n % 3],
                ("gpt-4o", "api_calls")[n % 2],
                n,
                [("", n)],
            )
            for n in range(40)
        ]
    )
    everything = list(filtered(admin, 1_000))
    assert len(everything) == 40
    for customer in (None, "acme", "stripe:1", "gone", "nobody"):
        for feature in (None, "gpt-4o"):
            for since, until in ((None, None), (MAY_MS + 5, None), (MAY_MS + 5, MAY_MS + 9)):
                name = "acme" if customer == "stripe:1" else customer
                expected = [
                    one
                    for one in everything
                    if name in (None, one[2])
                    and feature in (None, one[3])
                    and (since is None or one[0] >= since)
                    and (until is None or one[0] < until)
                ]
                how = {"customer": customer, "feature": feature, "since": since, "until": until}
                for limit in (2, 1_000):
                    assert list(filtered(admin, limit, **how)) == expected
