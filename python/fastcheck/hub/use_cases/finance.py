"""What finance reads of the ledger: first everything is booked that is due, then postings and usage records
are read in pages, as they were at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastcheck.errors import InstantError, RecordError
from fastcheck.hub.store.statements import AccountKey
from fastcheck.hub.use_cases.reports import items
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger import burn
from fastcheck.wire.cut import POSTINGS_PER_SUM, Cut

ACCOUNTS_PER_PAGE = 512

Key = tuple[Any, ...]
Rows = tuple[tuple[tuple[Any, ...], ...], Key | None]
"""(rows, the next cursor); None: that was all."""


def _key(cursor: Key | None, first: Key) -> Key:
    """Where a page begins. Raises `RecordError`."""
    if cursor is None:
        return first
    given = tuple(cursor)
    if list(map(type, given)) != list(map(type, first)):
        raise RecordError("cursor must be one that an earlier page gave")
    return given


def fold_due(call: Call, cursor: Key | None) -> tuple[list[int], Key | None]:
    """(numbers of customers with open leases whose settled use the grants do not show, the next cursor)."""
    number, pool, host = _key(cursor, (0, "", ""))
    found = call.books.open_leases_after(number, pool, host, ACCOUNTS_PER_PAGE)
    more = len(found) == ACCOUNTS_PER_PAGE
    last = (found[-1].number, found[-1].pool, found[-1].host) if more else None
    return sorted({one.number for one in found if one.net != one.folded}), last


def fold(call: Call, numbers: Sequence[int]) -> None:
    """Folds the open leases of customers."""
    call.books.lock(numbers)
    open_now = call.books.all_open_leases_of(numbers)
    folded = call.accounts().fold_all(open_now)
    call.books.put_leases(folded)
    call.books.record(folded)


def accounts_due(call: Call, cursor: Key | None) -> tuple[list[AccountKey], Key | None]:
    """(accounts that time alone has changed since they were written, the next cursor)."""
    number, pool = _key(cursor, (0, ""))
    keys = call.books.account_keys_after(number, pool, ACCOUNTS_PER_PAGE)
    known = call.books.accounts(keys)
    records = call.books.packed_records([number for number, _ in keys])
    due = []
    for key in keys:
        if key[0] not in records or key[1] not in call.product.pools:
            continue
        account = known[key]
        next_at = burn.next_change(account)
        passed = (at for at in call.catalog.boundaries(records[key[0]]) if account.as_of < at <= call.now)
        if (next_at is not None and next_at <= call.now) or any(passed):
            due.append(key)
    return due, keys[-1] if len(keys) == ACCOUNTS_PER_PAGE else None


def update(call: Call, keys: Sequence[AccountKey]) -> None:
    """Brings accounts to now."""
    call.books.lock(number for number, _ in keys)
    accounts = call.accounts()
    for number, name in keys:
        stored, pool = call.books.customer(number), call.product.pools.get(name)
        if pool is not None and not stored.record.deleted:
            accounts.update(stored, pool)


def cut(call: Call, since: int | None, until: int | None) -> Cut:
    """Takes the moment. Nobody may write meanwhile. Raises `InstantError`."""
    first, end = 0 if since is None else since, call.now + 1 if until is None else until
    if end <= first:
        raise InstantError(f"until ({end}) is not after since ({first}): the period is empty")
    place, record = call.books.last_places()
    pools = tuple((one.name, one.scale) for one in call.product.pools.values())
    features = tuple((one.name, one.pool) for one in call.product.features.values() if one.pool is not None)
    return Cut(first, end, call.now, place, record, pools, features)


def movements(call: Call, cut: Cut, cursor: Key | None, limit: int) -> Rows:
    """Postings before the cut's end, by customer number, pool and place: (number, pool, place, customer, at,
    booked at, grant, kind of grant, source, target, units, amount, cost, currency)."""
    after, count = _key(cursor, (0, "", 0)), items(limit)
    found = call.books.movements_after(*after, until=cut.until, through=cut.place, limit=count)
    rows = tuple((*row[:11], *(row[11:14] if row[14] is None else row[14:17])) for row in found)
    return rows, rows[-1][:3] if len(rows) == count else None


def usage(call: Call, cut: Cut, cursor: Key | None, limit: int) -> Rows:
    """Usage records of the cut's period by customer number: (number, record, customer, at, feature,
    units)."""
    after, count = _key(cursor, (0, 0)), items(limit)
    rows = call.books.usage_by_customer(
        *after, since=cut.since, until=cut.until, through=cut.record, limit=count
    )
    return tuple(rows), rows[-1][:2] if len(rows) == count else None


def sums(call: Call, cut: Cut, after: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(sums of postings, sums of usage records) with places in (after, after + `POSTINGS_PER_SUM`]."""
    end = after + POSTINGS_PER_SUM
    posted = call.books.posting_sums(after, min(end, cut.place), cut.since, cut.until)
    recorded = call.books.usage_sums(after, min(end, cut.record), cut.since, cut.until)
    return tuple(posted), tuple(recorded)
