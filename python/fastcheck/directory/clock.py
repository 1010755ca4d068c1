"""The clock of a directory: the machine's, guarded against steps. What it has seen is kept in the file
`clock`, so that a process that starts in the middle of a step knows of it; see `fastcheck.steady` for the
rules."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastcheck.clock import INSTANT_MS_MAX, Clock, PairClock, at_utc
from fastcheck.steady import LASTS_MS, SLACK_MS, Doubt, Seen, SteadyTime, Told, Word

FILE: Final = "clock"
KEEP_MS: Final = 10_000
"""Between two writes of the file while nothing happens."""
AT_ONCE_MS: Final = 100
"""Readings of both clocks that are further apart are of no one moment."""
TOLD_MAX: Final = 32
"""What waits to be told while nobody listens."""
GRAVE: Final = frozenset({Word.STEPPED, Word.LASTED, Word.CONFIRMED, Word.WENT_BACK, Word.BEHIND})
"""What may mean that the ledger's time was wrong."""


@dataclass(frozen=True)
class Reading:
    """Both clocks at a moment, in ms since 1970."""

    now: int
    """The ledger's time."""
    wall: int
    """What the machine's clock shows."""
    guarded: bool
    doubted: bool
    taken_at: int | None
    """When a step that is doubted will have lasted, by the ledger's time."""


class SteadyClock:
    """A pair of clocks, guarded. For several threads."""

    def __init__(self, pair: PairClock, path: Path) -> None:
        """`path`: of the file; one that is missing or damaged is as if nothing had been seen."""
        self._pair: Final = pair
        self._path: Final = path
        self._lock: Final = threading.RLock()  # A signal handler may come in between.
        self._listener: Callable[[Told, str], None] | None = None
        self._untold: list[Told] = []
        self._kept: Seen | None = _read(path)
        self._time: Final = SteadyTime(self._kept, pair.boot_id(), *self._both(), self._tell)
        self.keep(always=True)

    def now_ms(self) -> int:
        """The ledger's time."""
        wall = self._pair.now_ms()
        steady = self._time
        if steady.doubt is None and -SLACK_MS <= wall - self._pair.boot_ms() - steady.offset <= SLACK_MS:
            return wall
        with self._lock:
            found = steady.read(*self._both())
        self._tell_on()
        return found

    def reading(self) -> Reading:
        """Both clocks now."""
        now, wall = self.now_ms(), self._pair.now_ms()
        with self._lock:
            doubt = self._time.doubt
            at = None if doubt is None else now + max(0, doubt.since + LASTS_MS - self._pair.boot_ms())
        return Reading(now, wall, True, doubt is not None, at)

    def confirm(self) -> bool:
        """Believes the wall clock as it is; whether it was doubted."""
        with self._lock:
            doubted = self._time.confirm(*self._both())
        self.keep(always=True)
        self._tell_on()
        return doubted

    def forget(self, at: int) -> None:
        """What was seen after an instant was no time at all: accounts were brought back to it."""
        with self._lock:
            self._time.forget(at)
        self.keep(always=True)

    def listen(self, listener: Callable[[Told, str], None]) -> None:
        """Tells from now on what happens, and what happened since the clock was made, with words for people.
        In whatever thread reads the clock."""
        self._listener = listener
        self._tell_on()

    def keep(self, *, always: bool = False) -> None:
        """Writes what was seen, where a successor would miss it. A disk that takes nothing is no reason to
        stop."""
        with self._lock:
            self._time.read(*self._both())
            seen, kept = self._time.seen(), self._kept
            if always or kept is None or seen.misses(kept) or seen.newest - kept.newest >= KEEP_MS:
                with contextlib.suppress(OSError):
                    _write(self._path, seen)
                    self._kept = seen
        self._tell_on()

    def _both(self) -> tuple[int, int]:
        """Both clocks at one moment: the machine may sleep between two readings."""
        while True:
            boot = self._pair.boot_ms()
            wall = self._pair.now_ms()
            if self._pair.boot_ms() - boot <= AT_ONCE_MS:
                return wall, boot

    def _tell(self, told: Told) -> None:
        self._untold = [*self._untold[-TOLD_MAX + 1 :], told]

    def _tell_on(self) -> None:
        """Tells outside the lock: who listens may ask for the time."""
        listener = self._listener
        while listener is not None and self._untold:
            with self._lock:
                told, self._untold = self._untold, []
            for one in told:
                listener(one, words(one))


def guarded(clock: Clock, directory: Path) -> Clock:
    """The clock to use for what lies in a directory: guarded where there is a boot clock beside it."""
    return SteadyClock(clock, directory / FILE) if isinstance(clock, PairClock) else clock


def reading(clock: Clock) -> Reading:
    """A clock now, guarded or not."""
    if isinstance(clock, SteadyClock):
        return clock.reading()
    now = clock.now_ms()
    return Reading(now, now, False, False, None)


def words(told: Told) -> str:
    """What to tell a person."""
    now, wall, by = shown(told.now), shown(told.wall), length(told.by)
    if told.word is Word.STEPPED:
        return (
            f"the machine's clock stepped {by} ahead, to {wall}: accounts stay at {now} and go on from there "
            "until the step has lasted ten minutes. If the clock is right now, `fastcheck clock confirm` "
            "says so at once; if it is wrong, set it right"
        )
    if told.word is Word.CAME_BACK:
        return f"the machine's clock came back to {wall}: its step moved no account"
    if told.word is Word.LASTED:
        return (
            f"the machine's clock stayed {by} ahead for ten minutes and is believed: it is {wall}. If that "
            "is wrong, set it right and run `fastcheck clock repair`"
        )
    if told.word is Word.CONFIRMED:
        return f"the machine's clock, which stepped {by} ahead, was confirmed: it is {wall}"
    if told.word is Word.WENT_BACK:
        return (
            f"the machine's clock went back by {by}, to {wall}: accounts stand at what they have seen until "
            "then. If the clock was wrong before, run `fastcheck clock repair`"
        )
    if told.word is Word.BEHIND:
        return (
            f"the machine's clock is {by} behind what the ledger has seen: it is {wall}. Accounts stand at "
            "what they have seen until then. If the clock is wrong now, set it right; if it was wrong "
            "before, run `fastcheck clock repair`"
        )
    return (
        f"since the machine started its clock is {by} after the last instant that the ledger saw: it is "
        f"{wall}. That is so after a machine was off; if it was not off for so long, set its clock right and "
        "run `fastcheck clock repair`. This is told once"
    )


def shown(ms: int) -> str:
    """An instant for people."""
    return f"{at_utc(min(max(ms, 0), INSTANT_MS_MAX - 1)):%Y-%m-%d %H:%M:%S} UTC"


def length(ms: int) -> str:
    """A length for people: 40 days, 3 hours, 90 s."""
    for unit, name in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= 2 * unit:
            return f"{ms // unit:,} {name}"
    return f"{ms / 1_000:g} s"


def _read(path: Path) -> Seen | None:
    try:
        found: Any = json.loads(path.read_bytes())
        numbers = [found["offset_ms"], found["newest_ms"]]
        doubt = found["doubt"]
        if doubt is not None:
            numbers += doubt
            doubt = Doubt(*doubt)
        if not isinstance(found["boot"], str) or any(type(one) is not int for one in numbers):
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    sane = max(map(abs, numbers)) < INSTANT_MS_MAX
    return Seen(found["boot"], numbers[0], numbers[1], doubt) if sane else None


def _write(path: Path, seen: Seen) -> None:
    """Whole or not at all, for readers; after a power failure there is another boot, which needs only the
    instant, and does without."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    text = json.dumps(
        {"boot": seen.boot, "offset_ms": seen.offset, "newest_ms": seen.newest, "doubt": seen.doubt}
    )
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text + "\n")
    fresh.replace(path)
