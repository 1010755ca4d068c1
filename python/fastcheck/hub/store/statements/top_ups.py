"""Rules of automatic top-ups, and which are due."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import bindparam, select, update

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.events import Events
from fastcheck.hub.store.tables import customers, top_ups


@dataclass(frozen=True)
class StoredTopUp:
    """A rule's row; amounts in pool units."""

    number: int
    pool: str
    threshold: int
    target: int
    monthly_cap: int | None
    cost: int | None
    """Of a top-up of `target` units, in minor units of the currency."""
    currency: str | None
    month: int
    """The start of the month that the next two count."""
    units: int
    """Topped up in that month."""
    sequence: int
    """Top-ups booked in that month."""
    due_at: int | None
    """When to look whether to top up; None until the threshold is crossed."""
    reason: str
    author: str
    created_at: int
    removed_at: int | None = None


_NAMES = [field.name for field in fields(StoredTopUp)]
_all = select(*(top_ups.c[name] for name in _NAMES))
_of, _named = top_ups.c.number == bindparam("of"), top_ups.c.pool == bindparam("name")
_here = top_ups.c.removed_at.is_(None)
_ONE = _all.where(_of, _named)
_DUE = (
    select(top_ups.c.number, top_ups.c.pool)
    .where(top_ups.c.due_at.is_not(None), top_ups.c.due_at <= bindparam("until"), _here)
    .order_by(top_ups.c.due_at, top_ups.c.number, top_ups.c.pool)
    .limit(bindparam("count"))
)
_IS_DUE = (
    update(top_ups)
    .where(_of, _named, _here, top_ups.c.due_at.is_(None))
    .values(due_at=bindparam("now"))
    .execution_options(preserve_rowcount=True)
)
_PUT = Upsert(top_ups)
_REMOVE_OF = update(top_ups).where(_of, _here).values(removed_at=bindparam("now"), due_at=None)
_with_id = (
    select(*(top_ups.c[name] for name in _NAMES), customers.c.id)
    .join(customers, customers.c.number == top_ups.c.number)
    .where(_here)
)
_OF = _with_id.where(_of).order_by(top_ups.c.pool)
_AFTER = _with_id.where(top_ups.c.number > bindparam("after")).order_by(top_ups.c.number, top_ups.c.pool)


class TopUps(Events):
    """Rules of automatic top-ups."""

    def top_up(self, number: int, pool: str, *, removed: bool = False) -> StoredTopUp | None:
        """The rule of an account; with `removed` also one that was taken away."""
        row = self._db.execute(_ONE, {"of": number, "name": pool}).first()
        found = None if row is None else StoredTopUp(*row)
        return found if removed or found is None or found.removed_at is None else None

    def put_top_up(self, one: StoredTopUp) -> None:
        """Writes a rule."""
        self._db.execute(_PUT.on(self._db), {name: getattr(one, name) for name in _NAMES})
        self.top_ups_due = self.top_ups_due or one.due_at is not None

    def top_up_is_due(self, number: int, pool: str, now: int) -> None:
        """Notes that somebody should look whether to top up. Again: no change."""
        if self._db.execute(_IS_DUE, {"of": number, "name": pool, "now": now}).rowcount:
            self.top_ups_due = True

    def top_ups_due_at(self, until: int, limit: int) -> list[tuple[int, str]]:
        """(customer's number, pool) of those due at an instant (inclusive)."""
        found = self._db.execute(_DUE, {"until": until, "count": limit})
        return [(number, pool) for number, pool in found]

    def remove_top_ups(self, number: int, now: int) -> None:
        """Takes away a customer's rules."""
        self._db.execute(_REMOVE_OF, {"of": number, "now": now})

    def top_ups_of(self, number: int) -> list[tuple[StoredTopUp, str]]:
        """(rule, customer's id) of one customer."""
        return [(StoredTopUp(*row[:-1]), row[-1]) for row in self._db.execute(_OF, {"of": number})]

    def top_ups_after(self, number: int, limit: int) -> list[tuple[StoredTopUp, str]]:
        """(rule, customer's id) of customers with greater numbers, in their order."""
        rows = self._db.execute(_AFTER.limit(limit), {"after": number})
        return [(StoredTopUp(*row[:-1]), row[-1]) for row in rows]
