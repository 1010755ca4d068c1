"""Every use case of time, refunds, caps and central reservations again, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from hub import test_hub_refunds, test_hub_spending, test_hub_turn

OF_MEMORY = (
    "test_nothing_is_ever_spent_beyond_grants_and_overdraft", "test_no_window_is_ever_over_its_cap",
    "test_two_hubs_at_once_never_burn_more_than_there_is",
)  # fmt: skip
"""Tests that make their own ledgers, or run on each kind of store anyway."""

globals().update(
    {
        name: one
        for module in (test_hub_refunds, test_hub_spending, test_hub_turn)
        for name, one in vars(module).items()
        if name.startswith("test_") and name not in OF_MEMORY
    }
)


@pytest.fixture
def store(postgres_ledger_url: str) -> Iterator[Store]:
    store = PostgresStore(postgres_ledger_url)
    yield store
    store.close()
