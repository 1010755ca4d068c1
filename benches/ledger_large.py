"""Whether what a change costs grows with the ledger: the same calls on PostgreSQL with few and with many
customers, five grants each.

    python -m benches.ledger_large [--small N] [--large N] [--rounds N]

A private server is started. The first customer is made by the service; all others are copies of their rows
with numbers and ids of their own. Both sizes are measured in turn, by the wall's clock. Every statement that
the service sends is then explained: none may read a large table from end to end, but for those of a change of
the catalog, which look at everything in use."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import psycopg
from sqlalchemy import Connection, event

from benches import machine
from benches.figures import Figure
from benches.ledger_rig import (
    CREDITS,
    DOCUMENT,
    NOW_MS,
    PrivatePostgres,
    milliseconds,
    put_catalog,
    service_over,
)
from benches.report import sections, table
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.statements import Statements
from fastcheck.wire.operations.audit import ListAudit
from fastcheck.wire.operations.balances import GetBalance
from fastcheck.wire.operations.customers import Addon, DeleteCustomer, GetCustomer, ListCustomers, PutCustomer
from fastcheck.wire.operations.features import Explain
from fastcheck.wire.operations.grants import ListGrants, MakeGrant, VoidGrant
from fastcheck.wire.operations.overrides import ListOverrides, PutOverride, RemoveOverride
from fastcheck.wire.operations.usage_records import ListUsage
from fastcheck.wire.record import pack_record

SMALL, LARGE = 10_000, 1_000_000
GRANTS = 5
ROUNDS = 300
MOST_RATIO = 2.0
SEED = 7
GROUP = "The ledger's size"
INTRODUCTION = """\
# The ledger when it is large

Written by `make bench-large`. PostgreSQL {version} with its smallest cache (32 MB), commits on the disk, on
{machine}; {load:.1f} runnable tasks on average over the minute before the run.

The first customer of each database is made by the service, all others are copies of their rows. {rounds}
rounds; each round makes every call once on both databases, for customers at random, by the wall's clock. A
ratio is that of the large database's figure to the small one's. Then every statement that the service sends
is explained on the large database.
"""
FILLED = ("customers", "accounts", "grants", "postings")
BATCH = 100_000
"""Customers whose copies are made in one transaction."""


class Ledger:
    """A database with so many customers alike, and the service over it."""

    def __init__(self, server: Any, name: str, customers: int) -> None:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        self.customers = customers
        self._dsn = server.dsn(name)
        self.store = PostgresStore(server.url(name))
        self.clock = ManualClock(NOW_MS)
        self.service = service_over(self.store, self.clock)
        began = perf_counter()
        self._make_first()
        self._copy()
        self.fill_s = perf_counter() - began

    def _make_first(self) -> None:
        self.service.ask(PutCustomer("customer-1", plan="pro", since=NOW_MS - 1))
        for _ in range(GRANTS - 1):
            self.service.ask(MakeGrant("customer-1", CREDITS, 5))

    def _copy(self) -> None:
        first = self.store.read(lambda connection: Statements(connection).customer(1).record)
        with psycopg.connect(self._dsn) as connection:
            connection.execute("SET synchronous_commit = off")
            columns = {one: _columns(connection, one) for one in FILLED}
            for begin in range(2, self.customers + 1, BATCH):
                numbers = range(begin, min(begin + BATCH, self.customers + 1))
                self._copy_records(connection, first, numbers, columns["customers"])
                for name in FILLED[1:]:
                    _copy_rows(connection, name, columns[name], numbers)
                connection.commit()
            connection.execute("UPDATE meta SET value = %s WHERE key = 'numbers'", [self.customers])
            connection.commit()
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")

    def _copy_records(
        self, connection: psycopg.Connection[Any], first: Any, numbers: range, columns: list[str]
    ) -> None:
        with connection.cursor() as cursor:
            row = cursor.execute("SELECT * FROM customers WHERE number = 1").fetchone()
            assert row is not None
            template = dict(zip(columns, row, strict=True))
            with cursor.copy(f"COPY customers ({', '.join(columns)}) FROM STDIN".encode()) as copy:
                for number in numbers:
                    id = f"customer-{number}"
                    record = pack_record(type(first)(number, id, *_fields(first)))
                    copy.write_row([*{**template, "number": number, "id": id, "record": record}.values()])

    def bytes(self) -> int:
        """What the database takes on the disk."""
        with psycopg.connect(self._dsn) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            return int(row[0])

    def somebody(self, rng: random.Random) -> str:
        """The id of one of the customers."""
        return f"customer-{rng.randrange(1, self.customers + 1)}"


def _columns(connection: psycopg.Connection[Any], name: str) -> list[str]:
    found = connection.execute(f"SELECT * FROM {name} LIMIT 0".encode()).description
    assert found is not None
    return [one.name for one in found]


def _fields(record: Any) -> tuple[Any, ...]:
    """A record's fields after number and id."""
    return tuple(getattr(record, name) for name in record.__dataclass_fields__)[2:]


def _copy_rows(connection: psycopg.Connection[Any], name: str, columns: list[str], numbers: range) -> None:
    """Copies the first customer's rows. The id of a plan's grant has the customer's number in it."""

    def value(column: str) -> str:
        if column == "number":
            return "n"
        if column in ("id", "grant"):
            old = f't."{column}"'
            of_plan = f"replace({old}, '/1/', '/' || n || '/')"
            return f"CASE WHEN {old} LIKE '%%/1/%%' THEN {of_plan} ELSE {old} || '-' || n END"
        return f't."{column}"'

    kept = [one for one in columns if one != "place"]
    names = ", ".join(f'"{one}"' for one in kept)
    connection.execute(
        f"INSERT INTO {name} ({names}) SELECT {', '.join(map(value, kept))} "
        f"FROM {name} t, generate_series(%s::bigint, %s::bigint) n WHERE t.number = 1 ORDER BY n".encode(),
        [numbers[0], numbers[-1]],
    )


# What is measured.


def calls(ledger: Ledger, rng: random.Random, round: int) -> dict[str, Callable[[], object]]:
    """One call of each kind, each a transaction of its own."""
    service, changed, granted = ledger.service, ledger.somebody(rng), ledger.somebody(rng)
    return {
        "put_customers, one new": lambda: service.ask(PutCustomer(f"new-{round}", plan="pro")),
        "put_customers, one changed": lambda: service.ask(
            PutCustomer(changed, plan="pro", since=NOW_MS - 1, aliases=(f"alias-{round}",))
        ),
        "grant": lambda: service.ask(MakeGrant(granted, CREDITS, 1)),
    }


def measure_size(ledger: Ledger) -> list[Figure]:
    """What the database takes, and how long it took to fill."""
    note = f"{ledger.customers:,} customers, {GRANTS * ledger.customers:,} grants"
    return [
        Figure(GROUP, "size on the disk", ledger.bytes() / 1e9, "GB", note=note),
        Figure(GROUP, "time to fill", ledger.fill_s, "s", note=note),
    ]


def measure_calls(small: Ledger, large: Ledger, rounds: int) -> list[Figure]:
    rng = random.Random(SEED)
    times: dict[tuple[str, int], list[float]] = {}
    for round in range(-20, rounds):  # The first rounds fill connections and caches.
        pair = [small, large] if round % 2 else [large, small]
        made = {one.customers: calls(one, rng, round) for one in pair}
        for what in made[small.customers]:
            for one in pair:
                taken = milliseconds(made[one.customers][what])
                if round >= 0:
                    times.setdefault((what, one.customers), []).append(taken)
    found = []
    for what in made[small.customers]:
        few, many = times[what, small.customers], times[what, large.customers]
        for name, of in (("median", median), ("p90", _p90)):
            note = f"{name}; {of(few):.1f} ms with {small.customers:,} customers"
            found.append(
                Figure(GROUP, what, of(many) / of(few), "x", MOST_RATIO, ns=of(many) * 1e6, note=note)
            )
    return found


def _p90(times: list[float]) -> float:
    return quantiles(times, n=10)[-1]


# Which plans the server makes.


@contextmanager
def statements(store: PostgresStore) -> Iterator[dict[str, Any]]:
    """Collects what is sent meanwhile: statement -> parameters of one time."""
    seen: dict[str, Any] = {}

    def note(_1: object, _2: object, text: str, parameters: Any, _3: object, many: bool) -> None:
        seen.setdefault(text, parameters[0] if many else parameters)

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store._engine, "before_cursor_execute", note)


def scans(store: PostgresStore, seen: dict[str, Any]) -> list[tuple[str, str]]:
    """(table, statement) of every statement that reads a large table from end to end. Nothing is changed."""
    found: list[tuple[str, str]] = []

    def job(connection: Connection) -> None:
        for text, parameters in seen.items():
            if text.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                row = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).one()
                found.extend((name, text) for name in _scanned(row[0][0]["Plan"]))
        connection.rollback()

    store.run(job)
    return found


def _scanned(plan: dict[str, Any], *, limited: bool = False) -> Iterator[str]:
    """The large tables that a plan reads whole: as they lie, or along an index without a bound or a limit."""
    kind = plan["Node Type"]
    limited = limited or kind == "Limit"
    along = kind.startswith("Index") and "Index Cond" not in plan and not limited
    if plan.get("Relation Name") in FILLED and (along or kind == "Seq Scan"):
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from _scanned(part, limited=limited)


def everything(ledger: Ledger) -> None:
    """Calls that between them send the service's statements about customers."""
    service, key = ledger.service, f"customer-{ledger.customers // 2}"
    ledger.clock.advance(60_000)
    service.ask(PutCustomer("another", plan="pro", addons={"seats_pack": Addon(1)}))
    service.ask(PutCustomer("another", plan="pro", addons={"seats_pack": Addon(2)}, aliases=("a",)))
    service.ask(PutOverride(key, "seats", value=3))
    service.ask(ListOverrides(key))
    service.ask(GetCustomer(key))
    service.ask(ListCustomers(limit=50))
    service.ask(ListCustomers(key, 50))
    made = service.ask(MakeGrant(key, CREDITS, 5, id="one-of-ours"))
    terms = service.lending.lend(key, CREDITS)
    service.lending.settle([Totals(terms.number, terms.pool, terms.lease, 2, 0, False)])
    service.lending.settle([Totals(terms.number, terms.pool, terms.lease, 3, 0, True)])
    service.lending.relend([], [(terms.number, CREDITS)])
    service.lending.give_back("hold", terms.number, CREDITS, terms.lease, 1)
    service.ask(GetBalance(key, CREDITS))
    service.ask(ListGrants(key))
    service.ask(VoidGrant(made.id))
    service.lending.open_leases()
    service.ask(Explain(key, "gpt-4o"))
    service.ask(Explain(key, "gpt-4o", at=NOW_MS))
    service.ask(ListAudit(limit=10, subject=key))
    service.ask(ListUsage(limit=10))
    service.ask(RemoveOverride(key, "seats"))
    service.ask(DeleteCustomer("another"))


def measure_catalog(ledger: Ledger) -> tuple[float, list[tuple[str, str]]]:
    """(seconds of a change of the catalog, what it scans). Everybody else waits meanwhile."""
    document = deepcopy(DOCUMENT)
    document["features"]["another"] = {"kind": "switch", "default": False}
    with statements(ledger.store) as seen:
        taken = milliseconds(lambda: put_catalog(ledger.service, document)) / 1e3
    return taken, scans(ledger.store, seen)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", type=int, default=SMALL, help="customers (default %(default)s)")
    parser.add_argument("--large", type=int, default=LARGE, help="customers (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--docs", type=Path, help="writes benchmarks-large.md there")
    asked = parser.parse_args()
    before = machine.load()
    with PrivatePostgres() as server:
        server.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        server.execute("SELECT pg_reload_conf()")
        small, large = pair = [Ledger(server, f"of{count}", count) for count in (asked.small, asked.large)]
        figures = [size for one in pair for size in measure_size(one)]
        figures += measure_calls(small, large, asked.rounds)
        with statements(large.store) as seen:
            everything(large)
        found = scans(large.store, seen)
        what = f"statements of all other calls that read a large table whole, of {len(seen)}"
        figures.append(Figure(GROUP, what, len(found), "units", 0))
        for one in pair:
            taken, whole = measure_catalog(one)
            names = ", ".join(sorted({name for name, _ in whole})) or "no table"
            note = f"{one.customers:,} customers; reads whole: {names}"
            figures.append(Figure(GROUP, "a change of the catalog", taken, "s", note=note))
            one.store.close()
    print(table(figures))
    for name, text in found:
        print(f"  whole {name}: {' '.join(text.split())[:300]}")
    if asked.docs is not None:
        introduction = INTRODUCTION.format(
            machine=machine.description(), load=before, rounds=asked.rounds, version=server.programs.version
        )
        page = "\n".join([introduction, *sections(figures)])
        (asked.docs / "benchmarks-large.md").write_text(page, encoding="utf-8")
    return 0 if all(one.met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
