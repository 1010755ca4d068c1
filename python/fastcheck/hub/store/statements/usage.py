"""Usage records: burns that were given an event id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from fastcheck.hub.store.statements.conflict import InsertOnce
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import usage_records

_PUT = InsertOnce(usage_records)
_NAMES = ("position", "at", "event", "customer", "feature", "units", "quantities")
SCAN_ROWS = 10_000
"""Records that are looked at for one page, so that no page takes long however few are wanted."""
_columns = [usage_records.c[name] for name in ("number", *_NAMES[1:])]
_AFTER = (
    select(*_columns)
    .where(usage_records.c.number > bindparam("after"))
    .order_by(usage_records.c.number)
    .limit(bindparam("count"))
)


def _within(customer: bool, feature: bool) -> tuple[Any, Any]:
    """(where a scan ends, what is found within it), by which filters are given."""
    wanted: list[ColumnElement[bool]] = [usage_records.c.number > bindparam("after")]
    if customer:
        wanted.append(usage_records.c.customer == bindparam("of"))
    if feature:
        wanted.append(usage_records.c.feature == bindparam("name"))
    numbers = select(usage_records.c.number).where(*wanted).order_by(usage_records.c.number)
    part = numbers.limit(bindparam("scan")).subquery()
    return select(func.count(), func.max(part.c.number)), select(*_columns).where(
        *wanted,
        usage_records.c.number <= bindparam("last"),
        usage_records.c.at >= bindparam("since"),
        usage_records.c.at < bindparam("until"),
    ).order_by(usage_records.c.number).limit(bindparam("count"))


_WITHIN = {(of, name): _within(of, name) for of in (False, True) for name in (False, True)}


_OF_EVENT = select(usage_records.c.customer, usage_records.c.feature, usage_records.c.units).where(
    usage_records.c.event == bindparam("of")
)


class Usage(Subject):
    """Usage records."""

    def put_usage(self, rows: Iterable[tuple[str, int, str, str, str, int, bytes]]) -> None:
        """Stores usage records (position, at, event, customer, feature, units, quantities); those whose
        position is known already are left as they are."""
        self._many(_PUT.on(self._db), [dict(zip(_NAMES, row, strict=True)) for row in rows])

    def usage_after(self, number: int, limit: int) -> list[tuple[int, int, str, str, str, int, bytes]]:
        """(number, at, event, customer, feature, units, quantities), oldest first."""
        found = self._db.execute(_AFTER, {"after": number, "count": limit})
        return [tuple(row) for row in found]

    def usage_of(self, event: str) -> list[tuple[str, str, int]]:
        """(customer as they were named, feature, units) of each record of an event."""
        return [(row[0], row[1], row[2]) for row in self._db.execute(_OF_EVENT, {"of": event})]

    def usage_within(
        self, number: int, limit: int, customer: str | None, feature: str | None, since: int, until: int
    ) -> tuple[list[tuple[int, int, str, str, str, int, bytes]], int | None]:
        """As `usage_after`, of a customer, a feature, and instants in [since, until); and from where to look
        on, None at the end. Fewer than the limit may be found before the end."""
        scan, found = _WITHIN[customer is not None, feature is not None]
        asked = {"after": number, "of": customer, "name": feature, "scan": SCAN_ROWS}
        seen, last = self._db.execute(scan, asked).one()
        if not seen:
            return [], None
        span = {"last": last, "since": since, "until": until, "count": limit + 1}
        rows = [tuple(row) for row in self._db.execute(found, {**asked, **span})]
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1][0]
        return rows, last if seen == SCAN_ROWS else None
