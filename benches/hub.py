"""Every figure of the hub and the stream in one run; writes docs/benchmarks-hub.md.

    python -m benches.hub [--only WORD…] [--million N] [--ten-million N] [--docs DIRECTORY]

Takes about fifteen minutes and 5 GB of disk. `--only` names parts: visible, fleet, snapshot, deltas, demand,
offline, writes."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benches import files, hub_ledger, machine
from benches.children import in_fresh_process
from benches.figures import Figure
from benches.hub_checker import PERCENTILES
from benches.hub_rig import Child, RunningHub, child, hub
from benches.hub_writes import measure as measure_writes
from benches.memory_of import resident_bytes, resident_with_files_bytes
from benches.report import sections, table
from benches.run import DOCS, step

PAGE = "benchmarks-hub.md"
CUSTOMER = hub_ledger.customer_id(2)
SEED = 11
INTRODUCTION = """\
# Benchmarks of the hub and the stream

Written by `make bench-hub`. Hub, host, worker and simulated hosts are processes of one machine and share its
two cores, so each figure includes what the others take.

**Machine.** {machine}; {load:.1f} runnable tasks on average over the minute before the run. The ledger is
SQLite with `synchronous=FULL` unless said.

**Commit to visible.** The hub notes the instant at which a change is on disk, before anybody is told; a
worker that is attached to the host's directory looks every 50 µs at `check` and notes when the answer flips.
Floor: 200 bytes to another process and back over one loopback socket, in the same run.

**Simulated hosts** speak the product's frames over a thin client, all in one process: a commit counts as
arrived at a host when that process has read it. Memory per host is what the hub's resident memory grows by.

**Herd.** The hub is killed; when it serves again, all hosts connect at once and come back for ever, with the
product's backoff. The time is that until the last one is current.

**A million customers.** They are alike but for number, id and plan, so the snapshot compresses better than a
real one. Ready from disk is measured in new processes, their imports left out.

**Deltas.** A host that was away catches up: from its connection to the last change visible. Checks are timed
one by one, with the clock around each, in a worker: idle windows before and after, busy ones meanwhile.
"""


def percentile(values: list[float], which: float) -> float:
    return float(np.percentile(np.array(values), which))


def latency(which: str, values: list[float], targets: tuple[float | None, float | None]) -> list[Figure]:
    """p50 and p99 of ms."""
    return [
        Figure(which, f"{name}, {len(values):,} samples", percentile(values, at), "ms", target)
        for name, at, target in (("p50", 50, targets[0]), ("p99", 99, targets[1]))
    ]


def visible(directory: Path) -> list[Figure]:
    """Commit to visible, one host."""
    group = "Commit at the hub, visible to check in another process"
    hub_ledger.make(made(directory / "hub") / "ledger.db", 1_000)
    with hub(directory / "hub") as running, running.connect(directory / "host"):
        with child("benches.hub_checker", directory / "host", CUSTOMER, "flips") as checker:
            checker.read()
            running.ask({"toggle": {"customer": CUSTOMER, "count": 20, "pause_ms": 20}})
            told = running.ask({"toggle": {"customer": CUSTOMER, "count": 500, "pause_ms": 15}})
            time.sleep(0.5)
            seen = [at for at, _ in checker.finish()][-len(told["committed_ns"]) :]
        committed = [int(at) for _, at in sorted(told["committed_ns"].items(), key=lambda one: int(one[0]))]
    if len(seen) != len(committed):
        raise RuntimeError(f"{len(committed)} changes, {len(seen)} were seen")
    took = [(after - before) / 1e6 for before, after in zip(committed, seen, strict=True)]
    floor = in_fresh_process(loopback_ms)
    ratio = percentile(took, 50) / floor
    return [
        *latency(group, took, (2.0, 8.0)),
        Figure(group, "p50, to a loopback round trip", ratio, "x", ns=floor * 1e6),
    ]


def echo(listener: socket.socket) -> None:
    peer, _ = listener.accept()
    while data := peer.recv(4_096):
        peer.sendall(data)


def loopback_ms() -> float:
    """Median of a round trip to another process."""
    listener = socket.create_server(("127.0.0.1", 0))
    other = multiprocessing.get_context("fork").Process(target=echo, args=(listener,))
    other.start()
    took = []
    with socket.create_connection(listener.getsockname()) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2_000):
            begun = time.perf_counter()
            peer.sendall(b"x" * 200)
            peer.recv(4_096)
            took.append((time.perf_counter() - begun) * 1e3)
    other.join()
    return median(took)


def fleet(directory: Path) -> list[Figure]:
    """1,000 hosts hear of a change; 4,000 connect and hold; all of them come back at once."""
    group = "Many hosts"
    hub_ledger.make(made(directory / "hub") / "ledger.db", 1_000)
    figures: list[Figure] = []
    running = RunningHub(directory / "hub")
    try:
        running.wait_for_snapshot()
        with child("benches.hub_hosts", "127.0.0.1", running.port, running.token) as hosts:
            hosts.ask({"connect": 1_000})
            running.ask({"toggle": {"customer": CUSTOMER, "count": 10, "pause_ms": 200}})
            told = running.ask({"toggle": {"customer": CUSTOMER, "count": 100, "pause_ms": 150}})
            time.sleep(1)
            took = [
                (at - int(before)) / 1e6
                for seq, before in told["committed_ns"].items()
                for at in hosts.ask({"arrivals": int(seq)})["arrivals"]
            ]
            if len(took) != 1_000 * len(told["committed_ns"]):
                raise RuntimeError(f"{len(took)} arrivals of {len(told['committed_ns'])} changes")
            figures += latency(f"{group}: a change at 1,000", took, (None, 150.0))
        time.sleep(2)
        with child("benches.hub_hosts", "127.0.0.1", running.port, running.token) as hosts:
            hosts.ask({"connect": 50})
            time.sleep(3)
            before = running.ask({"state": True})
            answer = hosts.ask({"connect": 3_950})
            time.sleep(15)  # Some heartbeats.
            after = running.ask({"state": True})
            holding = hosts.ask({"state": True})
            each = (after["resident"] - before["resident"]) / 3_950 / 1024
            figures += [
                Figure(group, "4,000 connect, the last current after", answer["seconds"], "s"),
                Figure(group, "of them current 15 s later", holding["current"], "units", 4_000, "exactly"),
                Figure(group, "memory of the hub for each", each, "KiB", 25.0),
            ]
            running.kill()
            again = RunningHub(directory / "hub", "--port", running.port)
            running = again
            begun = running.ask({"state": True})["resident"]
            came = hosts.ask({"herd": True})
            state = running.ask({"state": True})
            figures += [
                Figure(group, "herd of 4,000: the last is current after", came["seconds"], "s", 30.0),
                Figure(group, "herd: current", came["current"], "units", 4_000, "exactly"),
                Figure(
                    group,
                    "herd: the hub's memory at most",
                    state["peak"] / 2**20,
                    "MiB",
                    note=f"{begun / 2**20:.0f} MiB before; goodbyes {came['goodbyes']}, refused "
                    f"{came['refused']}",
                ),
            ]
    finally:
        running.stop()
    return figures


def snapshot(directory: Path, customers: int) -> list[Figure]:
    """A host gets everything; several at once; then what deltas do; then the hub is away."""
    group = f"{customers:,} customers"
    figures: list[Figure] = []
    hub_ledger.make(made(directory / "hub") / "ledger.db", customers)
    with hub(directory / "hub") as running:
        size = running.wait_for_snapshot()
        time.sleep(3)
        before = running.ask({"state": True})["resident"]
        took = []
        for place in range(3):
            begun = time.monotonic()
            with running.connect(directory / f"host-{place}") as ents:
                took.append(time.monotonic() - begun)
                if ents.status().customers != customers:
                    raise RuntimeError(f"{ents.status().customers} customers came")
        one = running.ask({"state": True})["resident"]
        with child("benches.hub_hosts", "127.0.0.1", running.port, running.token) as hosts:
            several = hosts.ask({"connect": 20})["seconds"]
            after = running.ask({"state": True})
        figures += [
            Figure(
                group,
                "warm snapshot to ready",
                median(took),
                "s",
                6.0,
                note=f"{size / 2**20:.0f} MiB on the wire, three hosts one after the other",
            ),
            Figure(group, "the hub's memory grew with them by", (one - before) / 2**20, "MiB"),
            Figure(
                group,
                "and with 20 hosts that fetch at once by",
                (after["resident"] - one) / 2**20,
                "MiB",
                note=f"all of them in {several:.1f} s",
            ),
        ]
        token = running.token
        url = running.url
    for name, remove, target in (("an arena", False, 0.050), ("a checkpoint", True, 3.0)):
        took = []
        for _ in range(3):
            if remove:
                for file in (directory / "host-0").iterdir():
                    if file.name == "control" or file.name.startswith(("rows-", "cells-")):
                        file.unlink()
            took.append(float(fresh_start(directory / "host-0", url, token, customers)))
        what = f"the hub away, ready from {name}"
        figures.append(Figure(group, what, median(took) * 1e3, "ms", target * 1e3))
    return figures


def fresh_start(directory: Path, url: str, token: str, customers: int) -> str:
    """Seconds that `connect` takes in a new process, its imports left out; it answers afterwards."""
    code = (
        "import sys, time; from fastcheck import Entitlements; import fastcheck.host.following.connection\n"
        "directory, url, token, customers, one = sys.argv[1:]\n"
        "begun = time.perf_counter()\n"
        "ents = Entitlements.connect(url, directory, token=token)\n"
        "assert ents.decide(one, 'api_calls').reason == 'no_lease', ents.decide(one, 'api_calls')\n"
        "took = time.perf_counter() - begun\n"
        "assert ents.status().customers == int(customers)\n"
        "print(took); ents.close()\n"
    )
    one = hub_ledger.customer_id(customers // 2)
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory), url, token, str(customers), one],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def deltas(directory: Path) -> list[Figure]:
    """A host catches up while a worker checks."""
    group = "Deltas, end to end"
    hub_ledger.make(made(directory / "hub") / "ledger.db", 1_000)
    figures: list[Figure] = []
    with hub(directory / "hub") as running:
        ents = running.connect(directory / "host")
        checker = Child("benches.hub_checker", str(directory / "host"), CUSTOMER, "times")
        try:
            checker.read()
            ents.close()
            idle = [checker.ask(2.0) for _ in range(3)]
            made_so = running.ask({"bulk": {"first": 10_000, "count": 300_000, "per_change": 500}})
            rates, busy = [], []
            ents = running.connect(directory / "host")
            checker.say(20.0)
            begun = time.monotonic()
            ents.wait_seq(made_so["seq"], 120)
            rates.append(300_000 / (time.monotonic() - begun))
            ents.close()
            busy.append(checker.read())
            idle += [checker.ask(2.0) for _ in range(3)]
        finally:
            checker.stop()
        what = "records a second, changes of 500"
        figures.append(Figure(group, what, median(rates), "/s", 50_000, "at least"))
        quiet = median(one["ns"][PERCENTILES.index(99.9)] for one in idle)
        loud = median(one["ns"][PERCENTILES.index(99.9)] for one in busy)
        figures.append(Figure(group, "p99.9 of a check meanwhile, to idle", loud / quiet, "x", 2.0, ns=loud))
    return figures


def demand(directory: Path, customers: int) -> list[Figure]:
    """A host that holds some of many customers."""
    group = f"On demand, {customers:,} customers at the hub"
    hub_ledger.make(made(directory / "hub") / "ledger.db", customers)
    choose = random.Random(SEED)
    held = 100_000
    numbers = choose.sample(range(1, customers + 1), held)
    with hub(directory / "hub") as running:
        running.wait_for_snapshot()
        with running.connect(directory / "host", customers="on_demand", customers_max=held) as ents:
            ents.check(hub_ledger.customer_id(numbers[0]), "export")
            before = resident_with_files_bytes(os.getpid())
            anonymous = resident_bytes(os.getpid())
            took = []
            for number in numbers[:5_000]:
                begun = time.perf_counter()
                ents.decide(hub_ledger.customer_id(number), "export")
                took.append((time.perf_counter() - begun) * 1e3)
            begun = time.perf_counter()
            for place in range(5_000, held, 5_000):
                asyncio.run(
                    ents.prewarm([hub_ledger.customer_id(one) for one in numbers[place : place + 5_000]])
                )
            bulk = (held - 5_000) / (time.perf_counter() - begun)
            reasons = {ents.decide(hub_ledger.customer_id(one), "seats").reason for one in numbers[-100:]}
            there = ents.status().customers
            after = resident_with_files_bytes(os.getpid())
            grown = (resident_bytes(os.getpid()) - anonymous) / 2**20
    return [
        *latency(f"{group}: first touch", took, (None, 10.0)),
        Figure(group, "fetched ahead (prewarm)", bulk, "/s"),
        Figure(group, "held", there, "units", note=f"answers {sorted(reasons)}"),
        Figure(
            group,
            "the host's memory grew by, its mapped rows included",
            (after - before) / 2**20,
            "MiB",
            note=f"{grown:.0f} MiB of it its own",
        ),
    ]


def made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=[], help="parts to measure; nothing is written then")
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--ten-million", type=int, default=10_000_000)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    asked = parser.parse_args()
    files.allow_many()
    before = machine.load()
    parts: dict[str, Callable[[Path], list[Figure]]] = {
        "visible": visible,
        "fleet": fleet,
        "deltas": deltas,
        "snapshot": lambda directory: snapshot(directory, asked.million),
        "writes": lambda directory: measure_writes(),
        "demand": lambda directory: demand(directory, asked.ten_million),
    }
    figures: list[Figure] = []
    for name, part in parts.items():
        if asked.only and name not in asked.only:
            continue
        directory = Path(tempfile.mkdtemp(prefix="fastcheck-bench-"))
        try:
            figures += step(name, lambda part=part, directory=directory: part(directory))  # type: ignore[misc]
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    print(table(figures))
    if not asked.only:
        page = asked.docs / PAGE
        introduction = INTRODUCTION.format(machine=machine.description(), load=before)
        page.write_text("\n".join([introduction, *sections(figures)]), encoding="utf-8")
        print(f"\nwrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
