"""Periods: month ends without drift, alignment, and the index as the inverse of the start."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit, add, index, next_start, start
from hypothesis import given
from hypothesis import strategies as st

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
