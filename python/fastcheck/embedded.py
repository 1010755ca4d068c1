"""One process's part in a directory: owner while it holds the lock, else a worker that asks the owner.

The first process to open a directory owns it. The others attach, look every 100 ms whether the lock is free,
and the first to find it so takes over. A forked child starts as a worker and does the same from its first
request on."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .changes import Change
from .clock import Clock, ManualClock
from .errors import CatalogError, Closed, DirectoryError, FastcheckError, OwnerUnavailable, WrongType
from .owner_lock import HUB, OwnerLock
from .owner_socket import OwnerSocket
from .worker import RETRY_S, OwnerClient

if TYPE_CHECKING:  # Only an owner loads the hub, see `_load_hub`.
    from .hub.product import CatalogLike
    from .hub.store.sqlite import SqliteStore
    from .owner import Arena, Owner
    from .owner.courier import CourierThread

log = logging.getLogger("fastcheck.host")

TAKEOVER_POLL_S = 0.1
"""Between two looks at the owner's lock."""
REQUEST_TIMEOUT_S = 30.0
"""How long an administrator's request may take, a change of owner included."""
CATALOG_FILE_BYTES_MAX = 16 << 20
"""Bytes of a catalog file; the core has the same bound."""
FAILURE_PAUSE_S = 1.0
"""After a takeover or a round that failed."""

Parse = Callable[[bytes, str], "CatalogLike"]
MakeArena = Callable[[str, "CatalogLike", int], "Arena"]


@dataclass(frozen=True)
class GivenCatalog:
    """A catalog with the text it came from."""

    catalog: CatalogLike
    source: bytes
    filename: str


def read_catalog(catalog: object, parse: Parse) -> GivenCatalog | None:
    """A catalog as callers give it: a path, its text (more than one line, or JSON), or bytes. Raises
    `CatalogError`, `DirectoryError`, `WrongType`."""
    if catalog is None:
        return None
    if isinstance(catalog, bytes):
        return GivenCatalog(parse(catalog, "<catalog>"), catalog, "<catalog>")
    if isinstance(catalog, str) and ("\n" in catalog or catalog.lstrip().startswith("{")):
        try:
            text = catalog.encode("utf-8")
        except UnicodeEncodeError as error:
            raise CatalogError(
                [f"<catalog>: a lone surrogate at position {error.start}: not Unicode text"]
            ) from error
        return GivenCatalog(parse(text, "<catalog>"), text, "<catalog>")
    if isinstance(catalog, (str, os.PathLike)):
        path = os.fspath(catalog)
        try:
            with open(path, "rb") as file:
                data = file.read(CATALOG_FILE_BYTES_MAX + 1)
        except (OSError, ValueError) as error:
            raise DirectoryError(
                str(path)[:400], f"the catalog cannot be read: {error}", "name a catalog file"
            ) from error
        if len(data) > CATALOG_FILE_BYTES_MAX:
            raise CatalogError([f"{path}: over {CATALOG_FILE_BYTES_MAX} bytes: split the product"])
        return GivenCatalog(parse(data, str(path)), data, str(path))
    source = getattr(catalog, "source", None)
    if isinstance(source, bytes):
        return GivenCatalog(catalog, source, "<catalog>")  # type: ignore[arg-type]
    raise WrongType(f"catalog must be a path, text or bytes, not {type(catalog).__name__}")


class Host:
    """This process's part in one directory."""

    def __init__(
        self,
        directory: Path,
        *,
        parse: Parse,
        make_arena: MakeArena,
        clock: Clock,
        lease_timeout_s: float = 1.0,
        may_own: bool = True,
    ) -> None:
        self.directory = directory
        self._parse = parse
        self._make_arena = make_arena
        self._clock = clock
        self._lease_timeout_s = lease_timeout_s
        self._may_own = may_own
        self._closed = False
        self._catalog_digest: str | None = None
        self._begin()
        _HOSTS.add(self)

    def _begin(self) -> None:
        """The state of a process that has just attached."""
        self._lock = OwnerLock(str(self.directory / "owner.lock"))
        self._client = OwnerClient(str(self.directory / "owner.sock"))
        self._changing = threading.RLock()  # Becoming owner, closing.
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner: Owner | None = None
        self._store: SqliteStore | None = None
        self._server: OwnerSocket | None = None
        self._alarm = ""  # Why the last round or takeover failed; empty once one went well.

    @property
    def role(self) -> str:
        """owner or worker."""
        return "worker" if self._owner is None else "owner"

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""
        owner = self._owner
        alarm = (self._alarm,) if self._alarm else ()
        return alarm if owner is None else (*owner.notes, *alarm)

    def start(self, given: GivenCatalog | None) -> None:
        """Owns the directory if nobody does, else attaches. Raises `OwnerUnavailable` where the owner does
        not answer, and whatever a catalog or a directory is refused with."""
        try:
            deadline = time.monotonic() + REQUEST_TIMEOUT_S
            while not (self._may_own and self._own(given)):
                try:
                    self._client.try_call("hello", (), REQUEST_TIMEOUT_S)
                    break
                except OwnerUnavailable:
                    raise
                except OSError as error:
                    if isinstance(error, FastcheckError):
                        raise
                    if self._lock.holder() == HUB:
                        raise DirectoryError(
                            self.directory, "is a hub's, which is running",
                            "follow the hub with Entitlements.connect in another directory, or stop it first",
                        ) from error  # fmt: skip
                    # An owner that has just begun, or has just died.
                    if time.monotonic() > deadline or not self._may_own:
                        raise OwnerUnavailable(
                            f"{self.directory} has no owner that answers: open it with Entitlements.open"
                        ) from error
                    time.sleep(RETRY_S)
            if given is not None and self._owner is None:
                self.call("set_catalog", given.source, given.filename)
            self._ensure_thread()
        except BaseException:
            self.close()
            raise

    def _own(self, given: GivenCatalog | None) -> bool:
        """Takes the directory over if its lock is free."""
        with self._changing:
            if self._owner is not None:
                return True
            if self._closed or not self._lock.acquire():
                return False
            store: SqliteStore | None = None
            owner: Owner | None = None
            try:
                _load_hub()
                from .hub.service import Service
                from .hub.store.sqlite import SqliteStore
                from .owner import Owner

                store = SqliteStore(self.directory / "ledger.db")
                owner = Owner(
                    Service(store, self._clock, self._parse),
                    self._arena,
                    self._clock,
                    manual_time=isinstance(self._clock, ManualClock),
                    load_courier=_load_courier,
                )
                owner.start(given)
                self._server = OwnerSocket(str(self.directory / "owner.sock"), self.handle)
            except BaseException:
                with contextlib.suppress(Exception):
                    if owner is not None:
                        owner.close()
                if store is not None:
                    store.close()
                self._lock.release()
                raise
            self._store, self._owner = store, owner
            log.info("process %d owns %s", os.getpid(), self.directory)
            return True

    def _arena(self, catalog: CatalogLike) -> Arena:
        return self._make_arena(str(self.directory), catalog, self._clock.now_ms())

    # Requests.

    def touch(self, customer: str, pool: str) -> bool:
        """Asks for a lease; the native module calls this at the first touch of a pool. Never longer than
        `lease_timeout`; False where nothing came of it."""
        if self._closed:
            return False
        owner = self._owner
        try:
            if owner is not None:
                return owner.touch(customer, pool)
            self._ensure_thread()
            return bool(self._ask("touch", (customer, pool), {}, self._lease_timeout_s))
        except FastcheckError as error:
            log.warning("no lease of %r for %r: %s", pool[:80], customer[:80], error)
            return False

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Runs a request here or at the owner. Raises what it raises, `OwnerUnavailable`, `Closed`."""
        if self._closed:
            raise Closed(f"{self.directory} was closed: open it again")
        self._ensure_thread()
        return self._ask(method, args, kwargs, REQUEST_TIMEOUT_S)

    def _ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            if self._owner is not None:
                return self.handle(method, args, kwargs)
            # In slices, because this very process may become the owner meanwhile.
            left_s = deadline - time.monotonic()
            try:
                return self._client.call(method, args, kwargs, min(left_s, timeout_s))
            except OwnerUnavailable:
                if self._owner is None:
                    raise

    def handle(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Answers a request as the owner, for this process or another."""
        owner = self._owner
        if method == "hello":
            return os.getpid()
        if owner is None:
            raise OwnerUnavailable("this process is not the owner any more: ask again")
        if method == "set_catalog":
            source, filename, *rest = args
            return owner.set_catalog(
                GivenCatalog(self._parse(source, filename), source, filename), *rest, **kwargs
            )
        if method == "changes":
            after, wait_s = args
            return owner.ring.read(after, min(float(wait_s), 5.0))
        if method == "notes":
            return self.notes
        return owner.call(method, args, kwargs)

    def changes(self, after: int | None, wait_s: float) -> tuple[list[Change], int]:
        """Changes after a number; see `Ring.read`."""
        found, last = self.call("changes", after, wait_s)
        return list(found), last

    # What goes on by itself.

    def _ensure_thread(self) -> None:
        """Starts the thread of this process; a forked child has none at first."""
        if self._thread is None and not self._closed and (self._may_own or self._owner is not None):
            with self._changing:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._run, name="fastcheck-host", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        failed = ""
        pause_s = 0.0
        while not self._wake.wait(pause_s):
            try:
                owner = self._owner
                if owner is not None:
                    owner.tick()
                    if self._store is not None:
                        self._store.check()
                    pause_s = self._until_next(owner)
                else:
                    pause_s = 0.0 if self._own(None) else TAKEOVER_POLL_S
                failed = self._alarm = ""
            except Exception as error:
                # Once per cause: a full disk fails every round.
                self._alarm = str(error)
                if str(error) != failed:
                    failed = str(error)
                    log.warning("%s: %s", self.directory, error)
                pause_s = FAILURE_PAUSE_S

    def _until_next(self, owner: Owner) -> float:
        from .owner import SETTLE_MS

        end = owner.next_end()
        length_ms = SETTLE_MS if end is None else max(0, min(SETTLE_MS, end - self._clock.now_ms()))
        return max(length_ms, 1) / 1_000

    def close(self) -> None:
        """Settles what was spent and lets go of the directory; another process takes over. Again: nothing."""
        with self._changing:
            if self._closed:
                return
            self._closed = True
        _HOSTS.discard(self)
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._changing:
            if self._server is not None:
                self._server.close()
            if self._owner is not None:
                self._owner.close()
                self._owner = None
            if self._store is not None:
                self._store.close()
            self._client.close()
            self._lock.release()

    # Around a fork.

    def _in_child(self) -> None:
        """The child is a worker: it never uses its parent's threads, connection or native owner, and never
        lets them be torn down either, which could touch what the parent still uses."""
        _LEAKED.append((self._owner, self._store, self._thread, self._changing))
        if self._server is not None:
            self._server.abandon()
        self._client.close_inherited()
        self._begin()


_HOSTS: weakref.WeakSet[Host] = weakref.WeakSet()
_LEAKED: list[object] = []


def _in_child() -> None:
    for host in list(_HOSTS):
        host._in_child()


def _at_exit() -> None:
    for host in list(_HOSTS):
        with contextlib.suppress(Exception):
            host.close()


def _load_hub() -> None:
    """Loads the hub and its database modules, which no worker needs. A fork waits for it: a child could never
    finish what its parent had half loaded."""
    with _LOADING:
        importlib.import_module("fastcheck.hub.store.sqlite")
        importlib.import_module("fastcheck.owner")


def _load_courier() -> type[CourierThread]:
    """Loads what sends webhooks, with its HTTP library. A fork waits for it, as above."""
    with _LOADING:
        from .owner.courier import CourierThread

        return CourierThread


def _after_fork() -> None:
    _LOADING.release()


_LOADING = threading.RLock()
os.register_at_fork(before=_LOADING.acquire, after_in_parent=_after_fork, after_in_child=_after_fork)
os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
