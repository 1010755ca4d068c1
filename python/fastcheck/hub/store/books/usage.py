"""Usage records: burns that were given an event id."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from ..tables import usage_records
from .conflict import InsertOnce
from .subject import Subject

_PUT = InsertOnce(usage_records)
_NAMES = ("position", "at", "event", "customer", "feature", "units", "quantities")
_AFTER = (
    select(
        usage_records.c.number, usage_records.c.at, usage_records.c.event, usage_records.c.customer,
        usage_records.c.feature, usage_records.c.units, usage_records.c.quantities,
    )
    .where(usage_records.c.number > bindparam("after"))
    .order_by(usage_records.c.number)
    .limit(bindparam("count"))
)  # fmt: skip


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
