"""Snapshots as files in `<directory>/spool/`: made in a thread from one read of the ledger, read by any
number of hosts in pieces. Memory does not grow with readers: they share one open file and the page cache.

A snapshot stays until nobody reads it and a newer one is there. What is found in the directory at start is of
an earlier process and goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from fastcheck.errors import FastcheckError
from fastcheck.hub.stream.actions import Snapshot
from fastcheck.hub.stream.ledger import Ledger, Position
from fastcheck.hub.stream.ring import Ring

if TYPE_CHECKING:
    from fastcheck.hub.store.statements import StoredCatalog

log = logging.getLogger("fastcheck.hub.spool")

LOOK_S: Final = 1.0
"""Between two looks at whether the newest snapshot is old."""
OUTGROWN_BYTES_MIN: Final = 1 << 20
OUTGROWN_PART: Final = 0.1
"""What came after a snapshot may have so much of its size, and `OUTGROWN_BYTES_MIN` at least."""
AGE_S_MAX: Final = 300.0
"""A snapshot with changes after it is made anew: the log does not go back for ever."""
PAUSE_PER_BUILD: Final = 4.0
"""Between two builds so many times what the last one took: at most a fifth of a core goes into snapshots."""
FILES_MAX: Final = 8
"""Snapshots kept for slow readers; nothing new is made beyond it until one of them is given back."""
NO_SPACE_S: Final = 5.0
"""Before another try where a build failed."""


class Writer(Protocol):
    """Writes a snapshot's file; `_fastcheck.SnapshotWriter`."""

    def add(self, records: bytes) -> None: ...
    def finish(self) -> tuple[int, int]:
        """(customers, bytes of the file). Raises `LedgerError` where the records do not come to the
        digest."""
        ...


MakeWriter = Callable[[str, int, int, int, str, bytes], Writer]
"""(path, epoch, seq, digest, filename, source of the catalog)."""


class File:
    """One snapshot's file. The spool counts its readers, in the loop."""

    __slots__ = ("_fd", "info", "made_at_s", "path", "readers")

    def __init__(self, path: Path, info: Snapshot) -> None:
        self.path = path
        self.info = info
        self.readers = 0
        self.made_at_s = time.monotonic()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes of it; from any thread, until the file is given back."""
        return os.pread(self._fd, size, offset)

    @property
    def etag(self) -> str:
        """Of the whole file, as HTTP wants it."""
        return f'"{self.info.epoch}-{self.info.seq}"'

    def remove(self) -> None:
        """Closes and deletes it."""
        os.close(self._fd)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


class Spool:
    """The newest snapshot, and older ones while they are read."""

    def __init__(
        self,
        directory: Path,
        ledger: Ledger,
        ring: Ring,
        executor: Executor,
        make_writer: MakeWriter,
        now_ms: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._ring = ring
        self._executor = executor
        self._make_writer = make_writer
        self._now_ms = now_ms
        self._newest: File | None = None
        self._files: set[File] = set()
        self._waiting: list[Callable[[File | None, str], None]] = []
        self._wanted = asyncio.Event()
        self._count = 0
        self._next_build_s = 0.0
        self.failed = ""
        """Why the last build failed; "" where it did not."""
        self._prepare()

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for left in self._directory.iterdir():
            left.unlink()

    @property
    def newest(self) -> File | None:
        """The newest snapshot, if there is one of the ledger's epoch."""
        newest = self._newest
        return newest if newest is not None and newest.info.epoch == self._ring.epoch else None

    def open(self, done: Callable[[File | None, str], None]) -> None:
        """Gives a snapshot from which the log goes on, made now if there is none: `done(file, "")`, or
        `done(None, why not)`. Whoever got one gives it back with `give_back`."""
        newest = self.newest
        if newest is not None and newest.info.seq >= self._ring.log_first:
            newest.readers += 1
            done(newest, "")
            return
        self._waiting.append(done)
        self._wanted.set()

    def wake(self) -> None:
        """Looks now whether a snapshot is due."""
        self._wanted.set()

    def give_back(self, file: File) -> None:
        """A reader is done."""
        file.readers -= 1
        self._remove_unread()

    async def run(self) -> None:
        """Makes snapshots when they are due, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), LOOK_S)
            self._wanted.clear()
            if self._due(time.monotonic()):
                began_s = time.monotonic()
                try:
                    made = await loop.run_in_executor(self._executor, self._build)
                except (FastcheckError, OSError) as error:
                    self._build_failed(error)
                else:
                    self._built(made, time.monotonic() - began_s)

    def _due(self, now_s: float) -> bool:
        ring, newest = self._ring, self.newest
        if ring.epoch == 0 or ring.catalog is None or len(self._files) >= FILES_MAX:
            return False
        if self._waiting and (newest is None or newest.info.seq < ring.log_first):
            return not self.failed or now_s >= self._next_build_s
        if now_s < self._next_build_s:
            return False
        if newest is None:
            return True
        since = ring.bytes_since(newest.info.seq)
        if since is None:
            return True
        outgrown = since > max(OUTGROWN_BYTES_MIN, newest.info.size * OUTGROWN_PART)
        return outgrown or (since > 0 and now_s - newest.made_at_s > AGE_S_MAX)

    def _build(self) -> File:
        """In a thread."""
        self._count += 1
        path = self._directory / f"{self._count}.fcs"

        def work(at: Position, catalog: StoredCatalog, chunks: Iterator[bytes]) -> Snapshot:
            writer = self._make_writer(
                str(path), at.epoch, at.seq, at.digest, catalog.filename, catalog.source
            )
            for chunk in chunks:
                writer.add(chunk)
            customers, size = writer.finish()
            return Snapshot(at.epoch, at.seq, at.digest, customers, size, self._now_ms())

        try:
            return File(path, self._ledger.scan(work))
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise

    def _built(self, file: File, took_s: float) -> None:
        self.failed = ""
        self._next_build_s = time.monotonic() + took_s * PAUSE_PER_BUILD
        self._newest = file
        self._files.add(file)
        log.info(
            "a snapshot of change %s: %s customers, %s bytes, %.2f s",
            file.info.seq,
            file.info.customers,
            file.info.size,
            took_s,
        )
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            file.readers += 1
            done(file, "")
        self._remove_unread()

    def _build_failed(self, error: Exception) -> None:
        self.failed = str(error)
        self._next_build_s = time.monotonic() + NO_SPACE_S
        log.error("no snapshot can be made, the last one stays: %s", error)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(None, "the hub cannot make a snapshot at the moment")

    def _remove_unread(self) -> None:
        for file in [one for one in self._files if one.readers <= 0 and one is not self._newest]:
            self._files.discard(file)
            file.remove()

    def close(self) -> None:
        """Removes every file. Nobody may be reading."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(None, "the hub is being stopped")
        for file in self._files:
            file.remove()
        self._files.clear()
        self._newest = None
