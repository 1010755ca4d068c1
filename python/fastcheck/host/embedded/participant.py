"""A directory with its own ledger: hub, owner and checker in one process, and others that attach."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcheck.clock import Clock, ManualClock
from fastcheck.directory.clock import guarded
from fastcheck.host.changes import Ring
from fastcheck.host.given_catalog import GivenCatalog, Parse
from fastcheck.host.participant import Participant
from fastcheck.loading import LOADING
from fastcheck.wire.by import ANYBODY, By

if TYPE_CHECKING:  # Requests are loaded once one is made; the hub by an owner alone, see `_load_hub`.
    from fastcheck.admin import Admin
    from fastcheck.host.embedded.owner import Arena, Owner
    from fastcheck.hub.background.courier_thread import CourierThread
    from fastcheck.hub.store.sqlite import SqliteStore
    from fastcheck.wire.catalog import CatalogLike
    from fastcheck.wire.operation import Answer, Request

MakeArena = Callable[[str, "CatalogLike", int], "Arena"]


class LedgerPart:
    """What the owner of a directory with a ledger does."""

    def __init__(self, store: SqliteStore, owner: Owner, clock: Clock) -> None:
        self.store = store
        self.owner = owner
        self._clock = clock

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""
        return tuple(self.owner.notes)

    @property
    def ring(self) -> Ring:
        """The changes of this host."""
        return self.owner.ring

    def touch(self, customer: str, pool: str | None) -> bool:
        """Lends a pool. Every customer is in the rows: who is not there is nobody."""
        return pool is not None and self.owner.touch(customer, pool)

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs a request of an administrator's."""
        with LOADING:
            from fastcheck.host.asking import ASK, answered

        if method == ASK:
            return answered(self.owner.ask, *args, **kwargs)
        return self.owner.call(method, args, kwargs)

    def tick(self) -> float:
        """Settles, and does what is due; seconds until the next round."""
        with LOADING:
            from fastcheck.host.embedded.owner import SETTLE_MS

        self.owner.tick()
        self.store.check()
        end = self.owner.next_end()
        length_ms = SETTLE_MS if end is None else max(0, min(SETTLE_MS, end - self._clock.now_ms()))
        return max(length_ms, 1) / 1_000

    def close(self) -> None:
        """Settles a last time."""
        self.owner.close()
        self.store.close()

    def in_child(self) -> None:
        """Nothing: SQLite's descriptors must not be closed here, which would drop the parent's locks."""


class EmbeddedParticipant(Participant[LedgerPart]):
    """This process's part in a directory with a ledger."""

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
        self._parse = parse
        self._make_arena = make_arena
        self._clock = clock
        self._admin: Admin | None = None
        super().__init__(directory, lease_timeout_s=lease_timeout_s, may_own=may_own)

    def start(self, given: GivenCatalog | None) -> None:
        """Owns the directory if nobody does, else attaches. Raises `OwnerUnavailable` where the owner does
        not answer, and whatever a catalog or a directory is refused with."""
        try:
            self._take_part(given, "Entitlements.open")
            if given is not None and self._part is None:
                with LOADING:
                    from fastcheck.wire.operations.catalog import SetCatalog

                self.ask(SetCatalog(given.source, given.filename))
            self._ensure_thread()
        except BaseException:
            self.close()
            raise

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """Answers a request of an administrator's, here or at the owner. Raises what it raises there,
        `OwnerUnavailable`, `Closed`."""
        part = self._part
        if part is not None and not self._closed:
            return part.owner.ask(request, by)
        with LOADING:
            from fastcheck.host.asking import ASK, answer_of, question
            from fastcheck.wire.operations import OPERATIONS

        row = OPERATIONS.of(request)
        return answer_of(row, self.call(ASK, *question(row, request, by)))

    def admin(self) -> Admin:
        """As `Participant.admin`; asks the owner, be it this process or another."""
        if self._admin is None:
            with LOADING:
                from fastcheck.admin import Admin

            self._admin = Admin(self.ask, lambda: self.role == "owner")
        return self._admin

    def _play(self, given: GivenCatalog | None) -> LedgerPart:
        _load_hub()
        with LOADING:
            from fastcheck.host.embedded.owner import Owner
            from fastcheck.hub.service import Service
            from fastcheck.hub.store.sqlite import SqliteStore

        store = SqliteStore(self.directory / "ledger.db")
        owner: Owner | None = None
        try:
            clock = guarded(self._clock, self.directory)
            owner = Owner(
                Service(store, clock, self._parse),
                partial(self._arena, clock),
                clock,
                manual_time=isinstance(self._clock, ManualClock),
                load_courier=_load_courier,
            )
            owner.start(given)
        except BaseException:
            with contextlib.suppress(Exception):
                if owner is not None:
                    owner.close()
            store.close()
            raise
        return LedgerPart(store, owner, clock)

    def _arena(self, clock: Clock, catalog: CatalogLike) -> Arena:
        return self._make_arena(str(self.directory), catalog, clock.now_ms())


def _load_hub() -> None:
    """Loads the hub and its database modules, which no worker needs."""
    with LOADING:
        importlib.import_module("fastcheck.hub.store.sqlite")
        importlib.import_module("fastcheck.host.embedded.owner")


def _load_courier() -> type[CourierThread]:
    """Loads what sends webhooks, with its HTTP library."""
    with LOADING:
        from fastcheck.hub.background.courier_thread import CourierThread

        return CourierThread
