"""Every use case of time, refunds, caps and central reservations again, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import test_hub_refunds
import test_hub_turn
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore

globals().update({
    name: one
    for module in (test_hub_refunds, test_hub_turn)
    for name, one in vars(module).items()
    if name.startswith("test_")
})  # fmt: skip


@pytest.fixture
def store(postgres_schema_url: str) -> Iterator[Store]:
    store = PostgresStore(postgres_schema_url)
    yield store
    store.close()
