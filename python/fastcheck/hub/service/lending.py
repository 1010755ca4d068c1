"""What hosts are lent."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import Lease, Told
from fastcheck.hub.use_cases import leases, usage_records
from fastcheck.hub.use_cases.accounts import Terms, Totals
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.names import name
from fastcheck.wire.packing import pack

LEASES_PER_END = 512
"""Leases closed in one transaction."""


class Lending:
    """Leases, and what was used of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def record_usage(
        self, records: Sequence[tuple[str, int, str, str, str, int, Sequence[tuple[str, int]]]]
    ) -> None:
        """Stores usage records: (position, at, event, customer, feature, units, [(quantity, n)…]). Those
        whose position is known are skipped."""
        rows = [(*record[:6], pack([tuple(one) for one in record[6]])) for record in records]
        self._core.write(lambda call: usage_records.store(call, rows))

    def lend(self, customer: str, pool: str) -> Terms:
        """The open lease of an account, or a new one. Raises `UnknownCustomer`, `UnknownPool`."""
        checked = name(customer, "customer")
        return self._core.write(lambda call: leases.lend(call, checked, pool))

    def relend(self, finals: Sequence[Totals], accounts_wanted: Sequence[tuple[int, str]]) -> list[Terms]:
        """Closes leases with their final totals and lends the accounts wanted anew; those of deleted
        customers and of pools that the catalog no longer has are left out."""
        return self._core.write(lambda call: leases.relend(call, finals, accounts_wanted))

    def settle(self, totals: Sequence[Totals]) -> tuple[Told, ...]:
        """Books what a host used; absolute totals, so that repeating it changes nothing. The events that this
        made, each stored with it."""

        def job(call: Call) -> tuple[Told, ...]:
            call.accounts().settle(totals)
            return tuple(call.statements.told)

        return self._core.write(job) if totals else ()

    def give_back(
        self, key: str, number: int, pool: str, lease: int, given: int, *, totals: Totals | None = None
    ) -> tuple[Terms | None, bool]:
        """Books units that a hold gave back after its lease was closed; `key` is the hold's own, and booking
        it again changes nothing. Answers like `Accounts.raise_lease`."""
        return self._core.write(lambda call: leases.give_back(call, key, number, pool, lease, given, totals))

    def end_embedded_leases(self) -> int:
        """Closes what was lent to an embedded owner, at what was settled; how many. For a hub on a ledger
        that was an owner's: nobody settles them any more. What was used beyond that is in the cells of the
        directory, and is booked when an owner opens it again."""
        ended = 0
        while True:
            part = self._core.read(lambda call: call.statements.open_leases_at("", LEASES_PER_END))
            if not part:
                return ended
            self.settle(
                [Totals(one.number, one.pool, one.lease, one.spent, one.returned, True) for one in part]
            )
            ended += len(part)

    def open_leases(self) -> list[Lease]:
        """Every lease that is out."""
        return self._core.read(lambda call: list(call.statements.open_leases()))
