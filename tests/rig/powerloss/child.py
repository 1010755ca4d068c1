"""Works on a ledger under the shim and marks, after each call that was answered, what the ledger then says.

Run as: child.py DIRECTORY SEED SYNCHRONOUS WORK. SYNCHRONOUS: a value of SQLite's setting to force, or "-".
WORK: "calls" of every kind one after the other, or "grants" from several threads at once."""

from __future__ import annotations

import contextlib
import ctypes
import json
import re
import sqlite3
import sys
import threading
from pathlib import Path
from random import Random
from typing import Any

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Terms, Totals
from fastcheck.hub.store.sqlite import SqliteStore
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import make_grant, put_customer
from rig.serving import Service

NOW_MS = 1_714_521_600_000
CUSTOMERS = ("ann", "bob", "cy", "dee", "eve")
POOLS = ("ai_credits", "api_calls")
CALLS = 60
GRANTS_EACH = 20
"""By each of as many threads as there are customers."""
CHECKPOINT_PAGES = 30
"""Far fewer than SQLite's own 1,000, so that short work meets checkpoints too."""

State = dict[str, Any]


def state_of(service: Service) -> State:
    """What the ledger tells its callers."""
    ids = [one.id for one in service.list_customers().items]
    accounts = [(id, pool, service.balance(id, pool)) for id in ids for pool in POOLS]
    return {
        "seq": service.seq(),
        "plans": {one.id: one.plan for one in service.list_customers().items},
        "grants": {
            grant.id: [str(grant.amount), str(grant.remaining), grant.voided_at]
            for id in ids
            for grant in service.list_grants(id)
        },
        "used": {f"{id}/{pool}": str(balance.used) for id, pool, balance in accounts},
        "leases": {
            f"{one.number}/{one.pool}/{one.lease}": [one.lent, one.spent, one.returned]
            for one in service.open_leases()
        },
    }


class Work:
    """Seeded calls of every kind that moves credits."""

    def __init__(self, path: Path, random: Random) -> None:
        self.path = path
        self.random = random
        self.clock = ManualClock(NOW_MS)
        self.leases: dict[tuple[str, str], tuple[Terms, list[int]]] = {}
        """(customer, pool) -> the open lease and its [spent, returned]."""
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        self.service = Service(self.store, self.clock, parse)
        self.service.load_catalog()

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def put(self) -> None:
        id = self.random.choice(CUSTOMERS)
        finals = [self.totals(id, pool, final=True) for pool in POOLS if (id, pool) in self.leases]
        for one in POOLS:
            self.leases.pop((id, one), None)
        plan = self.random.choice(["free", "pro"])
        self.service.put_customers([put_customer(id, plan=plan)], finals=finals)

    def grant(self) -> None:
        id = self.random.choice(CUSTOMERS)
        request = make_grant(id, "ai_credits", self.random.randrange(1, 500), id=f"g{self.random.random()}")
        totals = self.totals(id, "ai_credits") if (id, "ai_credits") in self.leases else None
        self.service.grant(request, totals=totals)

    def void(self) -> None:
        known = [
            (id, grant.id)
            for id in CUSTOMERS
            for grant in self.service.list_grants(id, "ai_credits")
            if grant.id.startswith("g")
        ]
        id, grant = self.random.choice(known)
        finals = [self.totals(id, "ai_credits", final=True)] if (id, "ai_credits") in self.leases else []
        self.service.void(grant, finals=finals)  # a Conflict leaves the lease as it was
        self.leases.pop((id, "ai_credits"), None)

    def settle(self) -> None:
        batch = []
        for id, pool in self.random.sample(sorted(self.leases), min(2, len(self.leases))):
            self.spend(id, pool)
            batch.append(self.totals(id, pool))
        self.service.settle(batch)

    def lend(self) -> None:
        id, pool = self.random.choice(CUSTOMERS), self.random.choice(POOLS)
        if (id, pool) not in self.leases:
            self.leases[id, pool] = self.service.lend(id, pool), [0, 0]

    def relend(self) -> None:
        if not self.leases:
            self.lend()
        id, pool = self.random.choice(sorted(self.leases))
        self.spend(id, pool)
        final = self.totals(id, pool, final=True)
        (terms,) = self.service.relend([final], [(final.number, pool)])
        self.leases[id, pool] = terms, [0, 0]

    def spend(self, id: str, pool: str) -> None:
        terms, totals = self.leases[id, pool]
        more = self.random.randrange(0, max(1, (terms.lent - totals[0] + totals[1]) // 3))
        totals[0] += more
        totals[1] += self.random.randrange(0, more // 4 + 1)

    def totals(self, id: str, pool: str, *, final: bool = False) -> Totals:
        terms, (spent, returned) = self.leases[id, pool]
        return Totals(terms.number, pool, terms.lease, spent, returned, final)

    def grants(self, mark: Any) -> None:
        """`mark({"grants": ...})` after each, by the thread that made it."""

        def make(thread: int) -> None:
            together.wait()
            for n in range(GRANTS_EACH):
                id, amount = f"t{thread}-{n}", thread * 1_000 + n + 1
                self.service.grant(make_grant(CUSTOMERS[thread], "ai_credits", amount, id=id))
                mark({"grants": {id: str(amount)}})

        catalog = FakeCatalog()
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")
        self.service.put_customers([put_customer(id, plan="free") for id in CUSTOMERS])
        together = threading.Barrier(len(CUSTOMERS))
        threads = [threading.Thread(target=make, args=(n,)) for n in range(len(CUSTOMERS))]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.store.close()

    def calls(self, mark: Any) -> None:
        """`mark(state)` after each call."""
        mark(state_of(self.service))
        catalog = FakeCatalog()
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")
        mark(state_of(self.service))
        self.service.put_customers([put_customer(id, plan="pro") for id in CUSTOMERS])
        mark(state_of(self.service))
        self.service.grant(make_grant("ann", "ai_credits", 5, id="g-first"))
        mark(state_of(self.service))
        often = [self.grant, self.settle]
        calls = [self.put, self.void, self.lend, self.relend, *often, *often]
        for n in range(CALLS):
            with contextlib.suppress(errors.Conflict):
                self.random.choice(calls)()
            mark(state_of(self.service))
            if n == CALLS // 2:
                self.reopen()
        self.store.close()


def with_settings(synchronous: str) -> None:
    """Every connection from now on checkpoints early and, unless "-", cannot be told how to sync."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *values: Any) -> Any:
            if synchronous != "-":
                statement = re.sub(r"(?i)(synchronous\s*=\s*)\w+", rf"\1{synchronous}", statement)
            return super().execute(statement, *values)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *words: Any) -> Any:
            return self.cursor().execute(*words)

    connect = sqlite3.connect

    def connect_with(*words: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*words, **{**options, "factory": Connection})
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connect_with  # type: ignore[assignment]


def main(directory: str, seed: str, synchronous: str, work: str) -> None:
    with_settings(synchronous)
    shim = ctypes.CDLL(None)
    shim.powerloss_mark.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def mark(state: State) -> None:
        text = json.dumps(state).encode()
        shim.powerloss_mark(text, len(text))

    todo = Work(Path(directory) / "ledger.db", Random(int(seed)))
    {"calls": todo.calls, "grants": todo.grants}[work](mark)


if __name__ == "__main__":
    main(*sys.argv[1:])
