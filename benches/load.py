"""Loading all customers from a snapshot, and attaching to an arena that has them."""

from __future__ import annotations

from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time

from benches.arena import Arena, name_of, now_ms, open_owner, refuse, snapshot
from benches.children import in_fresh_process
from benches.figures import Figure
from fastcheck import _fastcheck as native

GROUP = "Loading"
LOADS = 5
ATTACHES = 7


def load_once(records: list[bytes]) -> tuple[float, float]:
    """Seconds from records in memory to rows that others can read: of the thread, and on the wall."""
    with TemporaryDirectory(prefix="fastcheck-bench-") as directory:
        owner = open_owner(directory)
        start, wall = thread_time(), perf_counter()
        owner.load(records, 1, now_ms())
        seconds = thread_time() - start, perf_counter() - wall
        owner.close()
    return seconds


def attach_once(directory: str, last: str) -> tuple[float, float]:
    """Milliseconds to attach, and to the first answer."""
    start = perf_counter()
    checker = native.Checker(directory, refuse)
    attached = perf_counter()
    assert checker.check(last, "export")
    return (attached - start) * 1e3, (perf_counter() - start) * 1e3


def measure(made: Arena) -> list[Figure]:
    customers = len(made.names)
    records = snapshot(customers)
    loads = [load_once(records) for _ in range(LOADS)]
    last = name_of((customers - 1) | 1)
    attaches = [in_fresh_process(attach_once, made.directory, last) for _ in range(ATTACHES)]
    return [
        Figure(
            GROUP,
            f"load {customers:,} customers from a snapshot",
            median(own for own, _ in loads),
            "s",
            1.5,
            note=f"{median(wall for _, wall in loads):.2f} s on the wall",
        ),
        Figure(GROUP, f"attach a fresh process to {customers:,}", median(a for a, _ in attaches), "ms", 5),
        Figure(GROUP, "… and its first check", median(b for _, b in attaches), "ms"),
    ]
