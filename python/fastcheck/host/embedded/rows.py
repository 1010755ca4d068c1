"""The arena's rows, kept at the ledger's last change."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from fastcheck.clock import Clock
from fastcheck.host.changes import Ring
from fastcheck.host.embedded.arena import Mapped
from fastcheck.host.embedded.stripes import STRIPES
from fastcheck.hub.service import Changed, Service
from fastcheck.hub.use_cases.transaction import Effects
from fastcheck.wire.events import Kind


class Rows:
    """Publishes what changed, in the order of the changes' numbers."""

    def __init__(self, service: Service, mapped: Mapped, clock: Clock, ring: Ring) -> None:
        self._service: Final = service
        self._mapped: Final = mapped
        self._clock: Final = clock
        self._ring: Final = ring
        self._publishing: Final = threading.RLock()  # Rows reach the arena in the order of their numbers.
        self.behind = False
        """Whether a change is stored that the rows do not show."""

    def load(self) -> None:
        """Fills the rows anew from the whole ledger."""
        seq = self._service.customers.seq()
        self._mapped.arena.load(self._service.customers.records(), seq, self._clock.now_ms())
        self.behind = False

    def catch_up(self) -> None:
        """Brings the rows to the ledger's last change, if they are behind."""
        arena, seq = self._mapped.arena, self._service.customers.seq()
        if arena.seq == seq:
            self.behind = False
            return
        missing = self._service.customers.records(since_seq=arena.seq) if arena.seq < seq else iter(())
        chunk = next(missing, None)
        # Several chunks would each claim to be up to `seq`; a kill between them would go unnoticed.
        if chunk is None or next(missing, None) is not None:
            self.load()
            return
        arena.put(chunk, seq, self._clock.now_ms())
        self.behind = False

    @contextlib.contextmanager
    def publication(self) -> Iterator[None]:
        """One change of rows at a time, after any that failed to reach the arena."""
        with self._publishing:
            if self.behind:
                self.catch_up()
            yield

    def show(self, effects: Effects) -> None:
        """Brings the rows to what a change did."""
        if effects.catalog is not None:
            self._mapped.close()
            self._mapped.make(effects.catalog)
        if effects.catalog is not None or effects.rows_anew:
            self.load()
        elif effects.changed:
            self.publish(effects.changed)

    def publish(self, changes: Sequence[Changed]) -> None:
        """Shows records that changed, and tells whoever watches this host."""
        arena, now = self._mapped.arena, self._clock.now_ms()
        self.behind = True
        for change in changes:
            if change.seq > arena.seq:  # Else a repeated call's answer of then; the rows have moved on.
                arena.put(change.records, change.seq, now)
        self.behind = False
        count = sum(len(change.ids) for change in changes)
        for change in changes:
            kind = Kind.CUSTOMER_DELETED if change.deleted else Kind.CUSTOMER_CHANGED
            # A bulk load is not news of each of its customers.
            for id in change.ids if count <= STRIPES else ():
                self._ring.tell(kind.value, now, id)
