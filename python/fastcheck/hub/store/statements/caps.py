"""Spend caps and what was counted towards them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, delete, select

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import caps


@dataclass(frozen=True)
class StoredCap:
    """A cap's row."""

    number: int
    pool: str
    key: str
    """Whose spending counts; '' = all of the customer's."""
    unit: str
    count: int
    units: int
    window_at: int
    """Start of the newest window in which something was counted."""
    spent: int
    """In that window, open leases and open reservations aside."""
    reason: str
    author: str
    created_at: int


_NAMES = [field.name for field in fields(StoredCap)]
_all = select(*(caps.c[name] for name in _NAMES)).order_by(caps.c.pool, caps.c.key, caps.c.unit, caps.c.count)
_of = caps.c.number == bindparam("of")
_OF_POOL = _all.where(_of, caps.c.pool == bindparam("name"))
_OF_NUMBERS = _all.where(caps.c.number.in_(bindparam("numbers", expanding=True)))
_PUT = Upsert(caps)
_REMOVE = delete(caps).where(
    _of,
    caps.c.pool == bindparam("name"),
    caps.c.key == bindparam("of_key"),
    caps.c.unit == bindparam("of_unit"),
    caps.c.count == bindparam("of_count"),
)


class Caps(Subject):
    """Spend caps."""

    def caps(self, number: int, pool: str) -> list[StoredCap]:
        """The caps of an account, in the order of their keys and windows."""
        return [StoredCap(*row) for row in self._db.execute(_OF_POOL, {"of": number, "name": pool})]

    def caps_of(self, numbers: Iterable[int]) -> list[StoredCap]:
        """The caps of many customers, in few statements."""
        return [
            StoredCap(*row)
            for part in chunks(sorted(set(numbers)))
            for row in self._db.execute(_OF_NUMBERS, {"numbers": part})
        ]

    def put_caps(self, rows: Sequence[StoredCap]) -> None:
        """Writes caps, new or known."""
        self._many(_PUT.on(self._db), [{name: getattr(one, name) for name in _NAMES} for one in rows])

    def remove_caps(self, rows: Sequence[StoredCap]) -> None:
        """Ends caps; what was counted towards them is forgotten."""
        self._many(
            _REMOVE,
            [
                {
                    "of": one.number,
                    "name": one.pool,
                    "of_key": one.key,
                    "of_unit": one.unit,
                    "of_count": one.count,
                }
                for one in rows
            ],
        )
