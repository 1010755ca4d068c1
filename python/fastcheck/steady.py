"""Which of two clocks to believe when they part: the wall clock, which somebody may set, and the boot clock,
which counts since the machine started, suspend included, and which nobody sets. Pure.

The rules, within one boot:

- the ledger's time is the wall clock's, and follows it through every step of at most an hour forward;
- a longer step forward is *doubted*: the time goes on as the boot clock continues it from before the step,
  until the step has lasted ten minutes by the boot clock, or was confirmed. It is given up where the wall
  clock comes back, and begins anew where it steps once more by over an hour;
- a step back is followed, and told: instants of calls go back, accounts never do.

Between two boots no clock counts, so nothing can be judged: a long time is told once. A process that starts
behind what was seen tells it, each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

STEP_MS = 3_600_000
"""Longer steps forward are doubted; longer times between two boots are told."""
LASTS_MS = 600_000
"""How long a step lasts that is believed."""
SLACK_MS = 1_000
"""What a clock that is set right all the time may go back, or a restart may lose, without a word."""


class Doubt(NamedTuple):
    """A step that is not believed yet."""

    offset: int
    """Wall clock less boot clock."""
    since: int
    """When it was first seen, by the boot clock."""


@dataclass(frozen=True)
class Seen:
    """What outlives a process."""

    boot: str
    """Which boot of which machine."""
    offset: int
    """Wall clock less boot clock, as they were last believed; in ms, as all that follows."""
    newest: int
    """The newest instant that was given out."""
    doubt: Doubt | None = None

    def misses(self, kept: Seen) -> bool:
        """Whether what was kept would mislead a successor. Readings of both clocks differ by a ms."""
        moved = abs(self.offset - kept.offset) > SLACK_MS
        return moved or (self.boot, self.doubt) != (kept.boot, kept.doubt)


class Word(str, Enum):
    """What is to be told."""

    STEPPED = "stepped"
    """A step forward is doubted."""
    LASTED = "lasted"
    """It has lasted, and is believed."""
    CONFIRMED = "confirmed"
    CAME_BACK = "came_back"
    """The wall clock came back; the step moved nothing."""
    WENT_BACK = "went_back"
    """The wall clock went back behind what was seen."""
    BEHIND = "behind"
    """A process starts behind what was seen before."""
    AWAY = "away"
    """After a boot, the wall clock is long after what was seen before."""


class Told(NamedTuple):
    """Something to be told."""

    word: Word
    now: int
    """The ledger's time."""
    wall: int
    by: int
    """How far the clocks parted, in ms; at least 0."""


class SteadyTime:
    """The state of both clocks. Not for several threads at once."""

    def __init__(
        self, seen: Seen | None, boot_id: str, wall: int, boot: int, tell: Callable[[Told], None]
    ) -> None:
        """`seen`: what an earlier process left. `tell` is called with what is to be told."""
        self._tell = tell
        self._boot_id = boot_id
        self.offset = wall - boot
        """Wall clock less boot clock, as they are believed."""
        self.doubt: Doubt | None = None
        self.newest = wall
        if seen is None:
            return
        self.newest = seen.newest
        if seen.boot == boot_id:
            self.offset, self.doubt = seen.offset, seen.doubt
        elif wall > seen.newest + STEP_MS:
            tell(Told(Word.AWAY, wall, wall, wall - seen.newest))
        now = self.read(wall, boot)
        if now < seen.newest - SLACK_MS:
            tell(Told(Word.BEHIND, now, wall, seen.newest - now))

    def read(self, wall: int, boot: int) -> int:
        """The ledger's time at a reading of both clocks."""
        offset = wall - boot
        step = offset - self.offset
        if step > STEP_MS:
            believed = boot + self.offset
            if self.doubt is None or abs(offset - self.doubt.offset) > STEP_MS:
                self.doubt = Doubt(offset, boot)
                self._tell(Told(Word.STEPPED, believed, wall, step))
            elif boot - self.doubt.since >= LASTS_MS:
                return self._believe(Word.LASTED, wall, boot)
            return self._given(believed)
        if self.doubt is not None:
            self.doubt = None
            self._tell(Told(Word.CAME_BACK, wall, wall, 0))
        if step < -SLACK_MS:
            self._tell(Told(Word.WENT_BACK, wall, wall, -step))
        self.offset = offset
        return self._given(wall)

    def confirm(self, wall: int, boot: int) -> bool:
        """Believes the wall clock as it is; whether it was doubted."""
        self.read(wall, boot)
        if self.doubt is None:
            return False
        self._believe(Word.CONFIRMED, wall, boot)
        return True

    def forget(self, at: int) -> None:
        """What was seen after an instant was no time at all."""
        self.newest = min(self.newest, at)

    def seen(self) -> Seen:
        """What is to outlive the process."""
        return Seen(self._boot_id, self.offset, self.newest, self.doubt)

    def _believe(self, word: Word, wall: int, boot: int) -> int:
        step = wall - boot - self.offset
        self.offset, self.doubt = wall - boot, None
        self._tell(Told(word, wall, wall, step))
        return self._given(wall)

    def _given(self, now: int) -> int:
        self.newest = max(self.newest, now)
        return now
