"""Periods: month ends without drift, alignment, and the index as the inverse of the start."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import InstantError
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit, add, index, next_start, start

INSTANTS = st.integers(0, 4_102_444_800_000)  # 1970 to 2100
SPANS = st.builds(Span, st.integers(1, 40), st.sampled_from(Unit))
RECURRENCES = st.builds(Recurrence, SPANS, st.sampled_from(Anchor), INSTANTS)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1_000)


def every(count: int, unit: Unit, anchor: Anchor = Anchor.CALENDAR, anchor_at: int = 0) -> Recurrence:
    return Recurrence(Span(count, unit), anchor, anchor_at)


def test_month_ends_do_not_drift() -> None:
    recurrence = every(1, Unit.MONTH, Anchor.ANNIVERSARY, ms("2023-01-31T10:30:00"))
    days = [start(recurrence, k) for k in range(15)]
    assert days[1] == ms("2023-02-28T10:30:00")
    assert days[2] == ms("2023-03-31T10:30:00")
    assert days[3] == ms("2023-04-30T10:30:00")
    assert days[13] == ms("2024-02-29T10:30:00")
    assert days[14] == ms("2024-03-31T10:30:00")


def test_leap_day_anniversary() -> None:
    recurrence = every(1, Unit.YEAR, Anchor.ANNIVERSARY, ms("2024-02-29T00:00:00"))
    assert start(recurrence, 1) == ms("2025-02-28T00:00:00")
    assert start(recurrence, 4) == ms("2028-02-29T00:00:00")


@pytest.mark.parametrize(
    ("recurrence", "at", "expected"),
    [
        (every(1, Unit.MONTH), "2024-02-29T23:59:59.999", "2024-03-01"),
        (every(1, Unit.MONTH), "2024-03-01", "2024-04-01"),
        (every(3, Unit.MONTH), "2024-05-17", "2024-07-01"),
        (every(1, Unit.YEAR), "2024-12-31", "2025-01-01"),
        (every(1, Unit.WEEK), "2024-05-15", "2024-05-20"),  # a Monday
        (every(1, Unit.DAY), "2024-05-15T12:00:00", "2024-05-16"),
        (every(2, Unit.HOUR), "2024-05-15T13:00:00", "2024-05-15T14:00:00"),
        (every(5, Unit.MINUTE), "2024-05-15T13:02:00", "2024-05-15T13:05:00"),
    ],
)
def test_calendar_alignment(recurrence: Recurrence, at: str, expected: str) -> None:
    assert next_start(recurrence, ms(at)) == ms(expected)


@given(RECURRENCES, INSTANTS)
def test_index_is_the_inverse_of_start(recurrence: Recurrence, at: int) -> None:
    k = index(recurrence, at)
    assert start(recurrence, k) <= at < start(recurrence, k + 1)
    assert index(recurrence, start(recurrence, k)) == k


@given(INSTANTS, st.integers(-500, 500))
def test_months_agree_with_datetime(at: int, months: int) -> None:
    moment = datetime.fromtimestamp(at / 1_000, tz=timezone.utc)
    number = moment.year * 12 + moment.month - 1 + months
    if not 1 <= number // 12 <= 9_998:
        return
    moved = datetime.fromtimestamp(0, tz=timezone.utc)
    moved = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    result = add(at, Span(1, Unit.MONTH), months)
    days, rest = divmod(result, 86_400_000)
    moved = datetime.fromordinal(719_163 + days)
    assert (moved.year, moved.month) == (number // 12, number % 12 + 1)
    assert rest == at % 86_400_000
    last_day = (datetime(moved.year + moved.month // 12, moved.month % 12 + 1, 1) - moved.replace(day=1)).days
    assert moved.day == min(moment.day, last_day)


def test_a_span_has_at_least_one_unit() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Span(0, Unit.DAY)
    assert str(Span(1, Unit.DAY)) == "1 day"
    assert str(Span(3, Unit.MONTH)) == "3 months"


# Zones

ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]
)
ZONED = st.builds(Recurrence, SPANS, st.sampled_from(Anchor), INSTANTS, ZONES)


def local(at: int, zone: str) -> str:
    moment = datetime.fromtimestamp(0, tz=timezone.utc) + timedelta(milliseconds=at)
    return moment.astimezone(ZoneInfo(zone)).isoformat()


def zoned(unit: Unit, zone: str, anchor_at: int | None = None) -> Recurrence:
    if anchor_at is None:
        return Recurrence(Span(1, unit), Anchor.CALENDAR, 0, zone)
    return Recurrence(Span(1, unit), Anchor.ANNIVERSARY, anchor_at, zone)


@given(ZONED, INSTANTS)
def test_in_a_zone_too_the_index_is_the_inverse_of_the_start(recurrence: Recurrence, at: int) -> None:
    k = index(recurrence, at)
    assert start(recurrence, k) <= at < start(recurrence, k + 1)
    assert index(recurrence, start(recurrence, k)) == k
    assert next_start(recurrence, at) > at


@given(ZONED, st.integers(-200, 200))
def test_starts_increase(recurrence: Recurrence, k: int) -> None:
    assert start(recurrence, k) < start(recurrence, k + 1)


@given(SPANS, st.sampled_from(Anchor), INSTANTS, st.integers(0, 200))
def test_utc_by_any_name_is_utc(span: Span, anchor: Anchor, at: int, k: int) -> None:
    assert start(Recurrence(span, anchor, at, "Etc/UTC"), k) == start(Recurrence(span, anchor, at), k)


@pytest.mark.parametrize(
    ("unit", "zone", "at", "expected"),
    [
        (Unit.DAY, "Europe/Berlin", "2024-03-30T22:30:00", "2024-03-31T00:00:00+01:00"),
        (Unit.DAY, "Europe/Berlin", "2024-03-30T23:30:00", "2024-04-01T00:00:00+02:00"),
        (Unit.MONTH, "Europe/Berlin", "2024-03-10T12:00:00", "2024-04-01T00:00:00+02:00"),
        (Unit.WEEK, "America/New_York", "2024-11-01T12:00:00", "2024-11-04T00:00:00-05:00"),
        (Unit.YEAR, "America/New_York", "2024-11-01T12:00:00", "2025-01-01T00:00:00-05:00"),
        (Unit.HOUR, "Asia/Kolkata", "2024-05-01T12:00:00", "2024-05-01T18:00:00+05:30"),
    ],
)
def test_calendar_periods_start_at_local_midnight(unit: Unit, zone: str, at: str, expected: str) -> None:
    assert local(next_start(zoned(unit, zone), ms(at)), zone) == expected


def test_a_time_that_is_skipped_is_the_first_instant_after_the_gap() -> None:
    berlin = zoned(Unit.DAY, "Europe/Berlin", ms("2024-03-29T01:30:00"))  # 02:30 local
    assert [local(start(berlin, k), "Europe/Berlin") for k in range(4)] == [
        "2024-03-29T02:30:00+01:00",
        "2024-03-30T02:30:00+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-04-01T02:30:00+02:00",
    ]
    new_york = zoned(Unit.MONTH, "America/New_York", ms("2024-02-10T07:15:00"))  # 02:15 local
    assert local(start(new_york, 1), "America/New_York") == "2024-03-10T03:00:00-04:00"
    assert local(start(new_york, 2), "America/New_York") == "2024-04-10T02:15:00-04:00"


def test_a_time_that_comes_twice_is_the_first_of_the_two() -> None:
    berlin = zoned(Unit.DAY, "Europe/Berlin", ms("2024-10-26T00:30:00"))  # 02:30 local
    assert local(start(berlin, 1), "Europe/Berlin") == "2024-10-27T02:30:00+02:00"
    assert start(berlin, 2) - start(berlin, 1) == 25 * 3_600_000
    new_york = zoned(Unit.WEEK, "America/New_York", ms("2024-10-27T05:30:00"))  # 01:30 local
    assert local(start(new_york, 1), "America/New_York") == "2024-11-03T01:30:00-04:00"
    assert index(new_york, start(new_york, 1) + 3_600_000) == 1  # 01:30 for the second time


def test_an_anchor_in_an_overlap_is_itself() -> None:
    second = ms("2024-10-27T01:30:00")  # 02:30 local for the second time
    berlin = zoned(Unit.DAY, "Europe/Berlin", second)
    assert start(berlin, 0) == second
    assert index(berlin, second - 1) == -1
    assert index(berlin, second) == 0


def test_month_ends_and_leap_days_do_not_drift_in_a_zone() -> None:
    berlin = zoned(Unit.MONTH, "Europe/Berlin", ms("2024-01-31T22:30:00"))  # 23:30 local
    assert [local(start(berlin, k), "Europe/Berlin")[:16] for k in range(4)] == [
        "2024-01-31T23:30",
        "2024-02-29T23:30",
        "2024-03-31T23:30",
        "2024-04-30T23:30",
    ]
    leap = zoned(Unit.YEAR, "America/New_York", ms("2024-02-29T12:00:00"))
    assert [local(start(leap, k), "America/New_York")[:10] for k in (1, 4)] == ["2025-02-28", "2028-02-29"]


def test_hours_are_plain_lengths_whatever_the_clocks_do() -> None:
    berlin = zoned(Unit.HOUR, "Europe/Berlin", ms("2024-03-31T00:15:00"))
    assert [start(berlin, k) - start(berlin, 0) for k in range(4)] == [k * 3_600_000 for k in range(4)]


def test_a_zone_that_is_not_known_is_refused() -> None:
    for zone in ("Mars/Olympus", "", "../etc"):
        with pytest.raises(InstantError, match="not a time zone"):
            Recurrence(Span(1, Unit.DAY), Anchor.CALENDAR, 0, zone)
