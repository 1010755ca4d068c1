"""Which life of the ledger this is: an epoch ends when an older backup is put in its place."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select, update

from fastcheck.hub.store.statements.conflict import InsertOnce, Upsert
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import customers, meta

_EPOCH = select(meta.c.value).where(meta.c.key == "epoch")
_LAST_NUMBER = select(meta.c.value).where(meta.c.key == "numbers")
_FIRST = InsertOnce(meta)
_PUT = Upsert(meta)
_RAISE = (
    update(meta)
    .where(meta.c.key == bindparam("name"), meta.c.value < bindparam("least"))
    .values(value=bindparam("least"))
)
_KNOWN = select(customers.c.number).where(customers.c.number.in_(bindparam("numbers", expanding=True)))


class Epochs(Subject):
    """The ledger's epoch, and what must not be given out twice when a new one begins."""

    def epoch(self) -> int | None:
        """The epoch; None where nobody has asked yet."""
        found = self._db.execute(_EPOCH).scalar()
        return None if found is None else int(found)

    def first_epoch(self, epoch: int) -> int:
        """Begins the first epoch, unless another was faster. The one that counts."""
        self._db.execute(_FIRST.on(self._db), {"key": "epoch", "value": epoch})
        return int(self._db.execute(_EPOCH).scalar_one())

    def put_epoch(self, epoch: int) -> None:
        """Begins another epoch."""
        self._db.execute(_PUT.on(self._db), {"key": "epoch", "value": epoch})

    def raise_counter(self, name: str, least: int) -> None:
        """Makes `seq` or `numbers` go on after `least`, where it has not come that far."""
        self._db.execute(_RAISE, {"name": name, "least": least})

    def last_number(self) -> int:
        """The number that was given to a customer last."""
        return int(self._db.execute(_LAST_NUMBER).scalar_one())

    def known_numbers(self, numbers: Iterable[int]) -> set[int]:
        """Those of the numbers that are customers', deleted ones included."""
        return {
            int(row[0])
            for part in chunks(sorted(set(numbers)))
            for row in self._db.execute(_KNOWN, {"numbers": part})
        }
