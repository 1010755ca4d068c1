"""Many customers in one call, and single calls in random order over a million customers."""

from __future__ import annotations

import random

import numpy as np

from benches.arena import Arena
from benches.figures import Figure
from benches.floors import empty, lookup
from benches.rounds import calls

GROUP = "Batches (per customer)"
RANDOM = "Random order over all customers"
HOT = 1_000
REPEATS = 50
SEED = 1


def measure(made: Arena, rounds: int) -> list[Figure]:
    return [*batches(made, rounds), *random_order(made, max(3, rounds // 50))]


def batches(made: Arena, rounds: int) -> list[Figure]:
    checker = made.checker
    ids = checker.ids(made.names)
    hot_names = made.names[:HOT]
    hot_ids = ids[:HOT].copy()
    shuffled = np.random.default_rng(SEED).permutation(ids)

    def hot_by_ids() -> None:
        for _ in range(REPEATS):
            checker.check_many(hot_ids, "export")

    def hot_by_names() -> None:
        for _ in range(REPEATS):
            checker.check_many(hot_names, "export")

    hot = calls({"ids": hot_by_ids, "names": hot_by_names}, HOT * REPEATS, rounds)
    cold = calls({"ids": lambda: checker.check_many(shuffled, "export")}, len(shuffled), max(3, rounds // 50))
    assert checker.check_many(shuffled, "export").sum() == len(shuffled) // 2
    return [
        Figure(GROUP, f"check_many by ids, hot, {HOT:,} customers", hot["ids"].median, "ns", 5),
        Figure(GROUP, f"check_many by list of str, hot, {HOT:,}", hot["names"].median, "ns", 20),
        Figure(GROUP, f"check_many by ids, random, {len(ids):,}", cold["ids"].median, "ns", 50),
    ]


def random_order(made: Arena, rounds: int) -> list[Figure]:
    """The same keys, objects of their own, in the same order for all three."""
    order = made.names.copy()
    random.Random(SEED).shuffle(order)
    plans = ({"export": False}, {"export": True})
    check_dict = lookup({name: plans[i % 2] for i, name in enumerate(made.names)})
    check = made.checker.check

    def with_dict() -> None:
        for name in order:
            check_dict(name, "export")

    def with_check() -> None:
        for name in order:
            check(name, "export")

    def with_empty() -> None:
        for name in order:
            empty(name, "export")

    timed = calls({"empty": with_empty, "dict": with_dict, "check": with_check}, len(order), rounds)
    count = f"{len(order):,}"
    ratio = timed["check"].over(timed["dict"])
    return [
        Figure(
            RANDOM,
            f"check in random order over {count} (ratio to a Python function over a dict)",
            ratio,
            "x",
            0.8,
            ns=timed["check"].median,
        ),
        Figure(RANDOM, "the Python function over a dict[str, shared plan dict]", timed["dict"].median, "ns"),
        Figure(RANDOM, "an empty Python function over the same keys", timed["empty"].median, "ns"),
    ]
