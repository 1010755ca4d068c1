"""A ledger file with many customers, made quickly: the first by the service, the others copies of its row
with numbers and ids of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fastcheck import _fastcheck
from fastcheck.clock import SystemClock
from fastcheck.hub.service import Service
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.customers import NamedCustomer, PutCustomers
from fastcheck.wire.record import pack_record, unpack_record

CATALOG = Path(__file__).parent.parent / "examples" / "quickstart" / "catalog.yaml"
ROWS_PER_STATEMENT = 50_000


def customer_id(number: int) -> str:
    return f"customer-{number:08d}"


def make(path: Path, customers: int) -> None:
    """Makes the file with customers 1 to `customers`; every tenth is on `pro`, the others on `free`."""
    source = CATALOG.read_bytes()
    with_store = SqliteStore(path)
    service = Service(with_store, SystemClock(), _fastcheck.Catalog.parse)
    service.ask(SetCatalog(source, CATALOG.name))
    service.ask(PutCustomers((NamedCustomer(customer_id(1), plan="free"),)))
    service.epoch()
    with_store.close()
    ledger = sqlite3.connect(path, isolation_level=None)
    ledger.execute("PRAGMA synchronous = OFF")
    row = ledger.execute("SELECT seq, version, record, changed_at FROM customers WHERE number = 1").fetchone()
    seq, version, packed, changed_at = row
    first = unpack_record(packed)

    def rows(begin: int, end: int) -> Iterator[tuple[object, ...]]:
        for number in range(begin, end):
            plan = "pro" if number % 10 == 0 else "free"
            record = pack_record(replace(first, number=number, id=customer_id(number), plan=plan))
            yield number, customer_id(number), seq, 0, plan, version, record, None, changed_at

    for begin in range(2, customers + 1, ROWS_PER_STATEMENT):
        end = min(begin + ROWS_PER_STATEMENT, customers + 1)
        ledger.execute("BEGIN")
        ledger.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows(begin, end))
        ledger.execute("COMMIT")
    ledger.execute("UPDATE meta SET value = ? WHERE key = 'numbers'", (customers,))
    ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
