"""Reservations and debits at the hub itself: for the last credits, and for who has no host of their own.

They count against what may be lent. Nothing is burned before a commit, so a release has nothing to unwind."""

from __future__ import annotations

from dataclasses import replace

from fastcheck.amounts import credits, units
from fastcheck.errors import Conflict, UnknownReservation
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer, StoredReservation
from fastcheck.hub.store.statements.reservations import COMMITTED, EXPIRED, OPEN, RELEASED
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.claims import Claims, claims
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase, account
from fastcheck.ledger.burn import use
from fastcheck.ledger.lend import spendable
from fastcheck.ledger.model import Account
from fastcheck.wire.answers import ReservationState
from fastcheck.wire.operations.reservations import Commit, Debit, Release, Reserve


def reserve(call: Call, request: Reserve) -> ReservationState:
    """Holds units until `ttl_ms` is over. Denied (`state`) without a trace where they are not all there.
    Raises `Conflict` where the id exists with other terms."""
    return _take(call, request, None, request.ttl_ms)


def debit(call: Call, request: Debit) -> ReservationState:
    """Burns units at once; else as `reserve`."""
    return _take(call, request, request.event, 0)


def _take(call: Call, request: Reserve | Debit, event: str | None, ttl_ms: int) -> ReservationState:
    assert request.id is not None, "the service gives it one"
    stored, accounts = call.held(request.customer), call.accounts()
    accounts.settle(call.totals)
    pool, number = accounts.pool(request.pool), stored.record.number
    amount = units(request.amount, pool.scale)
    known = call.statements.reservation(request.id)
    if known is not None:
        made = (known.number, known.pool, known.units, known.sub_key, known.event)
        if made != (number, pool.name, amount, request.key, event):
            raise Conflict(f"{request.id!r:.80} exists with other terms: take another id")
        return _shown(call, known, stored, pool)
    account = accounts.update(stored, pool)
    one = StoredReservation(
        request.id,
        number,
        pool.name,
        amount,
        OPEN,
        0,
        request.key,
        event,
        account.as_of + ttl_ms,
        account.as_of,
        call.by.author,
    )
    claimed = claims(call.statements, number, pool.name, account.as_of)
    left, resets_at = _left(accounts, stored, pool, account, claimed, request.key)
    if left is not None and amount > left:
        shown = replace(_shown(call, one, stored, pool), state="denied")
        return replace(shown, left=credits(left, pool.scale), resets_at=resets_at)
    if ttl_ms == 0:
        one = replace(one, state=COMMITTED, spent=amount)
        _burn(accounts, pool, account, one, amount, 0)
    call.statements.put_reservation(one)
    return _shown(call, one, stored, pool)


def commit(call: Call, request: Commit) -> ReservationState:
    """Burns what was used, 0 to any amount: what was held, and more as far as more is there. After the expiry
    nothing is held, and all of it is more. Raises `UnknownReservation`; `Conflict` for one that was committed
    with another amount or released, and where it is not all there."""
    id, amount = request.id, request.amount
    one, stored, accounts, pool = _found(call, id)
    asked = 0 if amount == 0 and type(amount) is int else units(amount, pool.scale)
    if one.state == RELEASED or (one.state == COMMITTED and one.spent != asked):
        raise Conflict(f"reservation {id!r:.80} was {one.state} before: nothing was burned now")
    if one.state == COMMITTED:
        return _shown(call, one, stored, pool)
    account = accounts.update(stored, pool)
    held = one.units if one.state == OPEN and one.expires_at > account.as_of else 0
    claimed = claims(call.statements, one.number, pool.name, account.as_of)
    more = max(0, asked - held)
    left, _ = _left(accounts, stored, pool, account, claimed, one.sub_key)
    there = None if _unlimited(accounts, stored, pool) else spendable(account, pool.rules)
    most = None if there is None else max(0, there - claimed.lent)
    if (more and left is not None and more > left) or (most is not None and asked > most):
        can = held + (left or 0) if most is None else min(most, held + (more if left is None else left))
        raise Conflict(
            f"reservation {id!r:.80} holds {credits(held, pool.scale)}, and at most "
            f"{credits(can, pool.scale)} can be burned now: commit that, or grant more first"
        )
    one = replace(one, state=COMMITTED, spent=asked)
    _burn(accounts, pool, account, one, min(asked, held), more)
    call.statements.change_reservation(one)
    return _shown(call, one, stored, pool)


def release(call: Call, request: Release) -> ReservationState:
    """Holds nothing any more; again, or after the expiry: no change. Raises `UnknownReservation`, `Conflict`
    for one that was committed."""
    id = request.id
    one, stored, accounts, pool = _found(call, id)
    if one.state == COMMITTED:
        raise Conflict(f"reservation {id!r:.80} was committed before: give it back with refund")
    if one.state == OPEN and one.expires_at > accounts.update(stored, pool).as_of:
        one = replace(one, state=RELEASED)
        call.statements.change_reservation(one)
    return _shown(call, one, stored, pool)


def _account_of(call: Call, request: Commit | Release) -> Concerns:
    number, pool = _place_of(call, request.id)
    return Concerns([number], [pool])


def _place_of(call: Call, id: str) -> tuple[int, str]:
    one = call.statements.reservation(id)
    if one is None:
        raise UnknownReservation(f"there is no reservation {id!r:.80}: reserve first")
    return one.number, one.pool


def _found(call: Call, id: str) -> tuple[StoredReservation, StoredCustomer, Accounts, Pool]:
    number, _ = _place_of(call, id)
    call.statements.lock([number, *(one.number for one in call.totals)])
    accounts = call.accounts()
    accounts.settle(call.totals)
    one = call.statements.reservation(id)
    assert one is not None, "they are never removed"
    return one, call.statements.customer(number), accounts, accounts.pool(one.pool)


def _unlimited(accounts: Accounts, stored: StoredCustomer, pool: Pool) -> bool:
    return accounts.quota(stored, pool, accounts.now) is None


def _left(
    accounts: Accounts, stored: StoredCustomer, pool: Pool, account: Account, claimed: Claims, key: str | None
) -> tuple[int | None, int | None]:
    """(units that nobody has a claim on, None = any; when the cap in the way ends)."""
    there = None if _unlimited(accounts, stored, pool) else spendable(account, pool.rules)
    left = None if there is None else max(0, there - claimed.units)
    room = claimed.room(key)
    if room.units is not None and (left is None or room.units < left):
        return room.units, room.ends_at
    return left, None


def _burn(
    accounts: Accounts, pool: Pool, account: Account, one: StoredReservation, held: int, more: int
) -> None:
    """Burns in order. What was held counts to the windows in which it was held, the rest to those of now."""
    after = use(account, pool.rules, held + more)
    accounts.save(one.number, pool.name, account, after)
    for units_, at in ((held, one.created_at), (more, account.as_of)):
        if units_:
            accounts.count(one.number, pool.name, units_, at, one.sub_key)


def _shown(call: Call, one: StoredReservation, stored: StoredCustomer, pool: Pool) -> ReservationState:
    state = EXPIRED if one.state == OPEN and one.expires_at <= call.now else one.state
    return ReservationState(
        one.id,
        stored.record.id,
        pool.name,
        credits(one.units, pool.scale),
        state,
        credits(one.spent, pool.scale),
        one.sub_key,
        one.event,
        one.expires_at,
        one.created_at,
    )


USE_CASES = (
    UseCase(Reserve, reserve, account),
    UseCase(Debit, debit, account),
    UseCase(Commit, commit, _account_of),
    UseCase(Release, release, _account_of),
)
