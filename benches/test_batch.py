"""Batches under pytest-benchmark: `pytest benches`. The table is `benches.run`'s."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benches.arena import Arena, arena
from benches.batch import HOT, SEED

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")

CUSTOMERS = 100_000


@pytest.fixture(scope="module")
def made() -> Iterator[Arena]:
    with arena(CUSTOMERS) as made:
        yield made


@pytest.mark.benchmark(group=f"{HOT:,} customers")
@pytest.mark.parametrize("by", ["ids", "names"])
def test_hot(benchmark: Any, made: Arena, by: str) -> None:
    names = made.names[:HOT]
    customers = made.checker.ids(names) if by == "ids" else names
    answers = benchmark(made.checker.check_many, customers, "export")
    assert answers.sum() == HOT // 2


@pytest.mark.benchmark(group=f"{CUSTOMERS:,} customers")
def test_random(benchmark: Any, made: Arena) -> None:
    ids = np.random.default_rng(SEED).permutation(made.checker.ids(made.names))
    answers = benchmark.pedantic(made.checker.check_many, args=(ids, "export"), rounds=10, warmup_rounds=1)
    assert answers.sum() == CUSTOMERS // 2
