"""The ledger of a directory as a hub has it: alone, with the lock of the directory's owner.

An embedded owner lends from the same ledger and settles it by itself. So a directory has an owner or a hub,
never both; either is told which."""

from __future__ import annotations

import os

from fastcheck.directory.lock import HUB, OwnerLock
from fastcheck.directory.path import prepare
from fastcheck.errors import DirectoryError
from fastcheck.hub.store.sqlite import SqliteStore


class DirectoryStore(SqliteStore):
    """`ledger.db` of a directory. Raises `DirectoryError`, also where an embedded owner or another hub has
    the directory."""

    def __init__(self, directory: str | os.PathLike[str], *, pages_max: int | None = None) -> None:
        path = prepare(directory, make=True)
        self._lock = OwnerLock(str(path / "owner.lock"), holder=HUB)
        if not self._lock.acquire():
            who = "another hub" if self._lock.holder() == HUB else "a process that opened it"
            raise DirectoryError(
                path, f"is in use by {who}", "stop that first, or give this hub a directory of its own"
            )
        try:
            super().__init__(path / "ledger.db", pages_max=pages_max)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """As `SqliteStore.close`; then the directory is free."""
        super().close()
        self._lock.release()
