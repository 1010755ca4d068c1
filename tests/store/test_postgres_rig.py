"""The PostgreSQL server that the tests start for themselves does what tests of durability rest on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from rig import postgres as rig
from rig.postgres import PostgresMissing, PrivatePostgres, children_of, find_programs, runs
from rig.processes import wait_for


def rows(server: PrivatePostgres) -> list[int]:
    with psycopg.connect(server.dsn()) as connection:
        return [one for (one,) in connection.execute("SELECT n FROM kept ORDER BY n")]


def keep(server: PrivatePostgres, n: int) -> None:
    server.execute("CREATE TABLE IF NOT EXISTS kept (n bigint PRIMARY KEY)")
    server.execute(f"INSERT INTO kept VALUES ({n})")


def settings_of(server: PrivatePostgres, *names: str) -> list[str]:
    with psycopg.connect(server.dsn()) as connection:
        return [connection.execute(f"SHOW {name}".encode()).fetchone()[0] for name in names]  # type: ignore[index]


def test_a_database_of_a_test_answers(postgres_url: str, postgres: PrivatePostgres) -> None:
    assert postgres_url.startswith("postgresql+psycopg://postgres@127.0.0.1:")
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert settings_of(postgres, "server_encoding", "TimeZone") == ["UTF8", "UTC"]


def test_the_server_of_the_tests_does_not_wait_for_the_disk(postgres: PrivatePostgres) -> None:
    assert settings_of(postgres, "fsync", "full_page_writes") == ["off", "off"]


def test_each_test_has_an_empty_database(postgres: PrivatePostgres) -> None:
    with postgres.new_database("one") as one, psycopg.connect(one.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.commit()
    with postgres.new_database("one") as one, psycopg.connect(one.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_rows_survive_a_restart_and_a_kill_and_nothing_is_left_after_the_stop() -> None:
    with PrivatePostgres() as server:
        port, directory = server.port, server.directory
        assert directory.parent != Path(rig.MEMORY_DISK)
        assert settings_of(server, "fsync", "synchronous_commit", "full_page_writes") == ["on"] * 3
        keep(server, 1)
        server.restart()
        assert rows(server) == [1]
        keep(server, 2)
        postmaster, children = server.pid, children_of(server.pid)
        assert children, "a server has children: the checkpointer, the writers"
        server.kill()
        assert not any(map(runs, [postmaster, *children]))
        with pytest.raises(psycopg.OperationalError):
            rows(server)
        server.start()
        assert rows(server) == [1, 2]
        assert "automatic recovery" in (directory / "log").read_text(), "the kill left it nothing to recover"
        assert server.port == port
        postmaster, children = server.pid, children_of(server.pid)
    assert not any(map(runs, [postmaster, *children]))
    assert not directory.exists()
    server.close()


def test_two_servers_run_at_a_time(postgres: PrivatePostgres) -> None:
    with PrivatePostgres(durable=False) as other:
        assert other.port != postgres.port
        keep(other, 7)
        assert rows(other) == [7]
        with pytest.raises(psycopg.errors.UndefinedTable):
            rows(postgres)


def test_a_port_that_was_taken_meanwhile_is_given_up(
    postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = [postgres.port]
    free = rig._free_port
    monkeypatch.setattr(rig, "_free_port", lambda: offered.pop() if offered else free())
    with PrivatePostgres(durable=False) as other:
        assert not offered
        assert other.port != postgres.port


def test_the_server_does_not_outlive_tests_that_are_killed() -> None:
    code = (
        "from rig.postgres import _CLUSTER, Path, PrivatePostgres\n"
        "server = PrivatePostgres(durable=False)\n"
        "server.start()\n"
        "print(server.pid, server.directory, Path(_CLUSTER[0]).parent, flush=True)\n"
        "input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        pid, *directories = child.stdout.readline().split()
        assert runs(int(pid))
        os.kill(child.pid, signal.SIGKILL)
    try:
        wait_for(lambda: not runs(int(pid)))
    finally:
        subprocess.run(["rm", "-rf", *directories], check=True)


def test_where_postgresql_is_missing_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rig, "DEBIAN", tmp_path)
    with pytest.raises(PostgresMissing, match="apt-get install postgresql"):
        PrivatePostgres()


def test_the_newest_of_debians_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9.6", "15", "14"):
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        for name in rig.PROGRAMS:
            (directory / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.3'\n")
            (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(rig, "DEBIAN", tmp_path)
    assert str(find_programs()) == f"PostgreSQL 15.3 at {tmp_path}/15/bin"
