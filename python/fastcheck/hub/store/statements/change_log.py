"""The change log: what hosts are sent, in order, and the digest after each change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, case, delete, false, func, insert, select, update

from fastcheck.hub.store.digests import signed, unsigned
from fastcheck.hub.store.statements.key_list import KeyListQuery
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import aliases, catalogs, changes, customers, meta

CHANGES_PER_READ_MAX = 1_024
"""Changes in one answer: bounds the statement where they are small."""
SCAN_ROWS = 2_048
"""Rows fetched at once by a scan."""
SCAN_CHUNK_BYTES = 1 << 20
"""Bytes of records that a scan gives at once, unless one record alone has more."""


@dataclass(frozen=True, slots=True)
class LogState:
    """Where the ledger and its log stand."""

    epoch: int | None
    """None where nobody has asked yet."""
    seq: int
    digest: int
    digest_seq: int
    """The change after which `digest` counts. Behind `seq`: somebody wrote without logging."""
    changes_from: int
    changes_bytes: int


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change as it was logged."""

    seq: int
    at: int
    """When it was stored, ms since 1970."""
    kind: str
    """`records` or `catalog`."""
    body: bytes
    """Customer records one after the other; of a catalog msgpack [filename, source]."""
    count: int
    """Records in the body."""
    digest: int
    """Sum of record hashes after it, mod 2^64."""


RECORDS = "records"
CATALOG = "catalog"

_STATE = select(meta.c.key, meta.c.value).where(
    meta.c.key.in_(["epoch", "seq", "digest", "digest_seq", "changes_from", "changes_bytes"])
)
_COUNTED = {"digest": "new_digest", "digest_seq": "new_seq", "changes_bytes": "new_bytes"}
_new_values = {key: bindparam(to, type_=BigInteger) for key, to in _COUNTED.items()}
_COUNT = update(meta).where(meta.c.key.in_(list(_COUNTED))).values(value=case(_new_values, value=meta.c.key))
_PUT = insert(changes)
_SIZES = (
    select(changes.c.seq, func.length(changes.c.body))
    .where(changes.c.seq > bindparam("after"))
    .order_by(changes.c.seq)
    .limit(CHANGES_PER_READ_MAX)
)
_BETWEEN = (
    select(changes.c.seq, changes.c.at, changes.c.kind, changes.c.body, changes.c.count, changes.c.digest)
    .where(changes.c.seq > bindparam("after"), changes.c.seq <= bindparam("last"))
    .order_by(changes.c.seq)
)
_OLDEST = (
    select(changes.c.seq, changes.c.at, changes.c.bytes_through - func.length(changes.c.body))
    .order_by(changes.c.seq)
    .limit(bindparam("count"))
)
_DROP = delete(changes).where(changes.c.seq < bindparam("first"))
_RECORDS_OF = (
    select(customers.c.record)
    .where(customers.c.number.in_(bindparam("numbers", expanding=True)))
    .order_by(customers.c.number)
    .with_for_update()
)
_BY_ID = KeyListQuery(
    select(customers.c.id, customers.c.record).where(customers.c.deleted == false()), customers.c.id
)
_BY_ALIAS = KeyListQuery(
    select(aliases.c.key, customers.c.record).join(customers, customers.c.number == aliases.c.number),
    aliases.c.key,
)
_CATALOG_DIGEST = select(catalogs.c.digest).order_by(catalogs.c.number.desc()).limit(1)
_ALL = select(customers.c.record).where(customers.c.deleted == false()).order_by(customers.c.number)


class ChangeLog(Subject):
    """The log, and what else a stream needs to read at once."""

    logged_seq = 0
    """The last change that this transaction logged; 0: none."""

    def log_state(self) -> LogState:
        """Where ledger and log stand. Exact in a transaction that holds the row of seq."""
        found = {key: int(value) for key, value in self._db.execute(_STATE)}
        return LogState(
            found.get("epoch"),
            found["seq"],
            unsigned(found["digest"]),
            found["digest_seq"],
            found["changes_from"],
            found["changes_bytes"],
        )

    def log_change(self, change: LoggedChange, bytes_through: int) -> None:
        """Adds a change whose number this transaction has taken. `bytes_through`: of all that were ever
        logged, this one included."""
        digest = signed(change.digest)
        self._db.execute(
            _PUT,
            {
                "seq": change.seq,
                "at": change.at,
                "kind": change.kind,
                "body": change.body,
                "count": change.count,
                "digest": digest,
                "bytes_through": bytes_through,
            },
        )
        self._db.execute(_COUNT, {"new_digest": digest, "new_seq": change.seq, "new_bytes": bytes_through})
        self.logged_seq = change.seq

    def count_changes(self, digest: int, seq: int, changes_bytes: int) -> None:
        """Notes the digest after a change that was not logged."""
        self._db.execute(_COUNT, {"new_digest": signed(digest), "new_seq": seq, "new_bytes": changes_bytes})

    def changes_after(self, after: int, limit_bytes: int) -> list[LoggedChange]:
        """Logged changes in order: as many as have `limit_bytes` together, and at least one."""
        last, size = after, 0
        for seq, bytes_here in self._db.execute(_SIZES, {"after": after}).all():
            size += bytes_here
            if size > limit_bytes and last > after:
                break
            last = seq
        if last == after:
            return []
        rows = self._db.execute(_BETWEEN, {"after": after, "last": last})
        return [LoggedChange(*row[:5], unsigned(row[5])) for row in rows]

    def oldest_changes(self, count: int) -> list[tuple[int, int, int]]:
        """(seq, at, bytes ever logged before it) of the changes logged first."""
        return [(row[0], row[1], row[2]) for row in self._db.execute(_OLDEST, {"count": count})]

    def drop_changes(self, before: int) -> None:
        """Drops what was logged before a change."""
        self._db.execute(_DROP, {"first": before})

    def packed_of(self, numbers: Sequence[int]) -> list[bytes]:
        """The records of customers as they are stored now, and stay until the transaction ends."""
        return [
            row[0] for part in chunks(numbers) for row in self._db.execute(_RECORDS_OF, {"numbers": part})
        ]

    def packed_by_key(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Id or alias -> the customer's record, deleted customers left out; at most a few hundred at
        once."""
        found: dict[str, bytes] = dict(_BY_ID.run(self._db, keys))
        others = [key for key in keys if key not in found]
        if others:
            found.update(dict(_BY_ALIAS.run(self._db, others)))
        return found

    def catalog_digest(self) -> str:
        """Of the catalog in force; "" where there is none."""
        return self._db.execute(_CATALOG_DIGEST).scalar() or ""

    def scan_records(self) -> Iterator[bytes]:
        """The records of all customers but deleted ones, in chunks. The rows are fetched bit by bit: the
        transaction must stay open meanwhile."""
        found = self._db.execute(_ALL, execution_options={"stream_results": True, "yield_per": SCAN_ROWS})
        chunk: list[bytes] = []
        size = 0
        for rows in found.partitions():
            for (packed,) in rows:
                if size + len(packed) > SCAN_CHUNK_BYTES and chunk:
                    yield b"".join(chunk)
                    chunk, size = [], 0
                chunk.append(packed)
                size += len(packed)
        if chunk:
            yield b"".join(chunk)
