"""Which form the tables have, and bringing them to the newest.

A store that is up to date costs one look. Alembic is loaded only where an older form is found; a new ledger
is made from `tables` at once, and a test holds that against the migrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, insert

from ...errors import FastcheckError
from .tables import LEDGER, meta

HEAD = "0002"
"""The newest revision in `migrations/versions`."""
REVISIONS = ("0001", "0002")
"""All that can be brought to `HEAD`, oldest first."""
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6661_7374_6C65_6467
"""PostgreSQL's advisory lock of whoever migrates: "fastledg"."""
_FOUND = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('alembic_version', 'meta')",
    # Not to_regclass, which may answer from what this connection remembers of before the lock.
    "postgresql": "SELECT relname FROM pg_class WHERE relname IN ('alembic_version', 'meta') "
    "AND relkind = 'r' AND pg_table_is_visible(oid)",
}

Refuse = Callable[[str, str], FastcheckError]
"""(what is wrong, what to do) -> the store's error for it."""


def newest(connection: Connection, refuse: Refuse) -> bool:
    """Whether the tables have the newest form. Raises what `refuse` makes of tables that are not ours, or
    of a later version of fastcheck."""
    found = {row[0] for row in connection.exec_driver_sql(_FOUND[connection.dialect.name])}
    if not found:
        return False
    if "alembic_version" not in found:
        raise refuse(
            "there is a table `meta` but no `alembic_version`: a ledger from before the first release, or "
            "the tables of another program",
            "move it away and begin anew, or give fastcheck a place of its own",
        )
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision not in REVISIONS:
        raise refuse(
            f"the ledger has revision {revision!r:.80}, this fastcheck reads up to {HEAD}",
            "use the version of fastcheck that wrote it, or a newer one",
        )
    return "meta" in found and revision == HEAD


def migrate(connection: Connection, refuse: Refuse) -> None:
    """Makes the tables, or brings them to the newest form, in the caller's transaction. Whoever comes at the
    same time waits and finds it done. Raises as `newest`."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    if newest(connection, refuse):
        return
    if connection.exec_driver_sql(_FOUND[connection.dialect.name]).first() is None:
        _make(connection)
    else:
        upgrade(connection)


def _make(connection: Connection) -> None:
    LEDGER.create_all(connection, checkfirst=False)
    zero = ("seq", "numbers", "catalog", "events", "digest", "digest_seq", "changes_bytes")
    counters = {**dict.fromkeys(zero, 0), "changes_from": 1}
    connection.execute(insert(meta), [{"key": key, "value": value} for key, value in counters.items()])
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")


def upgrade(connection: Connection) -> None:
    """Runs the migrations that are missing, in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
