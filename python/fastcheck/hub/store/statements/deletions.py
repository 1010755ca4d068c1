"""Deleted customers: what was removed with them, and ids that name them no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_, update

from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store.statements.caps import StoredCap
from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.customers import pack_since, unpack_since
from fastcheck.hub.store.statements.overrides import StoredOverride
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.statements.top_ups import StoredTopUp
from fastcheck.hub.store.tables import customers, deletions, purchases, usage_records
from fastcheck.wire.packing import pack, unpack
from fastcheck.wire.record import CustomerRecord, pack_record, unpack_record

FREED = "freed:"
"""How the id begins under which the history of a customer is kept whose own id names them no more."""


@dataclass(frozen=True)
class Parts:
    """What a deletion removed besides the record."""

    overrides: tuple[StoredOverride, ...]
    segments: tuple[str, ...]
    caps: tuple[StoredCap, ...]
    """With what was counted towards them."""
    top_ups: tuple[StoredTopUp, ...]
    moves: tuple[str, ...]
    """The ids of those that the deletion cancelled."""
    taken: tuple[str, ...]
    """Grants that were taken before, at the very instant of the deletion."""
    reason: str
    author: str


@dataclass(frozen=True)
class StoredDeletion:
    """A deletion's row."""

    number: int
    at: int
    """The instant of the deletion."""
    record: CustomerRecord
    """As it was; so the next two."""
    since: Since
    parts: Parts


_FIELDS = (deletions.c.number, deletions.c.at, deletions.c.record, deletions.c.since, deletions.c.parts)
_ONE = select(*_FIELDS).where(deletions.c.number == bindparam("of"))
_AFTER = (
    select(*_FIELDS)
    .where(
        deletions.c.at > bindparam("than"),
        tuple_(deletions.c.at, deletions.c.number) > tuple_(bindparam("after_at"), bindparam("after")),
    )
    .order_by(deletions.c.at, deletions.c.number)
    .limit(bindparam("count"))
)
_PUT = Upsert(deletions)
_FORGET = delete(deletions).where(deletions.c.number == bindparam("of"))
_FORGET_OLD = (
    delete(deletions).where(deletions.c.at <= bindparam("until")).execution_options(preserve_rowcount=True)
)
_NAME = update(customers).where(customers.c.number == bindparam("of")).values(id=bindparam("new_id"))
_NAME_USAGE = (
    update(usage_records)
    .where(usage_records.c.customer == bindparam("old_id"))
    .values(customer=bindparam("new_id"))
)
_FREED = select(customers.c.id, customers.c.number).where(
    customers.c.id > bindparam("first"), customers.c.id < bindparam("last")
)
_HAND_OVER = update(purchases).where(purchases.c.number == bindparam("of")).values(number=bindparam("to"))


class Deletions(Subject):
    """Deletions that can be undone, and ids that were freed."""

    def put_deletion(self, one: StoredDeletion) -> None:
        """Writes what a deletion removed."""
        row = {
            "number": one.number,
            "at": one.at,
            "record": pack_record(one.record),
            "since": pack_since(one.since),
            "parts": pack(_plain(one.parts)),
        }
        self._db.execute(_PUT.on(self._db), row)

    def deletion(self, number: int) -> StoredDeletion | None:
        """What the deletion of a customer removed."""
        row = self._db.execute(_ONE, {"of": number}).first()
        return None if row is None else _stored(row)

    def deletions_after(self, at: int, number: int, limit: int, *, than: int) -> list[StoredDeletion]:
        """Deletions later than an instant, oldest first."""
        asked = {"after_at": at, "after": number, "count": limit, "than": than}
        return [_stored(row) for row in self._db.execute(_AFTER, asked)]

    def forget_deletion(self, number: int) -> None:
        """The deletion of a customer cannot be undone any more."""
        self._db.execute(_FORGET, {"of": number})

    def forget_deletions(self, until: int) -> int:
        """So for those up to an instant (inclusive); how many."""
        return int(self._db.execute(_FORGET_OLD, {"until": until}).rowcount)

    def free_id(self, number: int, id: str) -> str:
        """Keeps a deleted customer, with what they used, under another id; which."""
        freed = f"{FREED}{id}:{number}"
        self._db.execute(_NAME, {"of": number, "new_id": freed})
        self._db.execute(_NAME_USAGE, {"old_id": id, "new_id": freed})
        return freed

    def freed_id(self, id: str) -> str | None:
        """The newest of the ids under which customers are kept whose id this was."""
        first = f"{FREED}{id}:"
        # ";" comes after ":", and so after all that begins so.
        rows = self._db.execute(_FREED, {"first": first, "last": f"{first[:-1]};"})
        found = {number: of for of, number in rows if of == f"{first}{number}"}
        return found[max(found)] if found else None

    def hand_over_purchases(self, number: int, to: int) -> None:
        """Makes one customer's purchases another's."""
        self._db.execute(_HAND_OVER, {"of": number, "to": to})


def _plain(parts: Parts) -> dict[str, Any]:
    return {
        **vars(parts),
        "overrides": [tuple(vars(one).values()) for one in parts.overrides],
        "caps": [tuple(vars(one).values()) for one in parts.caps],
        "top_ups": [tuple(vars(one).values()) for one in parts.top_ups],
    }


def _stored(row: Sequence[Any]) -> StoredDeletion:
    plain = unpack(row[4])
    parts = Parts(
        **{
            **plain,
            "overrides": tuple(StoredOverride(*one) for one in plain["overrides"]),
            "caps": tuple(StoredCap(*one) for one in plain["caps"]),
            "top_ups": tuple(StoredTopUp(*one) for one in plain["top_ups"]),
        }
    )
    return StoredDeletion(row[0], row[1], unpack_record(row[2]), unpack_since(row[3]), parts)
