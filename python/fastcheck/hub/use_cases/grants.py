"""Grants and the balances they make."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastcheck.amounts import credits, units
from fastcheck.errors import AmountError, Conflict, NameInvalid, UnknownGrant
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer, StoredGrant
from fastcheck.hub.use_cases.accounts import Accounts, Terms, Totals
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger import burn
from fastcheck.ledger.model import AMOUNT_MAX, Account, Cost, Grant, GrantKind, Holding, Rollover
from fastcheck.ledger.periods import Anchor, Recurrence, Span
from fastcheck.wire.answers import Balance, GrantState, travels
from fastcheck.wire.requests import MakeGrant

RESERVED_IDS = ("plan:", "trial:", "addon:", "meter:", "topup:auto/")
"""How the ids of grants begin that come from the catalog, and of those that top up."""


@travels
@dataclass(frozen=True)
class Granted:
    """What became of a request for a grant."""

    grant: GrantState
    number: int
    pool: str
    terms: Terms | None
    """The open lease, raised; None: see `reopen`."""
    reopen: bool
    """Whether the open lease must be closed and lent anew."""


def put(call: Call, request: MakeGrant, totals: Totals | None) -> Granted:
    """Puts an amount into a pool. Raises `UnknownCustomer`, `UnknownPool`, `AmountError`, `Conflict`."""
    stored, accounts = call.held(request.customer, [totals]), call.accounts()
    number, id = stored.record.number, stored.record.id
    pool = accounts.pool(request.pool)
    amount = units(request.amount, pool.scale)
    if totals is not None:
        accounts.settle([totals])
    known = None if request.id is None else same(call, request, request.id, number, pool, amount)
    if known is not None:
        return Granted(shown(known.holding, id, pool), number, pool.name, None, False)
    if request.expires_at is not None and request.expires_at <= accounts.now:
        raise AmountError("expires_at has passed already: the grant would never be active")
    before = accounts.update(stored, pool)
    if before.remaining() + amount > AMOUNT_MAX:
        raise AmountError(f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: grant less")
    made = _terms(request, request.id or f"g_{secrets.token_hex(12)}", amount, pool, accounts.now)
    return add(call, accounts, stored, pool, before, made)


def add(
    call: Call,
    accounts: Accounts,
    stored: StoredCustomer,
    pool: Pool,
    before: Account,
    made: Grant,
    action: str = "grant",
) -> Granted:
    """Puts a new grant into an account as of now, writes it, and raises the open lease."""
    number, id = stored.record.number, stored.record.id
    after = burn.put(before, pool.rules, made)
    accounts.save(number, pool.name, before, after)
    terms, reopen = accounts.raise_lease(stored, pool, after)
    summary = {"grant": made.id, "pool": pool.name, "units": made.amount, "kind": made.kind.value}
    call.note(action, id, None, summary, reason=made.reason)
    return Granted(shown(_find(after, made.id), id, pool), number, pool.name, terms, reopen)


def _terms(request: MakeGrant, id: str, amount: int, pool: Pool, now: int) -> Grant:
    """A request as the ledger has it; what it leaves open counts from `now`."""
    starts = now if request.effective_at is None else request.effective_at
    every = None if request.every is None else Span.parse(request.every)
    kept = dict(request.rollover)
    least, most = (
        units(kept[one], pool.scale, f"rollover {one}") if kept.get(one) else 0 for one in ("min", "max")
    )
    if least > most:
        raise AmountError("rollover min is above max: swap them")
    return Grant(
        id,
        amount,
        priority=request.priority,
        effective_at=starts,
        expires_at=request.expires_at,
        kind=GrantKind(request.kind),
        created_at=now,
        reason=request.reason,
        recurrence=None if every is None else Recurrence(every, Anchor(request.anchor), starts, request.zone),
        rollover=Rollover(least, most, kept.get("percent", 100), kept.get("once", False)),
        cost=None if request.cost is None else Cost(*request.cost),
    )


def same(call: Call, request: MakeGrant, id: str, number: int, pool: Pool, amount: int) -> StoredGrant | None:
    """The grant that an earlier request of the same id made. Raises `Conflict` if its terms were others."""
    if id.startswith(RESERVED_IDS):
        raise NameInvalid(f"grant ids beginning with {', '.join(RESERVED_IDS)} are our own: take another")
    known = call.books.grant(id)
    if known is None:
        return None
    grant = known.holding.grant
    same = replace(request, effective_at=request.effective_at or grant.effective_at, reason=grant.reason)
    asked = _terms(same, id, amount, pool, grant.created_at)
    made = replace(grant, voided_at=None)
    if (known.customer, known.pool) != (number, pool.name) or asked != made:
        raise Conflict(f"grant {id!r:.80} exists with other terms: use another id for another grant")
    return known


def stored_grant(call: Call, id: str) -> StoredGrant:
    """A grant as it was last written. Raises `UnknownGrant`."""
    grant = call.books.grant(id)
    if grant is None:
        raise UnknownGrant(f"there is no grant {id!r:.80}: see list_grants")
    return grant


def void(call: Call, id: str, finals: Sequence[Totals]) -> GrantState:
    """Takes back what is left of a grant. Raises `UnknownGrant`, `Conflict`."""
    books, grant, accounts = call.books, stored_grant(call, id), call.accounts()
    books.lock([grant.customer, *(one.number for one in finals)])
    accounts.settle(finals)
    pool = accounts.pool(grant.pool)
    stored = books.customer(grant.customer)
    before = accounts.update(stored, pool)
    found = _find(before, id)
    if found.grant.voided_at is None or found.parked is not None:
        if found.remaining == 0 and found.parked is None and found.grant.recurrence is None:
            over = "expired" if found.burned < found.granted else "used up"
            raise Conflict(f"grant {id!r:.80} is {over}: there is nothing to take back")
        after = burn.void(before, id)
        accounts.save(grant.customer, pool.name, before, after)
        left, nothing = {"grant": id, "units": found.remaining}, {"grant": id, "units": 0}
        call.note("void", stored.record.id, left, nothing)
        found = _find(after, id)
    return shown(found, stored.record.id, pool)


def of(call: Call, key: str, pool: str | None) -> list[GrantState]:
    """A customer's grants as of now, oldest first, ended ones included."""
    stored, accounts = call.customer(key), call.accounts()
    pools = [accounts.pool(pool)] if pool is not None else list(call.product.pools.values())
    return [
        shown(held, stored.record.id, one)
        for one in pools
        for held in accounts.current(stored, one)[1].holdings
        if not one.private or held.grant.amount or held.burned
    ]


def balance(accounts: Accounts, customer: StoredCustomer, pool: Pool) -> Balance:
    """What a customer has in a pool now, by what was settled so far."""
    return balance_of(accounts, customer, pool, accounts.current(customer, pool)[1])


def balance_of(accounts: Accounts, customer: StoredCustomer, pool: Pool, account: Account) -> Balance:
    """The same, of an account that was read already."""
    unlimited = accounts.quota(customer, pool, account.as_of) is None
    held = accounts.books.held(customer.record.number, pool.name, account.as_of)
    reserved = sum(one.units for one in held)
    left = max(0, account.remaining() - account.overage - reserved)
    remaining = None if unlimited else credits(left, pool.scale)
    return Balance(
        customer.record.id,
        pool.name,
        remaining,
        credits(0 if unlimited else account.overage, pool.scale),
        credits(account.used(), pool.scale),
        burn.next_change(account),
        account.as_of,
        credits(reserved, pool.scale),
    )


def _find(account: Account, id: str) -> Holding:
    return next(one for one in account.holdings if one.id == id)


def shown(held: Holding, customer: str, pool: Pool) -> GrantState:
    grant = held.grant
    return GrantState(
        grant.id,
        customer,
        pool.name,
        credits(grant.amount, pool.scale),
        credits(held.remaining, pool.scale),
        grant.priority,
        grant.effective_at,
        grant.expires_at,
        grant.kind.value,
        grant.reason,
        grant.source,
        grant.created_at,
        grant.voided_at,
        None if grant.recurrence is None else str(grant.recurrence.every),
        None if grant.cost is None else (grant.cost.amount, grant.cost.currency),
        credits(held.burned, pool.scale),
        credits(held.expired, pool.scale),
        credits(held.voided, pool.scale),
    )
