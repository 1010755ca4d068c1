"""A hub in a process of its own, which a benchmark tells what to write.

    python -m benches.hub_child DIRECTORY [--port N] [--database URL]

Prints one line of JSON when it serves: its port, and a token for hosts. Then commands as lines of JSON on
standard input, one answer each: {"toggle": {…}}, {"bulk": {…}}, {"state": true}."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from benches import files
from benches.hub_ledger import CATALOG, customer_id
from benches.memory_of import resident_bytes
from fastcheck import _fastcheck
from fastcheck.clock import SystemClock
from fastcheck.hub.app import make_app
from fastcheck.hub.parts import Hub, Settings
from fastcheck.hub.service import Service
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.wire.by import By
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.customers import NamedCustomer, PutCustomers
from fastcheck.wire.operations.overrides import PutOverride
from fastcheck.wire.operations.tokens import MakeToken


class Writer:
    """Does what it is told."""

    def __init__(self, service: Service, hub: Hub) -> None:
        self.service, self.hub = service, hub
        self.committed_ns: dict[int, int] = {}
        self.on = False

    def stamp(self) -> None:
        """From now on the instant of each commit is kept: it is on disk, and nobody was told yet."""
        wake = self.service.committed

        def committed(seq: int) -> None:
            self.committed_ns[seq] = time.monotonic_ns()
            if wake is not None:
                wake(seq)

        self.service.committed = committed

    def toggle(self, customer: str, count: int, pause_ms: float) -> dict[str, Any]:
        """An override that goes on and off; the commits' instants by seq."""
        self.committed_ns.clear()
        for _ in range(count):
            self.on = not self.on
            self.service.ask(PutOverride(customer, "export", value=self.on))
            time.sleep(pause_ms / 1_000)
        return {"committed_ns": self.committed_ns, "on": self.on}

    def bulk(self, first: int, count: int, per_change: int) -> dict[str, Any]:
        """Makes customers, so many in a change."""
        begun = time.monotonic()
        for start in range(first, first + count, per_change):
            end = min(start + per_change, first + count)
            part = tuple(NamedCustomer(customer_id(number), plan="free") for number in range(start, end))
            self.service.ask(PutCustomers(part))
        return {"seconds": time.monotonic() - begun, "seq": self.service.position().seq}

    def state(self) -> dict[str, Any]:
        """Where it is, and what it takes."""
        spool = self.hub.settings.directory / "spool"
        snapshots = [one.stat().st_size for one in spool.glob("*.fcs")]
        return {
            "resident": resident_bytes(os.getpid()),
            "seq": self.service.position().seq,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "snapshots": snapshots,
            "connections": self.hub.streams.connections,
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--database")
    asked = parser.parse_args()
    files.allow_many()
    asked.directory.mkdir(parents=True, exist_ok=True)
    store: Store = (
        PostgresStore(asked.database) if asked.database else SqliteStore(asked.directory / "ledger.db")
    )
    service = Service(store, SystemClock(), _fastcheck.Catalog.parse, streams=True)
    source = CATALOG.read_bytes()
    if service.load_catalog() is None:
        service.ask(SetCatalog(source, CATALOG.name))
    service.epoch()
    service.begin_streaming()
    token = service.ask(MakeToken("bench", ("stream",)), By("bench")).token
    hub = Hub(
        service, Settings(asked.directory), _fastcheck.SnapshotWriter, lambda: time.time_ns() // 1_000_000
    )
    listener = socket.create_server(("127.0.0.1", asked.port), backlog=4_096)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(hub),
            ws=hub.streams.accept,
            lifespan="on",
            log_config=None,
            access_log=False,
            http="httptools",
            loop="uvloop",
            backlog=4_096,
        )  # type: ignore[arg-type]
    )
    thread = threading.Thread(target=lambda: uvicorn_run(server, listener), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    writer = Writer(service, hub)
    writer.stamp()
    print(json.dumps({"port": listener.getsockname()[1], "token": token}), flush=True)
    for line in sys.stdin:
        [(what, how)] = json.loads(line).items()
        answer = getattr(writer, what)(**(how if isinstance(how, dict) else {}))
        print(json.dumps(answer), flush=True)
    server.should_exit = True
    thread.join()
    store.close()


def uvicorn_run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serves in a loop of its own, in a thread of its own."""
    factory = server.config.get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(server.serve([listener]))


if __name__ == "__main__":
    main()
