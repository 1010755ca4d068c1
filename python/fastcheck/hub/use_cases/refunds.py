"""Refunds: used credits given back as a grant of their own. What was burned stays burned, so the books show
both the use and what was done about it."""

from __future__ import annotations

from fastcheck.amounts import credits, units
from fastcheck.errors import AmountError, Conflict
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.grants import MERGED, add, same, shown
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase, account
from fastcheck.ledger.model import AMOUNT_MAX, Account, Grant, GrantKind
from fastcheck.wire.answers import GrantState
from fastcheck.wire.operations.grants import MakeGrant
from fastcheck.wire.operations.refunds import Refund


def put(call: Call, request: Refund) -> GrantState:
    """Gives used credits back. Raises `UnknownCustomer`, `UnknownPool`, `AmountError` (more than was used and
    not refunded before), `Conflict` (the id exists with other terms, or there is no such event)."""
    stored, accounts = call.held(request.customer), call.accounts()
    number, id = stored.record.number, stored.record.id
    pool = accounts.pool(request.pool)
    amount = units(request.amount, pool.scale)
    accounts.settle(call.totals)
    assert request.id is not None, "the service gives it one"
    source = None if request.event is None else f"event:{request.event}"
    grant = MakeGrant(
        request.customer,
        request.pool,
        request.amount,
        request.id,
        expires_at=request.expires_at,
        kind=GrantKind.REFUND.value,
    )
    known = same(call, grant, request.id, number, pool, amount)
    if known is not None:
        if known.holding.grant.source != source:
            raise Conflict(f"refund {request.id!r:.80} exists for another event: take another id")
        return shown(known.holding, id, pool)
    if request.expires_at is not None and request.expires_at <= accounts.now:
        raise AmountError("expires_at has passed already: the refund would never be active")
    before = accounts.update(stored, pool)
    if request.event is not None:
        _check(amount, _used_by(call, stored, pool, request.event), before, pool, source)
    _check(amount, before.used(), before, pool, None)
    if before.remaining() + amount > AMOUNT_MAX:
        raise AmountError(f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: refund less")
    made = Grant(
        request.id,
        amount,
        effective_at=accounts.now,
        expires_at=request.expires_at,
        kind=GrantKind.REFUND,
        created_at=accounts.now,
        reason=request.reason,
        source=source,
    )
    return add(call, accounts, stored, pool, before, made, "refund")


def _check(amount: int, used: int, account: Account, pool: Pool, source: str | None) -> None:
    """Refuses more than `used` less what was refunded: of one event, or (None) of all. A refund that was
    voided counts for what of it was spent."""
    refunded = sum(
        one.granted - one.voided
        for one in account.holdings
        if one.grant.kind is GrantKind.REFUND
        and source in (None, one.grant.source)
        and not one.id.startswith(MERGED)  # Of what another customer used.
    )
    most = max(0, used - refunded)
    if amount > most:
        of = "" if source is None else f" of {source.replace(':', ' ', 1)}"
        raise AmountError(
            f"{credits(used, pool.scale)} was used{of} and {credits(refunded, pool.scale)} refunded before: "
            f"at most {credits(most, pool.scale)} can be refunded, not {credits(amount, pool.scale)}"
        )


def _used_by(call: Call, stored: StoredCustomer, pool: Pool, event: str) -> int:
    """Units that an event burned of a pool. Raises `Conflict` where the customer has no such event."""
    features = {one for one, feature in call.product.features.items() if feature.pool == pool.name}
    found = [
        spent
        for customer, feature, spent in call.statements.usage_of(event)
        if feature in features and call.statements.number_of(customer) == stored.record.number
    ] + call.statements.debited(stored.record.number, pool.name, event)
    if not found:
        raise Conflict(
            f"customer {stored.record.id!r:.80} has no use of pool {pool.name} under event {event!r:.80}: "
            "see list_usage; a use without an event id leaves no record"
        )
    return sum(found)


USE_CASES = (UseCase(Refund, put, account),)
