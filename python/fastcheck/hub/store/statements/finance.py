"""Postings and usage records as finance reads them: an account after the other, in bounded pages, and sums to
compare them with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, false, func, select, true, tuple_

from fastcheck.hub.store.statements.accounts import AccountKey
from fastcheck.hub.store.statements.leases import LEASE_COLUMNS, Lease
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import (
    accounts,
    customers,
    grants,
    grants_past,
    leases,
    postings,
    usage_records,
)

HALF = 1 << 32
"""Sums are taken of the upper and lower halves of amounts: of whole ones they might not fit a column."""


def sums_of(column: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """(sum of upper halves, sum of lower halves); `whole` puts them together."""
    return func.coalesce(func.sum(column // HALF), 0), func.coalesce(func.sum(column % HALF), 0)


def whole(high: Any, low: Any) -> int:
    """A sum from its halves."""
    return int(high) * HALF + int(low)


def _then(name: str) -> ColumnElement[Any]:
    """What a grant's column was when the posting was booked, where it has been another one since."""
    return (
        select(grants_past.c[name])
        .where(
            grants_past.c.number == postings.c.number,
            grants_past.c.pool == postings.c.pool,
            grants_past.c.until_at > postings.c.booked_at,
            grants_past.c.id == postings.c.grant,
        )
        .order_by(grants_past.c.until_at)
        .limit(1)
        .scalar_subquery()
    )


# Only what came from the catalog ever changes its price, and only where units are put in is it looked at.
_priced = and_(postings.c.source == "issued", grants.c.source.is_not(None))
_MOVEMENTS = (
    select(
        postings.c.number,
        postings.c.pool,
        postings.c.place,
        customers.c.id,
        postings.c.at,
        postings.c.booked_at,
        postings.c.grant,
        grants.c.kind,
        postings.c.source,
        postings.c.target,
        postings.c.units,
        grants.c.amount,
        grants.c.cost,
        grants.c.currency,
        *(case((_priced, _then(name)), else_=None) for name in ("amount", "cost", "currency")),
    )
    .join_from(postings, customers, customers.c.number == postings.c.number, isouter=True)
    .join(grants, grants.c.id == postings.c.grant, isouter=True)
    .where(
        tuple_(postings.c.number, postings.c.pool, postings.c.place)
        > tuple_(bindparam("of"), bindparam("name"), bindparam("after")),
        postings.c.place <= bindparam("through"),
        postings.c.at < bindparam("until"),
    )
    .order_by(postings.c.number, postings.c.pool, postings.c.place)
    .limit(bindparam("count"))
)
_USAGE = (
    select(
        customers.c.number,
        usage_records.c.number,
        usage_records.c.customer,
        usage_records.c.at,
        usage_records.c.feature,
        usage_records.c.units,
    )
    .join_from(customers, usage_records, usage_records.c.customer == customers.c.id)
    .where(
        tuple_(customers.c.number, usage_records.c.number) > tuple_(bindparam("of"), bindparam("after")),
        usage_records.c.number <= bindparam("through"),
        usage_records.c.at >= bindparam("since"),
        usage_records.c.at < bindparam("until"),
    )
    .order_by(customers.c.number, usage_records.c.number)
    .limit(bindparam("count"))
)
_earlier = case((postings.c.at < bindparam("since"), 1), else_=0)
_SUMS = (
    select(
        _earlier,
        postings.c.pool,
        postings.c.source,
        postings.c.target,
        *sums_of(postings.c.units),
        func.count(),
    )
    .where(
        postings.c.place > bindparam("after"),
        postings.c.place <= bindparam("through"),
        postings.c.at < bindparam("until"),
    )
    .group_by(_earlier, postings.c.pool, postings.c.source, postings.c.target)
)
_USAGE_SUMS = (
    select(usage_records.c.feature, *sums_of(usage_records.c.units), func.count())
    .where(
        usage_records.c.number > bindparam("after"),
        usage_records.c.number <= bindparam("through"),
        usage_records.c.at >= bindparam("since"),
        usage_records.c.at < bindparam("until"),
    )
    .group_by(usage_records.c.feature)
)
_LAST = select(
    select(func.coalesce(func.max(postings.c.place), 0)).scalar_subquery(),
    select(func.coalesce(func.max(usage_records.c.number), 0)).scalar_subquery(),
)
_KEYS = (
    select(accounts.c.number, accounts.c.pool)
    .where(tuple_(accounts.c.number, accounts.c.pool) > tuple_(bindparam("of"), bindparam("name")))
    .order_by(accounts.c.number, accounts.c.pool)
    .limit(bindparam("count"))
)
_OPEN = (
    select(*(leases.c[name] for name in LEASE_COLUMNS))
    .where(
        leases.c.open == true(),
        tuple_(leases.c.number, leases.c.pool, leases.c.host)
        > tuple_(bindparam("of"), bindparam("name"), bindparam("at_host")),
    )
    .order_by(leases.c.number, leases.c.pool, leases.c.host)
    .limit(bindparam("count"))
)
_RECORDS = select(customers.c.number, customers.c.record).where(
    customers.c.number.in_(bindparam("numbers", expanding=True)), customers.c.deleted == false()
)


class Finance(Subject):
    """What finance reads."""

    def last_places(self) -> tuple[int, int]:
        """(place of the last posting, number of the last usage record)."""
        row = self._db.execute(_LAST).one()
        return int(row[0]), int(row[1])

    def movements_after(
        self, number: int, pool: str, place: int, *, until: int, through: int, limit: int
    ) -> Sequence[Any]:
        """Postings before `until` and up to the place `through`, by customer number, pool and place: (number,
        pool, place, customer, at, booked at, grant, kind, source, target, units, amount, cost, currency and
        the last three as they were when it was booked)."""
        asked = {
            "of": number, "name": pool, "after": place, "until": until, "through": through, "count": limit,
        }  # fmt: skip
        return self._db.execute(_MOVEMENTS, asked).all()

    def usage_by_customer(
        self, number: int, record: int, *, since: int, until: int, through: int, limit: int
    ) -> Sequence[Any]:
        """(customer number, record, customer, at, feature, units) of usage records, by customer."""
        asked = {
            "of": number, "after": record, "since": since, "until": until, "through": through, "count": limit
        }  # fmt: skip
        return self._db.execute(_USAGE, asked).all()

    def posting_sums(
        self, after: int, through: int, since: int, until: int
    ) -> list[tuple[bool, str, str, str, int, int]]:
        """(whether before `since`, pool, source, target, units, count) of postings before `until` with places
        in (after, through]."""
        asked = {"after": after, "through": through, "since": since, "until": until}
        return [
            (bool(row[0]), row[1], row[2], row[3], whole(row[4], row[5]), int(row[6]))
            for row in self._db.execute(_SUMS, asked)
        ]

    def usage_sums(self, after: int, through: int, since: int, until: int) -> list[tuple[str, int, int]]:
        """(feature, units, count) of usage records in [since, until) with numbers in (after, through]."""
        asked = {"after": after, "through": through, "since": since, "until": until}
        return [(row[0], whole(row[1], row[2]), int(row[3])) for row in self._db.execute(_USAGE_SUMS, asked)]

    def account_keys_after(self, number: int, pool: str, limit: int) -> list[AccountKey]:
        """Accounts by customer number and pool."""
        found = self._db.execute(_KEYS, {"of": number, "name": pool, "count": limit})
        return [(row[0], row[1]) for row in found]

    def open_leases_after(self, number: int, pool: str, host: str, limit: int) -> list[Lease]:
        """Open leases by customer number, pool and host."""
        asked = {"of": number, "name": pool, "at_host": host, "count": limit}
        return [Lease(*row) for row in self._db.execute(_OPEN, asked)]

    def packed_records(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """The records of customers who were not deleted."""
        return {
            number: packed
            for part in chunks(sorted(set(numbers)))
            for number, packed in self._db.execute(_RECORDS, {"numbers": part})
        }
