"""Customers with what hangs on their rows, and who uses which part of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, Table, bindparam, delete, false, func, insert, select, union_all

from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import accounts, addons, aliases, customers, customers_past, overrides, trials
from fastcheck.wire.packing import pack, unpack
from fastcheck.wire.record import CustomerRecord, unpack_record


@dataclass(frozen=True)
class StoredCustomer:
    """A customer's row."""

    record: CustomerRecord
    packed: bytes
    since: Since
    changed_at: int
    """The instant from which on it is so."""


_here = customers.c.deleted == false()
_NUMBER_OF_ID = select(customers.c.number).where(customers.c.id == bindparam("key"), _here)
_NUMBER_OF_ALIAS = select(aliases.c.number).where(aliases.c.key == bindparam("key"))
_NUMBERS_OF_IDS = select(customers.c.id, customers.c.number).where(
    customers.c.id.in_(bindparam("keys", expanding=True))
)
_NUMBERS_OF_ALIASES = select(aliases.c.key, aliases.c.number).where(
    aliases.c.key.in_(bindparam("keys", expanding=True))
)
_LOCK = (
    select(customers.c.number)
    .where(customers.c.number.in_(bindparam("keys", expanding=True)))
    .order_by(customers.c.number)
    .with_for_update()
)
_ROW = (customers.c.record, customers.c.since, customers.c.changed_at)
_PAST_ROW = (customers_past.c.record, customers_past.c.since, customers_past.c.from_at)
"""What is read of a customer, in the order that `_stored` expects."""
_CUSTOMER = select(*_ROW).where(customers.c.number == bindparam("of"))
_AFTER_ID = (
    select(*_ROW)
    .where(customers.c.id > bindparam("after"), _here)
    .order_by(customers.c.id)
    .limit(bindparam("count"))
)
_AFTER_NUMBER = (
    select(customers.c.number, customers.c.record)
    .where(customers.c.number > bindparam("after"))
    .order_by(customers.c.number)
    .limit(bindparam("count"))
)
_ALL_AFTER = _AFTER_NUMBER.where(_here)
_CHANGED_AFTER = _AFTER_NUMBER.where(customers.c.seq > bindparam("since_seq"))
_PUT = Upsert(customers, keep=("id",))
_CHANGED_AT = select(func.coalesce(func.max(customers.c.changed_at), 0)).where(
    customers.c.number.in_(bindparam("numbers", expanding=True))
)
_KEEP_PAST = insert(customers_past).from_select(
    ["number", "until_at", "from_at", "record", "since"],
    select(
        customers.c.number, bindparam("until", type_=BigInteger), customers.c.changed_at, customers.c.record,
        customers.c.since,
    ).where(
        customers.c.number.in_(bindparam("numbers", expanding=True)),
        customers.c.changed_at < bindparam("until", type_=BigInteger),
    ),
)  # fmt: skip
_NOW = _CUSTOMER.where(customers.c.changed_at <= bindparam("at"))
_STATES = (
    select(*_PAST_ROW)
    .where(customers_past.c.number == bindparam("of"), customers_past.c.until_at > bindparam("at"))
    .order_by(customers_past.c.until_at)
)
_PAST = _STATES.limit(1)
_PUT_ALIASES, _PUT_ADDONS, _PUT_TRIALS = insert(aliases), insert(addons), insert(trials)
_FORGET = [delete(one).where(one.c.number == bindparam("of")) for one in (aliases, addons, trials)]

_plans = union_all(
    select(
        customers.c.plan, customers.c.version, func.count().label("n"), func.min(customers.c.id).label("id")
    )
    .where(_here, customers.c.plan.is_not(None))
    .group_by(customers.c.plan, customers.c.version),
    select(trials.c.plan, trials.c.version, func.count(), func.min(customers.c.id))
    .join(customers, customers.c.number == trials.c.number)
    .group_by(trials.c.plan, trials.c.version),
).subquery()
_PLANS_IN_USE = select(_plans.c.plan, _plans.c.version, func.sum(_plans.c.n), func.min(_plans.c.id)).group_by(
    _plans.c.plan, _plans.c.version
)


def _in_use(table: Table, name: str) -> Select[Any]:
    """How many rows have each name, and one of their customers."""
    column = table.c[name]
    return (
        select(column, func.count(), func.min(customers.c.id))
        .join(customers, customers.c.number == table.c.number)
        .group_by(column)
    )


_ADDONS_IN_USE = _in_use(addons, "name")
_OVERRIDDEN = _in_use(overrides, "feature")
_POOLS_IN_USE = _in_use(accounts, "pool")


class Customers(Subject):
    """Customers with their aliases, add-ons and trials."""

    def number_of(self, key: str) -> int | None:
        """The number behind an id or an alias, deleted customers left out."""
        row = (
            self._db.execute(_NUMBER_OF_ID, {"key": key}).first()
            or self._db.execute(_NUMBER_OF_ALIAS, {"key": key}).first()
        )
        return None if row is None else int(row[0])

    def numbers_of_ids(self, ids: Sequence[str]) -> dict[str, int]:
        """Those of the ids that are known; at most a few hundred at once."""
        return {row[0]: row[1] for row in self._db.execute(_NUMBERS_OF_IDS, {"keys": ids})}

    def numbers_of_aliases(self, keys: Sequence[str]) -> dict[str, int]:
        """Those of the aliases that are taken; at most a few hundred at once."""
        return {row[0]: row[1] for row in self._db.execute(_NUMBERS_OF_ALIASES, {"keys": keys})}

    def lock(self, numbers: Iterable[int]) -> None:
        """Holds customers until the end of the transaction, so that what is read of them from now on is the
        newest and stays so. In the order of their numbers, so that no two wait for each other; a
        transaction that locks twice may be undone and run again. Nothing on SQLite, which has one writer."""
        if self._db.dialect.name == "sqlite":
            return
        for part in chunks(sorted(set(numbers))):
            self._db.execute(_LOCK, {"keys": part}).all()

    def customer(self, number: int) -> StoredCustomer:
        """A customer's row."""
        return _stored(self._db.execute(_CUSTOMER, {"of": number}).one())

    def customers_after(self, id: str, limit: int) -> list[StoredCustomer]:
        """Customers in the order of their ids."""
        return [_stored(row) for row in self._db.execute(_AFTER_ID, {"after": id, "count": limit})]

    def records_after(self, number: int, limit: int, *, since_seq: int = -1) -> list[tuple[int, bytes]]:
        """(number, packed record) of customers changed after `since_seq`, deleted ones only if it is
        given."""
        asked = {"after": number, "count": limit}
        if since_seq < 0:
            rows = self._db.execute(_ALL_AFTER, asked)
        else:
            rows = self._db.execute(_CHANGED_AFTER, {**asked, "since_seq": since_seq})
        return [(number, packed) for number, packed in rows]

    def customer_at(self, number: int, at: int) -> StoredCustomer | None:
        """A customer's row as it was at an instant; None before there was one."""
        key = {"of": number, "at": at}
        now = self._db.execute(_NOW, key).first()
        if now is not None:
            return _stored(now)
        past = self._db.execute(_PAST, key).first()
        return None if past is None or past[2] > at else _stored(past)

    def customer_states(self, number: int, after: int) -> list[StoredCustomer]:
        """What a customer was after an instant, before what they are now, in order."""
        return [_stored(row) for row in self._db.execute(_STATES, {"of": number, "at": after})]

    def keep_past(self, numbers: Sequence[int], now: int) -> int:
        """Keeps what these customers are before they are changed. Returns the instant of the change: now, or
        later where the clock went backwards. At most a few hundred at once."""
        until = max(now, int(self._db.execute(_CHANGED_AT, {"numbers": numbers}).scalar_one()))
        self._db.execute(_KEEP_PAST, {"numbers": numbers, "until": until})
        return until

    def put_customers(self, rows: Sequence[StoredCustomer], seq: int, at: int) -> None:
        """Writes customers' rows, new or known (see `keep_past`), with what hangs on them."""
        records = [one.record for one in rows]
        self._many(
            _PUT.on(self._db),
            [
                {
                    "number": one.record.number,
                    "id": one.record.id,
                    "seq": seq,
                    "deleted": one.record.deleted,
                    "plan": one.record.plan,
                    "version": one.record.version,
                    "record": one.packed,
                    "since": pack_since(one.since),
                    "changed_at": at,
                }
                for one in rows
            ],
        )
        self._many(
            _PUT_ALIASES, [{"key": key, "number": one.number} for one in records for key in one.aliases]
        )
        self._many(
            _PUT_ADDONS,
            [{"name": name, "number": one.number} for one in records for name, _, _ in one.addons],
        )
        self._many(
            _PUT_TRIALS,
            [
                {"plan": one.trial.plan, "version": one.trial.version, "number": one.number}
                for one in records
                if one.trial is not None
            ],
        )

    def forget_parts(self, number: int) -> None:
        """Removes what hangs on a customer's row, before it is written again."""
        for one in _FORGET:
            self._db.execute(one, {"of": number})

    def plans_in_use(self) -> dict[tuple[str, int], tuple[int, str]]:
        """(plan, version) -> (how many customers, one of them), trials included."""
        rows = self._db.execute(_PLANS_IN_USE)
        return {(plan, version): (int(count), id) for plan, version, count, id in rows}

    def addons_in_use(self) -> dict[str, tuple[int, str]]:
        """Add-on -> (how many customers, one of them)."""
        return self._counted(_ADDONS_IN_USE)

    def overridden(self) -> dict[str, tuple[int, str]]:
        """Feature -> (how many overrides, one of their customers)."""
        return self._counted(_OVERRIDDEN)

    def pools_in_use(self) -> dict[str, tuple[int, str]]:
        """Pool -> (how many accounts, one of their customers)."""
        return self._counted(_POOLS_IN_USE)

    def _counted(self, query: Select[Any]) -> dict[str, tuple[int, str]]:
        return {name: (count, id) for name, count, id in self._db.execute(query)}


def _stored(row: Sequence[Any]) -> StoredCustomer:
    """A row of `_ROW` as use cases have it."""
    packed, since, changed_at = row
    return StoredCustomer(unpack_record(packed), packed, unpack_since(since), changed_at)


def unpack_since(packed: bytes | None) -> Since:
    """When a customer came to the parts of what they have."""
    return Since() if packed is None else Since(*unpack(packed))


def pack_since(since: Since) -> bytes | None:
    """The inverse of `unpack_since`."""
    if since == Since():
        return None
    return pack((since.trial_ms, dict(since.addons), since.restored, since.trials, since.version_ms))
