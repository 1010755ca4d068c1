"""Instants as people write them (ISO 8601 with a zone, a date, a length from now) and read them (in UTC)."""

from __future__ import annotations

import argparse
import re
from calendar import monthrange
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
HELP = "2026-02-01, 2026-02-01T09:30:00Z, or from now: +7d, -12h, +1mo"
LENGTH = re.compile(r"([+-])(\d{1,6})(mo|s|m|h|d|w|y)", re.ASCII)
_LENGTHS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


class FromNow(datetime):
    """An instant given as a length from now: each try means another instant."""


def instant(text: str) -> datetime:
    """ISO 8601 with a zone; a date, which is its first moment in UTC; or a length from now, where months and
    years follow the calendar."""
    length = LENGTH.fullmatch(text)
    try:
        if length:
            at = _moved(datetime.now(timezone.utc), *length.groups())
            return FromNow.combine(at.date(), at.timetz())
        at = datetime.fromisoformat(re.sub(r"( UTC|[Zz])$", "+00:00", text))
        if at.tzinfo is None and len(text) == len("2026-02-01"):
            at = at.replace(tzinfo=timezone.utc)
        at.timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not an instant: {HELP}") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone: write {text}Z for UTC")
    return at


def _moved(at: datetime, sign: str, count: str, unit: str) -> datetime:
    by = -int(count) if sign == "-" else int(count)
    if unit in _LENGTHS:
        return at + by * _LENGTHS[unit]
    years, month = divmod(at.year * 12 + at.month - 1 + by * (12 if unit == "y" else 1), 12)
    if not 1 <= years <= 9999:
        raise OverflowError
    last = monthrange(years, month + 1)[1]
    return at.replace(year=years, month=month + 1, day=min(at.day, last))


def joined(argv: Sequence[str]) -> list[str]:
    """Arguments with `--since -7d` as `--since=-7d`: argparse takes a length that goes back for an option."""
    found: list[str] = []
    for text in argv:
        back = text.startswith("-") and LENGTH.fullmatch(text) is not None
        if back and found and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={text}"
        else:
            found.append(text)
    return found


def utc(at_ms: int) -> datetime:
    """The instant in UTC, exactly: no float comes in between."""
    return EPOCH + timedelta(milliseconds=at_ms)


def iso(at_ms: int) -> str:
    """For programs, exact to the millisecond: 2026-02-01T09:30:00.000Z."""
    return utc(at_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def told(at_ms: int | None) -> str:
    """For people, in UTC and without what is zero: 2026-02-01, 2026-02-01 09:30:00."""
    if at_ms is None:
        return "-"
    at = utc(at_ms)
    return f"{at:%Y-%m-%d}" if at_ms % 86_400_000 == 0 else f"{at:%Y-%m-%d %H:%M:%S}"
