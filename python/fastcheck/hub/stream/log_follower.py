"""From the change log in the database into the ring: one task per process.

It looks when it is woken (a commit of this process, a NOTIFY of another hub) and every 200 ms anyway, so a
wake-up that is lost costs time and nothing else. What it finds is in the ring before anybody is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

from fastcheck.errors import CatalogError, FastcheckError, LedgerError, ProtocolError
from fastcheck.hub.stream.ledger import Changes, Ledger, Position
from fastcheck.hub.stream.ring import CatalogText, Ring

log = logging.getLogger("fastcheck.hub.tail")

LOOK_S: Final = 0.2
"""Between two looks without a wake-up."""
READ_BYTES: Final = 4 << 20
"""Of the log, in one read."""
CHANGES_PER_READ_FULL: Final = 512
"""A read with so many changes may have more after it: the next look follows at once."""


class Tail:
    """Keeps a ring at the ledger's last change."""

    def __init__(
        self,
        ledger: Ledger,
        ring: Ring,
        executor: Executor,
        *,
        look_s: float = LOOK_S,
        moved: Callable[[], None] = lambda: None,
        sent: Callable[[int], None] = lambda at_ms: None,
    ) -> None:
        """`moved` is called when the ring has changed; `sent` after it, with when each change was stored."""
        self._ledger = ledger
        self._ring = ring
        self._executor = executor
        self._look_s = look_s
        self._moved = moved
        self._sent = sent
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._asked: list[Callable[[], None]] = []
        self._current_at: float | None = None
        self._floor = 0  # Nobody is served changes from before here: the log is not whole there.
        self._failing = False

    @property
    def lag_s(self) -> float | None:
        """How long ago the ring was known to be at the ledger's last change; None: never yet."""
        return None if self._current_at is None else time.monotonic() - self._current_at

    def wake(self) -> None:
        """There is something to see; from any thread."""
        with suppress(RuntimeError):  # The loop is closed: nobody looks any more.
            self._loop.call_soon_threadsafe(self._woken.set)

    def look(self, done: Callable[[], None]) -> None:
        """Calls back after a look that began after this call, successful or not; in the loop."""
        self._asked.append(done)
        self._woken.set()

    async def run(self) -> None:
        """Looks for good, until it is cancelled."""
        while True:
            self._woken.clear()
            asked, self._asked = self._asked, []
            more = False
            try:
                more = await self._once()
                self._recovered()
            except FastcheckError as error:
                self._failed(error)
            for done in asked:
                done()
            if not more:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._look_s)

    async def _once(self) -> bool:
        """One read; whether there may be more."""
        ring = self._ring
        if ring.epoch == 0:
            await self._begin()
        changes = await self._loop.run_in_executor(self._executor, self._ledger.changes, ring.seq, READ_BYTES)
        if changes.epoch != ring.epoch:
            log.warning("the ledger has another epoch: every host starts anew")
            await self._begin()
            return True
        if changes.first_kept > ring.seq + 1:
            log.warning("the change log begins at %s, this hub was at %s", changes.first_kept, ring.seq)
            await self._begin()
            return True
        ring.log_first = max(changes.first_kept - 1, self._floor)
        try:
            return self._append(changes)
        except (LedgerError, ProtocolError) as error:
            log.error("the change log cannot be followed, every host starts anew: %s", error)
            await self._begin()
            self._floor = ring.log_first = ring.seq
            return True

    def _append(self, changes: Changes) -> bool:
        size = 0
        for change in changes.items:
            self._ring.append(change)
            size += len(change.body)
        if changes.items:
            self._moved()
            for change in changes.items:
                self._sent(change.at)
        more = size >= READ_BYTES // 2 or len(changes.items) >= CHANGES_PER_READ_FULL
        if not more:
            self._current_at = time.monotonic()
        return more

    async def _begin(self) -> None:
        """Starts the ring at where the ledger stands."""
        at, catalog = await self._loop.run_in_executor(self._executor, self._stand)
        self._ring.begin(at.epoch, at.seq, at.digest, catalog)
        self._floor = 0
        self._moved()

    def _stand(self) -> tuple[Position, CatalogText | None]:
        try:
            return self._ledger.scan(lambda at, stored, _: (at, CatalogText(stored.filename, stored.source)))
        except CatalogError:
            return self._ledger.position(), None

    def _failed(self, error: FastcheckError) -> None:
        if not self._failing:
            log.error("changes cannot be read, hosts get none meanwhile: %s", error)
        self._failing = True

    def _recovered(self) -> None:
        if self._failing:
            log.warning("changes can be read again")
        self._failing = False
