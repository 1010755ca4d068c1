"""One process's part in a directory: owner while it holds the lock, else a worker that asks the owner.

The first process to open a directory owns it. The others attach, look every 100 ms whether the lock is free,
and the first to find it so takes over. A forked child starts as a worker and does the same from its first
request on. What an owner does is a `Part`: of a ledger in the directory (`embedded`), or of a hub elsewhere
(`connected`)."""

from __future__ import annotations

import abc
import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from fastcheck.directory.lock import HUB, OwnerLock
from fastcheck.errors import Closed, DirectoryError, FastcheckError, OwnerUnavailable
from fastcheck.host.changes import Change, Ring
from fastcheck.host.socket import OwnerSocket
from fastcheck.host.worker import RETRY_S, OwnerClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastcheck.admin import Admin
    from fastcheck.host.given_catalog import GivenCatalog
    from fastcheck.wire.answers import Status

log = logging.getLogger("fastcheck.host")

TAKEOVER_POLL_S = 0.1
"""Between two looks at the owner's lock."""
REQUEST_TIMEOUT_S = 30.0
"""How long an administrator's request may take, a change of owner included."""
FAILURE_PAUSE_S = 1.0
"""After a takeover or a round that failed."""
CHANGES_WAIT_S_MAX = 5.0
"""How long one question for changes may wait at the owner."""


class Part(Protocol):
    """What an owner does. Used by many threads at once, but for `tick` and `close`."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""

    @property
    def ring(self) -> Ring:
        """The changes of this host."""

    def touch(self, customer: str, pool: str | None) -> bool:
        """The first touch of a pool, or of a customer (None). Raises `FastcheckError`."""

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs a request. Raises `ProtocolError` for one that is not offered."""

    def tick(self) -> float:
        """One round; how many seconds until the next."""

    def close(self) -> None:
        """Ends it; the successor carries on."""

    def in_child(self) -> None:
        """In a forked child: closes what must not be kept open, and touches nothing else."""


PartT = TypeVar("PartT", bound=Part)


class Position(Protocol):
    """A checker, as far as its host looks at it."""

    def _seq(self) -> tuple[int, int]:
        """(epoch, number of the last change) that it sees."""


class Participant(abc.ABC, Generic[PartT]):
    """This process's part in one directory."""

    def __init__(self, directory: Path, *, lease_timeout_s: float = 1.0, may_own: bool = True) -> None:
        self.directory = directory
        self._lease_timeout_s = lease_timeout_s
        self._may_own = may_own
        self._closed = False
        self._begin()
        _PARTICIPANTS.add(self)

    def _begin(self) -> None:
        """The state of a process that has just attached."""
        self._lock = OwnerLock(str(self.directory / "owner.lock"))
        self._client = OwnerClient(str(self.directory / "owner.sock"))
        self._changing = threading.RLock()  # Becoming owner, closing.
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._part: PartT | None = None
        self._server: OwnerSocket | None = None
        self._alarm = ""  # Why the last round or takeover failed; empty once one went well.

    @abc.abstractmethod
    def _play(self, given: GivenCatalog | None) -> PartT:
        """Begins to do what an owner does. The lock is held."""

    @abc.abstractmethod
    def start(self, given: GivenCatalog | None) -> None:
        """Owns the directory if nobody does, else attaches."""

    @abc.abstractmethod
    def admin(self) -> Admin:
        """What administrators do with what this host knows."""

    def serves(self, checker: Position) -> None:
        """Begins to serve a checker."""

    def touch_many(self, customers: Sequence[str]) -> bool:
        """Asks for customers that are not here; False where every customer is here in any case."""
        return False

    def told(self, status: Status, *, connected: bool) -> Status:
        """A checker's status with what its host knows. `connected`: as the arena says."""
        return status

    def wait_ready(self, timeout_s: float | None) -> None:
        """Waits until this host was filled once; at once where it needs no hub for that. Raises `NotYet`."""

    def _take_part(self, given: GivenCatalog | None, how: str) -> None:
        """Owns the directory if nobody does, else finds an owner that answers. `how` one becomes its owner.
        Raises `OwnerUnavailable` where nobody answers, `DirectoryError` where a hub has the directory."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while not (self._may_own and self._own(given)):
            try:
                self._client.try_call("hello", (), REQUEST_TIMEOUT_S)
                return
            except OSError as error:
                if isinstance(error, FastcheckError):
                    raise
                if self._lock.holder() == HUB:
                    raise DirectoryError(
                        self.directory,
                        "is a hub's, which is running",
                        "follow the hub with Entitlements.connect in another directory, or stop it first",
                    ) from error
                # An owner that has just begun, or has just died.
                if time.monotonic() > deadline or not self._may_own:
                    raise OwnerUnavailable(
                        f"{self.directory} has no owner that answers: open it with {how}"
                    ) from error
                time.sleep(RETRY_S)

    @property
    def role(self) -> str:
        """owner or worker."""
        return "worker" if self._part is None else "owner"

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""
        part = self._part
        alarm = (self._alarm,) if self._alarm else ()
        return alarm if part is None else (*part.notes, *alarm)

    def _own(self, given: GivenCatalog | None) -> bool:
        """Takes the directory over if its lock is free."""
        with self._changing:
            if self._part is not None:
                return True
            if self._closed or not self._lock.acquire():
                return False
            part: PartT | None = None
            try:
                part = self._play(given)
                self._server = OwnerSocket(str(self.directory / "owner.sock"), self.handle)
            except BaseException:
                with contextlib.suppress(Exception):
                    if part is not None:
                        part.close()
                self._lock.release()
                raise
            self._part = part
            log.info("process %d owns %s", os.getpid(), self.directory)
            return True

    # Requests.

    def touch(self, customer: str, pool: str | None) -> bool:
        """Asks for a lease, or for a customer; the native module calls this at the first touch. Never longer
        than `lease_timeout`; False where nothing came of it."""
        if self._closed:
            return False
        part = self._part
        try:
            if part is not None:
                return part.touch(customer, pool)
            self._ensure_thread()
            return bool(self._ask("touch", (customer, pool), {}, self._lease_timeout_s))
        except FastcheckError as error:
            what = "no lease of %r for %r: %s" if pool is not None else "customer %r%s is not here: %s"
            log.warning(what, (pool or customer)[:80], customer[:80] if pool is not None else "", error)
            return False

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Runs a request here or at the owner. Raises what it raises, `OwnerUnavailable`, `Closed`."""
        return self.call_within(REQUEST_TIMEOUT_S, method, *args, **kwargs)

    def call_within(self, timeout_s: float, method: str, *args: Any, **kwargs: Any) -> Any:
        """The same, with a bound on how long the owner may take."""
        if self._closed:
            raise Closed(f"{self.directory} was closed: open it again")
        self._ensure_thread()
        return self._ask(method, args, kwargs, timeout_s)

    def _ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            if self._part is not None:
                return self.handle(method, args, kwargs)
            # In slices, because this very process may become the owner meanwhile.
            left_s = deadline - time.monotonic()
            try:
                return self._client.call(method, args, kwargs, min(left_s, timeout_s))
            except OwnerUnavailable:
                if self._part is None:
                    raise

    def handle(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Answers a request as the owner, for this process or another."""
        part = self._part
        if method == "hello":
            return os.getpid()
        if part is None:
            raise OwnerUnavailable("this process is not the owner any more: ask again")
        if method == "changes":
            after, wait_s = args
            found, last = part.ring.read(after, min(float(wait_s), CHANGES_WAIT_S_MAX))
            return [astuple(one) for one in found], last
        if method == "notes":
            return self.notes
        return part.call(method, args, kwargs)

    def changes(self, after: int | None, wait_s: float) -> tuple[list[Change], int]:
        """Changes after a number; see `Ring.read`."""
        found, last = self.call("changes", after, wait_s)
        return [Change(*one) for one in found], last

    # What goes on by itself.

    def _ensure_thread(self) -> None:
        """Starts the thread of this process; a forked child has none at first."""
        if self._thread is None and not self._closed and (self._may_own or self._part is not None):
            with self._changing:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._run, name="fastcheck-host", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        failed = ""
        pause_s = 0.0
        while not self._wake.wait(pause_s):
            try:
                part = self._part
                pause_s = self._try_to_own() if part is None else part.tick()
                failed = self._alarm = ""
            except Exception as error:
                # Once per cause: a full disk fails every round.
                self._alarm = str(error)
                if str(error) != failed:
                    failed = str(error)
                    log.warning("%s: %s", self.directory, error)
                pause_s = FAILURE_PAUSE_S

    def _try_to_own(self) -> float:
        return 0.0 if self._own(None) else TAKEOVER_POLL_S

    def close(self) -> None:
        """Ends this process's part and lets go of the directory; another process takes over. Again:
        nothing."""
        with self._changing:
            if self._closed:
                return
            self._closed = True
        _PARTICIPANTS.discard(self)
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._changing:
            if self._server is not None:
                self._server.close()
            part = self._part
            if part is not None:
                part.close()
                self._part = None
            self._client.close()
            self._lock.release()

    # Around a fork.

    def _in_child(self) -> None:
        """The child is a worker: it never uses its parent's threads, connection or native owner, and never
        lets them be torn down either, which could touch what the parent still uses."""
        _LEAKED.append((self._part, self._thread, self._changing))
        if self._part is not None:
            self._part.in_child()
        if self._server is not None:
            self._server.abandon()
        self._client.close_inherited()
        self._begin()


AnyParticipant = Participant[Any]
"""A host of either kind."""
_PARTICIPANTS: weakref.WeakSet[Participant[Any]] = weakref.WeakSet()
_LEAKED: list[object] = []


def _in_child() -> None:
    for host in list(_PARTICIPANTS):
        host._in_child()


def _at_exit() -> None:
    for host in list(_PARTICIPANTS):
        with contextlib.suppress(Exception):
            host.close()


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
