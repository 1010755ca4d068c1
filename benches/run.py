"""Measures everything, prints one table, writes docs/benchmarks.md and docs/benchmarks.svg.

`python -m benches.run --quick` takes a minute and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benches import batch, calls, contention, load, machine, memory, updates
from benches.arena import arena
from benches.chart import draw
from benches.figures import Figure
from benches.report import page, table

DOCS = Path(__file__).parent.parent / "docs"
CUSTOMERS = 1_000_000
QUICK_CUSTOMERS = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=400, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and customers, no files written")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page and the chart go")
    options = parser.parse_args()
    rounds = 50 if options.quick else options.rounds
    before = machine.load()
    figures = measure(rounds, QUICK_CUSTOMERS if options.quick else CUSTOMERS)
    print(table(figures))
    if not options.quick:
        (options.docs / "benchmarks.md").write_text(page(figures, rounds, before), encoding="utf-8")
        (options.docs / "benchmarks.svg").write_text(draw(figures), encoding="utf-8")
        print(f"\nwrote {options.docs / 'benchmarks.md'} and {options.docs / 'benchmarks.svg'}")
    return 0


def measure(rounds: int, customers: int) -> list[Figure]:
    figures = step("single calls", lambda: calls.measure(rounds))
    with arena(customers) as made:
        figures += step("batches, random order", lambda: batch.measure(made, rounds))
        figures += step("memory", lambda: memory.measure(made))
        figures += step("loading", lambda: load.measure(made))
        figures += step("updates", lambda: updates.measure(made))
        figures += step("contention", lambda: contention.measure(made))
    return figures


def step(what: str, work: Callable[[], list[Figure]]) -> list[Figure]:
    if sys.stderr.isatty():
        print(f"\rmeasuring: {what} …\033[K", end="", file=sys.stderr, flush=True)
    found = work()
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
