"""Inserts that meet a row of the same key: the one place that knows that each database has its own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Insert, Table


class Upsert:
    """Writes rows over those of the same key; with `keep`, columns that only a new row gets."""

    def __init__(self, table: Table, *, keep: Sequence[str] = ()) -> None:
        self._table = table
        self._key = [column.name for column in table.primary_key]
        self._written = [column.name for column in table.columns if column.name not in (*self._key, *keep)]
        self._made: dict[str, Insert] = {}

    def on(self, connection: Connection) -> Insert:
        """The statement for this database, the same object each time, so that it is compiled once."""
        dialect = connection.dialect.name
        if dialect not in self._made:
            self._made[dialect] = self._make(dialect)
        return self._made[dialect]

    def _make(self, dialect: str) -> Insert:
        if dialect == "postgresql":
            from sqlalchemy.dialects import postgresql

            other = postgresql.insert(self._table)
            return other.on_conflict_do_update(
                index_elements=self._key, set_={name: other.excluded[name] for name in self._written}
            )
        from sqlalchemy.dialects import sqlite

        own = sqlite.insert(self._table)
        return own.on_conflict_do_update(
            index_elements=self._key, set_={name: own.excluded[name] for name in self._written}
        )


class InsertOnce:
    """Writes rows and leaves those alone whose key (or other unique column) is there; `rowcount` of the
    result is how many were written."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._made: dict[str, Insert] = {}

    def on(self, connection: Connection) -> Insert:
        """As `Upsert.on`."""
        dialect = connection.dialect.name
        if dialect not in self._made:
            self._made[dialect] = self._make(dialect)
        return self._made[dialect]

    def _make(self, dialect: str) -> Insert:
        if dialect == "postgresql":
            from sqlalchemy.dialects import postgresql

            made = postgresql.insert(self._table).on_conflict_do_nothing()
            return made.execution_options(preserve_rowcount=True)
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(self._table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
