"""What the check of the ledger reads: sums of postings by account and grant, leases, and what belongs to
nobody."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select, tuple_

from fastcheck.hub.store.statements.accounts import AccountKey
from fastcheck.hub.store.statements.finance import sums_of, whole
from fastcheck.hub.store.statements.leases import LEASE_COLUMNS, Lease
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import accounts, customers, grants, leases, postings
from fastcheck.ledger.postings import LedgerAccount, Posting

STRAYS_TOLD = 20
"""Of each kind of row that belongs to nobody."""

_FLOWS = (
    select(postings.c.grant, postings.c.source, postings.c.target, *sums_of(postings.c.units))
    .where(postings.c.number == bindparam("of"), postings.c.pool == bindparam("name"))
    .group_by(postings.c.grant, postings.c.source, postings.c.target)
)
_LEASES = (
    select(*(leases.c[name] for name in LEASE_COLUMNS))
    .where(
        tuple_(leases.c.number, leases.c.pool) > tuple_(bindparam("of"), bindparam("name")),
        tuple_(leases.c.number, leases.c.pool) <= tuple_(bindparam("last_of"), bindparam("last_name")),
    )
    .order_by(leases.c.number, leases.c.pool, leases.c.host, leases.c.lease)
)
_IDS = select(customers.c.number, customers.c.id).where(
    customers.c.number.in_(bindparam("numbers", expanding=True))
)


def _without_account(table: Any) -> Select[Any]:
    """Rows whose account is not there."""
    here = and_(accounts.c.number == table.c.number, accounts.c.pool == table.c.pool)
    return (
        select(table.c.number, table.c.pool, func.count())
        .where(~select(accounts.c.number).where(here).exists())
        .group_by(table.c.number, table.c.pool)
        .limit(STRAYS_TOLD)
    )


_STRAYS = {
    "postings": _without_account(postings),
    "grants": _without_account(grants),
    "accounts": select(accounts.c.number, accounts.c.pool, func.count())
    .where(~select(customers.c.number).where(customers.c.number == accounts.c.number).exists())
    .group_by(accounts.c.number, accounts.c.pool)
    .limit(STRAYS_TOLD),
}
_COUNTED = ("remaining", "granted", "burned", "expired", "voided")
_GRANT_SUMS = select(
    grants.c.pool, *(half for name in _COUNTED for half in sums_of(grants.c[name]))
).group_by(grants.c.pool)
_ACCOUNT_SUMS = select(
    accounts.c.pool, *sums_of(accounts.c.overage), *sums_of(accounts.c.written_off)
).group_by(accounts.c.pool)
_POSTING_SUMS = select(
    postings.c.pool, postings.c.source, postings.c.target, *sums_of(postings.c.units)
).group_by(postings.c.pool, postings.c.source, postings.c.target)


class Checking(Subject):
    """What the check of the ledger reads."""

    def flows(self, number: int, pool: str) -> list[Posting]:
        """All postings of an account, those of one way and grant added up."""
        return [
            Posting(0, row[0], LedgerAccount(row[1]), LedgerAccount(row[2]), whole(row[3], row[4]))
            for row in self._db.execute(_FLOWS, {"of": number, "name": pool})
        ]

    def leases_between(self, after: AccountKey, last: AccountKey) -> list[Lease]:
        """All leases of the accounts in (after, last]."""
        asked = {"of": after[0], "name": after[1], "last_of": last[0], "last_name": last[1]}
        return [Lease(*row) for row in self._db.execute(_LEASES, asked)]

    def ids_of(self, numbers: list[int]) -> dict[int, str]:
        """Customers' ids, deleted ones included; at most a few hundred at once."""
        return {row[0]: row[1] for row in self._db.execute(_IDS, {"numbers": numbers})}

    def strays(self) -> list[tuple[str, int, str, int]]:
        """(what, customer number, pool, rows) of rows that belong to no account or customer."""
        return [
            (what, row[0], row[1], int(row[2]))
            for what, query in _STRAYS.items()
            for row in self._db.execute(query)
        ]

    def counted(self) -> dict[str, dict[str, int]]:
        """Pool -> what its grants and accounts count: remaining, granted, burned, expired, voided, overage,
        written_off."""
        found: dict[str, dict[str, int]] = {}
        for query, names in ((_GRANT_SUMS, _COUNTED), (_ACCOUNT_SUMS, ("overage", "written_off"))):
            for pool, *halves in self._db.execute(query):
                sums = (whole(*halves[place : place + 2]) for place in range(0, len(halves), 2))
                found.setdefault(pool, {}).update(zip(names, sums, strict=True))
        return found

    def posted(self) -> list[tuple[str, str, str, int]]:
        """(pool, source, target, units) of all postings."""
        return [(row[0], row[1], row[2], whole(row[3], row[4])) for row in self._db.execute(_POSTING_SUMS)]
