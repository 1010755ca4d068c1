"""What processes of the host spent, held and recorded, brought to the ledger."""

from __future__ import annotations

import threading
from typing import Final

from fastcheck.host.embedded.arena import Mapped
from fastcheck.host.embedded.leases import LEASES_PER_TRANSACTION, SPENT_MAX, Leases
from fastcheck.hub.service import Service, Totals

JOURNAL_RECORDS_PER_ROUND = 4_096


class Settling:
    """Settles leases, ends holds, stores usage records."""

    def __init__(self, service: Service, mapped: Mapped, leases: Leases, *, manual_time: bool) -> None:
        """`manual_time`: holds end by the clock of this process, and not by the machine's."""
        self._service: Final = service
        self._mapped: Final = mapped
        self._leases: Final = leases
        self._manual_time: Final = manual_time
        self._settle_all = True
        self._journaling: Final = threading.RLock()  # What is acknowledged is what was drained and stored.

    def settle(self) -> None:
        """Books what the cells say, and lends anew where totals grow towards their bound."""
        arena = self._mapped.arena
        everything, self._settle_all = self._settle_all, False
        cells = arena.cells(changed_only=not everything)
        try:
            for start in range(0, len(cells), LEASES_PER_TRANSACTION):
                part = cells[start : start + LEASES_PER_TRANSACTION]
                # A closed cell is settled as final by whoever closed it; here its late returns come in.
                self._service.settle([Totals(*one[:5], False) for one in part])
        except BaseException:
            self._settle_all = True  # "Changed" was said already; it must not be lost.
            raise
        for cell in cells:
            if cell[3] > SPENT_MAX:
                self._leases.renew(cell)

    def sweep(self, now: int) -> None:
        """Ends holds whose time ran out or whose process died. What a hold gives back after its lease was
        closed goes to the grants, and is spendable again at once."""
        arena = self._mapped.arena
        arena.sweep(now if self._manual_time else None)
        late = arena.late_returns()
        for key, number, pool, lease, units in late:
            with self._leases.stripes.hold([number]):
                totals = self._leases.totals((number, pool))
                terms, reopen = self._service.give_back(key, number, pool, lease, units, totals=totals)
                self._leases.raised((number, pool), terms, reopen)
        if late:
            arena.late_returns_booked()

    def store_records(self) -> None:
        """Stores usage records that processes of the host wrote."""
        arena = self._mapped.arena
        with self._journaling:
            records = arena.drain_journal(JOURNAL_RECORDS_PER_ROUND)
            if records:
                self._service.record_usage(records)
            arena.ack_journal()  # Also without records: it removes the files of processes that are gone.
