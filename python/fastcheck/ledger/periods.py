"""Calendar arithmetic for recurring grants: where period number k starts, and which period an instant is in.

Instants are whole ms since 1970 UTC. Minutes and hours are plain lengths. Days, weeks, months and years are
civil: they are counted in the local time of a zone (UTC unless named), so a day may last 23 or 25 hours. A
local time that a zone skips (a gap) stands for the first instant after the gap; one that it has twice (an
overlap) for the first of the two. Months and years count civil months from the anchor each time, never from
the previous period, so the 31st becomes the 28th in February and the 31st again in March.

Calendar periods are aligned: months and years to January 1970 (so three months are quarters), weeks to
Mondays, shorter ones to 1970-01-01, all at local midnight. A civil day that a zone left out altogether is a
period without length: no instant is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from fastcheck.errors import InstantError

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
_ABSOLUTE = (Unit.MINUTE, Unit.HOUR)
_MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}
_FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05; the epoch is a Thursday
_SPAN = re.compile(r"(?:([1-9][0-9]{0,5}) +)?(minute|hour|day|week|month|year)s?")
UTC = "UTC"


class Anchor(str, Enum):
    """From where periods are counted."""

    CALENDAR = "calendar"
    ANNIVERSARY = "anniversary"


@dataclass(frozen=True, slots=True)
class Span:
    """A length of calendar time: `count` (at least 1) units."""

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("a span has at least one unit")

    @classmethod
    def parse(cls, text: str) -> Span:
        """ "month", "3 months", "2 weeks" as a span. Raises `ValueError`."""
        found = _SPAN.fullmatch(text.strip())
        if found is None:
            units = ", ".join(unit.value for unit in Unit)
            raise ValueError(f"{text!r:.40} is no span: write a count and a unit ({units}), as in '3 months'")
        return cls(int(found[1] or 1), Unit(found[2]))

    def __str__(self) -> str:
        return f"{self.count} {self.unit.value}{'' if self.count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often a grant is made again. `anchor_at` is where an anniversary counts from; calendar periods
    ignore it. `zone` is an IANA name ("Europe/Berlin"). Raises `InstantError` for one that is not known."""

    every: Span
    anchor: Anchor
    anchor_at: int
    zone: str = UTC

    def __post_init__(self) -> None:
        if self.zone != UTC:
            _zone(self.zone)


def add(at: int, span: Span, times: int = 1, zone: str = UTC) -> int:
    """The instant `times` spans after `at`; a day that the month lacks becomes its last day."""
    if zone == UTC or span.unit in _ABSOLUTE:
        return _add_civil(at, span, times)
    return _instant(_add_civil(_local(at, zone), span, times), zone)


def _add_civil(at: int, span: Span, times: int) -> int:
    """As `add`, where `at` and the result are read off the same clock."""
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
    every, zone = recurrence.every, recurrence.zone
    if zone == UTC:
        return _add_civil(_origin(recurrence), every, k)
    if every.unit in _ABSOLUTE:
        return _add_civil(_absolute_origin(recurrence), every, k)
    if k == 0 and recurrence.anchor is Anchor.ANNIVERSARY:
        return recurrence.anchor_at  # Itself, even where it is the second of an overlap.
    return _instant(_add_civil(_origin(recurrence), every, k), zone)


def index(recurrence: Recurrence, at: int) -> int:
    """The period an instant is in: start(k) <= at < start(k + 1)."""
    every, zone = recurrence.every, recurrence.zone
    if every.unit in _ABSOLUTE:
        origin = _origin(recurrence) if zone == UTC else _absolute_origin(recurrence)
        return (at - origin) // (every.count * _LENGTH_MS[every.unit])
    origin = _origin(recurrence)
    if zone == UTC:
        return _index_civil(every, origin, at)
    k = _index_civil(every, origin, _local(at, zone))
    # Local times are not in the order of instants around a change of the offset.
    while start(recurrence, k) > at:
        k -= 1
    while start(recurrence, k + 1) <= at:
        k += 1
    return k


def _index_civil(every: Span, origin: int, at: int) -> int:
    if every.unit in _LENGTH_MS:
        return (at - origin) // (every.count * _LENGTH_MS[every.unit])
    year, month, _ = _civil(at // DAY_MS)
    origin_year, origin_month, _ = _civil(origin // DAY_MS)
    months = (year - origin_year) * 12 + month - origin_month
    k = months // (every.count * _MONTHS[every.unit])
    # Same month as a boundary, but before its day: the period before.
    return k if _add_civil(origin, every, k) <= at else k - 1


def next_start(recurrence: Recurrence, at: int) -> int:
    """The first period start after `at`."""
    return start(recurrence, index(recurrence, at) + 1)


def even(recurrence: Recurrence, lasts: Span) -> bool:
    """Whether `lasts` is over before the next period in all periods alike, or in none."""
    lengths = _LENGTH_MS if recurrence.zone == UTC else _ABSOLUTE
    return recurrence.every.unit in lengths and lasts.unit in lengths


def _origin(recurrence: Recurrence) -> int:
    """Where period 0 starts, on the zone's clock."""
    if recurrence.anchor is Anchor.ANNIVERSARY:
        at, zone = recurrence.anchor_at, recurrence.zone
        return at if zone == UTC else _local(at, zone)
    return _FIRST_MONDAY_MS if recurrence.every.unit is Unit.WEEK else 0


def _absolute_origin(recurrence: Recurrence) -> int:
    """The instant at which periods of minutes or hours begin to count."""
    if recurrence.anchor is Anchor.ANNIVERSARY:
        return recurrence.anchor_at
    return _instant(0, recurrence.zone)


# zones

_EPOCH = datetime(1970, 1, 1)
_FIRST_MS = -62_135_510_400_000  # 0001-01-02
_LAST_MS = 253_402_214_400_000  # 9999-12-31


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError.
        raise InstantError(f"{name!r:.80} is not a time zone: give an IANA name") from error
    except KeyError:
        raise InstantError(
            f"{name!r:.80} is not a time zone that this machine knows: give an IANA name"
        ) from None


def _offset(at: int, zone: str) -> int:
    """The zone's offset from UTC, in ms, at an instant."""
    tz = _zone(zone)
    moment = (_EPOCH + timedelta(milliseconds=min(max(at, _FIRST_MS), _LAST_MS))).replace(tzinfo=tz)
    return _ms(tz.fromutc(moment).utcoffset())


def _local(at: int, zone: str) -> int:
    """What the zone's clock shows at an instant, as ms since its 1970-01-01."""
    return at + _offset(at, zone)


def _instant(local: int, zone: str) -> int:
    """The instant at which the zone's clock shows `local`; the first of two; the first after a gap."""
    naive = _EPOCH + timedelta(milliseconds=min(max(local, _FIRST_MS), _LAST_MS))
    first = naive.replace(tzinfo=_zone(zone))
    before, after = _ms(first.utcoffset()), _ms(first.replace(fold=1).utcoffset())
    if before >= after:
        return local - before
    # In a gap. The clock jumps at some instant in (local - after, local - before].
    low, high = local - after, local - before
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high


def _ms(offset: timedelta | None) -> int:
    assert offset is not None
    return offset // timedelta(milliseconds=1)


# civil dates


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
