"""Shared by the tests: a clock that stands still, a store in memory or in PostgreSQL, a service over it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck.clock import ManualClock
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from rig import samples
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.postgres import PrivatePostgres, memory_disk
from rig.postgres_ledgers import PostgresLedgers
from rig.serving import Service

samples.load_profile()

# Temporary directories are in memory where there is room. Durability is tested with a disk of its own
# (`rig.powerloss`) and with a durable PostgreSQL, so that no test needs to wait for the machine's disk.
if memory_disk():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory_disk())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MAY_2024_MS)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """In memory; a file for tests that are parametrized with "file"."""
    in_file = getattr(request, "param", "memory") == "file"
    store = SqliteStore(tmp_path / "ledger.db") if in_file else SqliteStore.in_memory()
    yield store
    store.close()


@pytest.fixture
def service(store: Store, clock: ManualClock) -> Service:
    service = Service(store, clock, parse)
    catalog = FakeCatalog()
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """One server for all tests that ask; without PostgreSQL they fail and say what to install. It does not
    wait for the disk: a test of what survives a power failure starts a durable one."""
    with PrivatePostgres(durable=False) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PrivatePostgres) -> Iterator[str]:
    """An empty database of the test's own, for SQLAlchemy."""
    with postgres.new_database(f"test_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture
def postgres_schema_url(postgres: PrivatePostgres) -> Iterator[str]:
    """An empty schema of the test's own, faster made than a database."""
    name = f"s_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE SCHEMA {name}")
    yield f"{postgres.url()}?options=-csearch_path%3D{name}"
    postgres.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(scope="session")
def postgres_ledgers(postgres: PrivatePostgres) -> PostgresLedgers:
    return PostgresLedgers(postgres)


@pytest.fixture
def postgres_ledger_url(postgres_ledgers: PostgresLedgers) -> Iterator[str]:
    """A new ledger of the test's own: its tables are there and as a first start leaves them."""
    with postgres_ledgers.new() as url:
        yield url


@pytest.fixture(params=["memory", "postgres"])
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """SQLite in memory and PostgreSQL in turn, empty. `tests/store` adds SQLite's file."""
    store: Store
    if request.param == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_ledger_url"), connections=8)
    else:
        store = SqliteStore.in_memory()
    yield store
    store.close()
