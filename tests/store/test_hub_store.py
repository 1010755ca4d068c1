"""The ledger file: modes, group commit, what an answered call means, and every way a disk can refuse."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from fastcheck import errors
from fastcheck.hub.store.sqlite import SqliteStore


def seq(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'seq'").scalar_one())


def bump(connection: Connection) -> int:
    connection.exec_driver_sql("UPDATE meta SET value = value + 1 WHERE key = 'seq'")
    return seq(connection)


def fill(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO catalog VALUES (NULL, 0, '', zeroblob(3000000), '', x'', NULL)")


def test_the_files_are_private(store: SqliteStore) -> None:
    store.run(bump)
    for path in store.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    with store._gate:
        connection = store._connection
        assert connection is not None
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_jobs_that_wait_share_a_commit_and_each_is_undone_alone(store: SqliteStore) -> None:
    commits: list[str] = []
    entered, go_on = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        entered.set()
        go_on.wait(5)

    def fails(connection: Connection) -> None:
        bump(connection)
        raise errors.Conflict("no")

    blocked = store.submit(first)
    assert entered.wait(5)
    waiting: list[Any] = [store.submit(bump), store.submit(fails), store.submit(bump)]
    go_on.set()
    blocked.result(5)
    assert waiting[0].result(5) == 1
    with pytest.raises(errors.Conflict):
        waiting[1].result(5)
    assert waiting[2].result(5) == 2
    assert commits == ["COMMIT", "COMMIT"]


def test_an_answered_call_survives_sigkill(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from fastcheck.hub.store.sqlite import SqliteStore
        store = SqliteStore(sys.argv[1])
        read = "SELECT value FROM meta WHERE key = 'seq'"
        while True:
            store.run(lambda db: db.exec_driver_sql("UPDATE meta SET value = value + 1 WHERE key = 'seq'"))
            print(store.run(lambda db: db.exec_driver_sql(read).scalar()), flush=True)
        """
    )
    path = tmp_path / "ledger.db"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        answered = [int(child.stdout.readline()) for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        answered += [int(line) for line in child.stdout if line.endswith("\n")]
    store = SqliteStore(path)
    assert store.run(seq) >= answered[-1]
    store.close()


def test_a_full_disk_is_said_and_nothing_is_half_done(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db", pages_max=120)
    store.run(bump)
    with pytest.raises(errors.DirectoryError, match="free some space"):
        store.run(lambda connection: (bump(connection), fill(connection)))
    assert store.run(seq) == 1
    assert store.run(bump) == 2
    store.close()


def test_everybody_whose_work_a_full_disk_undoes_is_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db", pages_max=120)
    entered, go_on = threading.Event(), threading.Event()
    blocked = store.submit(lambda _: (entered.set(), go_on.wait(5)))
    entered.wait(5)
    waiting: list[Any] = [store.submit(bump), store.submit(fill), store.submit(bump)]
    go_on.set()
    blocked.result(5)
    done = 0
    for future in waiting:
        try:
            future.result(5)
            done += 1
        except errors.DirectoryError:
            pass
    assert store.run(seq) == done
    store.close()


def test_a_directory_that_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.DirectoryError, match="name a directory"):
        SqliteStore(tmp_path / "file" / "ledger.db")
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(errors.DirectoryError, match="move it away"):
        SqliteStore(tmp_path / "ledger.db")
    with pytest.raises(errors.DirectoryError, match="does not exist"):
        SqliteStore(tmp_path / "missing" / "ledger.db")


def test_a_link_in_place_of_the_ledger_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.DirectoryError, match="symbolic link"):
        SqliteStore(tmp_path / "ledger.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_that_cannot_be_written() -> None:
    with pytest.raises(errors.DirectoryError) as caught:
        SqliteStore("/proc/ledger.db")
    assert caught.value.path == "/proc/ledger.db"


@pytest.mark.parametrize("garbage", [b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(garbage)
    with pytest.raises(errors.DirectoryError, match="damaged"):
        SqliteStore(path)
    assert path.read_bytes() == garbage


def test_a_ledger_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(errors.DirectoryError, match=r"revision '9999'.*a newer one"):
        SqliteStore(path)


def test_a_ledger_from_before_the_first_release_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
        connection.execute("INSERT INTO meta VALUES ('version', 1)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(errors.DirectoryError, match=r"before the first release.*move it away"):
        SqliteStore(path)
    assert path.read_bytes()[100:] == before[100:], "only the header's journal mode may differ"


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    store.close()
    store.close()
    with pytest.raises(errors.Closed):
        store.run(seq)


def test_a_fork_takes_no_connection_along(store: SqliteStore) -> None:
    """The parent goes on writing; the child is told that its copy is closed and can open the file itself."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.run(bump)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            before = store.run(seq)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    try:
                        store.run(seq)
                    except errors.Closed:
                        inherited = [
                            os.readlink(f"/proc/self/fd/{fd}")
                            for fd in os.listdir("/proc/self/fd")
                            if os.path.lexists(f"/proc/self/fd/{fd}")
                        ]
                        own = SqliteStore(store.path)
                        if not any("ledger.db" in name for name in inherited) and own.run(bump) > before:
                            code = 0
                        own.close()
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        writer.join()
    assert store.run(lambda db: db.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"


def test_a_ledger_in_memory_stays_with_its_process() -> None:
    store = SqliteStore.in_memory()
    store.run(bump)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            try:
                store.run(seq)
            except errors.Closed:
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.run(bump) == 2
    assert not Path(":memory:").exists()
    store.close()
