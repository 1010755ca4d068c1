"""Leases: lending accounts to hosts, and taking back what came after a lease was closed."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.use_cases.accounts import Terms, Totals, spent_at
from fastcheck.hub.use_cases.transaction import Call


def lend(call: Call, key: str, pool: str) -> Terms:
    """The open lease of an account, or a new one. Raises `UnknownCustomer`, `UnknownPool`."""
    accounts = call.accounts()
    return accounts.lend(call.held(key), accounts.pool(pool))


def relend(call: Call, finals: Sequence[Totals], wanted: Sequence[tuple[int, str]]) -> list[Terms]:
    """Closes leases and lends the accounts wanted anew."""
    accounts = call.accounts()
    call.statements.lock([one.number for one in finals] + [number for number, _ in wanted])
    accounts.settle(finals)
    found = []
    for number, pool in wanted:
        stored = call.statements.customer(number)
        if not stored.record.deleted and pool in call.product.pools:
            found.append(accounts.lend(stored, call.product.pools[pool]))
    return found


def give_back(
    call: Call, key: str, number: int, pool: str, lease: int, given: int, totals: Totals | None
) -> tuple[Terms | None, bool]:
    """Books units that a hold gave back after its lease was closed."""
    accounts = call.accounts()
    call.statements.lock([number] if totals is None else [number, totals.number])
    if call.statements.lease(number, pool, lease) is None:
        return None, False  # Its use was never booked here, or too long ago: there is nothing to give back.
    if not call.statements.put_late_return(key, number, pool, lease, given, accounts.now):
        return None, False
    known = call.product.pools.get(pool)
    if known is None:
        return None, False  # The catalog lost the pool; there is nobody to give it to.
    accounts.settle([] if totals is None else [totals])
    stored = call.statements.customer(number)
    back = accounts.give_back(stored, known, given)
    closed = call.statements.lease(number, pool, lease)
    if closed is not None:
        accounts.count(number, pool, -given, spent_at(closed, back.as_of))
    return accounts.raise_lease(stored, known, back)
