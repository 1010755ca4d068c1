"""Purchases of add-ons, and the grants that they made."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import and_, bindparam, insert, or_, select, update

from fastcheck.hub.store.statements.grant_rows import COLUMNS, StoredGrant, stored_grant
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import grants, purchases

PENDING, PAID, REFUNDED, CHARGED_BACK = "pending", "paid", "refunded", "charged_back"


@dataclass(frozen=True)
class StoredPurchase:
    """A purchase's row."""

    id: str
    number: int
    """The customer's."""
    addon: str
    quantity: int
    state: str
    cost: int | None
    """Of all of it, in minor units of the currency."""
    currency: str | None
    refunded: int
    """Of `cost`, so far."""
    created_at: int
    paid_at: int | None
    ended_at: int | None
    """When it was charged back."""
    reason: str
    author: str


_NAMES = [field.name for field in fields(StoredPurchase)]
_all = select(*(purchases.c[name] for name in _NAMES))
_of = purchases.c.number == bindparam("of")
_ONE = _all.where(purchases.c.id == bindparam("key"))
_NEW = insert(purchases)
"""Without a word on conflicts: an id that another purchase has just got must not be written over."""
_CHANGE = (
    update(purchases)
    .where(purchases.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in ("state", "refunded", "paid_at", "ended_at")})
)
_PAGE = (
    _all.where(
        _of,
        or_(
            purchases.c.created_at > bindparam("after_at"),
            and_(purchases.c.created_at == bindparam("after_at"), purchases.c.id > bindparam("after_id")),
        ),
    )
    .order_by(purchases.c.created_at, purchases.c.id)
    .limit(bindparam("count"))
)
_GRANTS = (
    select(*COLUMNS)
    .where(grants.c.number == bindparam("of"), grants.c.source == bindparam("from_source"))
    .order_by(grants.c.id)
)


class Purchases(Subject):
    """Purchases."""

    def purchase(self, id: str) -> StoredPurchase | None:
        """One purchase."""
        row = self._db.execute(_ONE, {"key": id}).first()
        return None if row is None else StoredPurchase(*row)

    def make_purchase(self, one: StoredPurchase) -> None:
        """Writes a new purchase."""
        self._db.execute(_NEW, {name: getattr(one, name) for name in _NAMES})

    def change_purchase(self, one: StoredPurchase) -> None:
        """Writes what became of a purchase; its terms stay."""
        changed = {"state": one.state, "refunded": one.refunded, "paid_at": one.paid_at}
        self._db.execute(_CHANGE, {"key": one.id, **changed, "ended_at": one.ended_at})

    def purchases_after(self, number: int, at: int, id: str, limit: int) -> list[StoredPurchase]:
        """A customer's purchases in the order in which they were made, then of their ids."""
        asked = {"of": number, "after_at": at, "after_id": id, "count": limit}
        return [StoredPurchase(*row) for row in self._db.execute(_PAGE, asked)]

    def grants_from(self, number: int, source: str) -> list[StoredGrant]:
        """A customer's grants of one source as they were last written, in the order of their ids."""
        found = self._db.execute(_GRANTS, {"of": number, "from_source": source})
        return [stored_grant(row) for row in found]
