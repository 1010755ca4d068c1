"""Whether a ledger's file is whole, and still the one that was opened.

SQLite itself notices neither that its file was moved away under it (it goes on writing to what has no name
any more) nor a damaged page that it happens not to read."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

log = logging.getLogger("fastcheck.store")

LOOKED_THROUGH_BYTES_MAX = 16 << 20
"""A file up to this size is looked through before it is used, which takes some 3 ms for each MiB. Every file
is inspected beside its use, which takes some 17 ms for each MiB, on what nobody else wants of a processor."""
LAZIEST = 19
MENDING = "the file is damaged; stop all that use it, move it away with its -wal and restore a backup"

Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Which file a name stands for; None for none."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def wal_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def is_damage(text: str) -> bool:
    """Whether an error of SQLite's says that the file itself is wrong."""
    return "malformed" in text or "not a database" in text


def damage_in(connection: sqlite3.Connection, *, thoroughly: bool) -> str | None:
    """Reads every page: what is wrong with the first that is; None for a whole file. Raises
    `sqlite3.OperationalError` where it was interrupted or the disk failed.

    Found are pages that cannot be what they should (trees, free lists, rows that break a constraint such as
    that of the sums of a grant) and, if it is done `thoroughly`, indexes that are not those of their tables;
    not a bit that makes one valid value of another."""
    try:
        check = "integrity_check" if thoroughly else "quick_check"
        found = connection.execute(f"PRAGMA {check}(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found[0] == "ok" else " ".join(str(found[0]).split())[:400]


class Inspection:
    """Inspects a file in a thread of its own, over a connection of its own."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        """`tell` is called with what is wrong, if anything is."""
        self._path = path
        self._tell = tell
        self._stopping = False
        self._connection: sqlite3.Connection | None = None
        self.finished = False
        """Whether every page was read."""
        self._thread = threading.Thread(target=self._run, name="fastcheck-inspection", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it, finished or not, and waits for that."""
        self._stopping = True
        while self._thread.is_alive():
            connection = self._connection
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.interrupt()
            self._thread.join(0.005)

    def wait(self) -> None:
        """Waits until it has come to its end."""
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LAZIEST)
        place = f"file:{quote(str(self._path))}?mode=ro"
        connection = sqlite3.connect(place, uri=True, check_same_thread=False)
        try:
            self._connection = connection
            found = None if self._stopping else damage_in(connection, thoroughly=True)
            self.finished = not self._stopping
            if found is not None:
                self._tell(found)
        except sqlite3.OperationalError as error:
            if not self._stopping:
                log.warning("%s was not inspected: %s", self._path, error)
        finally:
            connection.close()
