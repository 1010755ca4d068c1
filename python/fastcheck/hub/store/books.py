"""What is read from and written to the ledger's tables, statement by statement, within somebody else's
transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ledger.model import NOTHING_KEPT, Account, Cost, Grant, GrantKind, Holding, Rollover, RolloverAt
from ...ledger.periods import Anchor, Recurrence, Span, Unit
from ...wire import CustomerRecord, pack, unpack, unpack_record
from ..sources import Since


@dataclass(frozen=True)
class StoredCatalog:
    """The catalog in force."""

    source: bytes
    filename: str
    digest: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class StoredCustomer:
    """A customer's row."""

    record: CustomerRecord
    packed: bytes
    since: Since


@dataclass(frozen=True)
class StoredGrant:
    """A grant's row."""

    customer: int
    """The customer's number."""
    pool: str
    holding: Holding


@dataclass(frozen=True)
class StoredOverride:
    """An override's row."""

    feature: str
    setting: tuple[Any, ...]
    starts_at: int | None
    expires_at: int | None
    reason: str
    author: str
    created_at: int


@dataclass(frozen=True)
class Lease:
    """A lease's row; totals are units since it was opened."""

    number: int
    pool: str
    lease: int
    open: bool
    lent: int
    spent: int
    returned: int
    folded: int
    """The net use that the grants already show."""
    valid_until: int | None
    whole: bool
    """Whether all there was has been lent."""
    opened_at: int

    @property
    def net(self) -> int:
        """What was used for good."""
        return self.spent - self.returned


_GRANT_COLUMNS = (
    "id, number, pool, amount, remaining, priority, effective_at, expires_at, kind, created_at, reason, "
    "source, terms, refilled_at, granted, burned, expired, voided, parked, voided_at"
)
_LEASE_COLUMNS = "number, pool, lease, open, lent, spent, returned, folded, valid_until, whole, opened_at"
LEASES_KEPT = 8
"""Closed leases kept per account, for what is given back late by holds that outlived them."""


class Books:
    """The tables behind one connection, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # seq, catalog

    def seq(self) -> int:
        """The number of the last change."""
        return int(self._db.execute("SELECT value FROM meta WHERE key = 'seq'").fetchone()[0])

    def next_seq(self, count: int = 1) -> int:
        """Takes `count` numbers; the last of them."""
        self._db.execute("UPDATE meta SET value = value + ? WHERE key = 'seq'", (count,))
        return self.seq()

    def catalog(self) -> StoredCatalog | None:
        """The catalog in force."""
        row = self._db.execute(
            "SELECT source, filename, digest, document FROM catalog ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else StoredCatalog(row[0], row[1], row[2], unpack(row[3]))

    def put_catalog(self, at: int, source: bytes, filename: str, digest: str, document: object) -> None:
        """Puts another catalog in force."""
        self._db.execute(
            "INSERT INTO catalog (at, filename, source, digest, document) VALUES (?, ?, ?, ?, ?)",
            (at, filename, source, digest, pack(document)),
        )

    # customers

    def number_of(self, key: str) -> int | None:
        """The number behind an id or an alias, deleted customers left out."""
        row = (
            self._db.execute("SELECT number FROM customers WHERE id = ? AND deleted = 0", (key,)).fetchone()
            or self._db.execute("SELECT number FROM aliases WHERE key = ?", (key,)).fetchone()
        )
        return None if row is None else int(row[0])

    def numbers_of_ids(self, ids: Sequence[str]) -> dict[str, int]:
        """Those of the ids that are known; at most a few hundred at once."""
        marks = ",".join("?" * len(ids))
        return dict(self._db.execute(f"SELECT id, number FROM customers WHERE id IN ({marks})", tuple(ids)))

    def numbers_of_aliases(self, keys: Sequence[str]) -> dict[str, int]:
        """Those of the aliases that are taken; at most a few hundred at once."""
        marks = ",".join("?" * len(keys))
        return dict(self._db.execute(f"SELECT key, number FROM aliases WHERE key IN ({marks})", tuple(keys)))

    def last_number(self) -> int:
        """The highest number given."""
        return int(self._db.execute("SELECT COALESCE(MAX(number), 0) FROM customers").fetchone()[0])

    def customer(self, number: int) -> StoredCustomer:
        """A customer's row."""
        packed, since = self._db.execute(
            "SELECT record, since FROM customers WHERE number = ?", (number,)
        ).fetchone()
        return StoredCustomer(unpack_record(packed), packed, _since(since))

    def customers_after(self, id: str, limit: int) -> list[CustomerRecord]:
        """Customers in the order of their ids."""
        rows = self._db.execute(
            "SELECT record FROM customers WHERE id > ? AND deleted = 0 ORDER BY id LIMIT ?", (id, limit)
        )
        return [unpack_record(packed) for (packed,) in rows]

    def records_after(self, number: int, limit: int, *, since_seq: int = -1) -> list[tuple[int, bytes]]:
        """(number, packed record) of customers changed after `since_seq`, deleted ones only if it is
        given."""
        if since_seq < 0:
            query = (
                "SELECT number, record FROM customers WHERE number > ? AND deleted = 0 "
                "ORDER BY number LIMIT ?"
            )
            return self._db.execute(query, (number, limit)).fetchall()
        query = "SELECT number, record FROM customers WHERE number > ? AND seq > ? ORDER BY number LIMIT ?"
        return self._db.execute(query, (number, since_seq, limit)).fetchall()

    def put_customers(self, rows: Iterable[tuple[CustomerRecord, bytes, Since]], seq: int) -> None:
        """Writes customers' rows, new or known, with what hangs on them."""
        rows = list(rows)
        self._db.executemany(
            "INSERT INTO customers (number, id, seq, deleted, plan, version, record, since) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, "
            "deleted = excluded.deleted, plan = excluded.plan, version = excluded.version, "
            "record = excluded.record, since = excluded.since",
            (
                (one.number, one.id, seq, one.deleted, one.plan, one.version, packed, _pack_since(since))
                for one, packed, since in rows
            ),
        )
        self._db.executemany(
            "INSERT INTO aliases (key, number) VALUES (?, ?)",
            ((key, one.number) for one, _, _ in rows for key in one.aliases),
        )
        self._db.executemany(
            "INSERT INTO addons (name, number) VALUES (?, ?)",
            ((name, one.number) for one, _, _ in rows for name, _, _ in one.addons),
        )
        self._db.executemany(
            "INSERT INTO trials (plan, version, number) VALUES (?, ?, ?)",
            ((one.trial.plan, one.trial.version, one.number) for one, _, _ in rows if one.trial is not None),
        )

    def forget_parts(self, number: int) -> None:
        """Removes what hangs on a customer's row, before it is written again."""
        for table in ("aliases", "addons", "trials"):
            self._db.execute(f"DELETE FROM {table} WHERE number = ?", (number,))

    def plans_in_use(self) -> dict[tuple[str, int], tuple[int, str]]:
        """(plan, version) -> (how many customers, one of them), trials included."""
        rows = self._db.execute(
            "SELECT plan, version, SUM(n), MIN(id) FROM ("
            "SELECT plan, version, COUNT(*) AS n, MIN(id) AS id FROM customers "
            "WHERE deleted = 0 AND plan IS NOT NULL GROUP BY plan, version UNION ALL "
            "SELECT t.plan, t.version, COUNT(*), MIN(c.id) FROM trials t JOIN customers c USING (number) "
            "GROUP BY t.plan, t.version) GROUP BY plan, version"
        )
        return {(plan, version): (count, id) for plan, version, count, id in rows}

    def addons_in_use(self) -> dict[str, tuple[int, str]]:
        """Add-on -> (how many customers, one of them)."""
        rows = self._db.execute(
            "SELECT a.name, COUNT(*), MIN(c.id) FROM addons a JOIN customers c USING (number) GROUP BY a.name"
        )
        return {name: (count, id) for name, count, id in rows}

    def overridden(self) -> dict[str, tuple[int, str]]:
        """Feature -> (how many overrides, one of their customers)."""
        rows = self._db.execute(
            "SELECT o.feature, COUNT(*), MIN(c.id) FROM overrides o JOIN customers c USING (number) "
            "GROUP BY o.feature"
        )
        return {feature: (count, id) for feature, count, id in rows}

    def pools_in_use(self) -> dict[str, tuple[int, str]]:
        """Pool -> (how many accounts, one of their customers)."""
        rows = self._db.execute(
            "SELECT a.pool, COUNT(*), MIN(c.id) FROM accounts a JOIN customers c USING (number) "
            "GROUP BY a.pool"
        )
        return {pool: (count, id) for pool, count, id in rows}

    # overrides

    def overrides(self, number: int) -> list[StoredOverride]:
        """A customer's overrides, in the order of their features."""
        rows = self._db.execute(
            "SELECT feature, setting, starts_at, expires_at, reason, author, created_at FROM overrides "
            "WHERE number = ? ORDER BY feature",
            (number,),
        )
        return [StoredOverride(row[0], unpack(row[1]), *row[2:]) for row in rows]

    def put_override(self, number: int, one: StoredOverride) -> None:
        """Writes an override over an earlier one of the same feature."""
        self._db.execute(
            "INSERT OR REPLACE INTO overrides VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, one.feature, pack(one.setting), one.starts_at, one.expires_at, one.reason, one.author,
                one.created_at,
            ),
        )  # fmt: skip

    def remove_override(self, number: int, feature: str | None = None) -> None:
        """Removes one override, or all of a customer's."""
        if feature is None:
            self._db.execute("DELETE FROM overrides WHERE number = ?", (number,))
        else:
            self._db.execute("DELETE FROM overrides WHERE number = ? AND feature = ?", (number, feature))

    # accounts and grants

    def pools_of(self, number: int) -> list[str]:
        """The pools in which a customer has an account."""
        rows = self._db.execute("SELECT pool FROM accounts WHERE number = ? ORDER BY pool", (number,))
        return [pool for (pool,) in rows]

    def account(self, number: int, pool: str) -> Account | None:
        """What a customer has in a pool, as it was last written."""
        row = self._db.execute(
            "SELECT overage, written_off, as_of FROM accounts WHERE number = ? AND pool = ?", (number, pool)
        ).fetchone()
        if row is None:
            return None
        rows = self._db.execute(
            f"SELECT {_GRANT_COLUMNS} FROM grants WHERE number = ? AND pool = ? ORDER BY created_at, id",
            (number, pool),
        )
        return Account(tuple(_grant(one).holding for one in rows), *row)

    def put_account(
        self, number: int, pool: str, before: Account | None, after: Account, author: str
    ) -> None:
        """Writes what changed of an account."""
        known = {} if before is None else {one.id: one for one in before.holdings}
        self._db.executemany(
            f"INSERT OR REPLACE INTO grants ({_GRANT_COLUMNS}, author) VALUES ({'?, ' * 20}"
            "COALESCE((SELECT author FROM grants WHERE id = ?), ?))",
            (
                (*_grant_row(number, pool, one), one.id, author)
                for one in after.holdings
                if known.get(one.id) != one
            ),
        )
        if before is None or (before.overage, before.written_off, before.as_of) != (
            after.overage, after.written_off, after.as_of,
        ):  # fmt: skip
            self._db.execute(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
                (number, pool, after.overage, after.written_off, after.as_of),
            )

    def grant(self, id: str) -> StoredGrant | None:
        """One grant, as it was last written."""
        row = self._db.execute(f"SELECT {_GRANT_COLUMNS} FROM grants WHERE id = ?", (id,)).fetchone()
        return None if row is None else _grant(row)

    # leases

    def lease(self, number: int, pool: str, lease: int) -> Lease | None:
        """One lease."""
        row = self._db.execute(
            f"SELECT {_LEASE_COLUMNS} FROM leases WHERE number = ? AND pool = ? AND lease = ?",
            (number, pool, lease),
        ).fetchone()
        return None if row is None else _lease(row)

    def last_lease(self, number: int, pool: str) -> Lease | None:
        """The newest lease of an account, open or not."""
        row = self._db.execute(
            f"SELECT {_LEASE_COLUMNS} FROM leases WHERE number = ? AND pool = ? ORDER BY lease DESC LIMIT 1",
            (number, pool),
        ).fetchone()
        return None if row is None else _lease(row)

    def open_leases(self) -> Iterator[Lease]:
        """Every open lease."""
        rows = self._db.execute(f"SELECT {_LEASE_COLUMNS} FROM leases WHERE open = 1 ORDER BY number, pool")
        return (_lease(row) for row in rows)

    def put_lease(self, lease: Lease) -> None:
        """Writes a lease and forgets those long closed."""
        self._db.execute(
            f"INSERT OR REPLACE INTO leases ({_LEASE_COLUMNS}) VALUES ({', '.join('?' * 11)})",
            (
                lease.number, lease.pool, lease.lease, lease.open, lease.lent, lease.spent, lease.returned,
                lease.folded, lease.valid_until, lease.whole, lease.opened_at,
            ),
        )  # fmt: skip

    def forget_leases(self, number: int, pool: str, newest: int) -> None:
        """Drops closed leases that are too old for anything to come back to."""
        self._db.execute(
            "DELETE FROM leases WHERE number = ? AND pool = ? AND lease <= ? AND open = 0",
            (number, pool, newest - LEASES_KEPT),
        )

    def put_late_return(self, key: str, number: int, pool: str, lease: int, units: int, at: int) -> bool:
        """Notes what a hold gave back after its lease was closed; False if it was noted before."""
        done = self._db.execute(
            "INSERT OR IGNORE INTO late_returns VALUES (?, ?, ?, ?, ?, ?)",
            (key, number, pool, lease, units, at),
        )
        return done.rowcount == 1

    # usage records, audit

    def put_usage(self, rows: Iterable[tuple[str, int, str, str, str, int, bytes]]) -> None:
        """Stores usage records; those whose position is known already are left as they are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO usage_records (position, at, event, customer, feature, units, quantities) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def usage_after(self, number: int, limit: int) -> list[tuple[int, int, str, str, str, int, bytes]]:
        """(number, at, event, customer, feature, units, quantities), oldest first."""
        return self._db.execute(
            "SELECT number, at, event, customer, feature, units, quantities FROM usage_records "
            "WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        ).fetchall()

    def put_audit(
        self, at: int, author: str, action: str, subject: str, reason: str, before: object, after: object
    ) -> None:
        """Notes a change."""
        self._db.execute(
            "INSERT INTO audit (at, author, action, subject, reason, before, after) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at, author, action, subject, reason, None if before is None else pack(before),
                None if after is None else pack(after),
            ),
        )  # fmt: skip

    def audit_before(
        self, number: int, subject: str | None, limit: int
    ) -> list[tuple[int, int, str, str, str, str, bytes | None, bytes | None]]:
        """Changes, newest first, numbers below `number`."""
        only = "" if subject is None else "AND subject = ? "
        args: tuple[Any, ...] = (number, limit) if subject is None else (number, subject, limit)
        return self._db.execute(
            "SELECT number, at, author, action, subject, reason, before, after FROM audit "
            f"WHERE number < ? {only}ORDER BY number DESC LIMIT ?",
            args,
        ).fetchall()


def _since(packed: bytes | None) -> Since:
    return Since() if packed is None else Since(*unpack(packed))


def _pack_since(since: Since) -> bytes | None:
    if since.trial_ms is None and not since.addons:
        return None
    return pack((since.trial_ms, dict(since.addons)))


def _grant(row: Sequence[Any]) -> StoredGrant:
    recurrence, rollover, lasts, rolled, cost = None, NOTHING_KEPT, None, 0, None
    if row[12] is not None:
        every, kept, lasting, *more = unpack(row[12])
        if every is not None:
            recurrence = Recurrence(Span(every[0], Unit(every[1])), Anchor(every[2]), *every[3:])
        rollover = Rollover(*kept[:4], *(RolloverAt(at) for at in kept[4:]))
        lasts = None if lasting is None else Span(lasting[0], Unit(lasting[1]))
        if more:
            rolled, cost = more[0], None if more[1] is None else Cost(*more[1])
    grant = Grant(
        row[0], row[3], priority=row[5], effective_at=row[6], expires_at=row[7], kind=GrantKind(row[8]),
        created_at=row[9], recurrence=recurrence, rollover=rollover, lasts=lasts, voided_at=row[19],
        reason=row[10], source=row[11], cost=cost,
    )  # fmt: skip
    remaining, refilled_at, granted, burned, expired, voided, parked = row[4], *row[13:19]
    return StoredGrant(
        row[1], row[2],
        Holding(grant, remaining, granted, burned, expired, voided, parked, refilled_at, rolled),
    )  # fmt: skip


def _grant_row(number: int, pool: str, one: Holding) -> tuple[Any, ...]:
    terms, grant = None, one.grant
    rollover, lasts, every = grant.rollover, grant.lasts, grant.recurrence
    if every is not None or rollover != NOTHING_KEPT or lasts is not None or grant.cost is not None:
        terms = pack((
            None if every is None
            else (every.every.count, every.every.unit.value, every.anchor.value, every.anchor_at, every.zone),
            (rollover.min, rollover.max, rollover.percent, rollover.once, rollover.at.value),
            None if lasts is None else (lasts.count, lasts.unit.value),
            one.rolled,
            None if grant.cost is None else (grant.cost.amount, grant.cost.currency),
        ))  # fmt: skip
    return (
        grant.id, number, pool, grant.amount, one.remaining, grant.priority, grant.effective_at,
        grant.expires_at, grant.kind.value, grant.created_at, grant.reason, grant.source, terms,
        one.refilled_at, one.granted, one.burned, one.expired, one.voided, one.parked, grant.voided_at,
    )  # fmt: skip


def _lease(row: Sequence[Any]) -> Lease:
    number, pool, lease, opened, lent, spent, returned, folded, valid_until, whole, opened_at = row
    return Lease(
        number, pool, lease, bool(opened), lent, spent, returned, folded, valid_until, bool(whole), opened_at
    )
