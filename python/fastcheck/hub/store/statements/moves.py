"""Changes of plans: done, ahead or cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from sqlalchemy import and_, bindparam, false, func, or_, select, update

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import customers, moves


@dataclass(frozen=True)
class StoredMove:
    """A move's row."""

    id: str
    number: int
    at: int
    plan: str | None
    version: int | None
    keep_since: bool
    from_plan: str | None
    """Of a migration: the move is only done where the customer still has this plan and version."""
    from_version: int | None
    reason: str
    author: str
    created_at: int
    done_at: int | None = None
    cancelled_at: int | None = None
    cancelled_why: str = ""

    def done(self, at: int) -> StoredMove:
        """The move once it is done."""
        return replace(self, done_at=at)

    def cancelled(self, at: int, why: str) -> StoredMove:
        """The move once it is cancelled."""
        return replace(self, cancelled_at=at, cancelled_why=why)


_NAMES = [field.name for field in fields(StoredMove)]
_all = select(*(moves.c[name] for name in _NAMES))
_ahead = and_(moves.c.done_at.is_(None), moves.c.cancelled_at.is_(None))
_of = moves.c.number == bindparam("of")
_in_order = (moves.c.at, moves.c.created_at, moves.c.id)

_MOVE = _all.where(moves.c.id == bindparam("key"))
_AHEAD_OF = _all.where(_ahead, _of).order_by(*_in_order)
_DUE = (
    select(moves.c.id, moves.c.number)
    .where(_ahead, moves.c.at <= bindparam("until"))
    .order_by(*_in_order)
    .limit(bindparam("count"))
)
_DUE_OF = _DUE.where(_of)
_NEXT = select(func.min(moves.c.at)).where(_ahead)
_AHEAD_AT = select(moves.c.at).where(_ahead, _of)
_PUT = Upsert(moves)
_CANCEL_OF = (
    update(moves).where(_ahead, _of).values(cancelled_at=bindparam("now"), cancelled_why=bindparam("why"))
)
_PLANS_AHEAD = (
    select(moves.c.plan, moves.c.version, func.count(), func.min(customers.c.id))
    .join(customers, customers.c.number == moves.c.number)
    .where(_ahead, moves.c.plan.is_not(None))
    .group_by(moves.c.plan, moves.c.version)
)
_PAGE = (
    select(*(moves.c[name] for name in _NAMES), customers.c.id)
    .join(customers, customers.c.number == moves.c.number)
    .where(
        or_(
            moves.c.at > bindparam("after_at"),
            and_(moves.c.at == bindparam("after_at"), moves.c.id > bindparam("after_id")),
        )
    )
    .order_by(moves.c.at, moves.c.id)
    .limit(bindparam("count"))
)
_PAGES = {
    (False, False): _PAGE,
    (False, True): _PAGE.where(_ahead),
    (True, False): _PAGE.where(_of),
    (True, True): _PAGE.where(_ahead, _of),
}
_ON_VERSION = (
    select(customers.c.number)
    .where(
        customers.c.deleted == false(),
        customers.c.plan == bindparam("of_plan"),
        customers.c.version == bindparam("of_version"),
        customers.c.number > bindparam("after"),
    )
    .order_by(customers.c.number)
    .limit(bindparam("count"))
)


class Moves(Subject):
    """Moves."""

    def move(self, id: str) -> StoredMove | None:
        """One move."""
        row = self._db.execute(_MOVE, {"key": id}).first()
        return None if row is None else StoredMove(*row)

    def moves_ahead(self, number: int) -> list[StoredMove]:
        """A customer's moves that are neither done nor cancelled, in the order in which they will be done."""
        return [StoredMove(*row) for row in self._db.execute(_AHEAD_OF, {"of": number})]

    def moves_ahead_at(self, number: int) -> list[int]:
        """The instants of a customer's moves ahead."""
        return list(self._db.execute(_AHEAD_AT, {"of": number}).scalars())

    def moves_due(self, until: int, limit: int, number: int | None = None) -> list[tuple[str, int]]:
        """(id, customer's number) of moves due at an instant (inclusive), of all or one customer."""
        asked = {"until": until, "count": limit}
        if number is None:
            found = self._db.execute(_DUE, asked)
        else:
            found = self._db.execute(_DUE_OF, {**asked, "of": number})
        return [(id, of) for id, of in found]

    def next_move_at(self) -> int | None:
        """When the next move is due; past where one is late."""
        at: int | None = self._db.execute(_NEXT).scalar_one()
        return at

    def put_moves(self, rows: Sequence[StoredMove]) -> None:
        """Writes moves, new or known."""
        self._many(_PUT.on(self._db), [{name: getattr(one, name) for name in _NAMES} for one in rows])

    def cancel_moves_of(self, number: int, at: int, why: str) -> None:
        """Cancels what is ahead of a customer."""
        self._db.execute(_CANCEL_OF, {"of": number, "now": at, "why": why})

    def plans_ahead(self) -> dict[tuple[str, int], tuple[int, str]]:
        """(plan, version) -> (how many moves to it are ahead, one of their customers)."""
        rows = self._db.execute(_PLANS_AHEAD)
        return {(plan, version): (int(count), id) for plan, version, count, id in rows}

    def moves_after(
        self, at: int, id: str, limit: int, number: int | None, *, pending: bool
    ) -> list[tuple[StoredMove, str]]:
        """(move, customer's id) in the order of their instants, then ids."""
        asked: dict[str, object] = {"after_at": at, "after_id": id, "count": limit}
        if number is not None:
            asked["of"] = number
        rows = self._db.execute(_PAGES[number is not None, pending], asked)
        return [(StoredMove(*row[:-1]), row[-1]) for row in rows]

    def numbers_on(self, plan: str, version: int, after: int, limit: int) -> list[int]:
        """Customers who have a version of a plan, in the order of their numbers."""
        asked = {"of_plan": plan, "of_version": version, "after": after, "count": limit}
        return list(self._db.execute(_ON_VERSION, asked).scalars())
