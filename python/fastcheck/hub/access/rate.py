"""How often something may happen: token buckets, and turns for those who come too early.

The bucket is the generic cell rate algorithm: one instant per bucket says when it would be empty of debt, so
nothing has to be refilled by a timer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEYS_MAX: Final = 65_536
"""Buckets that are remembered; the one used longest ago is forgotten first, which makes it full again."""
TURN_MS_MAX: Final = 20_000
"""A turn is at most so far ahead: how long things take is a guess, and asking again costs little."""


class Buckets:
    """A bucket per key, each with the rate it is asked for with."""

    def __init__(self, burst_s: float = 2.0, keys_max: int = KEYS_MAX) -> None:
        """`burst_s`: how many seconds' worth may come at once."""
        self._burst_s = burst_s
        self._keys_max = keys_max
        self._debt_ends_at: OrderedDict[object, float] = OrderedDict()

    def take(self, key: object, per_s: float, now_s: float) -> float:
        """Takes one of `key`; 0 where there was one, else in how many seconds there will be one.
        `per_s` is at least one in a day, whatever is asked."""
        step = 1.0 / max(per_s, 1 / 86_400)
        # At least one whole event fits, whatever the rate.
        room = max(self._burst_s, step)
        ends_at = max(self._debt_ends_at.get(key, now_s), now_s) + step
        wait_s = ends_at - room - now_s
        if wait_s > 1e-9:
            return wait_s
        self._debt_ends_at[key] = ends_at
        self._debt_ends_at.move_to_end(key)
        if len(self._debt_ends_at) > self._keys_max:
            self._debt_ends_at.popitem(last=False)
        return 0.0


class Turns:
    """Tells those who cannot be served when to come again, each at another instant, in the order in which
    they came."""

    def __init__(self) -> None:
        self._next_at_ms = 0.0

    def give(self, now_ms: int, step_ms: float, after_ms: float = 0.0) -> int:
        """In how many ms the next turn is: one each `step_ms`, none before `after_ms` from now."""
        self._next_at_ms = max(self._next_at_ms + step_ms, now_ms + after_ms)
        ahead = self._next_at_ms - now_ms
        if ahead > TURN_MS_MAX:  # Turns begin again in the later half, so that those so far out stay spread.
            self._next_at_ms = now_ms + TURN_MS_MAX / 2
            ahead = TURN_MS_MAX / 2
        return max(int(ahead), 1)
