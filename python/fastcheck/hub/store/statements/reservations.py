"""Units held at the hub itself, and debits made there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, case, func, insert, select, true, update

from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import leases, reservations

OPEN, COMMITTED, RELEASED, EXPIRED = "open", "committed", "released", "expired"


@dataclass(frozen=True)
class StoredReservation:
    """A reservation's row."""

    id: str
    number: int
    pool: str
    units: int
    state: str
    spent: int
    sub_key: str | None
    event: str | None
    expires_at: int
    """Holds nothing from here on (exclusive), whatever `state` says."""
    created_at: int
    author: str


_NAMES = [field.name for field in fields(StoredReservation)]
_all = select(*(reservations.c[name] for name in _NAMES))
_account = (reservations.c.number == bindparam("of"), reservations.c.pool == bindparam("name"))
_open = reservations.c.state == OPEN
_ONE = _all.where(reservations.c.id == bindparam("key"))
_HELD = _all.where(_open, *_account, reservations.c.expires_at > bindparam("at"))
_OF_EVENT = select(reservations.c.spent).where(
    reservations.c.event == bindparam("event"), *_account, reservations.c.spent > 0
)
_PUT = insert(reservations)
"""Without a word on conflicts: an id that somebody else has just made must not be written over."""
_CHANGE = (
    update(reservations)
    .where(reservations.c.id == bindparam("key"))
    .values(state=bindparam("new_state"), spent=bindparam("new_spent"))
)
_RELEASE_ALL = (
    update(reservations).where(_open, reservations.c.number == bindparam("of")).values(state=RELEASED)
)
_EXPIRE = (
    update(reservations).where(_open, reservations.c.expires_at <= bindparam("until")).values(state=EXPIRED)
)
_left = leases.c.lent - leases.c.spent + leases.c.returned
_UNSPENT = select(func.coalesce(func.sum(case((_left > 0, _left), else_=0)), 0)).where(
    leases.c.number == bindparam("of"),
    leases.c.pool == bindparam("name"),
    leases.c.open == true(),
    leases.c.host != bindparam("but_host"),
)
_NO_HOST = "\x01"
"""Not the name of any host."""


class Reservations(Subject):
    """Reservations and debits at the hub."""

    def reservation(self, id: str) -> StoredReservation | None:
        """One reservation or debit."""
        row = self._db.execute(_ONE, {"key": id}).first()
        return None if row is None else StoredReservation(*row)

    def held(self, number: int, pool: str, at: int) -> list[StoredReservation]:
        """Those that hold units of an account at an instant."""
        found = self._db.execute(_HELD, {"of": number, "name": pool, "at": at})
        return [StoredReservation(*row) for row in found]

    def debited(self, number: int, pool: str, event: str) -> list[int]:
        """Units that an event burned at the hub itself, each time."""
        key = {"of": number, "name": pool, "event": event}
        return list(self._db.execute(_OF_EVENT, key).scalars())

    def put_reservation(self, one: StoredReservation) -> None:
        """Writes a new reservation or debit."""
        self._db.execute(_PUT, {name: getattr(one, name) for name in _NAMES})

    def change_reservation(self, one: StoredReservation) -> None:
        """Writes what became of one."""
        self._db.execute(_CHANGE, {"key": one.id, "new_state": one.state, "new_spent": one.spent})

    def release_all(self, number: int) -> None:
        """Releases what is open of a customer."""
        self._db.execute(_RELEASE_ALL, {"of": number})

    def tidy_reservations(self, until: int) -> None:
        """Says of those that expired by an instant (inclusive) that they did."""
        self._db.execute(_EXPIRE, {"until": until})

    def unspent(self, number: int, pool: str, but_host: str | None = None) -> int:
        """What open leases may still use beyond what was settled; `but_host`: one host's left out."""
        asked: Sequence[object] = (number, pool, _NO_HOST if but_host is None else but_host)
        key = dict(zip(("of", "name", "but_host"), asked, strict=True))
        return int(self._db.execute(_UNSPENT, key).scalar_one())
