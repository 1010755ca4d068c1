"""A directory with its own ledger: hub, owner and checker in one process, and others that attach."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .changes import Ring
from .clock import Clock, ManualClock
from .errors import CatalogError, DirectoryError, WrongType
from .host import LOADING, Host

if TYPE_CHECKING:  # Only an owner loads the hub, see `_load_hub`.
    from .hub.product import CatalogLike
    from .hub.store.sqlite import SqliteStore
    from .hub.webhooks.thread import CourierThread
    from .owner import Arena, Owner

CATALOG_FILE_BYTES_MAX = 16 << 20
"""Bytes of a catalog file; the core has the same bound."""

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


class LedgerPart:
    """What the owner of a directory with a ledger does."""

    def __init__(self, store: SqliteStore, owner: Owner, parse: Parse, clock: Clock) -> None:
        self.store = store
        self.owner = owner
        self._parse = parse
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
        if method == "set_catalog":
            source, filename, *rest = args
            return self.owner.set_catalog(
                GivenCatalog(self._parse(source, filename), source, filename), *rest, **kwargs
            )
        return self.owner.call(method, args, kwargs)

    def tick(self) -> float:
        """Settles, and does what is due; seconds until the next round."""
        from .owner import SETTLE_MS

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


class EmbeddedHost(Host[LedgerPart]):
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
        super().__init__(directory, lease_timeout_s=lease_timeout_s, may_own=may_own)

    def start(self, given: GivenCatalog | None) -> None:
        """Owns the directory if nobody does, else attaches. Raises `OwnerUnavailable` where the owner does
        not answer, and whatever a catalog or a directory is refused with."""
        try:
            self._take_part(given, "Entitlements.open")
            if given is not None and self._part is None:
                self.call("set_catalog", given.source, given.filename)
            self._ensure_thread()
        except BaseException:
            self.close()
            raise

    def _play(self, given: GivenCatalog | None) -> LedgerPart:
        _load_hub()
        from .hub.service import Service
        from .hub.store.sqlite import SqliteStore
        from .owner import Owner

        store = SqliteStore(self.directory / "ledger.db")
        owner: Owner | None = None
        try:
            owner = Owner(
                Service(store, self._clock, self._parse),
                self._arena,
                self._clock,
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
        return LedgerPart(store, owner, self._parse, self._clock)

    def _arena(self, catalog: CatalogLike) -> Arena:
        return self._make_arena(str(self.directory), catalog, self._clock.now_ms())


def _load_hub() -> None:
    """Loads the hub and its database modules, which no worker needs."""
    with LOADING:
        importlib.import_module("fastcheck.hub.store.sqlite")
        importlib.import_module("fastcheck.owner")


def _load_courier() -> type[CourierThread]:
    """Loads what sends webhooks, with its HTTP library."""
    with LOADING:
        from .hub.webhooks.thread import CourierThread

        return CourierThread
