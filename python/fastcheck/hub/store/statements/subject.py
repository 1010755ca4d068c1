"""What the statements of every subject share: the connection they run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable

KEYS_PER_QUERY = 500
"""Keys in one IN list: a bound that every version of SQLite has."""
Key = TypeVar("Key")


def chunks(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Keys in parts that one query takes."""
    return (keys[start : start + KEYS_PER_QUERY] for start in range(0, len(keys), KEYS_PER_QUERY))


class Subject:
    """Statements over one connection, inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    @property
    def connection(self) -> Connection:
        """Where the statements run."""
        return self._db

    def _many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs a statement once per row; nothing for no rows."""
        if rows:
            self._db.execute(statement, rows)
