"""Where the time comes from. Instants are whole milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from fastcheck.errors import InstantError, WrongType

INSTANT_MS_MAX = 253_402_300_800_000
"""The end of the year 9999: what a `datetime` can show."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Clock(Protocol):
    """Says what time it is."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""


@runtime_checkable
class PairClock(Clock, Protocol):
    """A clock that may be set, and beside it one that may not: steps of the first are seen by the second."""

    def boot_ms(self) -> int:
        """Milliseconds since the machine started, suspend included."""

    def boot_id(self) -> str:
        """Another for each start of each machine."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def boot_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def boot_id(self) -> str:
        return _boot_id()


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class ManualClock:
    """A clock that stands still until it is told; for tests and simulations."""

    def __init__(self, now_ms: int = 0) -> None:
        self._lock = threading.Lock()
        self._now_ms = now_ms

    def now_ms(self) -> int:
        with self._lock:
            return self._now_ms

    def set(self, now_ms: int) -> None:
        """Jumps to an instant, backwards too."""
        with self._lock:
            self._now_ms = now_ms

    def advance(self, length_ms: int) -> None:
        """Moves forward by a length."""
        with self._lock:
            self._now_ms += length_ms


class ManualPair(ManualClock):
    """Both clocks of a machine, which stand still until they are told: `advance` is time that passes, `set`
    is somebody who sets the wall clock, `restart` a machine that starts anew."""

    def __init__(self, now_ms: int = 0) -> None:
        super().__init__(now_ms)
        self._boot_ms = 0
        self._boots = 1

    def boot_ms(self) -> int:
        with self._lock:
            return self._boot_ms

    def boot_id(self) -> str:
        with self._lock:
            return f"boot {self._boots}"

    def advance(self, length_ms: int) -> None:
        """Time passes; a machine that is suspended meanwhile says the same."""
        with self._lock:
            self._now_ms += length_ms
            self._boot_ms += length_ms

    def restart(self, now_ms: int) -> None:
        """The machine starts anew, and its wall clock shows an instant."""
        with self._lock:
            self._boots += 1
            self._now_ms, self._boot_ms = now_ms, 0


def instant_ms(at: datetime | int, name: str) -> int:
    """An instant given by a caller, in ms. `name` is the argument, for the message.

    Raises `WrongType` for anything but a datetime or an int, `InstantError` for a datetime without a zone
    and for instants before 1970 or after 9999."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InstantError(f"{name} has no time zone: use datetime(..., tzinfo=timezone.utc)")
        delta = at - _EPOCH
        ms = (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000
    elif isinstance(at, int) and not isinstance(at, bool):
        ms = at
    else:
        raise WrongType(
            f"{name} must be a datetime with a zone or an int (ms since 1970), not {type(at).__name__}"
        )
    if not 0 <= ms < INSTANT_MS_MAX:
        raise InstantError(
            f"{name} = {ms} ms lies outside 1970 to 9999: instants are milliseconds since 1970"
        )
    return ms


def at_utc(ms: int) -> datetime:
    """The instant as a datetime in UTC, for people."""
    return _EPOCH + timedelta(milliseconds=ms)
