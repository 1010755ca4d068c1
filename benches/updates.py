"""Single-row updates by the owner, and what another process's checks see of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter, perf_counter_ns, thread_time
from typing import Any

from benches.arena import Arena, name_of, now_ms, record, refuse
from benches.children import SPAWN
from benches.figures import Figure
from fastcheck import _fastcheck as native

GROUP = "Updates"
UPDATES = 100_000
TOGETHER = 100
WINDOW = 300_000
"""Checks of one window, each timed by itself."""
WINDOWS = 9
CHECKED = 1_000
PACED = 300_000
"""Updates per second while checks are timed: the target's rate."""
PACE = 300
"""Updates between two looks at the clock."""
SEED = 2


def measure(made: Arena) -> list[Figure]:
    rng = random.Random(SEED)
    records = [
        record(i + 2, made.names[i], rng.choice(("free", "pro")))
        for i in (rng.randrange(len(made.names)) for _ in range(UPDATES))
    ]
    together = [b"".join(records[i : i + TOGETHER]) for i in range(0, UPDATES, TOGETHER)]
    single = median(rate(made, records, UPDATES) for _ in range(5))
    several = median(rate(made, together, UPDATES) for _ in range(5))
    idle, busy, achieved = checks_meanwhile(made, records)
    return [
        Figure(GROUP, "single-row updates, one put each", single, "/s", 300_000, "at least"),
        Figure(GROUP, f"single-row updates, {TOGETHER} in one put", several, "/s"),
        Figure(
            GROUP,
            "check p99.9 elsewhere during updates (ratio to idle)",
            median(b / i for b, i in zip(busy, idle, strict=True)),
            "x",
            2,
            ns=median(busy),
            note=f"idle {median(idle):,.0f} ns; {achieved / 1000:,.0f}k updates/s meanwhile",
        ),
    ]


def rate(made: Arena, records: list[bytes], rows: int) -> float:
    """Rows per second of the thread's own time."""
    put, now = made.owner.put, now_ms()
    start = thread_time()
    for seq, one in enumerate(records):
        put(one, seq, now)
    return rows / (thread_time() - start)


def checking(pipe: Connection, directory: str) -> None:
    """The other process: on each word from the owner, one window; answers with its p99.9 in nanoseconds."""
    checker = native.Checker(directory, refuse)
    names = [name_of(i) for i in range(CHECKED)]
    random.Random(SEED).shuffle(names)
    window(checker.check, names)
    pipe.send(0)
    while pipe.recv():
        pipe.send(window(checker.check, names))


def window(check: Callable[[str, str], bool], names: list[str]) -> int:
    clock = perf_counter_ns
    times = []
    for _ in range(WINDOW // len(names)):
        for name in names:
            start = clock()
            check(name, "export")
            times.append(clock() - start)
    times.sort()
    return times[len(times) * 999 // 1000]


def checks_meanwhile(made: Arena, records: list[bytes]) -> tuple[list[int], list[int], float]:
    """p99.9 of windows with an idle and a busy owner in turn, and the updates per second of the busy ones."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=checking, args=(theirs, made.directory))
    child.start()
    theirs.close()
    ours.recv()
    idle, busy, rates = [], [], []
    for _ in range(WINDOWS):
        ours.send(True)
        idle.append(ours.recv())
        ours.send(True)
        rates.append(update_until_answered(made, records, ours))
        busy.append(ours.recv())
    ours.send(False)
    child.join()
    return idle, busy, median(rates)


def update_until_answered(made: Arena, records: list[bytes], pipe: Any) -> float:
    put, now, done = made.owner.put, now_ms(), 0
    start = perf_counter()
    while not pipe.poll():
        for _ in range(PACE):
            put(records[done % UPDATES], done, now)
            done += 1
        while perf_counter() - start < done / PACED:
            pass
    return done / (perf_counter() - start)
