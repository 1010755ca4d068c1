"""Customers whose lines the accounts may not show yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Insert, Select, bindparam, delete, false, insert, select

from fastcheck.hub.store.statements.conflict import InsertOnce
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import addons, customers, trials, unbooked

_PUT = InsertOnce(unbooked)
_FIRST = select(unbooked.c.number).order_by(unbooked.c.number).limit(bindparam("count"))
_SINCE = (
    select(unbooked.c.number)
    .join(customers, customers.c.number == unbooked.c.number)
    .where(customers.c.changed_at >= bindparam("at"))
    .order_by(unbooked.c.number)
)
_BOOKED = delete(unbooked).where(unbooked.c.number.in_(bindparam("numbers", expanding=True)))
_noted = select(unbooked.c.number)


def _noting(found: Select[tuple[int]]) -> Insert:
    """Those found that are not noted yet."""
    column = found.selected_columns[0]
    return insert(unbooked).from_select(["number"], found.where(column.not_in(_noted)))


_PUT_OF_PLAN = _noting(
    select(customers.c.number).where(
        customers.c.deleted == false(),
        customers.c.plan == bindparam("plan"),
        customers.c.version == bindparam("version"),
    )
)
_PUT_OF_TRIAL = _noting(
    select(trials.c.number).where(
        trials.c.plan == bindparam("plan"), trials.c.version == bindparam("version")
    )
)
_PUT_OF_ADDON = _noting(select(addons.c.number).where(addons.c.name == bindparam("addon")))


class Unbooked(Subject):
    """Customers whom the background brings along, or an export before it begins."""

    def put_unbooked(self, numbers: Iterable[int]) -> None:
        """Notes customers."""
        self._many(_PUT.on(self._db), [{"number": number} for number in numbers])

    def put_unbooked_of(self, plans: Sequence[tuple[str, int]], addons: Sequence[str]) -> None:
        """Notes the customers of plan versions, trials included, and of add-ons. Nobody else may change
        customers meanwhile."""
        for plan, version in plans:
            for statement in (_PUT_OF_PLAN, _PUT_OF_TRIAL):
                self._db.execute(statement, {"plan": plan, "version": version})
        for name in addons:
            self._db.execute(_PUT_OF_ADDON, {"addon": name})

    def unbooked(self, limit: int) -> list[int]:
        """The numbers of the first of them."""
        return list(self._db.execute(_FIRST, {"count": limit}).scalars())

    def unbooked_since(self, at: int) -> list[int]:
        """The numbers of those who last changed at an instant or after it."""
        return list(self._db.execute(_SINCE, {"at": at}).scalars())

    def booked(self, numbers: Sequence[int]) -> None:
        """Takes customers from the list."""
        for part in chunks(numbers):
            self._db.execute(_BOOKED, {"numbers": part})
