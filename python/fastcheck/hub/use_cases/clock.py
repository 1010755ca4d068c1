"""The ledger's clock, and what a wrong one did to accounts undone; `ledger.repair` says what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcheck.clock import at_utc
from fastcheck.directory.clock import Reading, reading
from fastcheck.errors import Conflict
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.store.statements import AccountKey, StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.claims import capped
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.ledger import burn, periods
from fastcheck.ledger.model import Account, Rules
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit
from fastcheck.ledger.repair import (
    Bring,
    account_of,
    before,
    corrections,
    done_since,
    replayed,
    with_all_grants,
)
from fastcheck.wire.clock_answers import ClockState, PartOfRepair
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.operations.clock import ConfirmClock, GetClock, RepairClock

ACCOUNTS_PER_PART = 64
RIGHT_MS = DAY_MS
"""How far the clock may be from the true present that somebody names."""
_MONTH = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)


def get(call: Call, request: GetClock) -> ClockState:
    """The ledger's time."""
    return _shown(reading(call.clock))


def confirm(call: Call, request: ConfirmClock) -> ClockState:
    """Believes the machine's clock as it is, once this is on disk."""
    found = reading(call.clock)
    if not found.doubted:
        return _shown(found)
    call.note("confirm_clock", "", {"now": found.now}, {"now": found.wall})
    call.effects.clock_confirmed = True
    return _shown(replace(found, now=found.wall, doubted=False, taken_at=None))


def _shown(found: Reading) -> ClockState:
    return ClockState(found.now, found.wall, found.guarded, found.doubted, found.taken_at)


def repair(call: Call, request: RepairClock) -> PartOfRepair:
    """Brings a part of the accounts beyond `at` back to it. Raises `Conflict` where the clock is not right,
    `RecordError` for a cursor that no part gave."""
    at = request.at
    if not at <= call.now <= at + RIGHT_MS:
        raise Conflict(
            f"the clock shows {at_utc(call.now):%Y-%m-%d %H:%M:%S} UTC, and `at` is "
            f"{at_utc(at):%Y-%m-%d %H:%M:%S} UTC: set the clock right, then repair with the instant that it "
            "is, which is at most a day before what the clock shows"
        )
    keys = _part(call, request)
    call.statements.lock([*(number for number, _ in keys), *(one.number for one in call.totals)])
    moves: Sequence[str] = ()
    customers: Sequence[str] = ()
    if request.cursor is None:
        moves = call.statements.moves_done_ahead(at)
        customers = call.statements.customers_changed_ahead(call.now)
        if keys or customers:
            found = {"moves": list(moves), "customers": list(customers)}
            call.note("repair_clock", "", None, {"at": at, **found}, reason=request.reason)
        call.statements.bring_back_records(call.now)
    accounts = call.accounts()
    accounts.settle(call.totals)
    done = sum(_repaired(call, key, request) for key in keys)
    more = len(keys) == ACCOUNTS_PER_PART
    if not more:
        call.effects.clock_repaired = at
    return PartOfRepair(done, tuple(moves), tuple(customers), cursor_of(keys[-1]) if more else None)


def _part(call: Call, request: RepairClock) -> list[AccountKey]:
    number, pool = place_of(request.cursor, (0, ""))
    return call.statements.accounts_beyond(number, pool, request.at, ACCOUNTS_PER_PART)


def concerned(call: Call, request: RepairClock) -> Concerns:
    """The accounts of the part."""
    keys = _part(call, request)
    return Concerns(sorted({number for number, _ in keys}), {pool for _, pool in keys})


def _repaired(call: Call, key: AccountKey, request: RepairClock) -> bool:
    """Brings an account back; whether it had to be."""
    (number, name), at, statements = key, request.at, call.statements
    accounts = call.accounts()
    accounts.fold(statements.last_lease(number, name))
    now = statements.account(number, name)
    if now is None or now.as_of <= at:
        return False
    stored, pool = statements.customer(number), call.product.pools.get(name)
    flows, since = statements.posted_around(key, at)
    versions, stood_at = statements.versions(key), statements.stood_at(key, at)
    grants = before(flows, versions, at)
    was = account_of(grants, flows, stood_at or 0)
    rules = Rules() if pool is None else pool.rules
    bring = _bring(call, stored, pool, known=stood_at is not None)
    account = replayed(was, done_since(was, now, since, at), rules, bring, at)
    after = with_all_grants(account, now)
    accounts.save(number, name, now, after)
    statements.put_corrections(key, corrections(since, account.moved), call.now)
    statements.forget_past_beyond(key, at, call.now, grants, [one.id for one in after.holdings])
    statements.bring_back_reservations(key, at)
    statements.bring_back_top_up(key, at, periods.start(_MONTH, periods.index(_MONTH, at)))
    _count_anew(call, key, at)
    _note(call, stored, name, now, after, request.reason)
    return True


class _AtSomeInstant(Accounts):
    """Accounts as of an instant of the past."""

    def bring(self, customer: StoredCustomer, pool: Pool, account: Account | None) -> Account:
        """Brings an account to the instant, through all that changed until then."""
        return self._worked(customer, pool, account)


def _bring(call: Call, stored: StoredCustomer, pool: Pool | None, *, known: bool) -> Bring:
    """How time, the catalogs and the customer's records bring an account along. `known`: whether there was an
    account; else the customer's first record begins it."""

    def bring(account: Account, at: int) -> Account:
        if pool is None:
            return burn.advance(account, Rules(), at)
        then = call.statements.customer_at(stored.record.number, at)
        accounts = _AtSomeInstant(**{**vars(call.accounts_at(at))})
        begun = known or account.as_of > 0
        return accounts.bring(stored if then is None else then, pool, account if begun else None)

    return bring


def _count_anew(call: Call, key: AccountKey, at: int) -> None:
    """Counts what was spent towards caps whose window lies ahead."""
    changed = []
    for one in call.statements.caps(*key):
        if one.window_at > at:
            recurrence = capped(one).recurrence
            window_at = periods.start(recurrence, periods.index(recurrence, at))
            spent = call.statements.spent_since(key, window_at, at).get(one.key, 0)
            changed.append(replace(one, window_at=window_at, spent=spent))
    call.statements.put_caps(changed)


def _note(call: Call, stored: StoredCustomer, pool: str, now: Account, after: Account, reason: str) -> None:
    before_, after_ = (
        {"pool": pool, "as_of": one.as_of, "remaining": one.remaining(), "overage": one.overage}
        for one in (now, after)
    )
    call.note("repair_clock", stored.record.id, before_, after_, reason=reason)


USE_CASES = (UseCase(GetClock, get), UseCase(ConfirmClock, confirm), UseCase(RepairClock, repair, concerned))
