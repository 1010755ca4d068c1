"""An account through time and use, each step as a function from account to account, on the engine.

The rules:

- a grant is active in [effective_at, min(expires_at, voided_at));
- usage burns active grants in the pool's order; what is left over is overage, which a later grant pays;
- giving back (a negative amount) first lowers the overage, then refills grants in reverse order, none above
  its own amount;
- a refill sets the balance to the full amount plus what the rollover keeps; at one instant, ends come first,
  then a reset, then refills and starts, then overage is paid.

Each function appends to `Account.moved` what it moved, at the instant at which it moved.
"""

from __future__ import annotations

from collections.abc import Collection

from fastcheck.ledger.engine import Engine
from fastcheck.ledger.model import Account, Grant, Holding, Rules

_ANY = Rules()


def engine(account: Account, rules: Rules) -> Engine:
    """The engine at the account's instant."""
    return Engine(account.holdings, rules, account.as_of, account.overage, account.written_off)


def burn_order(account: Account, rules: Rules) -> list[Holding]:
    """The active grants in the order in which they are burned, empty ones included."""
    return [slot.holding() for slot in engine(account, rules).in_order()]


def next_change(account: Account) -> int | None:
    """The first instant after `as_of` at which time alone changes the account; None = never."""
    return engine(account, _ANY).next_change()


def advance(account: Account, rules: Rules, until: int) -> Account:
    """The account at `until`: every start, end and refill in (as_of, until] applied in order. An earlier
    `until` changes nothing, so a clock that steps back cannot undo anything."""
    if until <= account.as_of:
        return account
    pool = engine(account, rules)
    pool.advance(until)
    return pool.account(account.moved)


def reset(account: Account, rules: Rules, at: int, *, keep_overage: bool = True) -> Account:
    """The account at `at`, where the pool was reset: each active grant holds what its rollover keeps. At an
    instant that was applied already, grants that were refilled at it are left as they are."""
    pool = engine(account, rules)
    if at > account.as_of:
        pool.advance(at, reset=True, keep_overage=keep_overage)
    else:
        pool.reset_now(keep_overage)
    return pool.account(account.moved)


def use(account: Account, rules: Rules, units: int, at: int | None = None) -> Account:
    """Books net usage at `as_of`; negative units give back. `at` only labels the movements."""
    if units == 0:
        return account
    pool = engine(account, rules)
    pool.use(units, account.as_of if at is None else at)
    return pool.account(account.moved)


def settle_overage(account: Account, rules: Rules) -> Account:
    """Lets the grants active now pay what earlier ones could not."""
    if account.overage == 0:
        return account
    pool = engine(account, rules)
    pool.settle()
    return pool.account(account.moved)


def put(account: Account, rules: Rules, grant: Grant) -> Account:
    """Puts a grant in, full as of now; it may start later. It pays what is owed."""
    pool = engine(account, rules)
    pool.put(grant, account.as_of)
    pool.settle()
    return pool.account(account.moved)


def refund(account: Account, grant_id: str, units: int) -> Account:
    """Takes back units of what is left of one grant, whose payment is given back."""
    pool = engine(account, _ANY)
    for slot in pool.slots:
        if slot.grant.id == grant_id:
            pool.refund(slot, units)
    return pool.account(account.moved)


def charge_back(account: Account, rules: Rules, grant_ids: Collection[str]) -> Account:
    """Takes grants back whose payment was taken back, as of now. What was used of them is owed, and what
    other grants hold pays it. Again: no change."""
    pool = engine(account, rules)
    for slot in pool.slots:
        if slot.grant.id in grant_ids:
            pool.charge_back(slot)
    pool.settle()
    return pool.account(account.moved)


def void(account: Account, grant_id: str) -> Account:
    """Takes back what is left of one grant, as of now. Again: no change."""
    pool = engine(account, _ANY)
    for slot in pool.slots:
        if slot.grant.id == grant_id:
            pool.void(slot)
    return pool.account(account.moved)
