"""What finance reads of the ledger: first everything is booked that is due, then postings and usage records
are read in pages, as they were at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastcheck.errors import InstantError
from fastcheck.hub.store.statements import AccountKey
from fastcheck.hub.use_cases import booking, ledger_check
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.ledger import burn
from fastcheck.wire.answers import Page, PoolState
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.operations.finance import (
    POSTINGS_PER_SUM,
    BeginExport,
    BookDue,
    CheckAccounts,
    CheckPools,
    GetSums,
    ListExportedUsage,
    ListMovements,
    ListPools,
    SettleHeld,
)
from fastcheck.wire.shapes import (
    Booked,
    Export,
    ExportedUse,
    ExportSums,
    Movement,
    PostingSum,
    Scale,
    Spends,
    UsageSum,
)

ACCOUNTS_PER_PAGE = 512
"""Accounts or leases that one request looks at."""
UPDATES_PER_TRANSACTION = 64


def pools(call: Call, request: ListPools) -> Page[PoolState]:
    """The pools of the catalog in force."""
    found = call.product.pools.values()
    return Page(tuple(PoolState(one.name, one.scale, one.private) for one in found), None)


def settle(call: Call, request: SettleHeld) -> None:
    """Nothing is lent by a ledger itself: an owner answers for what it has lent."""


def book(call: Call, request: BookDue) -> Booked:
    """Books a page of what is due. Raises `RecordError` for a cursor that no page gave."""
    return Booked(_fold_due(call, request.cursor) if request.what == "leases" else _due(call, request.cursor))


def _fold_due(call: Call, cursor: str | None) -> str | None:
    """Folds the open leases whose settled use the grants do not show."""
    number, pool, host = place_of(cursor, (0, "", ""))
    found = call.statements.open_leases_after(number, pool, host, ACCOUNTS_PER_PAGE)
    numbers = sorted({one.number for one in found if one.net != one.folded})
    if numbers:
        call.statements.lock(numbers)
        folded = call.accounts().fold_all(call.statements.all_open_leases_of(numbers))
        call.statements.put_leases(folded)
        call.statements.record(folded)
    more = len(found) == ACCOUNTS_PER_PAGE
    return cursor_of((found[-1].number, found[-1].pool, found[-1].host)) if more else None


def _due(call: Call, cursor: str | None) -> str | None:
    """Books lines that no account shows yet, then brings accounts to now that time alone has changed since
    they were written. A page ends early where some are due: others wait for this transaction."""
    number, pool = place_of(cursor, (0, ""))
    if (number, pool) == (0, "") and booking.book(call, UPDATES_PER_TRANSACTION):
        return cursor_of((0, ""))
    keys = call.statements.account_keys_after(number, pool, ACCOUNTS_PER_PAGE)
    more = len(keys) == ACCOUNTS_PER_PAGE
    for end in range(UPDATES_PER_TRANSACTION, len(keys) + UPDATES_PER_TRANSACTION, UPDATES_PER_TRANSACTION):
        due = _changed_by_time(call, keys[end - UPDATES_PER_TRANSACTION : end])
        if due:
            _update(call, due)
            return cursor_of(keys[min(end, len(keys)) - 1]) if more or end < len(keys) else None
    return cursor_of(keys[-1]) if more else None


def _changed_by_time(call: Call, keys: Sequence[AccountKey]) -> list[AccountKey]:
    known = call.statements.accounts(keys)
    records = call.statements.packed_records([number for number, _ in keys])
    due = []
    for key in keys:
        if key[0] not in records or key[1] not in call.product.pools:
            continue
        account = known[key]
        next_at = burn.next_change(account)
        passed = (at for at in call.catalog.boundaries(records[key[0]]) if account.as_of < at <= call.now)
        if (next_at is not None and next_at <= call.now) or any(passed):
            due.append(key)
    return due


def _update(call: Call, keys: Sequence[AccountKey]) -> None:
    call.statements.lock(number for number, _ in keys)
    accounts = call.accounts()
    for number, name in keys:
        stored, pool = call.statements.customer(number), call.product.pools.get(name)
        if pool is not None and not stored.record.deleted:
            accounts.update(stored, pool)


class Moment(NamedTuple):
    """As of when an export reads the ledger: what its id says."""

    since: int
    until: int
    at: int
    place: int
    record: int


def _moment(export: str) -> Moment:
    return Moment(*map(int, export.split("-")))


def begin(call: Call, request: BeginExport) -> Export:
    """Takes the moment. Nobody may write meanwhile. Raises `InstantError`."""
    first = 0 if request.since is None else request.since
    end = call.now + 1 if request.until is None else request.until
    if end <= first:
        raise InstantError(f"until ({end}) is not after since ({first}): the period is empty")
    moment = Moment(first, end, call.now, *call.statements.last_places())
    return Export(
        "-".join(map(str, moment)),
        *moment,
        tuple(Scale(one.name, one.scale) for one in call.product.pools.values()),
        tuple(Spends(one.name, one.pool) for one in call.product.features.values() if one.pool is not None),
    )


def movements(call: Call, request: ListMovements) -> Page[Movement]:
    """Postings before the end of the period, by customer number, pool and place."""
    moment, after, count = _moment(request.export), place_of(request.cursor, (0, "", 0)), request.limit
    found = call.statements.movements_after(*after, until=moment.until, through=moment.place, limit=count)
    # Slices of rows, since there are many: the price when it was booked, if there was one, in place of now's.
    rows = tuple(Movement._make(row[:14] if row[14] is None else row[:11] + row[14:]) for row in found)
    return Page(rows, cursor_of(rows[-1][:3]) if len(rows) == count else None)


def usage(call: Call, request: ListExportedUsage) -> Page[ExportedUse]:
    """Usage records of the period by customer number."""
    moment, after, count = _moment(request.export), place_of(request.cursor, (0, 0)), request.limit
    found = call.statements.usage_by_customer(
        *after, since=moment.since, until=moment.until, through=moment.record, limit=count
    )
    rows = tuple(map(ExportedUse._make, found))
    return Page(rows, cursor_of(rows[-1][:2]) if len(rows) == count else None)


def sums(call: Call, request: GetSums) -> ExportSums:
    """Sums of postings and of usage records with places in (after, after + `POSTINGS_PER_SUM`]."""
    moment, after = _moment(request.export), request.after
    end = after + POSTINGS_PER_SUM
    posted = call.statements.posting_sums(after, min(end, moment.place), moment.since, moment.until)
    recorded = call.statements.usage_sums(after, min(end, moment.record), moment.since, moment.until)
    return ExportSums(tuple(PostingSum(*one) for one in posted), tuple(UsageSum(*one) for one in recorded))


USE_CASES = (
    UseCase(ListPools, pools),
    UseCase(CheckPools, ledger_check.pools),
    UseCase(CheckAccounts, ledger_check.accounts),
    UseCase(SettleHeld, settle),
    UseCase(BookDue, book),
    # Alone, so that no place below the last is still being written.
    UseCase(BeginExport, begin, exclusive=True),
    UseCase(ListMovements, movements),
    UseCase(ListExportedUsage, usage),
    UseCase(GetSums, sums),
)
