"""The hot calls under pytest-benchmark, floors in the same run: `pytest benches`."""

from __future__ import annotations

from collections.abc import Iterator
from timeit import Timer
from typing import Any

import pytest

from benches.arena import SPENDER, Arena, arena
from benches.calls import CALLS
from benches.floors import empty, lookup

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")

LOOPS = 2_000
WITHOUT = {
    "consume(c, f, {input, output})",
    "check, true, an id of 26 bytes",
    "check, true, an id that is not ASCII",
}


@pytest.fixture(scope="module")
def made() -> Iterator[Arena]:
    with arena(1_000) as made:
        yield made


@pytest.mark.parametrize("what", [what for what in CALLS if what not in WITHOUT])
@pytest.mark.benchmark(group=f"{LOOPS:,} calls")
def test_call(benchmark: Any, made: Arena, what: str) -> None:
    made.leases.next()
    names = {
        "checker": made.checker,
        "export": made.checker.handle(SPENDER, "export"),
        "credits": made.checker.handle(SPENDER, "gpt-4o"),
        "empty": empty,
        "lookup": lookup({SPENDER: {"export": True}}),
    }
    timer = Timer(CALLS[what], globals=names)
    benchmark.pedantic(timer.timeit, args=(LOOPS,), rounds=50, warmup_rounds=2)
