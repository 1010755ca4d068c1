"""What is told before it ends: trials, overrides, grants with something left.

Each has a row with the instant at which to tell, written with the record or the grant that will end, so that
nobody ever looks through all customers. Whether it is still true is looked up when it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fastcheck.hub.catalog.product import Product
from fastcheck.hub.store.statements import ChangedAccount, StoredNotice
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.events import Kind
from fastcheck.wire.record import CustomerRecord

NOTICE_MS = 3 * DAY_MS
"""How long before something ends it is told."""


def of_records(records: Iterable[CustomerRecord], now: int, notice_ms: int) -> list[StoredNotice]:
    """What is to be told of customers' records."""
    return [one for record in records for one in _of_record(record, now, notice_ms)]


def _of_record(record: CustomerRecord, now: int, notice_ms: int) -> Iterator[StoredNotice]:
    trial = record.trial
    if trial is not None and trial.until_ms > now:
        yield _notice(record.number, "", Kind.TRIAL_ENDING, trial.plan, trial.until_ms, notice_ms)
    for feature, _, _, expires_at in record.overrides:
        if expires_at is not None and expires_at > now:
            yield _notice(record.number, "", Kind.OVERRIDE_ENDING, feature, expires_at, notice_ms)


def of_accounts(
    changed: Sequence[ChangedAccount], product: Product, now: int, notice_ms: int
) -> list[StoredNotice]:
    """What is to be told of grants that are new or whose end changed. Not of meters: their quotas come and go
    with the plan."""
    found = []
    for one in changed:
        pool = product.pools.get(one.pool)
        if pool is None or pool.private:
            continue
        before = (
            {} if one.before is None else {held.id: held.grant.expires_at for held in one.before.holdings}
        )
        for held in one.after.holdings:
            ends_at = held.grant.expires_at
            if ends_at is not None and ends_at > now and before.get(held.id) != ends_at:
                found.append(_notice(one.number, one.pool, Kind.GRANT_EXPIRING, held.id, ends_at, notice_ms))
    return found


def _notice(number: int, pool: str, kind: Kind, subject: str, at: int, notice_ms: int) -> StoredNotice:
    return StoredNotice(number, pool, kind.value, subject, at, at - notice_ms)
