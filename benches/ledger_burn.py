"""How long the ledger's engine takes: `python -m benches.ledger_burn`. Pure Python, one thread, no store.

Times are of the thread's own clock, so that what else the machine does counts less."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median
from time import thread_time

from fastcheck.ledger.burndown import BurnDown, burn_down
from fastcheck.ledger.model import Grant, GrantKind
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit

YEAR_MS = 365 * DAY_MS
EVENTS = 1_000
MANY = 100_000
SEED = 4


def few(rng: random.Random) -> list[Grant]:
    """Twenty grants as a customer has them: a monthly plan, gifts, top-ups that start and end."""
    monthly = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)
    plan = Grant("plan", 100_000, kind=GrantKind.PLAN, recurrence=monthly)
    return [plan, *(bought(rng, number, 50_000) for number in range(19))]


def bought(rng: random.Random, number: int, units: int) -> Grant:
    """A grant that starts and ends at instants of its own within the year."""
    starts_at = rng.randrange(YEAR_MS // 2)
    return Grant(
        f"g{number}", units, priority=rng.randrange(5), effective_at=starts_at,
        expires_at=starts_at + rng.randrange(1, YEAR_MS // 2), created_at=starts_at,
    )  # fmt: skip


def usage(rng: random.Random, most: int) -> list[tuple[int, int]]:
    return [(rng.randrange(YEAR_MS), rng.randrange(1, most)) for _ in range(EVENTS)]


def seconds(
    grants: Sequence[Grant], events: Sequence[tuple[int, int]], rounds: int
) -> tuple[float, BurnDown]:
    """(median of some runs over a year, what each of them gave)."""
    times = []
    for _ in range(rounds):
        began = thread_time()
        burn_down(grants, events, 0, YEAR_MS)
        times.append(thread_time() - began)
    return median(times), burn_down(grants, events, 0, YEAR_MS)


def main() -> None:
    rng = random.Random(SEED)
    events = usage(rng, 2_000)
    taken, run = seconds(few(rng), events, 51)
    print(f"{EVENTS:,} events over 20 grants: {taken * 1e3:.2f} ms ({len(run.movements):,} movements)")
    lasting = [Grant(f"g{number}", 1_000, priority=number % 5) for number in range(MANY)]
    events = usage(rng, 200_000)
    taken, run = seconds(lasting, events, 5)
    print(f"{EVENTS:,} events over {MANY:,} lasting grants: {taken:.2f} s ({len(run.movements):,} movements)")
    changing = [bought(rng, number, 1_000) for number in range(MANY)]
    taken, run = seconds(changing, events, 5)
    print(
        f"{EVENTS:,} events over {MANY:,} grants that each start and end: {taken:.2f} s "
        f"({len(run.segments):,} segments)"
    )


if __name__ == "__main__":
    main()
