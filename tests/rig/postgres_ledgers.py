"""Empty ledgers in a PostgreSQL database: a schema each, made once and emptied after each test that had it.

Making the tables takes a hundred times as long as deleting a test's few rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from fastcheck.hub.store.postgres import PostgresStore
from rig.postgres import PrivatePostgres

_FORM = """
    SELECT c.relname, a.attname, a.atttypid, a.attnotnull
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = %s::regnamespace AND NOT a.attisdropped ORDER BY 1, 2
"""
"""Tables and indexes with their columns: what a test must not have changed."""
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1"
_NUMBER_FROM_1 = """
    SELECT setval(oid::regclass, 1, false) FROM pg_class
    WHERE relnamespace = %s::regnamespace AND relkind = 'S'
"""
_END = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE application_name = %s AND pid <> pg_backend_pid()
"""
_Rows = dict[str, list[tuple[Any, ...]]]


class PostgresLedgers:
    """The schemas of one server. Used by one thread."""

    def __init__(self, server: PrivatePostgres) -> None:
        self._server = server
        self._made = 0
        self._idle: list[str] = []
        self._form: list[tuple[Any, ...]] = []
        self._first: _Rows = {}
        """What a new ledger has in its tables."""

    @contextlib.contextmanager
    def new(self) -> Iterator[str]:
        """The URL of a ledger as a first start leaves it. What is still connected is cut off afterwards."""
        schema = self._idle.pop() if self._idle else self._make()
        yield self._url(schema)
        with psycopg.connect(self._server.dsn()) as connection:
            connection.execute(_END, (schema,))
            if connection.execute(_FORM, (schema,)).fetchall() == self._form:
                self._empty(connection, schema)
                self._idle.append(schema)
            else:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))

    def _make(self) -> str:
        self._made += 1
        schema = f"ledger_{self._made}"
        self._server.execute(f"CREATE SCHEMA {schema}")
        PostgresStore(self._url(schema)).close()
        if not self._form:
            with psycopg.connect(self._server.dsn()) as connection:
                self._form = connection.execute(_FORM, (schema,)).fetchall()
                for (table,) in connection.execute(_TABLES, (schema,)).fetchall():
                    rows = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
                    self._first[table] = connection.execute(rows).fetchall()
        return schema

    def _empty(self, connection: psycopg.Connection, schema: str) -> None:
        connection.execute("SET LOCAL session_replication_role = replica")  # No order among foreign keys.
        for table, rows in self._first.items():
            name = sql.Identifier(schema, table)
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
            for row in rows:
                places = sql.SQL(", ").join(sql.Placeholder() * len(row))
                connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(name, places), row)
        connection.execute(_NUMBER_FROM_1, (schema,))

    def _url(self, schema: str) -> str:
        return f"{self._server.url()}?options=-csearch_path%3D{schema}&application_name={schema}"
