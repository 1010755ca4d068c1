"""Leases, and what came back after one was closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, delete, false, func, select, true

from fastcheck.hub.store.statements.conflict import InsertOnce, Upsert
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import late_returns, leases, settlements

LEASES_KEPT = 8
"""Closed leases kept per account and host, for what is given back late by holds that outlived them."""


@dataclass(frozen=True)
class Lease:
    """A lease's row; totals are units since it was opened."""

    number: int
    pool: str
    lease: int
    open: bool
    lent: int
    spent: int
    returned: int
    folded: int
    """The net use that the grants already show."""
    valid_until: int | None
    whole: bool
    """Whether all there was has been lent."""
    opened_at: int
    settled_at: int
    recorded_at: int
    """When its totals were last kept for good; see `settlements`."""
    host: str = ""
    """Who it was lent to; '' = the embedded host."""
    marks: bytes | None = None
    """Thresholds ahead of its net use, packed; see `ledger.marks`."""

    @property
    def net(self) -> int:
        """What was used for good."""
        return self.spent - self.returned


LEASE_COLUMNS = [field.name for field in fields(Lease)]
_NAMES = LEASE_COLUMNS
_all = select(*(leases.c[name] for name in _NAMES))
_of_account = (
    leases.c.number == bindparam("of"),
    leases.c.pool == bindparam("name"),
    leases.c.host == bindparam("at_host"),
)
_LEASE = _all.where(*_of_account, leases.c.lease == bindparam("count"))
_LAST = _all.where(*_of_account).order_by(leases.c.lease.desc()).limit(1)
_OPEN = _all.where(leases.c.open == true()).order_by(leases.c.number, leases.c.pool, leases.c.host)
_SOME_OPEN = _OPEN.where(leases.c.host == bindparam("at_host")).limit(bindparam("most"))
_OF_NUMBERS = _all.where(
    leases.c.number.in_(bindparam("numbers", expanding=True)), leases.c.host == bindparam("at_host")
)
_OPEN_OF_NUMBERS = _OF_NUMBERS.where(leases.c.open == true())
_OPEN_OF_ALL_HOSTS = _all.where(
    leases.c.number.in_(bindparam("numbers", expanding=True)), leases.c.open == true()
)
_PUT = Upsert(leases)
_FORGET = delete(leases).where(
    *_of_account, leases.c.lease <= bindparam("last_gone"), leases.c.open == false()
)
_PUT_LATE_RETURN = InsertOnce(late_returns)
_UNFOLDED = select(func.coalesce(func.sum(leases.c.spent - leases.c.returned - leases.c.folded), 0)).where(
    leases.c.number == bindparam("of"), leases.c.pool == bindparam("name"), leases.c.open == true()
)
_HOSTS = (
    select(leases.c.host)
    .where(leases.c.number == bindparam("of"), leases.c.pool == bindparam("name"))
    .distinct()
)
_SETTLED = select(leases.c.settled_at, leases.c.spent - leases.c.returned - leases.c.folded).where(
    *_of_account, leases.c.open == true()
)
_RECORDED = (
    select(settlements.c.net - settlements.c.folded)
    .where(
        settlements.c.number == bindparam("of"),
        settlements.c.pool == bindparam("name"),
        settlements.c.host == bindparam("at_host"),
        settlements.c.at <= bindparam("at"),
    )
    .order_by(settlements.c.at.desc(), settlements.c.lease.desc())
    .limit(1)
)
_RECORD = Upsert(settlements)


class Leases(Subject):
    """Leases."""

    def lease(self, number: int, pool: str, lease: int, host: str = "") -> Lease | None:
        """One lease."""
        key = {"of": number, "name": pool, "at_host": host, "count": lease}
        row = self._db.execute(_LEASE, key).first()
        return None if row is None else Lease(*row)

    def last_lease(self, number: int, pool: str, host: str = "") -> Lease | None:
        """The newest lease of an account at a host, open or not."""
        row = self._db.execute(_LAST, {"of": number, "name": pool, "at_host": host}).first()
        return None if row is None else Lease(*row)

    def open_leases(self) -> Iterator[Lease]:
        """Every open lease."""
        return (Lease(*row) for row in self._db.execute(_OPEN))

    def open_leases_at(self, host: str, limit: int) -> list[Lease]:
        """Some open leases of a host."""
        return [Lease(*row) for row in self._db.execute(_SOME_OPEN, {"at_host": host, "most": limit})]

    def put_lease(self, lease: Lease) -> None:
        """Writes a lease."""
        self.put_leases([lease])

    def leases_of(self, numbers: Iterable[int], host: str = "", *, only_open: bool = False) -> list[Lease]:
        """The leases of many customers at a host, in few statements."""
        query = _OPEN_OF_NUMBERS if only_open else _OF_NUMBERS
        return [
            Lease(*row)
            for part in chunks(sorted(set(numbers)))
            for row in self._db.execute(query, {"numbers": part, "at_host": host})
        ]

    def all_open_leases_of(self, numbers: Iterable[int]) -> list[Lease]:
        """The open leases of many customers at all hosts."""
        return [
            Lease(*row)
            for part in chunks(sorted(set(numbers)))
            for row in self._db.execute(_OPEN_OF_ALL_HOSTS, {"numbers": part})
        ]

    def put_leases(self, changed: Sequence[Lease]) -> None:
        """Writes many leases, each named once, in few statements."""
        self._many(_PUT.on(self._db), [{name: getattr(one, name) for name in _NAMES} for one in changed])

    def forget_leases(self, number: int, pool: str, newest: int, host: str = "") -> None:
        """Drops closed leases that are too old for anything to come back to."""
        self._db.execute(
            _FORGET, {"of": number, "name": pool, "at_host": host, "last_gone": newest - LEASES_KEPT}
        )

    def unfolded(self, number: int, pool: str) -> int:
        """What open leases used that the grants do not show yet."""
        return int(self._db.execute(_UNFOLDED, {"of": number, "name": pool}).scalar_one())

    def unfolded_at(self, number: int, pool: str, at: int) -> int:
        """The same as it was at an instant, by what had been settled."""
        total = 0
        for host in self._db.execute(_HOSTS, {"of": number, "name": pool}).scalars().all():
            key = {"of": number, "name": pool, "at_host": host}
            newest = self._db.execute(_SETTLED, key).first()
            if newest is not None and newest[0] <= at:
                total += newest[1]
            else:
                total += self._db.execute(_RECORDED, {**key, "at": at}).scalar() or 0
        return total

    def record(self, settled: Sequence[Lease]) -> None:
        """Keeps the totals of leases as of their `recorded_at`."""
        self._many(
            _RECORD.on(self._db),
            [
                {
                    "number": one.number,
                    "pool": one.pool,
                    "host": one.host,
                    "at": one.recorded_at,
                    "lease": one.lease,
                    "net": one.net,
                    "folded": one.folded,
                }
                for one in settled
            ],
        )

    def put_late_return(self, key: str, number: int, pool: str, lease: int, units: int, at: int) -> bool:
        """Notes what a hold gave back after its lease was closed; False if it was noted before."""
        row = {"key": key, "number": number, "pool": pool, "lease": lease, "units": units, "at": at}
        return self._db.execute(_PUT_LATE_RETURN.on(self._db), row).rowcount == 1
