"""Calendar arithmetic for recurring grants: where period number k starts, and which period an instant is in.

All in UTC and in whole milliseconds. Minutes to weeks are plain lengths. Months and years count civil months
from the anchor each time, never from the previous period, so the 31st becomes the 28th in February and the
31st again in March. Calendar periods are aligned: months and years to January 1970 (so three months are
quarters), weeks to Mondays, shorter ones to 1970-01-01."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DAY_MS = 86_400_000


class Unit(str, Enum):
    """A unit of calendar time."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_LENGTH_MS = {Unit.MINUTE: 60_000, Unit.HOUR: 3_600_000, Unit.DAY: DAY_MS, Unit.WEEK: 7 * DAY_MS}
_MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}
_FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05; the epoch is a Thursday


class Anchor(str, Enum):
    """From where periods are counted."""

    CALENDAR = "calendar"
    ANNIVERSARY = "anniversary"


@dataclass(frozen=True)
class Span:
    """A length of calendar time: `count` (at least 1) units."""

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("a span has at least one unit")

    def __str__(self) -> str:
        return f"{self.count} {self.unit.value}{'' if self.count == 1 else 's'}"


@dataclass(frozen=True)
class Recurrence:
    """How often a grant is made again. `anchor_at` is where an anniversary counts from; calendar periods
    ignore it."""

    every: Span
    anchor: Anchor
    anchor_at: int


def add(at: int, span: Span, times: int = 1) -> int:
    """The instant `times` spans after `at`; a day that the month lacks becomes its last day."""
    count = span.count * times
    if span.unit in _LENGTH_MS:
        return at + count * _LENGTH_MS[span.unit]
    days, in_day_ms = divmod(at, DAY_MS)
    year, month, day = _civil(days)
    month_number = year * 12 + (month - 1) + count * _MONTHS[span.unit]
    year, month = month_number // 12, month_number % 12 + 1
    return _days(year, month, min(day, _month_length(year, month))) * DAY_MS + in_day_ms


def start(recurrence: Recurrence, k: int) -> int:
    """The instant period `k` starts. Period 0 starts at the anchor."""
    return add(_origin(recurrence), recurrence.every, k)


def index(recurrence: Recurrence, at: int) -> int:
    """The period an instant is in: start(k) <= at < start(k + 1)."""
    origin, every = _origin(recurrence), recurrence.every
    if every.unit in _LENGTH_MS:
        return (at - origin) // (every.count * _LENGTH_MS[every.unit])
    year, month, _ = _civil(at // DAY_MS)
    origin_year, origin_month, _ = _civil(origin // DAY_MS)
    months = (year - origin_year) * 12 + month - origin_month
    k = months // (every.count * _MONTHS[every.unit])
    # Same month as a boundary, but before its day: the period before.
    return k if start(recurrence, k) <= at else k - 1


def next_start(recurrence: Recurrence, at: int) -> int:
    """The first period start after `at`."""
    return start(recurrence, index(recurrence, at) + 1)


def _origin(recurrence: Recurrence) -> int:
    if recurrence.anchor is Anchor.ANNIVERSARY:
        return recurrence.anchor_at
    return _FIRST_MONDAY_MS if recurrence.every.unit is Unit.WEEK else 0


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a civil date (proleptic Gregorian, years of any sign)."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day number; the inverse of `_days`."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _month_length(year: int, month: int) -> int:
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31
