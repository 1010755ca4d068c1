"""Which denied requests are written to the audit log: enough to see who tries what, never so many that who
is refused can fill it."""

from __future__ import annotations

import threading
from typing import Final

WINDOW_MS: Final = 60_000
PER_SOURCE_MAX: Final = 10
"""Rows of one source in one window."""
IN_ALL_MAX: Final = 300
"""Rows of all sources in one window: an attacker may have many addresses. Also how many are remembered."""


class Denials:
    """Counts by source, in fixed windows of a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, int] = {}
        self._written = 0
        self._dropped = 0

    def admit(self, source: str, now: int) -> int | None:
        """None: this one is dropped. Else it is to be written, with this number of those that were dropped
        before."""
        with self._lock:
            window = now // WINDOW_MS
            if window != self._window:
                self._window, self._counts, self._written = window, {}, 0
            count = self._counts.get(source, 0)
            if count >= PER_SOURCE_MAX or self._written >= IN_ALL_MAX:
                self._dropped += 1
                return None
            self._counts[source] = count + 1
            self._written += 1
            return self._take()

    def left(self, now: int) -> int:
        """How many were dropped in windows that are over, if nobody has told of them: the caller does."""
        with self._lock:
            return self._take() if now // WINDOW_MS != self._window else 0

    def _take(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped
