"""Every use case of the service again, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from hub import test_hub_history, test_hub_moves, test_hub_once, test_hub_segments, test_hub_service

OF_THE_FILE = ("test_a_restart_loses_nothing",)
"""Tests that open the SQLite file themselves."""

globals().update(
    {
        name: one
        for module in (test_hub_service, test_hub_once, test_hub_moves, test_hub_segments, test_hub_history)
        for name, one in vars(module).items()
        if name.startswith("test_") and name not in OF_THE_FILE
    }
)


@pytest.fixture
def store(postgres_ledger_url: str) -> Iterator[Store]:
    store = PostgresStore(postgres_ledger_url)
    yield store
    store.close()
