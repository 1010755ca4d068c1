"""Shared by the tests of the hub: a clock that stands still, a store in a fresh directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_catalog import FakeCatalog, parse
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Service
from fastcheck.hub.store.sqlite import SqliteStore
from hypothesis import settings

# Other processes share the machine: a slow example says nothing about the code.
settings.register_profile("fastcheck", deadline=None)
settings.load_profile("fastcheck")

MAY_2024_MS = 1_714_521_600_000
"""2024-05-01T00:00:00Z."""


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
