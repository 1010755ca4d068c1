"""What became of a balance, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from fastcheck.amounts import credits
from fastcheck.errors import CatalogError, InstantError, UnknownCustomer, UnknownPool
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import Anchor, Recurrence, Span, index, start
from fastcheck.wire.answers import BalanceWindow

WINDOWS_MAX = 1_000
"""Windows in one answer."""


def bounds(every: Span, since: int, until: int) -> list[int]:
    """The instants at which windows over [since, until) meet, both ends included. Raises `InstantError`."""
    if until <= since:
        raise InstantError(f"until = {until} ms is not after since = {since} ms: there is nothing between")
    recurrence = Recurrence(every, Anchor.CALENDAR, 0)
    first, last = index(recurrence, since) + 1, index(recurrence, until - 1)
    if last - first + 2 > WINDOWS_MAX:
        raise InstantError(f"{last - first + 2} windows, at most {WINDOWS_MAX}: ask for longer ones")
    return [since, *(start(recurrence, k) for k in range(first, last + 1)), until]


def windows(at: Callable[[int], Call], key: str, pool: str, instants: list[int]) -> Iterator[BalanceWindow]:
    """One answer per window. `at` gives the call at an instant; a window's own first instant belongs to it,
    its last to the next."""
    before = _account(at, max(0, instants[0] - 1), key, pool)
    scale = at(instants[-1]).accounts().pool(pool).scale
    for begin, end in pairwise(instants):
        after = _account(at, end - 1, key, pool)
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


def _account(at: Callable[[int], Call], instant: int, key: str, pool: str) -> Account:
    """Nothing where there was no such customer or pool, or no catalog at all."""
    try:
        call = at(instant)
        accounts = call.accounts()
        return accounts.current(call.customer(key), accounts.pool(pool))[1]
    except (CatalogError, UnknownCustomer, UnknownPool):
        return Account()
