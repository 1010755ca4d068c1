"""Automatic top-ups: a rule of an account, and what it does when the balance is low.

A settlement that passes the rule's threshold, or a lease that is opened at or below it, notes that the rule
is due. Whoever looks after that decides here, on the account as it is then; the note goes with the decision,
so that one crossing is one top-up, whoever asks and however often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastcheck.amounts import credits, units
from fastcheck.errors import RecordError
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer, StoredTopUp
from fastcheck.hub.use_cases.accounts import Accounts, Terms, Totals
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.ledger import burn
from fastcheck.ledger.model import AMOUNT_MAX, Account, Cost, Grant, GrantKind
from fastcheck.ledger.topup import Reason, TopUpRule, due, key, month_ends_at, month_starts_at
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.events import Kind
from fastcheck.wire.operations.top_ups import ListTopUps, PutTopUp, RemoveTopUp
from fastcheck.wire.shapes import Removed

LISTED_MAX = 10_000
"""Rules in one answer."""


@dataclass(frozen=True)
class ToppedUp:
    """What became of a rule that was due."""

    units: int
    """Granted; 0 = nothing."""
    terms: Terms | None
    """The open lease, raised; None: see `reopen`."""
    reopen: bool
    """Whether the open lease must be closed and lent anew."""


NOTHING = ToppedUp(0, None, False)


def put(call: Call, request: PutTopUp) -> TopUpState:
    """Makes or changes a rule, and notes that it is due. What the month has had stays counted, also by a rule
    that was removed meanwhile. Raises `UnknownCustomer`, `UnknownPool`, `AmountError`, `RecordError`."""
    stored = call.held(request.customer)
    pool, number = call.accounts().pool(request.pool), stored.record.number
    if pool.private:
        raise RecordError(f"pool {pool.name!r:.80} is a meter's, which its period refills: use a named pool")
    threshold = 0 if _is_zero(request.threshold) else units(request.threshold, pool.scale, "threshold")
    target = units(request.target, pool.scale, "target")
    cap = None if request.monthly_cap is None else units(request.monthly_cap, pool.scale, "monthly_cap")
    TopUpRule(threshold, target, cap)  # Raises where it cannot be meant.
    cost = None if request.cost is None else Cost(*request.cost)
    known = call.statements.top_up(number, pool.name, removed=True)
    month, counted, sequence = (0, 0, 0) if known is None else (known.month, known.units, known.sequence)
    one = StoredTopUp(
        number,
        pool.name,
        threshold,
        target,
        cap,
        None if cost is None else cost.amount,
        None if cost is None else cost.currency,
        month,
        counted,
        sequence,
        call.now,
        request.reason,
        call.by.author,
        call.now,
    )
    before = None if known is None or known.removed_at is not None else _summary(known)
    call.statements.put_top_up(one)
    call.note("put_top_up", stored.record.id, before, _summary(one), reason=request.reason)
    return _shown(one, stored.record.id, pool, call.now)


def _is_zero(amount: object) -> bool:
    return type(amount) is int and amount == 0


def remove(call: Call, request: RemoveTopUp) -> Removed:
    """Takes a rule away; what was granted stays. Raises `UnknownCustomer`."""
    stored = call.held(request.customer)
    known = call.statements.top_up(stored.record.number, request.pool)
    if known is None:
        return Removed(False)
    call.statements.put_top_up(replace(known, removed_at=call.now, due_at=None))
    call.note("remove_top_up", stored.record.id, _summary(known), None)
    return Removed(True)


def of(call: Call, request: ListTopUps) -> Page[TopUpState]:
    """The rules of a customer, or all. Raises `UnknownCustomer`."""
    if request.customer is not None:
        found = call.statements.top_ups_of(call.number(request.customer))
    else:
        found = call.statements.top_ups_after(0, LISTED_MAX)
    shown = (
        _shown(one, id, call.product.pools[one.pool], call.now)
        for one, id in found
        if one.pool in call.product.pools
    )
    return Page(tuple(shown), None)


def run(call: Call, number: int, pool_name: str, totals: Totals | None) -> ToppedUp:
    """Tops an account up if its rule is due and its balance is low: to the target, or as far as the month's
    cap goes. `totals`: what the open lease has used so far."""
    accounts = call.accounts()
    call.statements.lock([number] if totals is None else [number, totals.number])
    if totals is not None:
        accounts.settle([totals])
    rule, pool = call.statements.top_up(number, pool_name), call.product.pools.get(pool_name)
    stored = call.statements.customer(number)
    if rule is None or pool is None or rule.due_at is None or rule.due_at > call.now or stored.record.deleted:
        return NOTHING
    account = accounts.update(stored, pool)
    return _decide(call, accounts, stored, pool, rule, account)


def _decide(
    call: Call, accounts: Accounts, stored: StoredCustomer, pool: Pool, rule: StoredTopUp, before: Account
) -> ToppedUp:
    number, id, month = stored.record.number, stored.record.id, month_starts_at(call.now)
    if rule.month != month:
        rule = replace(rule, month=month, units=0, sequence=0)
    left = before.remaining() - before.overage
    found = due(TopUpRule(rule.threshold, rule.target, rule.monthly_cap), left, rule.units, call.now)
    more = min(found.units, AMOUNT_MAX - before.remaining())
    after, made = before, None
    if more > 0:
        made = Grant(
            key(f"auto/{number}/{pool.name}", call.now, rule.sequence),
            more,
            effective_at=call.now,
            kind=GrantKind.TOP_UP,
            created_at=call.now,
            reason=rule.reason or "automatic top-up",
            cost=_cost(rule, more),
        )
        after = burn.put(before, pool.rules, made)
        accounts.save(number, pool.name, before, after)
        rule = replace(rule, units=rule.units + more, sequence=rule.sequence + 1)
    capped = found.reason in (Reason.CAPPED, Reason.CAP_REACHED)
    # Where the cap stood in the way, nobody asks again before the next month.
    call.statements.put_top_up(replace(rule, due_at=found.retry_at if capped else None))
    terms, reopen = accounts.raise_lease(stored, pool, after)
    now_left = max(0, after.remaining() - after.overage)
    if made is not None:
        summary = {"grant": made.id, "pool": pool.name, "units": more, "kind": made.kind.value}
        call.note("top_up", id, None, summary, reason=made.reason)
        call.statements.tell(
            Kind.TOPPED_UP,
            call.now,
            number,
            id,
            {
                "pool": pool.name,
                "grant": made.id,
                "amount": credits(more, pool.scale),
                "remaining": credits(now_left, pool.scale),
            },
            now_left,
        )
    if capped:
        call.statements.tell(
            Kind.TOP_UP_CAPPED,
            call.now,
            number,
            id,
            {
                "pool": pool.name,
                "remaining": credits(now_left, pool.scale),
                "retry_at": month_ends_at(call.now),
            },
            now_left,
        )
    return ToppedUp(more if made is not None else 0, terms, reopen)


def _cost(rule: StoredTopUp, more: int) -> Cost | None:
    if rule.cost is None or rule.currency is None:
        return None
    return Cost(-(-rule.cost * more // rule.target), rule.currency)


def due_now(call: Call, limit: int) -> Sequence[tuple[int, str]]:
    """(customer's number, pool) of the rules that are due."""
    return call.statements.top_ups_due_at(call.now, limit)


def _summary(one: StoredTopUp) -> dict[str, object]:
    return {
        "pool": one.pool,
        "threshold": one.threshold,
        "target": one.target,
        "monthly_cap": one.monthly_cap,
    }


def _shown(one: StoredTopUp, customer: str, pool: Pool, now: int) -> TopUpState:
    month = month_starts_at(now)
    return TopUpState(
        customer,
        pool.name,
        credits(one.threshold, pool.scale),
        credits(one.target, pool.scale),
        None if one.monthly_cap is None else credits(one.monthly_cap, pool.scale),
        None if one.cost is None or one.currency is None else (one.cost, one.currency),
        credits(one.units if one.month == month else 0, pool.scale),
        month,
        one.reason,
        one.author,
        one.created_at,
    )


USE_CASES = (UseCase(PutTopUp, put), UseCase(RemoveTopUp, remove), UseCase(ListTopUps, of))
