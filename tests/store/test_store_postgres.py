"""PostgreSQL's own: what is tried again and what is not, servers that go away, and what is said of it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection

from fastcheck import errors
from fastcheck.hub.store import Again, migrate
from fastcheck.hub.store import postgres as postgres_module
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.statements import Statements
from rig.postgres import PrivatePostgres


@pytest.fixture
def store(postgres_schema_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_schema_url)
    yield store
    store.close()


def backend(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def kill(server: PrivatePostgres, connection: Connection) -> None:
    """Ends a connection from outside and waits until it is gone."""
    server.execute(f"SELECT pg_terminate_backend({backend(connection)}, 10000)")


def seq(store: PostgresStore) -> int:
    return store.read(lambda connection: Statements(connection).seq())


def test_a_connection_lost_before_the_commit_is_made_anew(
    store: PostgresStore, postgres: PrivatePostgres
) -> None:
    ran = []

    def job(connection: Connection) -> int:
        ran.append(backend(connection))
        if len(ran) == 1:
            kill(postgres, connection)
        return Statements(connection).next_seq()

    assert store.run(job) == 1
    assert len(set(ran)) == len(ran) == 2
    assert seq(store) == 1


def test_a_connection_lost_during_the_commit_is_not_tried_again(
    store: PostgresStore, postgres: PrivatePostgres
) -> None:
    ran = []

    def job(connection: Connection) -> None:
        ran.append(Statements(connection).next_seq())
        kill(postgres, connection)

    with pytest.raises(errors.OutcomeUnknown, match=r"may or may not be stored.*same idempotency key"):
        store.run(job)
    assert ran == [1]
    assert seq(store) == 0
    assert store.run(lambda connection: Statements(connection).next_seq()) == 1


def test_a_connection_lost_while_it_was_idle_is_nobodys_business(
    store: PostgresStore, postgres: PrivatePostgres
) -> None:
    store.run(lambda connection: Statements(connection).next_seq())
    idle = store.read(backend)
    postgres.execute(f"SELECT pg_terminate_backend({idle}, 10000)")
    assert store.run(lambda connection: Statements(connection).next_seq()) == 2


def test_a_store_goes_on_after_the_server_started_again(
    postgres_server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(postgres_server.url())
    store.run(lambda connection: Statements(connection).next_seq())
    postgres_server.restart()
    assert store.run(lambda connection: Statements(connection).next_seq()) == 2
    postgres_server.kill()
    postgres_server.start()
    assert seq(store) == 2, "an answered call survives a crash"
    postgres_server.stop()
    monkeypatch.setattr(postgres_module, "LOST_PAUSE_S", 0.001)
    with pytest.raises(errors.StoreError, match="check that the server runs"):
        seq(store)
    store.close()


@pytest.fixture
def postgres_server() -> Iterator[PrivatePostgres]:
    """A server of the test's own, because it stops it."""
    with PrivatePostgres(durable=False) as server:
        yield server


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_a_job_undone_for_anothers_sake_runs_again_but_not_for_ever(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(postgres_module, "PAUSE_S", 0.0001)
    ran: list[int] = []

    def job(connection: Connection, failures: int) -> int:
        ran.append(Statements(connection).next_seq())
        if len(ran) <= failures:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")
        return len(ran)

    assert store.run(lambda connection: job(connection, 5)) == 6
    assert ran == [1] * 6, "each attempt begins where the others did"
    ran.clear()
    with pytest.raises(errors.StoreError):
        store.run(lambda connection: job(connection, 6))
    assert len(ran) == 6
    assert seq(store) == 1


def test_a_key_that_is_taken_is_tried_twice_more_and_then_an_error(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "PAUSE_S", 0.0001)
    ran = []

    def job(connection: Connection) -> None:
        ran.append(1)
        connection.exec_driver_sql("INSERT INTO meta VALUES ('seq', 9)")

    with pytest.raises(errors.StoreError, match=r"duplicate key.*nothing was changed"):
        store.run(job)
    assert len(ran) == 3


def test_a_job_that_was_overtaken_runs_again(store: PostgresStore) -> None:
    ran = []

    def job(connection: Connection) -> int:
        ran.append(Statements(connection).next_seq())
        if len(ran) < 3:
            raise Again
        return ran[-1]

    assert store.run(job) == 1
    assert len(ran) == 3


def test_a_deadlock_ends_with_both_done(store: PostgresStore) -> None:
    barrier = Barrier(2)
    ran = []

    def job(connection: Connection, first: str, second: str) -> None:
        ran.append(first)
        for place, key in enumerate((first, second)):
            connection.exec_driver_sql(f"UPDATE meta SET value = value + 1 WHERE key = '{key}'")
            if place == 0 and len(ran) <= 2:
                barrier.wait(30)

    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(store.run, lambda connection, keys=keys: job(connection, *keys))
            for keys in (("seq", "numbers"), ("numbers", "seq"))
        ]
        for one in done:
            one.result(60)
    assert len(ran) == 3
    assert seq(store) == 2


def test_a_reader_sees_one_instant_and_cannot_write(store: PostgresStore) -> None:
    def reads(connection: Connection) -> tuple[int, int]:
        before = Statements(connection).seq()
        store.run(lambda other: Statements(other).next_seq())
        return before, Statements(connection).seq()

    assert store.read(reads) == (0, 0)
    with pytest.raises(errors.StoreError, match="read-only"):
        store.read(lambda connection: Statements(connection).next_seq())
    assert store.run(lambda connection: Statements(connection).next_seq()) == 2, "the next job may write"


def test_what_a_session_is_set_to(store: PostgresStore) -> None:
    def shown(connection: Connection) -> list[str]:
        names = ("synchronous_commit", "transaction_isolation", "statement_timeout", "application_name")
        return [str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in names]

    assert store.run(shown) == ["on", "read committed", "30s", "fastcheck"]
    assert store.read(shown)[1] == "repeatable read"


def test_two_processes_that_begin_at_once_make_the_tables_once(postgres_url: str) -> None:
    code = textwrap.dedent(
        """
        import sys
        from fastcheck.hub.store.statements import Statements
        from fastcheck.hub.store.postgres import PostgresStore
        print("ready", flush=True)
        sys.stdin.readline()
        store = PostgresStore(sys.argv[1])
        print(store.run(lambda connection: Statements(connection).next_seq()))
        """
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, postgres_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    answers = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        answers.append(child.communicate(timeout=60)[0])
        assert child.returncode == 0
    assert sorted(map(int, answers)) == [1, 2, 3]
    store = PostgresStore(postgres_url)
    assert store.read(lambda connection: migrate.newest(connection, errors.StoreError))
    store.close()


def test_a_fork_takes_no_connection_along(store: PostgresStore) -> None:
    store.run(lambda connection: Statements(connection).next_seq())
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            try:
                seq(store)
            except errors.Closed:
                store.close()
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.run(lambda connection: Statements(connection).next_seq()) == 2


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(errors.StoreError, match=r"pip install 'fastcheck\[postgres\]'"):
        PostgresStore("postgresql://somebody@localhost/ledger")


@pytest.mark.parametrize("url", ["mysql://a@b/c", "not a url", "sqlite://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.StoreError, match="postgresql://user:password@host"):
        PostgresStore(url)


def test_a_database_that_is_not_there_is_said_at_once(
    postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "LOST_PAUSE_S", 1_000.0)
    with pytest.raises(errors.StoreError, match=r"does not exist.*name another in the URL"):
        PostgresStore(postgres.url("missing"))


def test_a_server_that_is_not_there_is_said_after_some_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "LOST_PAUSE_S", 0.001)
    with pytest.raises(errors.StoreError, match="check that the server runs") as caught:
        PostgresStore("postgresql://somebody:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(caught.value)
