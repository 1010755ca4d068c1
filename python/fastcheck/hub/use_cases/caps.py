"""Spend caps: at most so much in each window of time, whatever was granted."""

from __future__ import annotations

from dataclasses import replace

from fastcheck.amounts import credits, units
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCap
from fastcheck.hub.use_cases.claims import Claims, capped, claims
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase, account, customer
from fastcheck.ledger import periods
from fastcheck.wire.answers import Page, SpendCap
from fastcheck.wire.operations.caps import ListCaps, PutCap, RemoveCap
from fastcheck.wire.shapes import Removed


def put(call: Call, request: PutCap) -> SpendCap:
    """Makes a cap, or changes its amount and keeps what was counted. A new one counts from now on. Raises
    `UnknownCustomer`, `UnknownPool`, `AmountError`."""
    stored, accounts = call.held(request.customer), call.accounts()
    accounts.settle(call.totals)
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
    call.statements.put_caps([one])
    was = None if before is None else _summary(before)
    call.note("put_cap", stored.record.id, was, _summary(one), reason=request.reason)
    return _shown(one, stored.record.id, pool, claims(call.statements, number, pool.name, at), 0)


def remove(call: Call, request: RemoveCap) -> Removed:
    """Ends the caps of one key: of one window, or (None) of all."""
    stored, accounts = call.held(request.customer), call.accounts()
    accounts.settle(call.totals)
    pool, number = accounts.pool(request.pool), stored.record.number
    found = [
        one
        for one in call.statements.caps(number, pool.name)
        if one.key == (request.key or "") and request.per in (None, one.unit)
    ]
    call.statements.remove_caps(found)
    for one in found:
        call.note("remove_cap", stored.record.id, _summary(one), None)
    return Removed(bool(found))


def of(call: Call, request: ListCaps) -> Page[SpendCap]:
    """A customer's caps, in the order of pools, keys and windows."""
    stored, accounts = call.customer(request.customer), call.accounts()
    number, found = stored.record.number, []
    for one in call.statements.caps_of([number]):
        pool = call.product.pools.get(one.pool)
        if pool is not None:
            _, account = accounts.current(stored, pool)
            claimed = replace(claims(call.statements, number, pool.name, account.as_of), lent=0)
            used = 0 if one.key else call.statements.unfolded(number, pool.name)
            found.append(_shown(one, stored.record.id, pool, claimed, used))
    return Page(tuple(found), None)


def _find(call: Call, number: int, pool: Pool, key: str, per: str) -> StoredCap | None:
    found = (one for one in call.statements.caps(number, pool.name) if (one.key, one.unit) == (key, per))
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


USE_CASES = (
    UseCase(PutCap, put, account),
    UseCase(RemoveCap, remove, account),
    UseCase(ListCaps, of, customer),
)
