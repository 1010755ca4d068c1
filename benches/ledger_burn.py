"""How long the ledger's engine takes: `python -m benches.ledger_burn`. Pure Python, one thread, no store.

Times are of the thread's own clock, so that what else the machine does counts less. A run makes its parts
(segments, movements, the closing) when they are read; the second row of each kind has all of them read."""

from __future__ import annotations

import random
from statistics import median
from time import thread_time

from benches.figures import Figure
from benches.report import table
from fastcheck.ledger.burndown import BurnDown, burn_down
from fastcheck.ledger.model import Grant, GrantKind
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit

YEAR_MS = 365 * DAY_MS
EVENTS = 1_000
MANY = 100_000
SEED = 4
TARGET_S = 1.0
FEW_TARGET_S = 0.005
GROUP = "Burn-down of a pool over a year"


def few(rng: random.Random) -> list[Grant]:
    """Twenty grants as a customer has them: a monthly plan, gifts, top-ups that start and end."""
    monthly = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)
    plan = Grant("plan", 100_000, kind=GrantKind.PLAN, recurrence=monthly)
    return [plan, *(bought(rng, number, 50_000) for number in range(19))]


def bought(rng: random.Random, number: int, units: int) -> Grant:
    """A grant that starts and ends at instants of its own within the year."""
    starts_at = rng.randrange(YEAR_MS // 2)
    return Grant(
        f"g{number}",
        units,
        priority=rng.randrange(5),
        effective_at=starts_at,
        expires_at=starts_at + rng.randrange(1, YEAR_MS // 2),
        created_at=starts_at,
    )


def usage(rng: random.Random, most: int) -> list[tuple[int, int]]:
    return [(rng.randrange(YEAR_MS), rng.randrange(1, most)) for _ in range(EVENTS)]


def measure(rounds: int = 7) -> list[Figure]:
    """Medians of the thread's own time; the kinds of grants take turns."""
    rng = random.Random(SEED)
    first = usage(rng, 2_000)
    some = few(rng)
    events = usage(rng, 200_000)
    kinds = {
        f"{EVENTS:,} events over 20 grants": (some, first),
        f"{EVENTS:,} events over {MANY:,} lasting grants": (
            [Grant(f"g{number}", 1_000, priority=number % 5) for number in range(MANY)], events,
        ),
        f"{EVENTS:,} events over {MANY:,} grants that each start and end": (
            [bought(rng, number, 1_000) for number in range(MANY)], events,
        ),
    }  # fmt: skip
    runs: dict[str, list[float]] = {what: [] for what in kinds}
    wholes: dict[str, list[float]] = {what: [] for what in kinds}
    for _ in range(rounds):
        for what, (grants, used) in kinds.items():
            began = thread_time()
            run = burn_down(grants, used, 0, YEAR_MS)
            runs[what].append(thread_time() - began)
            read_all(run)
            wholes[what].append(thread_time() - began)
            del run  # Else the collector would go through it in the next.
    found = []
    for what in kinds:
        target = TARGET_S if f"{MANY:,}" in what else FEW_TARGET_S
        found.append(Figure(GROUP, what, median(runs[what]), "s", target))
        found.append(Figure(GROUP, f"{what}, every part read", median(wholes[what]), "s"))
    return found


def read_all(run: BurnDown) -> None:
    """Has every part of a run made."""
    _ = run.balances, run.segments, run.rollovers, run.movements, run.closing


def main() -> None:
    print(table(measure()))


if __name__ == "__main__":
    main()
