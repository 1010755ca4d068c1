"""What the replicas of both modes share: the native owner under the catalog in force, and telling what
changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastcheck.clock import Clock
from fastcheck.errors import CatalogError, FastcheckError, NotYet, ProtocolError, RecordError, UnknownFeature
from fastcheck.host.changes import Ring
from fastcheck.host.following.natives import CatalogText, Natives, Owner
from fastcheck.host.following.records import split
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused

log = logging.getLogger("fastcheck.stream")

TOLD_MAX: Final = 64
"""Of a change of more customers not each is told; the embedded mode has the same bound."""
NOTES_MAX: Final = 32


class Rows:
    """The rows of one directory, as the hub says them. Used by one thread at a time."""

    mode: int = frames.ALL
    capacity: int | None = None

    def __init__(
        self, directory: Path, natives: Natives, clock: Clock, ring: Ring, bundled: CatalogText | None
    ) -> None:
        self.directory = directory
        self.ring = ring
        self.notes: tuple[str, ...] = ()
        """What an operator should know."""
        self.ready = False
        """Whether there is more than a bundled catalog: rows that were once all a hub had."""
        self._natives = natives
        self._clock = clock
        self._bundled = bundled
        self._owner: Owner | None = None
        self._catalog: CatalogText | None = None
        self._connected = False
        self._found_arena = natives.arena_boot(str(directory)) is True

    @property
    def opened(self) -> bool:
        """Whether there is an arena that checkers can attach to."""
        return self._found_arena or self._owner is not None

    @property
    def visible(self) -> Have:
        """What checks see."""
        owner = self._owner
        return Have(0, 0, 0) if owner is None else Have(owner.epoch, owner.seq, owner.digest)

    @property
    def arena(self) -> int:
        """The arena's id; 0 where there is none yet."""
        return 0 if self._owner is None else self._owner.arena

    def pools_behind(self, feature: str | None) -> list[str]:
        """The pools that a feature spends, or all features (None). Raises `UnknownFeature`, `NotYet`."""
        if self._catalog is None:
            raise NotYet("this host has no catalog yet: wait_ready() waits for the hub's")
        features = self._catalog.catalog.document()["features"]
        if feature is None:
            return sorted({one["pool"] for one in features.values() if one.get("pool") is not None})
        if feature not in features:
            raise UnknownFeature(f"the catalog has no feature {feature!r:.80}: see the catalog")
        pool = features[feature].get("pool")
        return [] if pool is None else [pool]

    def link(self, connected: bool) -> None:
        """Says whether the hub is heard; for every process of the host."""
        if self._owner is not None:
            self._owner.link(connected)
        if connected is not self._connected:
            self._connected = connected
            self.ring.tell("connected" if connected else "disconnected", self._clock.now_ms())

    def fresh(self, hub_at_ms: int) -> None:
        """What is visible is all that the hub had at that instant."""
        if self._owner is not None:
            self._owner.fresh(hub_at_ms)

    def close(self) -> None:
        """Lets go of the arena; other processes go on reading it."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.link(False)
            owner.close()

    # For the replicas.

    def _reload(self, owner: Owner) -> None:
        """Loads what is stored into an arena that lost its rows."""
        owner.load([], 0, self._clock.now_ms(), epoch=0)

    def _fill(self) -> None:
        """An arena that nobody has filled yet is empty, and answers with the catalog's defaults; one that is
        there stays in force until something better is known."""
        if self._owner is not None and not self.ready and not self._found_arena:
            self._owner.load([], 0, self._clock.now_ms(), epoch=0)

    def _need(self) -> Owner:
        if self._owner is None:
            raise Refused(frames.UNEXPECTED, "changes before there is anything to change")
        return self._owner

    def _make_owner(self, catalog: CatalogText) -> Owner:
        owner = self._natives.owner(str(self.directory), catalog.catalog, self._clock.now_ms(), self.capacity)
        owner.link(self._connected)
        return owner

    def _parsed(self, catalog: tuple[bytes, str]) -> CatalogText:
        """A catalog that came. Raises `Refused`."""
        source, filename = catalog
        try:
            return CatalogText(self._natives.parse(source, filename), source, filename)
        except CatalogError as error:
            raise Refused(frames.REFUSED, f"the catalog is refused here: {error}") from error

    def _under(self, catalog: CatalogText, load: Callable[[Owner], object]) -> None:
        """Loads rows under a catalog, which is in force from then on. Where that is refused, the rows that
        were in force stay so."""
        before, owner = self._catalog, self._owner
        if before is not None and owner is not None and before.catalog.digest == catalog.catalog.digest:
            with refusing():
                load(owner)
            self._catalog = catalog
            return
        if owner is not None:
            self._owner = None
            owner.close()
        made = self._make_owner(catalog)
        try:
            with refusing():
                load(made)
        except BaseException:
            made.close()
            if before is not None:
                self._owner = self._make_owner(before)  # The old generation was not replaced.
                if not self._owner.adopted:
                    self._reload(self._owner)
            raise
        self._owner, self._catalog = made, catalog
        if before is not None:
            self.ring.tell("catalog_changed", self._clock.now_ms())

    def _tell(self, records: bytes, count: int) -> None:
        if 0 < count <= TOLD_MAX:
            now = self._clock.now_ms()
            for named in split(records):
                self.ring.tell(
                    "customer_deleted" if named.deleted else "customer_changed", now, named.keys[0]
                )

    def _note(self, text: str) -> None:
        log.warning("%s: %s", self.directory, text)
        if text not in self.notes:
            self.notes = (*self.notes, text)[-NOTES_MAX:]


class refusing:
    """What the core refuses is the hub's to know: such an error becomes `Refused`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refused) or not isinstance(error, (CatalogError, RecordError, ProtocolError)):
            return
        raise Refused(frames.REFUSED, str(error)) from error


def local_failure(error: FastcheckError | OSError) -> Refused:
    """A failure of this host, such as a full disk: said to the hub as well, which sees why a host lags."""
    return Refused(frames.REFUSED, f"this host cannot apply it for now: {error}")
