"""What it costs that changes are numbered in their own transaction: one writer, and many at once from two
processes on one PostgreSQL; with the change log and without."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benches.children import in_fresh_process
from benches.figures import Figure
from benches.hub_ledger import CATALOG
from benches.ledger_rig import postgres
from fastcheck import _fastcheck
from fastcheck.clock import SystemClock
from fastcheck.hub.service import Service
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.customers import PutCustomer
from fastcheck.wire.operations.overrides import PutOverride

THREADS = 8
SECONDS = 5.0
GROUP = "Changes of single customers on one PostgreSQL"


def service_on(url: str, *, streams: bool) -> Service:
    """A hub's service, as its process makes it."""
    source = CATALOG.read_bytes()
    service = Service(PostgresStore(url), SystemClock(), _fastcheck.Catalog.parse, streams=streams)
    service.ask(SetCatalog(source, CATALOG.name))
    service.epoch()
    if streams:
        service.begin_streaming()
    return service


def write(url: str, streams: bool, name: str, threads: int) -> tuple[int, list[float]]:
    """Changes made within `SECONDS` by so many threads, each of its own customer; ms of each."""
    service = service_on(url, streams=streams)
    took: list[list[float]] = [[] for _ in range(threads)]
    for place in range(threads):
        service.ask(PutCustomer(f"{name}-{place}", plan="free"))
    end = time.monotonic() + SECONDS

    def run(place: int) -> None:
        on = False
        while time.monotonic() < end:
            on = not on
            begun = time.perf_counter()
            service.ask(PutOverride(f"{name}-{place}", "export", value=on))
            took[place].append((time.perf_counter() - begun) * 1e3)

    running = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    every = [one for part in took for one in part]
    return len(every), every


def measure() -> list[Figure]:
    """The table's rows."""
    figures: list[Figure] = []
    with postgres() as url:
        for streams, how in ((False, "without the log"), (True, "with the log")):
            _, took = in_fresh_process(write, url, streams, "one", 1)
            figures.append(Figure(GROUP, f"one writer, {how}: median", median(took), "ms"))
            with ThreadPoolExecutor(2) as two:
                hubs = [
                    two.submit(in_fresh_process, write, url, streams, name, THREADS)
                    for name in ("left", "right")
                ]
            results: list[tuple[int, list[float]]] = [one.result() for one in hubs]
            rate = sum(count for count, _ in results) / SECONDS
            middle = median(one for _, part in results for one in part)
            figures.append(
                Figure(
                    GROUP,
                    f"two hubs of {THREADS} writers, {how}: changes a second",
                    rate,
                    "units",
                    note=f"median {middle:.1f} ms",
                )
            )
    return figures
