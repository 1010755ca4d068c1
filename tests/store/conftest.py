"""The tests of the stores have every kind of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "ledger.db")
    yield store
    store.close()


@pytest.fixture(params=["memory", "file", "postgres"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store in turn, empty."""
    store: Store
    if request.param == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_ledger_url"), connections=8)
    elif request.param == "file":
        store = SqliteStore(tmp_path / "any.db")
    else:
        store = SqliteStore.in_memory()
    yield store
    store.close()
