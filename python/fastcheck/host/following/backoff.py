"""How long to wait before the next attempt: full jitter, so that hosts that lost a hub at once do not come
back at once. Chance and time are arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BASE_MS: Final = 200
"""The first wait is up to this; each further one up to twice as long."""
CAP_MS: Final = 30_000
"""No wait of our own is longer."""
STABLE_MS: Final = 60_000
"""A connection that lasted so long was good: the next wait is short again."""
RETRY_AFTER_MS_MAX: Final = 600_000
"""The longest wait that a hub may ask for."""
DOUBLINGS_MAX: Final = 16
"""More change nothing: the cap is reached long before."""


class Backoff:
    """The waits of one host. `random` gives a number from 0 to 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._connected_at: int | None = None

    def connected(self, now_ms: int) -> None:
        """An attempt succeeded."""
        self._connected_at = now_ms

    def failed(self, now_ms: int, *, retry_after_ms: int = 0, at_least_ms: int = 0) -> int:
        """An attempt failed, or what was connected ended: ms until the next attempt.

        `retry_after_ms`: what the hub asked for; jitter comes on top of it, so that those who were told the
        same do not all come in the same moment. `at_least_ms`: a bound of the caller's."""
        since, self._connected_at = self._connected_at, None
        if since is not None and now_ms - since >= STABLE_MS:
            self._failures = 0
        bound_ms = min(CAP_MS, BASE_MS << min(self._failures, DOUBLINGS_MAX))
        self._failures += 1
        asked_ms = min(max(retry_after_ms, 0), RETRY_AFTER_MS_MAX)
        return max(at_least_ms, asked_ms + int(self._random() * bound_ms))
