"""PostgreSQL: one transaction per job, in the thread that asks.

A job is run again from its beginning where PostgreSQL undid it for another's sake (serialization, deadlock, a
lock that did not come) or the connection was lost before the commit was sent. A commit that was sent and not
answered is not repeated: it raises `OutcomeUnknown`.

Forking: the child's store says `Closed`; its parent's connections are forgotten there, not closed."""

from __future__ import annotations

import os
import random
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy import exc as failures
from sqlalchemy.pool import NullPool

from fastcheck.errors import Closed, FastcheckError, OutcomeUnknown, StoreError
from fastcheck.hub.store import Again, Job, migrate
from fastcheck.hub.store.answer import Pending
from fastcheck.hub.store.election import Elected
from fastcheck.hub.store.postgres_election import PostgresElected

Answer = TypeVar("Answer")

CONNECTIONS = 4
"""Open at most, and so the jobs that run at once."""
CONNECTION_WAIT_S = 30.0
"""How long a job waits for a connection of the pool."""
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
IDLE_TIMEOUT_MS = 60_000
"""After which PostgreSQL ends a transaction whose process hangs, so that others get its locks."""
ATTEMPTS = 6
"""The first included."""
UNIQUE_ATTEMPTS = 3
"""Of a job that met a key somebody else had just made: run again it finds the key. Then it is an error."""
PAUSE_S = 0.02
"""Before the second attempt, at most; twice as long before each further one."""
LOST_PAUSE_S = 0.1
"""The same after a lost connection, long enough for a server to start again."""

KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Of connections on which nothing is asked for long: within a minute it is noticed that the server went away
without a word."""

_SETTINGS = {
    "synchronous_commit": "on",
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
}
_UNIQUE = "23505"
_AGAIN = ("40001", "40P01", "55P03", _UNIQUE)
"""serialization failure, deadlock, lock not available, unique violation."""
_LOST = ("08", "57P01", "57P02", "57P03", "53300")
"""How the codes begin of a connection that is lost or not to be had at present."""
_NOT_NOW = ("the database system is", "too many", "remaining connection slots")


class PostgresStore:
    """The ledger in a PostgreSQL database. Raises `StoreError` where it cannot be used."""

    dialect = "postgresql"

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        """Connects, and makes or migrates the tables. `url`: ``postgresql://user@host/database``."""
        self.place = url
        self._pid = os.getpid()
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None
        self._connections = connections
        self._engine = self._make_engine(url)
        _OPEN.add(self)
        try:
            if not self.read(lambda connection: migrate.newest(connection, self._refused)):
                self.run(lambda connection: migrate.migrate(connection, self._refused))
        except BaseException:
            self.close()
            raise

    def run(self, job: Job[Answer]) -> Answer:
        """Runs a job in one transaction and commits it. Raises what the job raised, `StoreError`, and
        `OutcomeUnknown` where the connection broke during the commit."""
        return self._attempted(lambda: self._write(job))

    def read(self, job: Job[Answer]) -> Answer:
        """Runs a job that changes nothing; it sees one instant."""
        return self._attempted(lambda: self._look(job))

    def scan(self, job: Job[Answer]) -> Answer:
        """As `read`. It keeps one of the connections busy; what is fetched is bounded where the job asks for
        `stream_results`."""
        return self.read(job)

    def elect(self, name: str) -> Elected:
        """As `Store.elect`, over a connection of its own that is not one of the pool's."""
        self._check_open()
        arguments = {**KEEPALIVE, **connect_arguments(self._engine.url)}
        engine = create_engine(
            self._engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=arguments
        )
        return PostgresElected(engine, name)

    def submit(self, job: Job[Answer]) -> Pending[Answer]:
        """Runs a job in a thread of the store's."""
        self._check_open()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._connections, "fastcheck-ledger")
        pending: Pending[Answer] = Pending()
        self._threads.submit(self._fulfil, job, pending)
        return pending

    def close(self) -> None:
        """Finishes what was submitted, then closes the connections. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        _OPEN.discard(self)
        if self._pid == os.getpid():
            if self._threads is not None:
                self._threads.shutdown()
            self._engine.dispose()

    def _check_open(self) -> None:
        if self._closed or self._pid != os.getpid():
            raise Closed(f"{self.place} is closed in this process: open it again")

    def _fulfil(self, job: Job[Answer], pending: Pending[Answer]) -> None:
        try:
            answer = self._attempted(lambda: self._write(job), submitted=True)
        except BaseException as error:
            pending.set_exception(error)
        else:
            pending.set_result(answer)

    # One attempt, and when to make another.

    def _write(self, job: Job[Answer]) -> Answer:
        with self._engine.connect() as connection:
            answer = job(connection)
            try:
                connection.commit()
            except failures.DBAPIError as error:
                # PostgreSQL answers a commit that it refuses; one without an answer may have been done.
                if _is_lost(error):
                    raise OutcomeUnknown(
                        f"{self.place}: the connection was lost during a commit, so the change may or may "
                        "not be stored; ask again with the same idempotency key"
                    ) from error
                raise
            return answer

    def _look(self, job: Job[Answer]) -> Answer:
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return job(connection)

    def _attempted(self, attempt: Callable[[], Answer], *, submitted: bool = False) -> Answer:
        if not submitted:
            self._check_open()
        made = 0
        while True:
            made += 1
            try:
                return attempt()
            except (failures.SQLAlchemyError, Again) as error:
                pause_s = _pause_s(error, made)
                if pause_s is None:
                    raise self._explained(error) from error
            time.sleep(pause_s * random.uniform(0.5, 1.0))

    # The server.

    def _make_engine(self, url: str) -> Engine:
        parsed = psycopg_url(url)
        self.place = parsed.set(drivername="postgresql").render_as_string()
        try:
            return create_engine(
                parsed,
                isolation_level="READ COMMITTED",
                pool_size=self._connections,
                max_overflow=0,
                pool_timeout=CONNECTION_WAIT_S,
                connect_args=connect_arguments(parsed),
            )
        except ImportError as error:
            raise StoreError(
                self.place,
                f"PostgreSQL's driver is not installed ({error})",
                "install it with pip install 'fastcheck[postgres]'",
            ) from error

    def _refused(self, what: str, what_to_do: str) -> StoreError:
        return StoreError(self.place, what, what_to_do)

    def _explained(self, error: BaseException) -> FastcheckError:
        """The database's errors as ours, with what to do."""
        cause = error.orig if isinstance(error, failures.DBAPIError) and error.orig is not None else error
        text, code = " ".join(str(cause).split()), _code(error)
        by_code = (remedy for begin, remedy in _CODES if code.startswith(begin))
        by_text = (remedy for part, remedy in _TEXTS if part in text)
        remedy = next(by_code, None) or next(by_text, _NOTHING_CHANGED)
        return StoreError(self.place, text or "the job was overtaken too often", remedy)

    # Around a fork.

    def _in_child(self) -> None:
        self._closed = True
        self._threads = None
        self._engine.dispose(close=False)


def psycopg_url(url: str) -> URL:
    """The URL of a ledger, for SQLAlchemy. Raises `StoreError`."""
    try:
        parsed = make_url(url)
    except failures.ArgumentError as error:
        raise StoreError("the ledger's URL", str(error), _WRITE_URL) from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise StoreError(parsed.render_as_string(), "is not PostgreSQL", _WRITE_URL)
    return parsed.set(drivername="postgresql+psycopg")


def connect_arguments(url: URL) -> dict[str, Any]:
    """How every connection of ours is set up, as the URL leaves it open."""
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    asked = url.normalized_query.get("options", ())
    arguments: dict[str, Any] = {"options": " ".join((settings, *asked))}
    for name, value in (("application_name", "fastcheck"), ("connect_timeout", CONNECT_TIMEOUT_S)):
        if name not in url.query:
            arguments[name] = value
    return arguments


def _code(error: BaseException) -> str:
    """The SQLSTATE; empty where PostgreSQL said nothing, as for a connection that broke."""
    cause = error.orig if isinstance(error, failures.DBAPIError) else None
    return getattr(cause, "sqlstate", None) or ""


def _is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or could not be had at present."""
    if not isinstance(error, failures.OperationalError | failures.InterfaceError):
        return False
    code, text = _code(error), str(error.orig)
    if code:
        return code.startswith(_LOST)
    if "FATAL" in text:  # An answer to an attempt to connect, without its code.
        return any(part in text for part in _NOT_NOW)
    return error.connection_invalidated or "connect" in text


def _pause_s(error: BaseException, made: int) -> float | None:
    """How long to wait before another attempt after `made`; None: there shall be none."""
    code = _code(error)
    if made >= (UNIQUE_ATTEMPTS if code == _UNIQUE else ATTEMPTS):
        return None
    if isinstance(error, Again) or code in _AGAIN:
        return float(PAUSE_S * 2 ** (made - 1))
    return float(LOST_PAUSE_S * 2 ** (made - 1)) if _is_lost(error) else None


_NOTHING_CHANGED = "nothing was changed; check the database, then try again"
_NO_CONNECTION_LEFT = "the server has no connection left: raise its max_connections, or use fewer hubs"
_WRITE_URL = "write it as postgresql://user:password@host:5432/database"
_CODES = (
    ("28", "check the user and the password in the URL, and pg_hba.conf"),
    ("3D000", "make the database with createdb, or name another in the URL"),
    ("42501", "give the user the right to create and use tables in this schema"),
    ("25006", "the server is a standby or read-only: name the primary in the URL"),
    ("53100", "nothing was changed; free some space on the server, then try again"),
    ("53300", _NO_CONNECTION_LEFT),
    ("57014", "nothing was changed; a statement took longer than it may: look for what blocks the server"),
    ("55P03", "nothing was changed; another transaction holds the rows: look for one that hangs"),
)
_TEXTS = (  # For an answer to an attempt to connect, which has no code.
    ("password", "check the user and the password in the URL, and pg_hba.conf"),
    ("does not exist", "make what is missing, or name another in the URL"),
    ("resolve", "check the host in the URL"),
    ("QueuePool", "every connection is busy: ask less at once, or allow the store more connections"),
    ("remaining connection slots", _NO_CONNECTION_LEFT),
    ("too many", _NO_CONNECTION_LEFT),
    ("connect", "nothing was changed; check that the server runs and can be reached, then try again"),
)

_OPEN: weakref.WeakSet[PostgresStore] = weakref.WeakSet()


def _in_child() -> None:
    for store in list(_OPEN):
        store._in_child()


os.register_at_fork(after_in_child=_in_child)
