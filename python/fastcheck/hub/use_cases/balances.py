"""What customers have in their pools, and what became of it, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fastcheck.amounts import credits
from fastcheck.errors import CatalogError, InstantError, UnknownCustomer, UnknownPool
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase, account
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import Anchor, Recurrence, Span, index, start
from fastcheck.wire.answers import Balance, BalanceWindow, Page
from fastcheck.wire.fields import span
from fastcheck.wire.operations.balances import GetBalance, GetBalanceHistory

WINDOWS_MAX = 1_000
"""Windows in one answer."""


def get(call: Call, request: GetBalance) -> Balance:
    """What a customer has in a pool at the call's instant, by what was settled until then. Raises
    `UnknownCustomer`, `UnknownPool`."""
    accounts = call.accounts()
    stored, pool = call.customer(request.customer), accounts.pool(request.pool)
    account = accounts.current(stored, pool)[1]
    return balance_of(accounts, accounts.seen(stored), pool, account)


def balance_of(accounts: Accounts, stored: StoredCustomer, pool: Pool, account: Account) -> Balance:
    """What a customer has in a pool, by what was settled so far."""
    unlimited = accounts.quota(stored, pool, account.as_of) is None
    held = accounts.statements.held(stored.record.number, pool.name, account.as_of)
    reserved = sum(one.units for one in held)
    left = max(0, account.remaining() - account.overage - reserved)
    remaining = None if unlimited else credits(left, pool.scale)
    return Balance(
        stored.record.id,
        pool.name,
        remaining,
        credits(0 if unlimited else account.overage, pool.scale),
        credits(account.used(), pool.scale),
        accounts.next_change(stored, pool, account),
        account.as_of,
        credits(reserved, pool.scale),
    )


def history(call: Call, request: GetBalanceHistory) -> Page[BalanceWindow]:
    """What became of a balance in each window of [since, until). Raises `InstantError`, `UnknownCustomer`,
    `UnknownPool`."""
    instants = _bounds(span(request.every, "every"), request.since, request.until)
    call.number(request.customer)
    return Page(tuple(_windows(call, request.customer, request.pool, instants)), None)


def _bounds(every: Span, since: int, until: int) -> list[int]:
    """The instants at which windows over [since, until) meet, both ends included. Raises `InstantError`."""
    if until <= since:
        raise InstantError(f"until = {until} ms is not after since = {since} ms: there is nothing between")
    recurrence = Recurrence(every, Anchor.CALENDAR, 0)
    first, last = index(recurrence, since) + 1, index(recurrence, until - 1)
    if last - first + 2 > WINDOWS_MAX:
        raise InstantError(f"{last - first + 2} windows, at most {WINDOWS_MAX}: ask for longer ones")
    return [since, *(start(recurrence, k) for k in range(first, last + 1)), until]


def _windows(call: Call, key: str, pool: str, instants: list[int]) -> Iterator[BalanceWindow]:
    """One answer per window. A window's own first instant belongs to it, its last to the next."""
    before = _account(call, max(0, instants[0] - 1), key, pool)
    scale = call.at(instants[-1]).accounts().pool(pool).scale
    for begin, end in pairwise(instants):
        after = _account(call, end - 1, key, pool)
        granted, expired, voided = (new - old for new, old in zip(_sums(after), _sums(before), strict=True))
        yield BalanceWindow(
            begin,
            end,
            credits(before.remaining(), scale),
            credits(granted, scale),
            credits(after.used() - before.used(), scale),
            credits(expired, scale),
            credits(voided, scale),
            credits(after.remaining(), scale),
            credits(after.overage, scale),
        )
        before = after


def _sums(account: Account) -> tuple[int, int, int]:
    held = account.holdings
    return (
        sum(one.granted for one in held),
        sum(one.expired for one in held),
        sum(one.voided for one in held),
    )


def _account(present: Call, instant: int, key: str, pool: str) -> Account:
    """Nothing where there was no such customer or pool, or no catalog at all."""
    try:
        call = present.at(instant)
        accounts = call.accounts()
        return accounts.current(call.customer(key), accounts.pool(pool))[1]
    except (CatalogError, UnknownCustomer, UnknownPool):
        return Account()


USE_CASES = (UseCase(GetBalance, get, account), UseCase(GetBalanceHistory, history, account))
