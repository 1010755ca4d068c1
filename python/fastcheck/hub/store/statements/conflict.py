"""Inserts that meet a row of the same key: the one place that knows that each database has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

Own = postgresql.Insert | sqlite.Insert


class Upsert:
    """Writes rows over those of the same key; with `keep`, columns that only a new row gets."""

    def __init__(self, table: Table, *, keep: Sequence[str] = ()) -> None:
        key = [column.name for column in table.primary_key]
        written = [column.name for column in table.columns if column.name not in (*key, *keep)]

        def make(own: Own) -> Insert:
            return own.on_conflict_do_update(
                index_elements=key, set_={name: own.excluded[name] for name in written}
            )

        self._made = _for_each(table, make)

    def on(self, connection: Connection) -> Insert:
        """The statement for this database, the same object each time, so that it is compiled once."""
        return self._made[connection.dialect.name]


class InsertOnce:
    """Writes rows and leaves those alone whose key (or other unique column) is there; `rowcount` of the
    result is how many were written."""

    def __init__(self, table: Table) -> None:
        self._made = _for_each(
            table, lambda own: own.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        )

    def on(self, connection: Connection) -> Insert:
        """As `Upsert.on`."""
        return self._made[connection.dialect.name]


def _for_each(table: Table, make: Callable[[Own], Insert]) -> dict[str, Insert]:
    return {"postgresql": make(postgresql.insert(table)), "sqlite": make(sqlite.insert(table))}
