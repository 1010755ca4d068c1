"""Every figure of the ledger in one run; writes docs/benchmarks-ledger.md.

    python -m benches.ledger [--postgres URL] [--quick] [--docs DIRECTORY]

Takes some minutes; `--quick` one, and writes nothing. How the ledger fares when it is large is a campaign of
its own: `python -m benches.ledger_large`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benches import ledger_burn, ledger_history, ledger_store, machine
from benches.figures import Figure
from benches.report import sections, table
from benches.run import DOCS, step

PAGE = "benchmarks-ledger.md"
INTRODUCTION = """\
# Benchmarks of the ledger

Written by `make bench-ledger`. Ratios travel between machines, milliseconds do not.

**Machine.** {machine}. It is shared with other work: {load:.1f} runnable tasks on average over the minute
before the run.

**Burn-down** is pure Python in one thread: the thread's own time, medians, the garbage collector on. A run
makes its parts (segments, movements, balances, the closing) when they are read; the rows \"every part read\"
include making all of them.

**Settlements** wait for the disk: the wall's clock, medians. The floor is as many rows of a lease's width,
written by the driver alone in one transaction with `executemany`, in the same rounds; the ratio is the median
of the ratios within each round.

**Explanations** are of one customer at random instants of a year, after a history that the service itself
made entry by entry (of twenty, six change the record, one is a grant, thirteen are settlements): the wall's
clock, medians. Most of the cost is one conversion per grant that the customer had in the pool by then, ended
ones included; the states of grants written after that instant are passed over by the database, one by one.

Whether changes cost more in a large ledger is measured by `make bench-large`: see
[benchmarks-large.md](benchmarks-large.md).
"""


def measure(url: str | None, *, quick: bool) -> list[Figure]:
    """Everything, one after the other."""
    entries, rounds = (500, 30) if quick else (ledger_history.ENTRIES, ledger_history.ROUNDS)
    figures = step("burn-down", lambda: ledger_burn.measure(3 if quick else 15))
    figures += step("settlements", lambda: ledger_store.measure(url, 5 if quick else 25))
    return figures + step("explanations", lambda: ledger_history.measure(url, entries, rounds))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", metavar="URL", help="an empty database; default: a private server")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and entries, no file written")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes")
    asked = parser.parse_args()
    before = machine.load()
    figures = measure(asked.postgres, quick=asked.quick)
    print(table(figures))
    if not asked.quick:
        page = asked.docs / PAGE
        introduction = INTRODUCTION.format(machine=machine.description(), load=before)
        page.write_text("\n".join([introduction, *sections(figures)]), encoding="utf-8")
        print(f"\nwrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
