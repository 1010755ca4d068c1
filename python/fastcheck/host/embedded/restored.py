"""A ledger that was put back from an older backup: how it is noticed, and what is done about it.

A lease is in the ledger before its cell is opened or raised, and a change before the rows that show it. So
where the arena knows a newer lease, a larger one or a later change, the ledger has forgotten something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fastcheck.host.embedded.arena import CellTotals, Key, Mapped
from fastcheck.hub.service import Beyond, Service
from fastcheck.hub.store.statements import Lease


class Restored:
    """Compares what the arena knows with what the ledger remembers."""

    def __init__(self, service: Service, mapped: Mapped, note: Callable[[str], None]) -> None:
        """`note` tells an operator something."""
        self._service: Final = service
        self._mapped: Final = mapped
        self._note: Final = note

    def beyond(self, cells: Iterable[CellTotals], open_leases: Iterable[Lease]) -> Beyond | None:
        """What the arena knows beyond the ledger; None where the ledger knows it all."""
        arena, seq = self._mapped.arena, self._service.seq()
        lent = {(one.number, one.pool, one.lease): one.lent for one in open_leases}
        others: list[CellTotals] = []
        known_to: dict[Key, int] = {}
        grown = highest = 0
        for cell in cells:
            if cell[:3] not in lent:
                others.append(cell)
            elif cell[5] > lent[cell[:3]]:
                grown += 1
        if others:
            known_to = self._service.last_leases({(one[0], one[1]) for one in others})
        booked: dict[str, int] = {}
        lost: dict[str, int] = {}
        unknown = 0
        for number, pool, lease, spent, returned, _, _ in others:
            last = known_to.get((number, pool))
            if last is None or lease <= last:
                continue
            unknown += 1
            highest = max(highest, number)
            units = lost if last < 0 else booked
            units[pool] = units.get(pool, 0) + spent - returned
        if not unknown and not grown and arena.seq <= seq:
            return None
        return Beyond(max(0, arena.seq), highest, unknown + grown, booked, lost)

    def begin_epoch(self, beyond: Beyond) -> None:
        """Notes what was found, in the ledger and for the operator. What must be booked is booked after it,
        so that a kill in between leaves something to find again."""
        seq = self._service.seq()
        epoch = self._service.new_epoch(beyond)
        lost = f"; used by customers it does not have, and not booked: {_units(beyond.lost)}"
        self._note(
            "the ledger was restored from an older backup, or lost its write-ahead log: the mapped files "
            f"know change {beyond.seq}, it knows {seq}; {beyond.leases} leases were given out since, and are "
            f"closed now (used of those it did not know, and booked: {_units(beyond.booked)}"
            f"{lost if beyond.lost else ''}). It is epoch {epoch} now. Look "
            "through what was sold, granted and refunded since the backup: that is gone"
        )


def _units(by_pool: Mapping[str, int]) -> str:
    return ", ".join(f"{units} units of {pool}" for pool, units in sorted(by_pool.items())) or "nothing"
