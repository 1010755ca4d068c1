"""A directory that follows a hub: the first process of the host keeps the arena at what the hub says, the
others attach to it. One stream, whatever the number of processes.

The order of a start: the arena of this boot (checks answer at once, while it is adopted), the checkpoint, a
bundled catalog, the network. So a hub that is away stops nobody who was here before."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastcheck.clock import Clock
from fastcheck.errors import Closed, FastcheckError, MissingExtra, NotYet, OwnerUnavailable, WrongType
from fastcheck.host.changes import Ring
from fastcheck.host.following.marker import Marker
from fastcheck.host.following.natives import CatalogText, Natives
from fastcheck.host.following.owner import FETCH_KEYS, READY_SLICE_S, LinkState, StreamPart
from fastcheck.host.participant import REQUEST_TIMEOUT_S, Participant
from fastcheck.host.worker import RETRY_S
from fastcheck.loading import LOADING
from fastcheck.wire.address import HubAddress
from fastcheck.wire.names import name

if TYPE_CHECKING:
    from fastcheck.admin import Admin
    from fastcheck.host.following.on_demand import HeldReplica
    from fastcheck.host.following.replica import Replica
    from fastcheck.host.given_catalog import GivenCatalog
    from fastcheck.host.participant import Position
    from fastcheck.wire.answers import Status

log = logging.getLogger("fastcheck.host")

LOCAL_OPEN_S: Final = 60.0
"""How long adopting an arena or loading a checkpoint may take; no network is part of it."""
UNKNOWN_MAX: Final = 4_096
"""Customers that each process remembers as nobody's, as of its arena's number."""


@dataclass(frozen=True)
class HubSettings:
    """How a directory follows a hub."""

    address: HubAddress
    marker: Marker
    token: Callable[[], str]
    customers_max: int
    wait_ready_s: float
    ca_file: str | None
    bundled: GivenCatalog | None


class FollowingParticipant(Participant[StreamPart]):
    """This process's part in a directory that follows a hub."""

    def __init__(
        self,
        directory: Path,
        settings: HubSettings,
        *,
        natives: Natives,
        clock: Clock,
        lease_timeout_s: float = 1.0,
        may_own: bool = True,
    ) -> None:
        self.settings = settings
        self._natives = natives
        self._clock = clock
        self.position: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Where the arena is, as this process's checker sees it: (epoch, seq)."""
        self._hub: tuple[str, Admin] | None = None
        super().__init__(directory, lease_timeout_s=lease_timeout_s, may_own=may_own)

    def _begin(self) -> None:
        super()._begin()
        # Customers that the owner said are nobody's, and where the arena was before it was asked.
        self._unknown: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._unknown_lock = threading.Lock()
        self._told_no_lease = False

    @property
    def on_demand(self) -> bool:
        """Whether the host holds only the customers that were asked for."""
        return self.settings.marker.mode == "on_demand"

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""
        found = super().notes
        return (*found, _NO_LEASE) if self._told_no_lease else found

    def start(self, given: GivenCatalog | None) -> None:
        """Follows the hub if nobody does, else attaches; returns once checks can be answered. Raises
        `HubUnavailable`, `Forbidden` or `NotYet` where there is nothing to answer from, and what the
        directory is refused with."""
        try:
            self._take_part(None, "Entitlements.connect")
            self._ensure_thread()
            if self._natives.arena_boot(str(self.directory)) is not True:
                self._wait_opened()
        except BaseException:
            self.close()
            raise

    def touch_many(self, customers: Sequence[str]) -> bool:
        """The first touch of many customers at once: whether any of them is somebody."""
        if not self.on_demand or self._closed:
            return False
        before = self.position()
        with self._unknown_lock:
            keys = [key for key in dict.fromkeys(customers) if self._unknown.get(key) != before]
        any_found = False
        for start in range(0, len(keys), FETCH_KEYS):
            part = keys[start : start + FETCH_KEYS]
            try:
                found: dict[str, bool] = self.call_within(
                    self._lease_timeout_s, "fetch", part, self._lease_timeout_s
                )
            except FastcheckError as error:
                log.warning("%d customers could not be asked for: %s", len(part), error)
                return any_found
            any_found = any_found or any(found.values())
            self._remember_unknown([key for key, there in found.items() if not there], before)
        return any_found

    def _remember_unknown(self, customers: Sequence[str], at: tuple[int, int]) -> None:
        with self._unknown_lock:
            for customer in customers:
                self._unknown[customer] = at
                self._unknown.move_to_end(customer)
            while len(self._unknown) > UNKNOWN_MAX:
                self._unknown.popitem(last=False)

    def _wait_opened(self) -> None:
        """Waits for something to answer from: what is on disk as long as it takes, the network for
        `wait_ready_s`; then goes on with a bundled catalog, if there is one."""
        waited_s = self.settings.wait_ready_s
        began = time.monotonic()
        while True:
            state = self._wait_slice(max(waited_s, RETRY_S))
            spent_s = time.monotonic() - began
            if state.ready:
                return
            if state.opening and spent_s < LOCAL_OPEN_S:
                continue
            if state.forbidden or spent_s >= waited_s:
                if not state.opened:
                    state.raise_reason(waited_s)
                return

    def _wait_slice(self, left_s: float) -> LinkState:
        wait_s = max(0.0, min(left_s, READY_SLICE_S))
        return LinkState(*self.call_within(wait_s + REQUEST_TIMEOUT_S, "wait_ready", wait_s))

    def wait_ready(self, timeout_s: float | None) -> None:
        """Waits until a hub has filled this host; None: for ever. Raises `NotYet` with the reason."""
        began = time.monotonic()
        while True:
            left_s = READY_SLICE_S if timeout_s is None else timeout_s - (time.monotonic() - began)
            state = self._wait_slice(left_s)
            if state.ready:
                return
            if timeout_s is not None and time.monotonic() - began >= timeout_s:
                raise NotYet(f"not ready after {timeout_s:g} s: {state.reason or 'everything is on its way'}")
            if state.forbidden:  # The owner does not wait for what only somebody else can mend.
                time.sleep(min(RETRY_S, max(left_s, 0.0)))

    def link(self, timeout_s: float = 0.5) -> LinkState | None:
        """How the stream is doing; None where the owner does not answer in time."""
        try:
            return LinkState(*self.call_within(timeout_s, "link"))
        except (OwnerUnavailable, Closed):
            return None

    def touch(self, customer: str, pool: str | None) -> bool:
        """A customer that is not here: is it anybody? Never longer than `lease_timeout`. Whatever is
        countable is denied: a connected host has no leases yet."""
        if pool is not None:
            self._told_no_lease = True
            return False
        if not self.on_demand:
            return False
        before = self.position()
        with self._unknown_lock:
            if self._unknown.get(customer) == before:
                return False
        found = super().touch(customer, None)
        if not found:
            self._remember_unknown([customer], before)
        return found

    def _play(self, given: GivenCatalog | None) -> StreamPart:
        with LOADING:  # The socket's library and the conversation, which no worker needs.
            from fastcheck.host.following.connection import Connection
            from fastcheck.host.following.on_demand import HeldReplica
            from fastcheck.host.following.replica import Replica

        settings = self.settings
        bundled = settings.bundled
        text = None if bundled is None else CatalogText(bundled.catalog, bundled.source, bundled.filename)
        ring = Ring(self._clock.now_ms())
        replica: Replica | HeldReplica
        if self.on_demand:
            replica = HeldReplica(
                self.directory, self._natives, self._clock, ring, text, customers_max=settings.customers_max
            )
        else:
            replica = Replica(self.directory, self._natives, self._clock, ring, text)
        connection = Connection(
            settings.address, settings.token, settings.marker.host, replica, ca_file=settings.ca_file
        )
        connection.start()
        return StreamPart(connection, replica, self._lease_timeout_s, on_demand=self.on_demand)

    # The hub itself.

    def serves(self, checker: Position) -> None:
        """As `Participant.serves`: what the checker sees is what this host has come to."""
        of_checker = weakref.ref(checker)

        def position() -> tuple[int, int]:
            one = of_checker()
            return (0, 0) if one is None else one._seq()

        self.position = position

    def told(self, status: Status, *, connected: bool) -> Status:
        """As `Participant.told`."""
        link = self.link()
        return replace(
            status,
            connected=connected,
            url=self.settings.address.http,
            reason="the owner of the directory does not answer" if link is None else link.reason,
            customers_mode=self.settings.marker.mode,
        )

    def admin(self) -> Admin:
        """A client of the hub's API, in this process. Raises `MissingExtra`, `Forbidden`."""
        token = self.settings.token()
        if self._hub is None or self._hub[0] != token:
            try:
                with LOADING:
                    from fastcheck.hub_client import HubClient  # type: ignore[import-not-found, unused-ignore]
            except ImportError as error:
                raise MissingExtra("admin needs an HTTP library: pip install 'fastcheck[client]'") from error
            self._hub = (
                token,
                HubClient(
                    self.settings.address.http,
                    token,
                    ca_file=self.settings.ca_file,
                    insecure=not self.settings.address.secure,
                ),
            )
        return self._hub[1]

    def _in_child(self) -> None:
        self._hub = None  # Its sockets are the parent's.
        super()._in_child()

    def close(self) -> None:
        """Ends this process's part. Again: nothing."""
        super().close()
        hub, self._hub = self._hub, None
        close = getattr(hub[1], "close", None) if hub is not None else None
        if close is not None:
            close()


_NO_LEASE: Final = (
    "something countable was asked for: a host that follows a hub has no leases yet and denies it; "
    "reserve at the hub instead (admin.reserve)"
)


def customers_mode(customers: object) -> str:
    """all or on_demand. Raises `WrongType`."""
    if customers not in ("all", "on_demand"):
        raise WrongType(f"customers must be 'all' or 'on_demand', not {customers!r:.40}")
    return name(customers, "customers")
