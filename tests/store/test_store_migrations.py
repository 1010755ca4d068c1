"""The migrations make what `tables` says, on both databases; and what is not ours is left alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from fastcheck import errors
from fastcheck.hub.store import Store, migrate, tables
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore

POSTGRES_SCHEMA = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name, is_identity, column_default "
    "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
)


def refuse(what: str, what_to_do: str) -> errors.FastcheckError:
    return errors.StoreError("here", what, what_to_do)


def schema(connection: Connection) -> Any:
    """All there is to know of the tables of a database, but for the rows."""
    if connection.dialect.name == "postgresql":
        return [connection.exec_driver_sql(query).all() for query in POSTGRES_SCHEMA]
    made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    return {name: sorted(re.split(r"[\s,()]+", sql)) for name, sql in made}


def rows(connection: Connection) -> Any:
    return [
        sorted(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
        for table in ("meta", "alembic_version")
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URLs of two empty databases."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"
    else:
        new_database = request.getfixturevalue("postgres").new_database
        with new_database("migrations_one") as one, new_database("migrations_two") as two:
            yield one, two


def test_the_migrations_make_the_tables_that_a_new_ledger_is_made_from(two: tuple[str, str]) -> None:
    engines = [create_engine(url, poolclass=NullPool) for url in two]
    with engines[0].begin() as migrated, engines[1].begin() as made:
        migrate.upgrade(migrated)
        migrate.migrate(made, refuse)
        assert schema(migrated) == schema(made)
        assert rows(migrated) == rows(made)
        context = MigrationContext.configure(migrated, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.LEDGER) == []
        assert migrate.newest(migrated, refuse)


def test_the_head_is_the_last_migration_and_all_are_known() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == migrate.HEAD
    assert [one.revision for one in script.walk_revisions()][::-1] == list(migrate.REVISIONS)


def test_a_migration_that_fails_leaves_nothing(two: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables come all at once, so that a process killed meanwhile leaves an empty database."""
    engine = create_engine(two[0], poolclass=NullPool)

    def dies(connection: Connection) -> None:
        raise KeyboardInterrupt

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        monkeypatch.setattr(migrate, "insert", dies)
        with pytest.raises(KeyboardInterrupt):
            migrate.migrate(connection, refuse)
        connection.rollback()
        monkeypatch.undo()
        assert not migrate.newest(connection, refuse)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("CREATE TABLE meta (key text, value bigint)", "tables of another program.*place of its own"),
        ("CREATE TABLE alembic_version (version_num text)", "revision None"),
    ],
)
def test_tables_that_are_not_ours_are_refused(
    postgres: Any, postgres_url: str, statement: str, match: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    postgres.execute(statement, database)
    with pytest.raises(errors.StoreError, match=match):
        PostgresStore(postgres_url)
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert (
            connection.exec_driver_sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").scalar()
            == 1
        )


def test_a_newer_ledger_is_refused(postgres: Any, postgres_url: str) -> None:
    PostgresStore(postgres_url).close()
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", postgres_url.rpartition("/")[2])
    with pytest.raises(errors.StoreError, match=r"revision '9999'.*a newer one"):
        PostgresStore(postgres_url)


LATER = """
from alembic import op
import sqlalchemy

revision, down_revision = "0004", "0003"

def upgrade() -> None:
    op.create_table("later", sqlalchemy.Column("number", sqlalchemy.BigInteger))
    op.execute("UPDATE meta SET value = value + 100 WHERE key = 'seq'")
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_older_ledger_is_brought_to_the_newest_form_all_or_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue("postgres_schema_url") if kind == "postgresql" else ""

    def opened() -> Store:
        return PostgresStore(url) if url else SqliteStore(tmp_path / "ledger.db")

    def seq(connection: Connection) -> int:
        return int(connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'seq'").scalar_one())

    store = opened()
    store.run(lambda connection: connection.exec_driver_sql("UPDATE meta SET value = 7 WHERE key = 'seq'"))
    store.close()
    later = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, later)
    migration = later / "versions" / "0004_later.py"
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "MIGRATIONS", later)
        patched.setattr(migrate, "HEAD", "0004")
        patched.setattr(migrate, "REVISIONS", ("0001", "0002", "0003", "0004"))
        migration.write_text(LATER + '    raise ZeroDivisionError("half way")\n')
        with pytest.raises(ZeroDivisionError):
            opened()
        migration.write_text(LATER)
        store = opened()
        assert store.read(seq) == 107, "once, and nothing of the attempt that failed"
        store.close()
        store = opened()
        assert store.read(seq) == 107
        store.close()
    with pytest.raises(errors.FastcheckError, match=r"revision '0004'.*a newer one"):
        opened()


def test_the_key_of_a_table_without_row_ids_comes_first() -> None:
    """Otherwise the checks of SQLite 3.40 find NULL in columns that hold none."""
    for table in tables.LEDGER.tables.values():
        if not table.dialect_options["sqlite"]["with_rowid"]:
            key = [column.name for column in table.primary_key]
            assert [column.name for column in table.columns][: len(key)] == key, table.name
