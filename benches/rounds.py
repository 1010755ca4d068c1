"""Interleaved rounds: every round times every statement once, so that a slow moment falls on all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import thread_time
from timeit import Timer
from typing import Any

ROUND_S = 0.0005
"""How long one statement runs in one round: long for the clock, short against a scheduler's time slice."""


@dataclass(frozen=True)
class Timed:
    """Times of one statement: one per round."""

    ns: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.ns)

    def over(self, floor: Timed) -> float:
        """The median of the ratios within each round."""
        return median(mine / theirs for mine, theirs in zip(self.ns, floor.ns, strict=True))


WARM = 1_000
"""Executions before the first is timed: specialised bytecode, remembered strings."""


def statements(
    texts: Mapping[str, str], names: Mapping[str, Any], rounds: int, refill: Callable[[], None] | None = None
) -> dict[str, Timed]:
    """Nanoseconds per execution of each statement, its loop included; `refill` runs between rounds."""
    timers = {what: Timer(text, globals=dict(names)) for what, text in texts.items()}
    numbers = {}
    for what, timer in timers.items():
        timer.timeit(WARM)
        numbers[what] = max(1, int(WARM * ROUND_S / timer.timeit(WARM)))
    times: dict[str, list[float]] = {what: [] for what in timers}
    for _ in range(rounds):
        if refill:
            refill()
        for what, timer in timers.items():
            timer.timeit(10)  # After another statement, and after a refill.
            times[what].append(timer.timeit(numbers[what]) / numbers[what] * 1e9)
    return {what: Timed(tuple(ns)) for what, ns in times.items()}


def calls(bodies: Mapping[str, Callable[[], object]], items: int, rounds: int) -> dict[str, Timed]:
    """Nanoseconds per item of functions that each work through so many items.

    It is the thread's own time that counts, for a pass may be longer than the scheduler lets anyone run."""
    times: dict[str, list[float]] = {what: [] for what in bodies}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for body in bodies.values():
            body()
        for _ in range(rounds):
            for what, body in bodies.items():
                start = thread_time()
                body()
                times[what].append((thread_time() - start) / items * 1e9)
    finally:
        if enabled:
            gc.enable()
    return {what: Timed(tuple(ns)) for what, ns in times.items()}
