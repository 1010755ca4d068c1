"""Who may be sent much at once: a fixed number of places, first come, first served.

A place is for a transfer that the hub must read for: a snapshot, or a part of the change log. The line of
those who wait is bounded, by number and by how long the last of them would wait; who finds it full is told
when to come again. These turns are spread and in order, so a herd is served one after the other, however
large it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from fastcheck.hub.access.rate import Turns

PLACES: Final = 64
"""Transfers at once."""
COST_BYTES_MAX: Final = 64 << 20
"""Bytes that all of them together may hold in memory."""
WAITING_MAX: Final = 1_024
WAIT_MS_MAX: Final = 8_000
"""Nobody is let into a line in which they would wait longer: a host hears nothing meanwhile."""
FIRST_GUESS_MS: Final = 50.0
"""How long a place is held, before any was given back."""
_WEIGHT: Final = 0.1


class Entered(Enum):
    """What became of somebody who came."""

    ADMITTED = "admitted"
    WAITING = "waiting"


@dataclass(slots=True)
class _Place:
    cost: int
    since_ms: int


class Admission:
    """Places and the line before them. Keys are whoever comes; each is in it once."""

    def __init__(
        self, *, places: int = PLACES, cost_max: int = COST_BYTES_MAX, waiting_max: int = WAITING_MAX
    ) -> None:
        self._places = places
        self._cost_max = cost_max
        self._waiting_max = waiting_max
        self._held: dict[object, _Place] = {}
        self._cost = 0
        self._line: dict[object, int] = {}  # Key → cost, in the order in which they came.
        self._turns = Turns()
        self._held_ms = FIRST_GUESS_MS  # A moving mean of how long a place is held.

    @property
    def transfers(self) -> int:
        """Places that are taken."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Who stands in line."""
        return len(self._line)

    def enter(self, key: object, cost: int, now_ms: int) -> Entered | int:
        """Takes a place, or one in the line; else, in how many ms to come again. `cost`: bytes of memory
        while the place is held; one that alone is over the bound is taken when nothing else is held."""
        if not self._line and self._fits(cost):
            self._take(key, cost, now_ms)
            return Entered.ADMITTED
        step_ms = self._held_ms / self._places
        wait_ms = (len(self._line) + 1) * step_ms
        if len(self._line) >= self._waiting_max or wait_ms > WAIT_MS_MAX:
            return self._turns.give(now_ms, step_ms, wait_ms)
        self._line[key] = cost
        return Entered.WAITING

    def leave(self, key: object, now_ms: int) -> list[object]:
        """Gives back a place or one in the line, if there is one; who is admitted for it, in order."""
        self._line.pop(key, None)
        place = self._held.pop(key, None)
        if place is not None:
            self._cost -= place.cost
            self._held_ms += _WEIGHT * (max(now_ms - place.since_ms, 1) - self._held_ms)
        admitted: list[object] = []
        while self._line:
            first = next(iter(self._line))
            cost = self._line[first]
            if not self._fits(cost):
                break
            del self._line[first]
            self._take(first, cost, now_ms)
            admitted.append(first)
        return admitted

    def _fits(self, cost: int) -> bool:
        return not self._held or (len(self._held) < self._places and self._cost + cost <= self._cost_max)

    def _take(self, key: object, cost: int, now_ms: int) -> None:
        self._held[key] = _Place(cost, now_ms)
        self._cost += cost
