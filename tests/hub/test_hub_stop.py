"""A hub ends whatever its tasks are at: before Python 3.12 `asyncio.wait_for` swallows a cancellation that
comes together with its answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fastcheck._fastcheck import Catalog, SnapshotWriter
from fastcheck.clock import ManualClock
from fastcheck.hub.parts import Hub, Settings
from fastcheck.hub.store.sqlite import SqliteStore
from rig.instants import MAY_2024_MS
from rig.serving import Service

WITHIN_S = 10


@pytest.mark.parametrize("woken", ["tail", "spool"])
@pytest.mark.parametrize("turns", range(5))
def test_a_hub_that_was_just_woken_ends(woken: str, turns: int, tmp_path: Path) -> None:
    async def life() -> None:
        hub = Hub(service, Settings(tmp_path), SnapshotWriter, clock.now_ms)
        await hub.start()
        while hub.tail.lag_s is None:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        getattr(hub, woken).wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(hub.stop(), WITHIN_S)

    clock, store = ManualClock(MAY_2024_MS), SqliteStore.in_memory()
    try:
        service = Service(store, clock, Catalog.parse, streams=True)
        service.begin_streaming()
        asyncio.run(life())
    finally:
        store.close()
