"""The table for a terminal, and the page for the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from benches import machine
from benches.figures import Figure, duration

INTRODUCTION = """\
# Benchmarks

Written by `make bench`. Ratios travel between machines, nanoseconds do not: compare the ratios.

**Machine.** {machine}. It is shared with other work: {load:.1f} runnable tasks on average over the minute
before the run.

**Method.** {rounds} interleaved rounds: every round times every statement once, so that a slow moment of
the machine falls on all of them. A ratio is the median of the ratios within each round; nanoseconds are
medians over the rounds. Statements are timed by `timeit` with the garbage collector off; the loop around
the statement is included on both sides of every ratio (its row is there to subtract it). Passes over many
customers, loads and updates count the thread's own time. Memory and attaching are measured in fresh
processes. While `check` is timed in one process, each call by itself with the clock around it, the owner in
another applies 300,000 updates per second; idle and busy windows take turns. Nothing is left out as an
outlier.

**What is included.** All of a call as a program makes it: method lookup, argument passing, the answer as a
Python object. The calls are those of the class `Entitlements`, whose hot methods are the native class's own
descriptors. Rows and cells are in mapped files, shared with other processes, exactly as in use. What is not
included: the first touch of a pool (it asks the owner once), the ledger behind the owner, the network.

![ratios and their targets](benchmarks.svg)
"""

LOSSES = """\
## Where we lose

* **Ever new string objects.** A Python string carries its hash; a checker has to hash the text of an object
  that it has not met before. It remembers strings by identity, so literals, and strings that live for a
  request, cost no hashing; the rows "another string object each time" say what new ones cost. They grow
  with the length of the id, those of a dict do not.
* **Random order over a million customers is bound by memory.** The string, the slot and the row are three
  cache misses, one after the other, and a single call can't hide them; a dict has as many. That row is the
  one most sensitive to what else the machine does. `check_many` fetches ahead and is many times cheaper.
* **Named quantities** take a Python dict apart, key by key.
* **An event id** has a record written to the journal, its files included in the figure. `decide`,
  `reserve` and `commit` make objects; `check` and `consume` make none.
* **Two processes on one cell** share a cache line: each is slower than alone. That one atomic step is what
  keeps the total exact.
* **Loading** runs on one core.

## Instruction counts

Times on a shared machine wander; counts of instructions do not. `make bench-instructions` runs each hot
call under valgrind and compares the instructions spent inside the native module with
`benches/instructions.json`.
"""


def rows(figures: Iterable[Figure]) -> list[tuple[str, str, str, str, str]]:
    found = []
    for figure in figures:
        ns = duration(figure.ns) if figure.ns is not None else ""
        what = f"{figure.what} ({figure.note})" if figure.note else figure.what
        found.append((what, ns, figure.shown, figure.shown_target, figure.verdict))
    return found


def table(figures: list[Figure]) -> str:
    """Columns for a terminal."""
    lines = [("", "time", "figure", "target", ""), *rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    out = []

    def put(line: tuple[str, str, str, str, str]) -> None:
        cells = [line[0].ljust(widths[0])] + [line[i].rjust(widths[i]) for i in (1, 2, 3)]
        out.append(("  ".join([*cells, line[4]])).rstrip())

    put(lines[0])
    for group, members in groupby(figures, key=lambda figure: figure.group):
        out.append(f"\n{group}")
        for line in rows(members):
            put(line)
    met = [figure.met for figure in figures if figure.met is not None]
    out.append(f"\n{sum(met)} of {len(met)} targets met")
    return "\n".join(out)


def sections(figures: Iterable[Figure]) -> list[str]:
    """A table in Markdown for each group, under its heading."""
    found = []
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines = [f"## {group}\n", "| what | time | figure | target | |", "|---|--:|--:|--:|---|"]
        for what, ns, value, target, verdict in rows(members):
            shown_verdict = "**MISSED**" if verdict == "MISSED" else verdict
            lines.append(f"| {what} | {ns} | {value} | {target} | {shown_verdict} |")
        found.append("\n".join(lines) + "\n")
    return found


def page(figures: list[Figure], rounds: int, load: float) -> str:
    introduction = INTRODUCTION.format(machine=machine.description(), load=load, rounds=rounds)
    return "\n".join([introduction, *sections(figures), LOSSES])
