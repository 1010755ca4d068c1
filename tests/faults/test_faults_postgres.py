"""FAULTS 54: PostgreSQL killed under load, down, read-only, or out of connections."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fastcheck import errors
from fastcheck.hub.service import Totals
from fastcheck.hub.store import postgres as postgres_module
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.statements import Statements
from fastcheck.wire.by import By
from faults.test_faults_restored import unbalanced
from rig.postgres import PrivatePostgres
from rig.requests import make_grant, put_customer
from store.test_store_suite import service_over

THREADS = 4
KILLS = 3
KILLS_MAX = 100
"""A kill may fall between two calls of every thread, and then shows nothing."""
MILLION = 10**6


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    """A server of the test's own, because it is killed."""
    with PrivatePostgres(durable=False) as started:
        yield started


@pytest.fixture
def durable_server() -> Iterator[PrivatePostgres]:
    """The same, whose commits are on disk when they are acknowledged."""
    with PrivatePostgres() as started:
        yield started


def test_a_server_killed_under_load_loses_nothing_acknowledged_and_does_nothing_twice(
    durable_server: PrivatePostgres,
) -> None:
    server = durable_server
    store = PostgresStore(server.url())
    service = service_over(store)
    ids = [f"c{place}" for place in range(THREADS)]
    for id in ids:
        service.put_customers([put_customer(id, plan="free")])
        service.grant(make_grant(id, "ai_credits", 1_000, id=f"{id}-first"))
    terms = {id: service.lend(id, "ai_credits") for id in ids}
    done: set[str] = set()
    unanswered: list[type[errors.FastcheckError]] = []
    spent = dict.fromkeys(ids, 0)
    made: set[str] = set()
    over = threading.Event()

    def stubborn(call: object, key: str) -> None:
        """Asks with the same key until it is answered."""
        while True:
            try:
                call()  # type: ignore[operator]
            except (errors.OutcomeUnknown, errors.StoreError) as error:
                unanswered.append(type(error))
                time.sleep(0.05)
            else:
                done.add(key)
                return

    def works(thread: int) -> None:
        chance, own = random.Random(thread), ids[thread]
        for step in itertools.count():
            if over.is_set():
                return
            key, id = f"t{thread}-{step}", chance.choice(ids)
            match chance.randrange(3):
                case 0:  # An id that the ledger makes up, so that only the key keeps it from a second one.
                    stubborn(
                        lambda: service.grant(make_grant(id, "ai_credits", 1), by=By(key=key)),  # noqa: B023
                        f"grant {key}",
                    )
                case 1:
                    new = put_customer(key, plan="free")
                    stubborn(
                        lambda: service.put_customers([new], by=By(key=key)),  # noqa: B023
                        f"customer {key}",
                    )
                    made.add(key)
                case _:
                    units = spent[own] + chance.randrange(1, 1_000)
                    lease = terms[own]
                    totals = Totals(lease.number, lease.pool, lease.lease, units, 0, False)
                    stubborn(lambda: service.settle([totals]), f"settle {key}")  # noqa: B023
                    spent[own] = units

    with ThreadPoolExecutor(THREADS) as pool:
        working = [pool.submit(works, thread) for thread in range(THREADS)]
        for kill in range(KILLS_MAX):
            if kill >= KILLS and unanswered:
                break
            before = len(done)
            while len(done) < before + 40 and not any(one.done() for one in working):
                time.sleep(0.005)
            server.kill()
            server.start()
        before = len(done)
        while len(done) < before + 40 and not any(one.done() for one in working):
            time.sleep(0.005)  # The pool of connections recovers by itself.
        over.set()
        for one in working:
            one.result(60)

    grants = sum(len(service.list_grants(id, "ai_credits")) for id in ids)
    assert grants == THREADS + sum(one.startswith("grant") for one in done)
    known = store.read(lambda c: Statements(c).customers_after("", 10_000))
    assert {one.record.id for one in known} == made | set(ids)
    for id in ids:
        assert int(service.balance(id, "ai_credits").used * MILLION) == spent[id]
    assert unbalanced(store) == []
    records = store.read(lambda c: Statements(c).records_after(0, 10_000, since_seq=0))
    assert [number for number, _ in records] == list(range(1, len(records) + 1))
    seqs = store.read(lambda c: c.exec_driver_sql("SELECT seq FROM customers ORDER BY seq").scalars().all())
    # The first is the catalog's; customers are each changed once.
    assert list(seqs) == list(range(2, len(seqs) + 2)), "each change has its number, and none is missing"
    assert service.seq() == len(seqs) + 1
    assert unanswered, "no kill met a call: the test shows nothing"
    store.close()


def test_a_server_that_is_down_is_said_quickly_and_found_again(server: PrivatePostgres) -> None:
    store = PostgresStore(server.url())
    service = service_over(store)
    server.kill()
    began = time.monotonic()
    with pytest.raises(errors.StoreError, match="check that the server runs"):
        service.put_customers([put_customer("acme", plan="free")])
    # Six attempts with pauses of 3.1 s in all; the bound only says that no timeout of minutes is waited for.
    assert time.monotonic() - began < 60
    server.start()
    service.put_customers([put_customer("acme", plan="free")])
    assert service.number_of("acme") == 1
    store.close()


def test_a_server_that_only_reads_is_refused_and_reads_are_served(
    server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "LOST_PAUSE_S", 0.001)
    store = PostgresStore(server.url())
    service = service_over(store)
    service.put_customers([put_customer("acme", plan="free")])
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.restart()
    with pytest.raises(errors.StoreError, match=r"read-only.*name the primary"):
        service.put_customers([put_customer("next", plan="free")])
    assert service.get_customer("acme").plan == "free"
    writing = "-c default_transaction_read_only=off"
    with psycopg.connect(server.dsn(), autocommit=True, options=writing) as one:
        one.execute("ALTER SYSTEM RESET default_transaction_read_only")
    server.restart()
    service.put_customers([put_customer("next", plan="free")])
    store.close()


def test_a_server_without_a_free_connection_is_said_and_found_again(
    server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "LOST_PAUSE_S", 0.001)
    server.execute("CREATE ROLE hub LOGIN")
    server.execute("GRANT CREATE, USAGE ON SCHEMA public TO hub")
    server.execute("ALTER SYSTEM SET max_connections = 8")
    server.restart()
    url = server.url().replace("postgres@", "hub@", 1)
    with contextlib.ExitStack() as others:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(20):
                others.enter_context(psycopg.connect(server.dsn().replace("postgres@", "hub@", 1)))
        with pytest.raises(errors.StoreError, match=r"max_connections, or use fewer hubs"):
            PostgresStore(url)
    store = PostgresStore(url)
    assert service_over(store).seq() == 1
    store.close()
