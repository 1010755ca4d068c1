"""What one settlement costs: 1,000 accounts in one transaction, on a SQLite file and on PostgreSQL.

    python -m benches.ledger_store [--postgres URL] [--rounds N]

Without --postgres a private server is started. `floor`: as many rows of a lease's width, written by the
driver alone in one transaction with executemany, in the same run; what is over it is ours and
SQLAlchemy's."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg
from fastcheck.clock import ManualClock
from fastcheck.hub.requests import make_grant, put_customer
from fastcheck.hub.service import Service, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore

TESTS = Path(__file__).parent.parent / "tests"
NOW_MS = 1_714_521_600_000
ACCOUNTS = 1_000
COLUMNS = 12
Write = Callable[[int], None]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from postgres import PrivatePostgres  # type: ignore[import-not-found]

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = asked.postgres or stack.enter_context(PrivatePostgres()).url()
        print(f"{'milliseconds, median of ' + str(asked.rounds):34} {'settle':>8} {'final':>8} {'floor':>8}")
        stores: list[tuple[str, Store, Write]] = [
            ("SQLite file", SqliteStore(directory / "ledger.db"), sqlite_floor(directory / "floor.db")),
            ("PostgreSQL", PostgresStore(url), postgres_floor(url)),
        ]
        for name, store, floor in stores:
            report(name, store, floor, asked.rounds)
            store.close()
    return 0


def report(name: str, store: Store, floor: Write, rounds: int) -> None:
    """Prints a line. The three are timed in turn, so that a slow moment falls on all of them."""
    from fake_catalog import FakeCatalog, parse  # type: ignore[import-not-found]

    service = Service(store, ManualClock(NOW_MS), parse)
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    keys = prepare(service)
    times: dict[str, list[float]] = {"settle": [], "final": [], "floor": []}
    for round in range(rounds):
        terms = service.relend([], keys)
        for step, (kind, final) in enumerate((("settle", False), ("final", True)), 1):
            totals = [Totals(one.number, one.pool, one.lease, step * 10, 0, final) for one in terms]
            times[kind].append(timed(lambda totals=totals: service.settle(totals)))  # type: ignore[misc]
        times["floor"].append(timed(lambda round=round: floor(round)))  # type: ignore[misc]
    middle = [median(one) * 1_000 for one in times.values()]
    print(f"{name + f', {ACCOUNTS:,} accounts':34} " + " ".join(f"{one:8.1f}" for one in middle))


def prepare(service: Service) -> list[tuple[int, str]]:
    """Customers with two grants each; their accounts."""
    ids = [f"customer-{place}" for place in range(ACCOUNTS)]
    service.put_customers([put_customer(one, plan="pro") for one in ids])
    for one in ids:
        service.grant(make_grant(one, "ai_credits", 5))
    return [(number, "ai_credits") for number in range(1, ACCOUNTS + 1)]


def timed(work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def rows(round: int) -> Iterator[tuple[int | str, ...]]:
    return ((number, "ai_credits", *(round,) * (COLUMNS - 2)) for number in range(ACCOUNTS))


def columns(integer: str) -> str:
    others = ", ".join(f"c{place} {integer}" for place in range(COLUMNS - 2))
    return f"CREATE TABLE floor (number {integer}, pool text, {others}, PRIMARY KEY (number, pool))"


def upsert(mark: str) -> str:
    written = ", ".join(f"c{place} = excluded.c{place}" for place in range(COLUMNS - 2))
    marks = ", ".join([mark] * COLUMNS)
    return f"INSERT INTO floor VALUES ({marks}) ON CONFLICT (number, pool) DO UPDATE SET {written}"


def sqlite_floor(path: Path) -> Write:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(columns("integer") + " WITHOUT ROWID")

    def write(round: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(upsert("?"), rows(round))
        connection.execute("COMMIT")

    return write


def postgres_floor(url: str) -> Write:
    connection = psycopg.connect(url.replace("+psycopg", ""))
    connection.execute(columns("bigint").encode())
    connection.commit()

    def write(round: int) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(upsert("%s").encode(), rows(round))
        connection.commit()

    return write


if __name__ == "__main__":
    sys.exit(main())
