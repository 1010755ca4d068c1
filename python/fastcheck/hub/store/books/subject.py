"""What the statements of every subject share: the connection they run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable


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
