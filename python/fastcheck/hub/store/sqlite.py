"""`ledger.db`: one SQLite file, one connection, one thread that uses it.

The thread does: take everything that waits; begin; run each job in its own savepoint; commit, with the file
synced; then answer the callers. So a caller that has its answer has it on disk, and while one commit waits
for the disk the next batch gathers: no timer is needed, and a lone caller is not kept waiting.

A job that fails is undone alone. A commit that fails undoes the batch and every caller of it is told.
SQLAlchemy speaks to the driver in autocommit, so that the transactions are the ones that stand here.

The file is inspected from when it is opened (`soundness`). From the moment at which it is found damaged
nothing is read from it or written to it. A file that was removed or replaced under us takes no commit.

Forking: the connection is closed before a fork and opened again after it, because SQLite's locks and its view
of them do not survive one. The child has no connection, no thread, and a store that says `Closed`."""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from fastcheck.errors import Closed, DirectoryError
from fastcheck.hub.store import Job, migrate
from fastcheck.hub.store.answer import Pending
from fastcheck.hub.store.election import Alone, Elected
from fastcheck.hub.store.soundness import (
    LOOKED_THROUGH_BYTES_MAX,
    MENDING,
    Identity,
    Inspection,
    damage_in,
    identity,
    is_damage,
    wal_of,
)

Answer = TypeVar("Answer")

BATCH_JOBS_MAX = 256
"""Jobs in one commit: bounds how long the first of them waits."""
QUEUE_JOBS_MAX = 65_536
"""Jobs that may wait; callers beyond it wait for a place."""
QUEUE_PAUSE_S = 0.001
"""Between two looks for a place."""
BUSY_TIMEOUT_S = 5.0
"""How long another process (a backup, a shell) may hold the file locked."""


_Task = tuple[Callable[[Connection], Any], Pending[Any], bool]
"""A job, its answer, and whether it may write."""
_MEMORY = ":memory:"


class SqliteStore:
    """The file and its writer. Raises `DirectoryError` where the file cannot be used."""

    dialect = "sqlite"

    def __init__(self, path: str | os.PathLike[str], *, pages_max: int | None = None) -> None:
        """Opens or makes the file, mode 0600. `pages_max` bounds its size (4 KiB pages)."""
        self.path = Path(path)
        self._in_memory = os.fspath(path) == _MEMORY
        self._pages_max = pages_max
        self._pid = os.getpid()
        # Simple, because a signal handler may submit in the middle of a submission.
        self._queue: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._gate = threading.Lock()  # Held while the connection is in use; a fork waits for it.
        self._closed = False
        self._connection: Connection | None = None
        self._file: Identity | None = None  # Of the file and its log, as they were opened.
        self._wal: Identity | None = None
        self._damage: str | None = None
        self._inspection: Inspection | None = None
        self._engine = create_engine("sqlite://", creator=self._open, poolclass=NullPool)
        self._reader = create_engine("sqlite://", creator=self._open_to_read, poolclass=NullPool)
        with self._gate:
            connection = self._connect()
            if not self._in_memory:
                self._inspect(connection)
        self._thread = threading.Thread(target=self._run, name="fastcheck-ledger", daemon=True)
        self._thread.start()
        _OPEN.add(self)

    @classmethod
    def in_memory(cls) -> SqliteStore:
        """A ledger without a file, gone when it is closed: for tests and demos."""
        return cls(_MEMORY)

    def submit(self, job: Job[Answer]) -> Pending[Answer]:
        """Runs a job in the next commit; the future is done when that commit is on disk."""
        return self._submit(job, writes=True)

    def _submit(self, job: Job[Answer], *, writes: bool) -> Pending[Answer]:
        if self._closed or self._pid != os.getpid():
            raise Closed(f"{self.path} is closed in this process: open the directory again")
        if threading.current_thread() is self._thread:
            raise RuntimeError("a job asks its own store for another job: it would wait for itself")
        future: Pending[Answer] = Pending()
        while self._queue.qsize() >= QUEUE_JOBS_MAX:
            time.sleep(QUEUE_PAUSE_S)
        self._queue.put((job, future, writes))
        if self._closed:
            self._refuse_waiting()
        return future

    def run(self, job: Job[Answer]) -> Answer:
        """`submit` and wait."""
        return self.submit(job).result()

    def read(self, job: Job[Answer]) -> Answer:
        """Runs a job that changes nothing, also while another program holds the file for writing. There is
        one connection, and what it reads is of one instant anyway."""
        return self._submit(job, writes=False).result()

    def scan(self, job: Job[Answer]) -> Answer:
        """Runs a job that changes nothing over a connection of its own, which sees the file as it is when
        the job begins. Until it ends the write-ahead log cannot be reused, and grows with what is written."""
        if self._in_memory:
            return self.read(job)
        if self._closed or self._pid != os.getpid():
            raise Closed(f"{self.path} is closed in this process: open the directory again")
        self.check()
        try:
            connection = self._reader.connect()
            try:
                connection.exec_driver_sql("BEGIN")
                return job(connection)
            finally:
                connection.close()
        except (DBAPIError, sqlite3.Error) as error:
            found = str(error.orig if isinstance(error, DBAPIError) else error)
            if is_damage(found):
                self._damage = self._damage or found
            raise self._explained(error) from error

    def elect(self, name: str) -> Elected:
        """As `Store.elect`: a file has one hub, which is elected for everything."""
        return Alone()

    def inspected(self) -> None:
        """Waits until every page was read. Raises as `check`."""
        if self._inspection is not None:
            self._inspection.wait()
        self.check()

    def check(self) -> None:
        """Raises `DirectoryError` where the file was found damaged, or is not in its place any more."""
        if self._damage is not None:
            raise DirectoryError(self.path, self._damage, MENDING)
        if not self._in_memory and identity(self.path) != self._file:
            raise self._displaced()

    def close(self) -> None:
        """Finishes what waits, then closes the file. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        _OPEN.discard(self)
        if self._pid != os.getpid():
            return
        self._queue.put(None)
        self._thread.join()
        self._refuse_waiting()
        if self._inspection is not None:
            self._inspection.stop()
        with self._gate:
            self._disconnect()

    def _refuse_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                task = self._queue.get_nowait()
                if task is not None:
                    task[1].set_exception(Closed(f"{self.path} was closed"))

    # The writer's thread.

    def _run(self) -> None:
        while True:
            tasks = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(tasks) < BATCH_JOBS_MAX and tasks[-1] is not None:
                    tasks.append(self._queue.get_nowait())
            batch = [task for task in tasks if task is not None]
            if batch:
                with self._gate:
                    self._commit(batch)
            if tasks[-1] is None:
                return

    def _commit(self, batch: list[_Task]) -> None:
        answers: list[tuple[Pending[Any], Any]] = []
        failures: list[tuple[Pending[Any], BaseException]] = []
        try:
            self.check()
            if not self._in_memory and identity(wal_of(self.path)) != self._wal:
                # Only the last connection brings what the lost log holds into the file; another log begins.
                if self._inspection is not None:
                    self._inspection.stop()
                self._disconnect()
            connection = self._connection or self._connect()
            # Who only reads needs no lock, so that another program's does not keep it waiting.
            writes = any(one[2] for one in batch)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
            for job, future, _ in batch:
                connection.exec_driver_sql("SAVEPOINT job")
                try:
                    answer = job(connection)
                except BaseException as error:
                    # A full disk undoes the whole transaction, and so every job of this batch.
                    if not _in_transaction(connection):
                        raise
                    connection.exec_driver_sql("ROLLBACK TO job")
                    connection.exec_driver_sql("RELEASE job")
                    failures.append((future, error))
                else:
                    connection.exec_driver_sql("RELEASE job")
                    answers.append((future, answer))
            self._check_place()
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            self._undo()
            failures = [(one[1], error) for one in batch]
            answers = []
        for future, failure in failures:
            if isinstance(failure, DBAPIError) and is_damage(str(failure.orig)):
                self._damage = self._damage or str(failure.orig)
            future.set_exception(self._explained(failure))
        for future, answer in answers:
            future.set_result(answer)

    def _check_place(self) -> None:
        """Right before a commit: whether it would go where the next process looks."""
        if self._in_memory:
            return
        self.check()
        if identity(wal_of(self.path)) != self._wal:
            raise DirectoryError(
                wal_of(self.path), "was removed or replaced during a commit", "nothing was lost; try again"
            )

    def _displaced(self) -> DirectoryError:
        there = identity(self.path) is not None
        return DirectoryError(
            self.path,
            f"was {'replaced' if there else 'removed'} while it was in use; nothing was written",
            "put it back, or stop all that use the directory and open it again",
        )

    def _undo(self) -> None:
        connection = self._connection
        if connection is not None and _in_transaction(connection):
            with contextlib.suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")

    # The file.

    def _connect(self) -> Connection:
        try:
            connection = self._engine.connect()
        except (OSError, DBAPIError) as error:
            raise self._explained(error) from error
        try:
            self._migrate(connection)
        except BaseException as error:
            connection.close()
            raise self._explained(error) from error
        self._connection = connection
        if not self._in_memory:
            self._file, self._wal = identity(self.path), identity(wal_of(self.path))
        return connection

    def _inspect(self, connection: Connection) -> None:
        if self.path.stat().st_size <= LOOKED_THROUGH_BYTES_MAX:
            driver = connection.connection.dbapi_connection
            assert isinstance(driver, sqlite3.Connection)
            try:
                found = damage_in(driver, thoroughly=False)
            except sqlite3.Error as error:
                self._disconnect()
                raise self._explained(error) from error
            if found is not None:
                self._disconnect()
                raise DirectoryError(self.path, found, MENDING)
        self._inspection = Inspection(self.path, self._found)

    def _found(self, damage: str) -> None:
        self._damage = damage

    def _open(self) -> sqlite3.Connection:
        if not self._in_memory:
            # Made with its mode before SQLite sees it, so that it is never readable by others, not even
            # briefly; the write-ahead log and its index take the mode of the file.
            if self._file is None:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            elif identity(self.path) != self._file:
                # Never made a second time: that were an empty ledger where there was a full one.
                raise self._displaced()
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if self._pages_max is not None:
                connection.execute(f"PRAGMA max_page_count = {int(self._pages_max)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        place = f"file:{quote(str(self.path))}?mode=ro"
        return sqlite3.connect(
            place, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    def _migrate(self, connection: Connection) -> None:
        def refuse(what: str, what_to_do: str) -> DirectoryError:
            return DirectoryError(self.path, what, what_to_do)

        if migrate.newest(connection, refuse):
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        migrate.migrate(connection, refuse)
        connection.exec_driver_sql("COMMIT")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError, sqlite3.Error):
                connection.close()

    def _explained(self, error: BaseException) -> BaseException:
        """SQLite's and the system's errors as ours, with what to do; others as they are."""
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        if isinstance(error, UnicodeDecodeError):
            return DirectoryError(self.path, f"a text that is none: {error.reason}", MENDING)
        if isinstance(error, DirectoryError) or not isinstance(error, (OSError, sqlite3.Error)):
            return error
        text = str(error)
        unknown = "nothing was changed; check the disk and the file, then try again"
        what_to_do = next((remedy for part, remedy in _REMEDIES if part in text), unknown)
        found = DirectoryError(self.path, text, what_to_do)
        found.__cause__ = error
        return found

    # Around a fork.

    def _before_fork(self) -> None:
        if self._inspection is not None:
            self._inspection.stop()
        self._gate.acquire()
        if not self._in_memory:
            self._disconnect()

    def _after_fork(self, *, child: bool) -> None:
        if child:
            self._closed = True
            self._gate = threading.Lock()
        else:
            self._gate.release()  # The next batch opens the connection again.
            if self._inspection is not None and not self._inspection.finished:
                self._inspection = Inspection(self.path, self._found)


_REMEDIES = (
    ("is full", "nothing was changed; free some space, then try again"),
    ("No space left", "nothing was changed; free some space, then try again"),
    ("readonly", "the ledger cannot be written; give this user write access to the file and its directory"),
    ("Permission denied", "give this user read and write access, or use another directory"),
    ("Read-only file system", "use a directory on a writable file system"),
    ("Is a directory", "a directory stands where the ledger file belongs; move it away"),
    ("Not a directory", "a file stands where a directory is expected; name a directory"),
    ("No such file", "the directory does not exist any more; make it, or restore it from a backup"),
    ("Too many levels", "a symbolic link stands where the ledger file belongs; remove it"),
    ("not a database", "the file is damaged or is not ours; move it away and restore a backup"),
    ("malformed", MENDING),
    ("unable to open", "check that the directory exists and that this user may write in it"),
    ("locked", "another program holds the ledger; close it, then try again"),
    ("I/O error", "the disk failed; check it, and restore a backup if the file is damaged"),
)


def _in_transaction(connection: Connection) -> bool:
    """Whether the driver is in one, whatever SQLAlchemy thinks."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver.in_transaction


_OPEN: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_PAUSED: list[SqliteStore] = []


def _before_fork() -> None:
    _PAUSED.extend(_OPEN)
    for store in _PAUSED:
        store._before_fork()


def _after_fork(*, child: bool) -> None:
    while _PAUSED:
        _PAUSED.pop()._after_fork(child=child)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(child=False),
    after_in_child=lambda: _after_fork(child=True),
)
