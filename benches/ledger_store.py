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

import psycopg

from benches.figures import Figure
from benches.ledger_rig import milliseconds, postgres, service_over
from benches.report import table
from fastcheck.hub.service import Service, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.wire.operations.customers import NamedCustomer, PutCustomers
from fastcheck.wire.operations.grants import MakeGrant

GROUP = "One settlement, in one transaction"
TARGETS_MS = {"SQLite file": 60.0, "PostgreSQL": 120.0}
ACCOUNTS = 1_000
COLUMNS = 12
Write = Callable[[int], None]


def measure(url: str | None = None, rounds: int = 15) -> list[Figure]:
    """Settlements as a ratio to their floor, on each store."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = stack.enter_context(postgres(url))
        stores: list[tuple[str, Store, Write]] = [
            ("SQLite file", SqliteStore(directory / "ledger.db"), sqlite_floor(directory / "floor.db")),
            ("PostgreSQL", PostgresStore(there), postgres_floor(there)),
        ]
        found = []
        for name, store, floor in stores:
            found += measure_store(name, store, floor, rounds)
            store.close()
        return found


def measure_store(name: str, store: Store, floor: Write, rounds: int) -> list[Figure]:
    """The three are timed in turn, so that a slow moment falls on all of them."""
    service = service_over(store)
    keys = prepare(service)
    times: dict[str, list[float]] = {"settle": [], "final": [], "floor": []}
    for round in range(rounds):
        terms = service.relend([], keys)
        for step, (kind, final) in enumerate((("settle", False), ("final", True)), 1):
            totals = [Totals(one.number, one.pool, one.lease, step * 10, 0, final) for one in terms]
            times[kind].append(milliseconds(lambda totals=totals: service.settle(totals)))  # type: ignore[misc]
        times["floor"].append(milliseconds(lambda round=round: floor(round)))  # type: ignore[misc]
    floor_ms = median(times["floor"])
    found = []
    for kind, what in (("settle", "totals of open leases"), ("final", "final totals, folded")):
        ratio = median(mine / least for mine, least in zip(times[kind], times["floor"], strict=True))
        note = f"{name}; {ratio:.1f}x the floor of {floor_ms:.1f} ms"
        target = TARGETS_MS[name] if kind == "settle" else None
        found.append(
            Figure(GROUP, f"{what}, {ACCOUNTS:,} accounts", median(times[kind]), "ms", target, note=note)
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print(table(measure(asked.postgres, asked.rounds)))
    return 0


def prepare(service: Service) -> list[tuple[int, str]]:
    """Customers with two grants each; their accounts."""
    ids = [f"customer-{place}" for place in range(ACCOUNTS)]
    service.ask(PutCustomers(tuple(NamedCustomer(one, plan="pro") for one in ids)))
    for one in ids:
        service.ask(MakeGrant(one, "ai_credits", 5))
    return [(number, "ai_credits") for number in range(1, ACCOUNTS + 1)]


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
