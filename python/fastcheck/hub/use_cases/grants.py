"""Grants: amounts that are put into pools, and taken back."""

from __future__ import annotations

from dataclasses import replace

from fastcheck.amounts import credits, units
from fastcheck.errors import AmountError, Conflict, NameInvalid, UnknownGrant
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer, StoredGrant
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase, account, customer
from fastcheck.ledger import burn
from fastcheck.ledger.lines import PURCHASE, Role
from fastcheck.ledger.model import AMOUNT_MAX, Account, Cost, Grant, GrantKind, Holding, Rollover
from fastcheck.ledger.periods import Anchor, Recurrence, Span
from fastcheck.wire.answers import GrantState, Page
from fastcheck.wire.operations.grants import ListGrants, MakeGrant, RolloverTerms, VoidGrant

MERGED = "merge:"
"""How the id of a grant begins that was another customer's."""
RESERVED_IDS = (*(f"{role.value}:" for role in Role), "topup:auto/", PURCHASE, MERGED)
"""How the ids of grants begin that come from the catalog, of those that top up, of those bought, and of those
that were another customer's."""


def put(call: Call, request: MakeGrant) -> GrantState:
    """Puts an amount into a pool. What the open lease has used is booked before, so that earlier use is not
    paid from the grant. With an id of the caller's, asking again changes nothing. Raises `UnknownCustomer`,
    `UnknownPool`, `AmountError`, `Conflict` (the id exists with other terms)."""
    assert request.id is not None, "the service gives it one"
    stored, accounts = call.held(request.customer), call.accounts()
    pool = accounts.pool(request.pool)
    amount = units(request.amount, pool.scale)
    accounts.settle(call.totals)
    known = same(call, request, request.id, stored.record.number, pool, amount)
    if known is not None:
        return shown(known.holding, stored.record.id, pool)
    if request.expires_at is not None and request.expires_at <= accounts.now:
        raise AmountError("expires_at has passed already: the grant would never be active")
    before = accounts.update(stored, pool)
    if before.remaining() + amount > AMOUNT_MAX:
        raise AmountError(f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: grant less")
    made = _terms(request, request.id, amount, pool, accounts.now, accounts.now)
    return add(call, accounts, stored, pool, before, made)


def add(
    call: Call,
    accounts: Accounts,
    stored: StoredCustomer,
    pool: Pool,
    before: Account,
    made: Grant,
    action: str = "grant",
) -> GrantState:
    """Puts a new grant into an account as of now, writes it, and raises the open lease."""
    number, id = stored.record.number, stored.record.id
    after = burn.put(before, pool.rules, made)
    accounts.save(number, pool.name, before, after)
    call.effects.terms, call.effects.reopen = accounts.raise_lease(stored, pool, after)
    summary = {"grant": made.id, "pool": pool.name, "units": made.amount, "kind": made.kind.value}
    call.note(action, id, None, summary, reason=made.reason)
    return shown(_find(after, made.id), id, pool)


def _terms(request: MakeGrant, id: str, amount: int, pool: Pool, now: int, starts: int) -> Grant:
    """A request as the ledger has it, made at `now`; `starts`: where it does not say when."""
    starts = starts if request.effective_at is None else request.effective_at
    every = None if request.every is None else Span.parse(request.every)
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
        rollover=_rollover(request.rollover, pool),
        cost=None if request.cost is None else Cost(*request.cost),
    )


def _rollover(terms: RolloverTerms | None, pool: Pool) -> Rollover:
    if terms is None:
        return Rollover()
    least, most = (
        units(kept, pool.scale, f"rollover {what}") if kept else 0
        for kept, what in ((terms.min, "min"), (terms.max, "max"))
    )
    if least > most:
        raise AmountError("rollover min is above max: swap them")
    return Rollover(least, most, 100 if terms.percent is None else terms.percent, bool(terms.once))


def same(call: Call, request: MakeGrant, id: str, number: int, pool: Pool, amount: int) -> StoredGrant | None:
    """The grant that an earlier request of the same id made. Raises `Conflict` if its terms were others."""
    if id.startswith(RESERVED_IDS):
        raise NameInvalid(f"grant ids beginning with {', '.join(RESERVED_IDS)} are our own: take another")
    known = call.statements.grant(id)
    if known is None:
        return None
    grant = known.holding.grant
    asked = _terms(request, id, amount, pool, grant.created_at, grant.effective_at)
    asked, made = replace(asked, reason=grant.reason), replace(grant, voided_at=None)
    if grant.kind is GrantKind.REFUND:
        asked = replace(asked, source=grant.source)  # Of which event it is, the refund compares.
    if (known.customer, known.pool) != (number, pool.name) or asked != made:
        raise Conflict(f"grant {id!r:.80} exists with other terms: use another id for another grant")
    return known


def _stored(call: Call, id: str) -> StoredGrant:
    """A grant as it was last written. Raises `UnknownGrant`."""
    grant = call.statements.grant(id)
    if grant is None:
        raise UnknownGrant(f"there is no grant {id!r:.80}: see list_grants")
    return grant


def _account_of(call: Call, request: VoidGrant) -> Concerns:
    grant = _stored(call, request.id)
    return Concerns([grant.customer], [grant.pool])


def void(call: Call, request: VoidGrant) -> GrantState:
    """Takes back what is left of a grant. Again: no change. Raises `UnknownGrant`, `Conflict` for one that is
    used up or over, or was bought."""
    id = request.id
    statements, grant, accounts = call.statements, _stored(call, id), call.accounts()
    source = grant.holding.grant.source or ""
    if source.startswith(PURCHASE):
        bought = source.removeprefix(PURCHASE)
        raise Conflict(f"grant {id!r:.80} was bought: use refund_purchase or charge_back of {bought!r:.80}")
    statements.lock([grant.customer, *(one.number for one in call.totals)])
    accounts.settle(call.totals)
    pool = accounts.pool(grant.pool)
    stored = statements.customer(grant.customer)
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


def of(call: Call, request: ListGrants) -> Page[GrantState]:
    """A customer's grants as of the call's instant, oldest first, ended ones included. Raises
    `UnknownCustomer`, `UnknownPool`."""
    stored, accounts = call.customer(request.customer), call.accounts()
    pools = list(call.product.pools.values()) if request.pool is None else [accounts.pool(request.pool)]
    found = (
        shown(held, stored.record.id, one)
        for one in pools
        for held in accounts.current(stored, one)[1].holdings
        if not one.private or held.grant.amount or held.burned
    )
    return Page(tuple(found), None)


def _account_or_all(call: Call, request: ListGrants) -> Concerns:
    return customer(call, request) if request.pool is None else account(call, request)


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


USE_CASES = (
    UseCase(MakeGrant, put, account),
    UseCase(VoidGrant, void, _account_of),
    UseCase(ListGrants, of, _account_or_all),
)
