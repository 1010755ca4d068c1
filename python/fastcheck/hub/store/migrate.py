"""Which form the tables have, and bringing them to the newest.

A store that is up to date costs one look. Alembic is loaded only where an older form is found; a new ledger
is made from `tables` at once, and a test holds that against the migrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, insert

from fastcheck.errors import FastcheckError
from fastcheck.hub.store.tables import LEDGER, meta
from fastcheck.loading import LOADING

HEAD = "0003"
"""The newest revision in `migrations/versions`."""
REVISIONS = ("0001", "0002", "0003")
"""All that can be brought to `HEAD`, oldest first."""
MIGRATIONS = Path(__file__).parent / "migrations"
_BEGIN = {
    "seq": 0, "numbers": 0, "catalog": 0, "events": 0, "digest": 0, "digest_seq": 0, "changes_from": 1,
    "changes_bytes": 0,
}  # fmt: skip
"""What `meta` has from the beginning."""
_NEWEST = "newest catalog"
_COUNTERS = f"SELECT key, value FROM meta UNION ALL SELECT '{_NEWEST}', coalesce(max(number), 0) FROM catalog"
_RESTORE = "stop all that use it, and restore a backup"
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
    if "meta" not in found or revision != HEAD:
        return False
    _check_counters(connection, refuse)
    return True


def _check_counters(connection: Connection, refuse: Refuse) -> None:
    """A page of one table in the place of another's is sound to SQLite. Where that is the one of the counters
    or of the catalogs, everything would be answered as if nothing had ever been stored."""
    counters: dict[str, int] = {row[0]: row[1] for row in connection.exec_driver_sql(_COUNTERS)}
    missing = sorted(_BEGIN.keys() - counters.keys())
    if missing:
        raise refuse(f"the table `meta` has no {', '.join(missing)}: it is damaged", _RESTORE)
    if counters["catalog"] != counters[_NEWEST]:
        raise refuse("the newest catalog stored is not the one in force: the tables are damaged", _RESTORE)


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
    connection.execute(insert(meta), [{"key": key, "value": value} for key, value in _BEGIN.items()])
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")


def upgrade(connection: Connection) -> None:
    """Runs the migrations that are missing, in the caller's transaction."""
    with LOADING:
        from alembic import command
        from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
