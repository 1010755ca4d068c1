"""Every use case of the service again, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from hub import test_hub_history, test_hub_moves, test_hub_once, test_hub_segments, test_hub_service

OF_SQLITE = (
    "test_a_restart_loses_nothing", "test_a_record_says_what_the_rules_say",
    "test_explaining_any_instant_gives_what_was_answered_then",
)  # fmt: skip
"""Tests that make their own ledgers."""

globals().update(
    {
        name: one
        for module in (test_hub_service, test_hub_once, test_hub_moves, test_hub_segments, test_hub_history)
        for name, one in vars(module).items()
        if name.startswith("test_") and name not in OF_SQLITE
    }
)


@pytest.fixture
def store(postgres_ledger_url: str) -> Iterator[Store]:
    store = PostgresStore(postgres_ledger_url)
    yield store
    store.close()
