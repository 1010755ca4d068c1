"""What the ledger's benchmarks share: stores to measure on, and a service over one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from fastcheck.clock import Clock, ManualClock
from fastcheck.hub.service import Service
from fastcheck.hub.store import Store
from fastcheck.wire.operations.catalog import SetCatalog

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.postgres import PrivatePostgres

NOW_MS = 1_714_521_600_000
CREDITS = "ai_credits"


def service_over(store: Store, clock: Clock | None = None) -> Service:
    """A service whose catalog has a plan with credits."""
    service = Service(store, ManualClock(NOW_MS) if clock is None else clock, parse)
    put_catalog(service, DOCUMENT)
    return service


def put_catalog(service: Service, document: dict[str, Any]) -> None:
    """Puts a catalog in force."""
    catalog = FakeCatalog(document)
    service.ask(SetCatalog(catalog.source(), "catalog.json"))


@contextmanager
def postgres(url: str | None = None) -> Iterator[str]:
    """The URL of a database: `url`, or that of a server started for as long as this lasts."""
    if url is not None:
        yield url
        return
    with PrivatePostgres() as server:
        yield server.url()


def milliseconds(work: Callable[[], object]) -> float:
    """How long a call takes, by the wall's clock: it waits for the disk or the server."""
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1e3
