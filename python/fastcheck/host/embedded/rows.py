"""The arena's rows, kept at the ledger's last change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from fastcheck.host.embedded.leases import Leases
from fastcheck.host.embedded.stripes import STRIPES
from fastcheck.hub.service import Changed
from fastcheck.wire.events import Kind


class Rows(Leases):
    """Publishes what changed, in the order of the changes' numbers."""

    def _load(self) -> None:
        seq = self._service.seq()
        self._need().load(self._service.records(), seq, self._clock.now_ms())
        self._behind = False

    def _catch_up(self) -> None:
        """Brings the rows to the ledger's last change, if they are behind."""
        arena, seq = self._need(), self._service.seq()
        if arena.seq == seq:
            self._behind = False
            return
        missing = self._service.records(since_seq=arena.seq) if arena.seq < seq else iter(())
        chunk = next(missing, None)
        # Several chunks would each claim to be up to `seq`; a kill between them would go unnoticed.
        if chunk is None or next(missing, None) is not None:
            self._load()
            return
        arena.put(chunk, seq, self._clock.now_ms())
        self._behind = False

    @contextlib.contextmanager
    def _publication(self) -> Iterator[None]:
        """One change of rows at a time, after any that failed to reach the arena."""
        with self._publishing:
            if self._behind:
                self._catch_up()
            yield

    def _publish(self, changes: Sequence[Changed]) -> None:
        arena, now = self._need(), self._clock.now_ms()
        self._behind = True
        for change in changes:
            if change.seq > arena.seq:  # Else a repeated call's answer of then; the rows have moved on.
                arena.put(change.records, change.seq, now)
        self._behind = False
        for change in changes:
            kind = Kind.CUSTOMER_DELETED if change.deleted else Kind.CUSTOMER_CHANGED
            # A bulk load is not news of each of its customers.
            for id in change.ids if len(changes) == 1 and len(change.ids) <= STRIPES else ():
                self.ring.tell(kind.value, now, id)
