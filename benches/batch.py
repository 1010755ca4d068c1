"""Many customers in one call, and single calls in random order over a million customers."""

from __future__ import annotations

import random
from statistics import median

import numpy as np

from benches.arena import Arena, name_of, refuse
from benches.children import in_fresh_process
from benches.figures import Figure
from benches.floors import empty, lookup
from benches.rounds import calls
from fastcheck import _fastcheck as native

GROUP = "Batches (per customer)"
RANDOM = "Random order over all customers"
HOT = 1_000
REPEATS = 50
PROCESSES = 5
PASSES = 5
SEED = 1


def measure(made: Arena, rounds: int) -> list[Figure]:
    return [*batches(made, rounds), *random_order(made)]


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


def random_order(made: Arena) -> list[Figure]:
    """Several processes: where the pages of a large dict or a mapping come to lie is luck, and lasts."""
    count = len(made.names)
    runs = [in_fresh_process(random_order_once, made.directory, count) for _ in range(PROCESSES)]
    ratios, *ns = zip(*runs, strict=True)
    with_check, with_dict, with_empty = map(median, ns)
    return [
        Figure(
            RANDOM,
            f"check in random order over {count:,} (ratio to a Python function over a dict)",
            median(ratios),
            "x",
            0.8,
            ns=with_check,
            note=f"{min(ratios):.2f} to {max(ratios):.2f} in {PROCESSES} processes",
        ),
        Figure(RANDOM, "the Python function over a dict[str, shared plan dict]", with_dict, "ns"),
        Figure(RANDOM, "an empty Python function over the same keys", with_empty, "ns"),
    ]


def random_order_once(directory: str, customers: int) -> tuple[float, float, float, float]:
    """(ratio, ns of check, of the dict, of the empty function): the same keys in the same order for all."""
    checker = native.Checker(directory, refuse)
    names = [name_of(i) for i in range(customers)]
    order = names.copy()
    random.Random(SEED).shuffle(order)
    plans = ({"export": False}, {"export": True})
    check_dict = lookup({name: plans[i % 2] for i, name in enumerate(names)})
    check = checker.check

    def with_dict() -> None:
        for name in order:
            check_dict(name, "export")

    def with_check() -> None:
        for name in order:
            check(name, "export")

    def with_empty() -> None:
        for name in order:
            empty(name, "export")

    timed = calls({"empty": with_empty, "dict": with_dict, "check": with_check}, len(order), PASSES)
    ratio = timed["check"].over(timed["dict"])
    return ratio, timed["check"].median, timed["dict"].median, timed["empty"].median
