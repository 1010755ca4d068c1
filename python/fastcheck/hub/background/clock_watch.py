"""Looks after the clock of a hub or an owner: a step is noticed though nothing asks for the time, and a clock
that is behind what the ledger has seen is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastcheck.clock import Clock
from fastcheck.directory.clock import GRAVE, SteadyClock, length, shown
from fastcheck.hub.service import Service
from fastcheck.steady import STEP_MS, Told

NEWEST_MS: Final = 10_000
"""Between two looks at what the ledger has seen."""

Tell = Callable[[str, bool], None]
"""Tells an operator something; and whether the ledger's time may have been wrong."""


class ClockWatch:
    """One clock and one ledger, looked at in rounds."""

    def __init__(self, service: Service, clock: Clock, tell: Tell) -> None:
        self._service: Final = service
        self._clock: Final = clock
        self._tell: Final = tell
        self._looked_at: int | None = None
        self._behind = False

    def begin(self) -> None:
        """Tells from now on; and what was found since the clock was made."""
        if isinstance(self._clock, SteadyClock):
            self._clock.listen(self._hear)

    def look(self) -> None:
        """One look. Raises where the ledger cannot be read."""
        if isinstance(self._clock, SteadyClock):
            self._clock.keep()
        now = self._clock.now_ms()
        if self._looked_at is not None and abs(now - self._looked_at) < NEWEST_MS:
            return
        self._looked_at = now
        newest = self._service.due.newest_instant()
        behind = newest - now > STEP_MS
        if behind and not self._behind:
            self._tell(
                f"the clock is {length(newest - now)} behind the ledger: by it it is {shown(now)}, and the "
                f"ledger was written to at {shown(newest)}. This clock or that of another hub is wrong: set "
                "it right, and if the ledger was ahead run `fastcheck clock repair`",
                True,
            )
        self._behind = behind

    def _hear(self, told: Told, words: str) -> None:
        self._tell(words, told.word in GRAVE)
