"""Grants and the balances they make."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from ..amounts import credits, units
from ..answers import Balance, GrantState, travels
from ..errors import AmountError, Conflict, NameInvalid, UnknownGrant
from ..ledger import burn
from ..ledger.model import AMOUNT_MAX, Account, Grant, GrantKind, Holding
from .accounts import Accounts, Terms, Totals
from .call import Call
from .product import Pool
from .requests import MakeGrant
from .store.books import StoredCustomer, StoredGrant

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
    known = None if request.id is None else _same(call, request, request.id, number, amount)
    if known is not None:
        return Granted(_shown(known.holding, id, pool), number, pool.name, None, False)
    if request.expires_at is not None and request.expires_at <= accounts.now:
        raise AmountError("expires_at has passed already: the grant would never be active")
    before = accounts.update(stored, pool)
    if before.remaining() + amount > AMOUNT_MAX:
        raise AmountError(f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: grant less")
    made = Grant(
        request.id or f"g_{secrets.token_hex(12)}", amount, priority=request.priority,
        effective_at=accounts.now if request.effective_at is None else request.effective_at,
        expires_at=request.expires_at, kind=GrantKind(request.kind), created_at=accounts.now,
        reason=request.reason,
    )  # fmt: skip
    after = burn.put(before, pool.rules, made)
    accounts.save(number, pool.name, before, after)
    terms, reopen = accounts.raise_lease(stored, pool, after)
    summary = {"grant": made.id, "pool": pool.name, "units": amount, "kind": request.kind}
    call.note("grant", id, None, summary, reason=request.reason)
    return Granted(_shown(_find(after, made.id), id, pool), number, pool.name, terms, reopen)


def _same(call: Call, request: MakeGrant, id: str, number: int, amount: int) -> StoredGrant | None:
    """The grant that an earlier request of the same id made. Raises `Conflict` if its terms were others."""
    if id.startswith(RESERVED_IDS):
        raise NameInvalid(
            f"grant ids beginning with {', '.join(RESERVED_IDS)} are our own: take another"
        )
    known = call.books.grant(id)
    if known is None:
        return None
    asked = (number, request.pool, amount, request.priority, request.expires_at, request.kind)
    grant = known.holding.grant
    made = (known.customer, known.pool, grant.amount, grant.priority, grant.expires_at, grant.kind.value)
    if asked != made or request.effective_at not in (None, grant.effective_at):
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
    return _shown(found, stored.record.id, pool)


def of(call: Call, key: str, pool: str | None) -> list[GrantState]:
    """A customer's grants as of now, oldest first, ended ones included."""
    stored, accounts = call.customer(key), call.accounts()
    pools = [accounts.pool(pool)] if pool is not None else list(call.product.pools.values())
    return [
        _shown(held, stored.record.id, one)
        for one in pools
        for held in accounts.current(stored, one)[1].holdings
        if not one.private or held.grant.amount or held.burned
    ]


def balance(accounts: Accounts, customer: StoredCustomer, pool: Pool) -> Balance:
    """What a customer has in a pool now, by what was settled so far."""
    _, account = accounts.current(customer, pool)
    unlimited = accounts.quota(customer, pool, account.as_of) is None
    remaining = None if unlimited else credits(max(0, account.remaining() - account.overage), pool.scale)
    return Balance(
        customer.record.id, pool.name, remaining, credits(0 if unlimited else account.overage, pool.scale),
        credits(account.used(), pool.scale), burn.next_change(account), account.as_of,
    )  # fmt: skip


def _find(account: Account, id: str) -> Holding:
    return next(one for one in account.holdings if one.id == id)


def _shown(held: Holding, customer: str, pool: Pool) -> GrantState:
    grant = held.grant
    return GrantState(
        grant.id, customer, pool.name, credits(grant.amount, pool.scale),
        credits(held.remaining, pool.scale), grant.priority, grant.effective_at, grant.expires_at,
        grant.kind.value, grant.reason, grant.source, grant.created_at, grant.voided_at,
    )  # fmt: skip
