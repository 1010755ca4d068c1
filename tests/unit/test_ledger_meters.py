"""Measuring: the laws first (order and repetition do not matter), then the cases a person can follow."""

from __future__ import annotations

import random
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import AmountError, Conflict
from fastcheck.ledger.meter_state import MeterState
from fastcheck.ledger.meters import (
    SKEW_MS,
    Aggregation,
    Correction,
    Delivery,
    Event,
    Measured,
    Meter,
    Reading,
    measure,
    read,
    refusal,
)
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit

HOUR_MS = DAY_MS // 24
DAILY = Recurrence(Span(1, Unit.DAY), Anchor.CALENDAR, 0)
METERS = st.builds(Meter, st.sampled_from(Aggregation), st.just(DAILY), st.sampled_from([0, HOUR_MS, DAY_MS]))
HOURS = st.integers(0, 4 * 24).map(lambda hours: hours * HOUR_MS)
UNITS = st.integers(0, 5)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Delivery]:
    """Events and corrections of a few days as they arrived; some late, some twice, some dated ahead."""
    events = [
        Event(f"e{number}", draw(HOURS), draw(UNITS), draw(st.sampled_from([None, "ann", "bob", "eve"])))
        for number in range(draw(st.integers(0, 6)))
    ]
    targets = st.sampled_from([*(event.id for event in events), "nobody"])
    corrections = [
        Correction(f"c{number}", draw(targets), draw(HOURS), draw(st.one_of(st.none(), UNITS)))
        for number in range(draw(st.integers(0, 6)))
    ]
    bodies: list[Event | Correction] = [*events, *corrections]
    copies = draw(st.lists(st.sampled_from(bodies), max_size=4)) if bodies else []
    delays = st.integers(-1, 60).map(lambda hours: hours * HOUR_MS)
    found = [Delivery(body, body.at + draw(delays)) for body in [*bodies, *copies]]
    return sorted(found, key=lambda one: one.received_at)


def counted(meter: Meter, deliveries: list[Delivery]) -> MeterState:
    state = MeterState(meter)
    for delivery in deliveries:
        state.add(delivery)
    return state


@given(METERS, arrivals())
def test_one_at_a_time_measures_what_all_at_once_do(meter: Meter, deliveries: list[Delivery]) -> None:
    state = MeterState(meter)
    for number, delivery in enumerate(deliveries, 1):
        state.add(delivery)
        assert state.measured() == measure(meter, deliveries[:number])


@given(METERS, arrivals(), st.randoms(use_true_random=False))
def test_the_order_of_processing_does_not_matter(
    meter: Meter, deliveries: list[Delivery], chance: random.Random
) -> None:
    mixed = deliveries.copy()
    chance.shuffle(mixed)
    one, other = counted(meter, deliveries), counted(meter, mixed)
    assert one.measured() == other.measured() == measure(meter, mixed)
    assert one.refused() == other.refused()
    assert one.waiting() == other.waiting()


@given(METERS, arrivals())
def test_replays_change_nothing(meter: Meter, deliveries: list[Delivery]) -> None:
    """Not even when they arrive again much later."""
    again = [
        Delivery(one.body, one.received_at + 9 * DAY_MS) for one in deliveries if not refusal(meter, one)
    ]
    state = counted(meter, deliveries)
    before, refused = state.measured(), state.refused()
    for delivery in [*deliveries, *again]:
        state.add(delivery)
    assert state.measured() == before
    assert state.refused() == refused


@given(METERS, arrivals(), st.data())
def test_within_the_grace_the_order_of_arrival_does_not_matter(
    meter: Meter, deliveries: list[Delivery], data: st.DataObject
) -> None:
    """Each event and correction arrives between its own instant and the end of its event's grace."""
    bodies = {one.body.id: one.body for one in deliveries}
    ats = {id: body.at for id, body in bodies.items() if isinstance(body, Event)}

    def some_arrivals() -> list[Delivery]:
        found = []
        for body in bodies.values():
            at = ats.get(body.of, body.at) if isinstance(body, Correction) else body.at
            closes_at = (at // DAY_MS + 1) * DAY_MS + meter.grace_ms
            if body.at < closes_at:
                found.append(Delivery(body, data.draw(st.integers(max(at, body.at), closes_at - 1))))
        return found

    assert measure(meter, some_arrivals()) == measure(meter, some_arrivals())


@given(METERS, arrivals(), st.integers(0, 20))
def test_states_of_two_receivers_merge_into_one(meter: Meter, deliveries: list[Delivery], cut: int) -> None:
    one, other = counted(meter, deliveries[:cut]), counted(meter, deliveries[cut:])
    one.merge(other)
    whole = counted(meter, deliveries)
    assert one.measured() == whole.measured()
    assert one.refused() == whole.refused()
    one.merge(other)
    assert one.measured() == whole.measured()


@given(st.sampled_from([Aggregation.SUM, Aggregation.COUNT]), arrivals())
def test_nothing_is_lost_however_late(aggregation: Aggregation, deliveries: list[Delivery]) -> None:
    """All periods together come to the events as last corrected, whenever the corrections arrived."""
    meter = Meter(aggregation, DAILY)
    taken = [one.body for one in deliveries if refusal(meter, one) is None]
    events = {body.id: body.units for body in taken if isinstance(body, Event)}
    worth: dict[str, int | None] = dict(events)
    corrections = {body for body in taken if isinstance(body, Correction) and body.of in events}
    for of, group in groupby(
        sorted(corrections, key=lambda one: (one.of, one.at, one.id)), lambda one: one.of
    ):
        worth[of] = list(group)[-1].units
    expected = [
        units if aggregation is Aggregation.SUM else 1 for units in worth.values() if units is not None
    ]
    assert sum(one.units for one in measure(meter, deliveries).values()) == sum(expected)


@given(arrivals(), st.randoms(use_true_random=False))
def test_readings_of_one_event_merge_in_any_order(deliveries: list[Delivery], chance: random.Random) -> None:
    about = [one for one in deliveries if one.body.id == "e0" or getattr(one.body, "of", "") == "e0"]
    mixed = about.copy()
    chance.shuffle(mixed)
    one, other = Reading(), Reading()
    for delivery in about:
        one = one.merge(read(delivery))
    for delivery in mixed:
        other = read(delivery).merge(other)
    assert one.merge(other) == other.merge(one) == one == other


DAY_1, DAY_2, DAY_3 = 0, DAY_MS, 2 * DAY_MS
SUM = Meter(Aggregation.SUM, DAILY, grace_ms=HOUR_MS)


def at_once(body: Event | Correction) -> Delivery:
    return Delivery(body, body.at)


def test_each_aggregation_of_the_same_events() -> None:
    events = [
        at_once(Event(id, hour * HOUR_MS, units, subject))
        for id, hour, units, subject in (("a", 1, 5, "ann"), ("b", 9, 7, "bob"), ("c", 9, 2, "ann"))
    ]
    found = {one: measure(Meter(one, DAILY), events)[DAY_1].units for one in Aggregation}
    # Of b and c, both at nine, c has the greater id.
    assert [found[one] for one in Aggregation] == [14, 3, 7, 2, 2]


def test_within_the_grace_an_event_counts_where_it_belongs() -> None:
    event = Event("a", DAY_2 - 1, 5)
    assert measure(SUM, [Delivery(event, DAY_2 + HOUR_MS - 1)]) == {DAY_1: Measured(5, 1)}


def test_after_the_grace_it_counts_in_the_open_period_marked_late() -> None:
    event = Event("a", DAY_2 - 1, 5)
    assert measure(SUM, [Delivery(event, DAY_2 + HOUR_MS)]) == {DAY_2: Measured(5, 1, late=1)}
    assert measure(SUM, [Delivery(event, DAY_3)]) == {DAY_3: Measured(5, 1, late=1)}


def test_a_late_event_of_a_latest_meter_does_not_beat_newer_ones() -> None:
    meter = Meter(Aggregation.LATEST, DAILY)
    late = Delivery(Event("a", DAY_1, 5), DAY_2 + 2)
    assert measure(meter, [at_once(Event("b", DAY_2 + 1, 3)), late]) == {DAY_2: Measured(3, 2, late=1)}
    assert measure(meter, [late]) == {DAY_2: Measured(5, 1, late=1)}


def test_an_event_from_the_future_is_refused_with_the_reason() -> None:
    state = MeterState(SUM)
    ahead = Event("a", SKEW_MS + 8)
    refused = state.add(Delivery(ahead, 7))
    assert refused is not None
    assert (refused.id, refused.reason) == ("a", "future")
    assert "60001 ms after it arrived" in refused.why
    assert state.measured() == {}
    assert state.refused() == (refused,)
    assert state.add(Delivery(ahead, 8)) is None  # sent again when its time has come
    assert state.measured() == {DAY_1: Measured(1, 1)}
    assert state.refused() == ()


def test_distinct_subjects_need_a_subject() -> None:
    refused = MeterState(Meter(Aggregation.UNIQUE, DAILY)).add(at_once(Event("a", 0)))
    assert refused is not None
    assert refused.reason == "no_subject"


def test_a_correction_in_time_changes_the_period() -> None:
    event = at_once(Event("a", DAY_1, 5))
    fixed = at_once(Correction("f", "a", DAY_1 + HOUR_MS, 2))
    voided = at_once(Correction("v", "a", DAY_1 + 2 * HOUR_MS, None))
    assert measure(SUM, [event, fixed]) == {DAY_1: Measured(2, 1)}
    assert measure(SUM, [event, fixed, voided]) == {}
    state = counted(SUM, [event, at_once(Event("b", DAY_1, 1)), voided, fixed])
    assert state.measured() == {DAY_1: Measured(1, 1)}


def test_the_newest_correction_wins_by_instant_and_then_by_id() -> None:
    event = at_once(Event("a", DAY_1, 5))
    fixes = [
        Delivery(Correction(id, "a", at, units), 10)
        for id, at, units in (("y", 7, 1), ("z", 7, 2), ("x", 6, 3))
    ]
    assert measure(SUM, [event, *fixes]) == {DAY_1: Measured(2, 1)}


def test_a_correction_may_arrive_before_its_event() -> None:
    state = MeterState(SUM)
    fixed = Correction("f", "a", 5, 2)
    state.add(Delivery(fixed, 5))
    assert (state.measured(), state.waiting()) == ({}, (fixed,))
    state.add(Delivery(Event("a", 0, 5), 6))
    assert (state.measured(), state.waiting()) == ({DAY_1: Measured(2, 1)}, ())


def test_after_the_grace_a_sum_is_adjusted_in_the_open_period() -> None:
    event = at_once(Event("a", DAY_1, 5))
    lower = Delivery(Correction("f", "a", DAY_2 + HOUR_MS, 2), DAY_2 + HOUR_MS)
    voided = Delivery(Correction("v", "a", DAY_3, None), DAY_3)
    assert measure(SUM, [event, lower, voided]) == {
        DAY_1: Measured(5, 1),
        DAY_2: Measured(-3, adjusted=-3),
        DAY_3: Measured(-2, adjusted=-2),
    }
    stale = Delivery(Correction("s", "a", DAY_1, 9), DAY_3)
    assert measure(SUM, [event, lower, stale]) == {DAY_1: Measured(5, 1), DAY_2: Measured(-3, adjusted=-3)}


def test_a_count_is_adjusted_by_a_void_and_by_nothing_else() -> None:
    meter = Meter(Aggregation.COUNT, DAILY)
    event = at_once(Event("a", DAY_1, 5))
    lower, voided, restored = (
        at_once(Correction(f"c{day}", "a", day * DAY_MS, units)) for day, units in ((1, 2), (2, None), (3, 4))
    )
    assert measure(meter, [event, lower, voided, restored]) == {
        DAY_1: Measured(1, 1),
        DAY_3: Measured(-1, adjusted=-1),
        3 * DAY_MS: Measured(1, adjusted=1),
    }


@pytest.mark.parametrize("aggregation", [Aggregation.MAX, Aggregation.UNIQUE, Aggregation.LATEST])
def test_after_the_grace_other_aggregations_refuse_a_correction(aggregation: Aggregation) -> None:
    state = MeterState(Meter(aggregation, DAILY))
    assert state.add(at_once(Event("a", DAY_1, 5, "ann"))) is None
    before = state.measured()
    late = at_once(Correction("v", "a", DAY_2 + 7, None))
    refused = state.add(late)
    assert refused is not None
    assert refused.reason == "period_closed"
    assert "closed 7 ms before" in refused.why
    assert state.add(late) == refused
    assert state.measured() == before
    assert state.refused() == (refused,)


def test_voiding_the_largest_leaves_the_next() -> None:
    state = counted(Meter(Aggregation.MAX, DAILY), [at_once(Event("a", 0, 5)), at_once(Event("b", 0, 3))])
    state.add(at_once(Correction("v", "a", 1, None)))
    assert state.period(DAY_1) == Measured(3, 1)
    assert state.period(DAY_2) == Measured()


def test_one_id_with_two_bodies_is_a_conflict_and_changes_nothing() -> None:
    first = at_once(Event("a", DAY_1, 5))
    state = counted(SUM, [first])
    for other in (Event("a", DAY_1, 6), Correction("a", "b", DAY_1, 5)):
        with pytest.raises(Conflict, match="another body"):
            state.add(at_once(other))
        with pytest.raises(Conflict, match="another body"):
            measure(SUM, [first, at_once(other)])
    assert state.measured() == {DAY_1: Measured(5, 1)}
    assert state.waiting() == ()


def test_use_is_never_negative() -> None:
    with pytest.raises(AmountError, match="correct to take back"):
        Event("a", 0, -1)
    with pytest.raises(AmountError, match="correct to take back"):
        Correction("c", "a", 0, -1)
    with pytest.raises(AmountError, match="grace"):
        Meter(Aggregation.SUM, DAILY, -1)
