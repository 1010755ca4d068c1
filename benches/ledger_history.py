"""What it costs to say why something was so: `explain(at=T)` of a customer with a long history.

    python -m benches.ledger_history [--postgres URL] [--entries N] [--rounds N]

The history is made by the service itself under a clock that is set by hand: over a year one entry after the
other, which is a change of the customer's record, a grant (some of which end), or the settlement of a lease.
Then explanations at random instants of that year, timed by the wall's clock. Without --postgres a private
server is started, for as long as this lasts."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from benches.figures import Figure
from benches.ledger_rig import CREDITS, NOW_MS, milliseconds, postgres, service_over
from benches.report import table
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Service, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.operations.customers import Addon, PutCustomer
from fastcheck.wire.operations.features import Explain
from fastcheck.wire.operations.grants import MakeGrant
from fastcheck.wire.operations.overrides import PutOverride

ENTRIES = 10_000
ROUNDS = 200
YEAR_MS = 365 * DAY_MS
TARGET_MS = 20.0
SEED = 5
GROUP = "Explanations of the past"
KEY = "customer"
FEATURE = "gpt-4o"


class History:
    """A service whose one customer gets an entry at a time."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(NOW_MS)
        self.service: Service = service_over(store, self.clock)
        self._rng = random.Random(SEED)
        self._spent = 0
        self._put(1)
        self._lease = self.service.lend(KEY, CREDITS)

    def grow(self, entries: int) -> None:
        """Adds entries, evenly over a year. Of twenty, six are changes of the record, one is a grant (so more
        than one a day), thirteen are settlements."""
        for place in range(entries):
            self.clock.set(NOW_MS + (place + 1) * YEAR_MS // (entries + 1))
            kind = place % 20
            if kind in (0, 5, 10, 15):
                self._put(place)
            elif kind in (3, 13):
                self.service.ask(PutOverride(KEY, "seats", value=place))
            elif kind == 7:
                self._grant(place)
            else:
                self._settle()

    def _put(self, place: int) -> None:
        addons = {"seats_pack": Addon(place % 9 + 1)}
        self.service.ask(PutCustomer(KEY, plan="pro", aliases=(f"alias-{place}",), addons=addons))

    def _grant(self, place: int) -> None:
        ends_at = None if place % 3 else self.clock.now_ms() + self._rng.randrange(1, 90) * DAY_MS
        self.service.ask(MakeGrant(KEY, CREDITS, 1, expires_at=ends_at))

    def _settle(self) -> None:
        """Some use; now and then the lease ends with it and another begins."""
        self._spent += self._rng.randrange(1, 600_000)
        lease, ends = self._lease, self._rng.random() < 0.1
        totals = [Totals(lease.number, lease.pool, lease.lease, self._spent, 0, ends)]
        if not ends:
            self.service.settle(totals)
            return
        (self._lease,) = self.service.relend(totals, [(lease.number, lease.pool)])
        self._spent = 0


@contextmanager
def stores(url: str | None) -> Iterator[list[tuple[str, Store]]]:
    """The stores by name."""
    with tempfile.TemporaryDirectory() as directory, postgres(url) as there:
        made: list[tuple[str, Store]] = [
            ("SQLite file", SqliteStore(Path(directory) / "ledger.db")),
            ("PostgreSQL", PostgresStore(there)),
        ]
        yield made
        for _, store in made:
            store.close()


def measure(url: str | None = None, entries: int = ENTRIES, rounds: int = ROUNDS) -> list[Figure]:
    """Median and p90, on each store; explanations of the past and of now take turns."""
    found = []
    with stores(url) as made:
        for name, store in made:
            history = History(store)
            taken_s = milliseconds(lambda: history.grow(entries)) / 1e3  # noqa: B023
            service, rng = history.service, random.Random(SEED)
            past: list[float] = []
            now: list[float] = []
            for _ in range(rounds):
                at = rng.randrange(NOW_MS + 1, NOW_MS + YEAR_MS)
                past.append(milliseconds(lambda: service.ask(Explain(KEY, FEATURE, at=at))))  # noqa: B023
                now.append(milliseconds(lambda: service.ask(Explain(KEY, FEATURE))))  # noqa: B023
            note = f"{entries:,} entries made in {taken_s:,.0f} s; p90 {quantiles(past, n=10)[-1]:.3g} ms"
            found.append(Figure(GROUP, f"explain(at=T), {name}", median(past), "ms", TARGET_MS, note=note))
            found.append(Figure(GROUP, f"explain now, {name}", median(now), "ms"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    print(table(measure(asked.postgres, asked.entries, asked.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
