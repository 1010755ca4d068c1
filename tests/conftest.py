"""Shared by the tests of the hub: a clock that stands still, a store in a fresh directory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fastcheck.clock import ManualClock
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.postgres import PrivatePostgres
from rig.serving import Service

# Other processes share the machine: a slow example says nothing about the code.
settings.register_profile("fastcheck", deadline=None)
settings.load_profile("fastcheck")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MAY_2024_MS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "ledger.db")
    yield store
    store.close()


@pytest.fixture
def service(store: SqliteStore, clock: ManualClock) -> Service:
    service = Service(store, clock, parse)
    catalog = FakeCatalog()
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """One server for all tests that ask; without PostgreSQL they fail and say what to install."""
    with PrivatePostgres() as server:
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


@pytest.fixture(params=["memory", "file", "postgres"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store in turn, empty."""
    store: Store
    if request.param == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_schema_url"), connections=8)
    elif request.param == "file":
        store = SqliteStore(tmp_path / "any.db")
    else:
        store = SqliteStore.in_memory()
    yield store
    store.close()
