"""Spend caps: at most so much in each window of time, whatever was granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcheck.amounts import credits, units
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCap
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.claims import Claims, capped, claims
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger import periods
from fastcheck.wire.answers import SpendCap
from fastcheck.wire.spending_requests import PutCap


def put(call: Call, request: PutCap, finals: Sequence[Totals]) -> SpendCap:
    """Makes a cap, or changes its amount and keeps what was counted. A new one counts from now on. Raises
    `UnknownCustomer`, `UnknownPool`, `AmountError`."""
    stored, accounts = call.held(request.customer, finals), call.accounts()
    accounts.settle(finals)
    pool, number = accounts.pool(request.pool), stored.record.number
    most = 0 if request.amount == 0 and type(request.amount) is int else units(request.amount, pool.scale)
    at = accounts.update(stored, pool).as_of
    key = request.key or ""
    before = _find(call, number, pool, key, request.per)
    one = StoredCap(
        number, pool.name, key, request.per, 1, most, at, 0, request.reason, call.by.author, call.now
    )
    grid = capped(one).recurrence
    if before is None:
        one = replace(one, window_at=periods.start(grid, periods.index(grid, at)))
    else:
        one = replace(one, window_at=before.window_at, spent=before.spent, created_at=before.created_at)
    call.books.put_caps([one])
    was = None if before is None else _summary(before)
    call.note("put_cap", stored.record.id, was, _summary(one), reason=request.reason)
    return _shown(one, stored.record.id, pool, claims(call.books, number, pool.name, at), 0)


def remove(
    call: Call, customer: str, name: str, per: str | None, key: str | None, finals: Sequence[Totals]
) -> bool:
    """Ends the caps of one key: of one window, or (None) of all; whether there were any."""
    stored, accounts = call.held(customer, finals), call.accounts()
    accounts.settle(finals)
    pool, number = accounts.pool(name), stored.record.number
    found = [
        one
        for one in call.books.caps(number, pool.name)
        if one.key == (key or "") and per in (None, one.unit)
    ]
    call.books.remove_caps(found)
    for one in found:
        call.note("remove_cap", stored.record.id, _summary(one), None)
    return bool(found)


def of(call: Call, customer: str) -> list[SpendCap]:
    """A customer's caps, in the order of pools, keys and windows."""
    stored, accounts = call.customer(customer), call.accounts()
    number, found = stored.record.number, []
    for one in call.books.caps_of([number]):
        pool = call.product.pools.get(one.pool)
        if pool is not None:
            _, account = accounts.current(stored, pool)
            claimed = replace(claims(call.books, number, pool.name, account.as_of), lent=0)
            used = 0 if one.key else call.books.unfolded(number, pool.name)
            found.append(_shown(one, stored.record.id, pool, claimed, used))
    return found


def _find(call: Call, number: int, pool: Pool, key: str, per: str) -> StoredCap | None:
    found = (one for one in call.books.caps(number, pool.name) if (one.key, one.unit) == (key, per))
    return next(found, None)


def _shown(one: StoredCap, customer: str, pool: Pool, claimed: Claims, more: int) -> SpendCap:
    return SpendCap(
        customer,
        pool.name,
        one.unit,
        credits(one.units, pool.scale),
        credits(claimed.used(one) + more, pool.scale),
        one.key or None,
        periods.next_start(capped(one).recurrence, claimed.at),
        one.reason,
        one.author,
        one.created_at,
    )


def _summary(one: StoredCap) -> dict[str, object]:
    return {"pool": one.pool, "units": one.units, "per": one.unit, "key": one.key or None}
