"""Taking over what a predecessor left, and starting anew where the mapped files are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastcheck.host.embedded.arena import CellTotals, Mapped
from fastcheck.host.embedded.leases import LEASES_PER_TRANSACTION, Leases
from fastcheck.host.embedded.restored import Restored
from fastcheck.host.embedded.rows import Rows
from fastcheck.hub.service import Service, Terms, Totals

SETTLE_MS = 50
"""Between two rounds of settlement; also what a power loss can cost of spent totals."""


class Adoption:
    """Compares cells with leases, and finishes what was begun."""

    def __init__(
        self, service: Service, mapped: Mapped, leases: Leases, rows: Rows, note: Callable[[str], None]
    ) -> None:
        """`note` tells an operator something."""
        self._service: Final = service
        self._mapped: Final = mapped
        self._leases: Final = leases
        self._rows: Final = rows
        self._restored: Final = Restored(service, mapped, note)
        self._note: Final = note

    def reconcile(self) -> None:
        """Compares the cells of the arena with the leases of the ledger, and finishes what a kill left half
        done."""
        arena = self._mapped.arena
        cells = {(one[0], one[1], one[2]): one for one in arena.cells()}
        finals: list[Totals] = []
        lost = 0
        open_leases = self._service.open_leases()
        beyond = self._restored.beyond(cells.values(), open_leases)
        if beyond is not None:
            self._restored.begin_epoch(beyond)
            self._rows.behind = True
        for lease in open_leases:
            cell = cells.pop((lease.number, lease.pool, lease.lease), None)
            if cell is None:
                # Nobody can say what was spent after the last settlement; what was settled stands.
                lost += lease.lent > 0 and not arena.adopted
                finals.append(
                    Totals(lease.number, lease.pool, lease.lease, lease.spent, lease.returned, True)
                )
            elif cell[6] or arena.previous_boot or not arena.adopted or beyond is not None:
                finals.append(self._final(lease.number, lease.pool, lease.lease, cell))
            else:
                self._leases.remember(
                    Terms(lease.number, lease.pool, lease.lease, lease.lent, lease.valid_until, lease.whole)
                )
                if cell[5] < lease.lent:
                    arena.raise_cell(lease.number, lease.pool, lease.lease, lease.lent, lease.whole)
        # The oldest lease of an account first: a ledger that knows none of them takes them in this order.
        for (number, pool, lease_number), cell in sorted(cells.items()):
            finals.append(self._final(number, pool, lease_number, cell))
        for start in range(0, len(finals), LEASES_PER_TRANSACTION):
            self._service.settle(finals[start : start + LEASES_PER_TRANSACTION])
        if lost:
            self._note(
                f"{lost} leases were out when the arena was lost; they were closed at what had been settled "
                f"(at most {SETTLE_MS} ms of use before that is not booked)"
            )

    def _final(self, number: int, pool: str, lease: int, cell: CellTotals) -> Totals:
        totals = self._mapped.arena.close_cell(number, pool, lease) or cell
        return Totals(number, pool, lease, totals[3], totals[4], True)

    def replace_lost_files(self) -> None:
        """Somebody deleted or replaced the mapped files. What was mapped lives on until here: it is settled,
        and everybody attaches to new files."""
        with self._rows.publication(), self._leases.stripes.hold(None):
            old = self._mapped.arena
            finals = [Totals(*cell[:5], True) for cell in old.retire()]
            for start in range(0, len(finals), LEASES_PER_TRANSACTION):
                self._service.settle(finals[start : start + LEASES_PER_TRANSACTION])
            keys = self._leases.forget_all()
            self._mapped.close()
            self._mapped.make(self._service.catalog)
            self.reconcile()
            self._rows.load()
            self._note("the mapped files were deleted or replaced; they were made anew, nothing was lost")
            for start in range(0, len(keys), LEASES_PER_TRANSACTION):
                self._leases.reopen(keys[start : start + LEASES_PER_TRANSACTION], ())
