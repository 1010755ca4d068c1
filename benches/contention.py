"""Two processes that consume one cell: exact to the unit, and how much each keeps of its rate alone."""

from __future__ import annotations

from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter
from typing import Any

from benches.arena import SPENDER, Arena, refuse
from benches.children import SPAWN
from benches.figures import Figure
from fastcheck import _fastcheck as native

GROUP = "Two processes, one cell"
BURNS = 400_000
ROUNDS = 5
SHORT = 1_000
"""Burns for which there is nothing left at the end of a round."""
SCALE = 1_000_000


def burning(pipe: Connection, directory: str) -> None:
    """A process that consumes when told; answers with (how many were granted, per second)."""
    consume = native.Checker(directory, refuse).consume
    pipe.send(None)
    while burns := pipe.recv():
        granted = 0
        start = perf_counter()
        for _ in range(burns):
            granted += consume(SPENDER, "gpt-4o")
        pipe.send((granted, burns / (perf_counter() - start)))


def measure(made: Arena) -> list[Figure]:
    pipes: list[Any] = []
    children = []
    for _ in range(2):
        ours, theirs = SPAWN.Pipe()
        child = SPAWN.Process(target=burning, args=(theirs, made.directory))
        child.start()
        theirs.close()
        ours.recv()
        pipes.append(ours)
        children.append(child)
    lent = BURNS * 4 - SHORT
    wrong, kept = 0, []
    for _ in range(ROUNDS):
        alone = []
        made.leases.next(lent * SCALE)
        granted = 0
        for pipe in pipes:
            pipe.send(BURNS)
            got, rate = pipe.recv()
            granted += got
            alone.append(rate)
        for pipe in pipes:
            pipe.send(BURNS)
        together = [pipe.recv() for pipe in pipes]
        granted += sum(got for got, _ in together)
        totals = made.leases.next()
        assert totals is not None
        wrong += abs(granted - lent) + abs(totals[3] - lent * SCALE)
        kept.append(min(rate / before for (_, rate), before in zip(together, alone, strict=True)))
    for pipe, child in zip(pipes, children, strict=True):
        pipe.send(0)
        child.join()
    return [
        Figure(GROUP, f"units wrong in {ROUNDS * BURNS * 4:,} burns", wrong, "units", 0, "exactly"),
        Figure(
            GROUP,
            "two consumers, the slower one's rate (ratio to its rate alone)",
            median(kept),
            "x",
            0.2,
            "at least",
        ),
    ]
