"""An election by PostgreSQL: an advisory lock, which belongs to a connection and ends with it, however that
ends."""

from __future__ import annotations

import contextlib
import logging

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from fastcheck.hub.store.election import Elected

log = logging.getLogger("fastcheck.store")

# Of this ledger alone: another may have another schema of the same database.
_TRY = "SELECT pg_try_advisory_lock(hashtextextended('fastcheck/' || current_schema() || '/' || %(name)s, 0))"
_LIVES = "SELECT 1"
_GIVE_UP = "SELECT pg_advisory_unlock_all()"


class PostgresElected(Elected):
    """One connection, which is there as long as this stands."""

    def __init__(self, engine: Engine, name: str) -> None:
        """`engine`: makes connections in autocommit, and pools none. `name`: what for."""
        self._engine = engine
        self._name = name
        self._connection: Connection | None = None
        self._elected = False
        self._closed = False

    def held(self) -> bool:
        if self._closed:
            return False
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            if self._elected:
                self._connection.exec_driver_sql(_LIVES)
            else:
                found = self._connection.exec_driver_sql(_TRY, {"name": self._name}).scalar()
                self._elected = bool(found)
                if self._elected:
                    log.info("this hub is elected for %s", self._name)
        except SQLAlchemyError as error:
            if self._elected:
                log.warning("this hub is not elected for %s any more: %s", self._name, type(error).__name__)
            self._drop()
        return self._elected

    def close(self) -> None:
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        connection, self._connection, self._elected = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                # The server notices a closed connection only some time later.
                connection.exec_driver_sql(_GIVE_UP)
            with contextlib.suppress(SQLAlchemyError):
                connection.close()
