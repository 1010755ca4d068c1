"""FAULTS 53: a ledger file that is locked, damaged, removed, replaced or not ours to write. Checks and burns
go on with what is lent, every request to the ledger is refused and says why, and the status shows it."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from fastcheck import Entitlements, errors
from fastcheck.hub.store import soundness
from fastcheck.hub.store import sqlite as sqlite_module
from fastcheck.hub.store.soundness import damage_in
from fastcheck.hub.store.sqlite import SqliteStore
from faults.test_faults_restored import ledger_of, unbalanced
from rig.processes import QUICKSTART, Child, wait_for
from rig.requests import make_grant, put_customer
from store.test_store_suite import service_over

PAGE = 4_096


@pytest.fixture
def ents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entitlements]:
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_S", 0.2)
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as opened:
        opened.admin.put_customer("acme", plan="pro")
        opened.admin.grant("acme", "ai_credits", 100)
        assert opened.consume("acme", "gpt-4o", 1)
        yield opened


def refused_but_serving(ents: Entitlements, why: str) -> None:
    """Checks and burns go on, the ledger refuses, the status says why."""
    assert ents.check("acme", "export")
    assert ents.consume("acme", "gpt-4o", 1)
    with pytest.raises(errors.DirectoryError, match=why) as caught:
        ents.admin.grant("acme", "ai_credits", 50, id="refused")
    assert "ledger.db" in caught.value.path
    assert caught.value.what_to_do
    wait_for(lambda: any("ledger.db" in note for note in ents.status().notes))
    assert ents.consume("acme", "gpt-4o", 1)


def works_again(ents: Entitlements, used: int) -> None:
    assert ents.admin.grant("acme", "ai_credits", 50, id="granted") == "granted"
    wait_for(lambda: ents.status().notes == ())
    balance = ents.admin.balance("acme", "ai_credits")
    assert (balance.used, balance.remaining) == (used, 150 - used)
    assert [one.id for one in ents.admin.list_grants("acme", "ai_credits")][1:] == ["granted"]
    assert unbalanced(ledger_of(ents)) == []


def test_another_programs_lock_is_said_and_reads_are_served(ents: Entitlements, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "state" / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused_but_serving(ents, "locked; another program holds the ledger")
    assert [one.id for one in ents.admin.list_customers().items] == ["acme"]
    other.execute("ROLLBACK")
    other.close()
    works_again(ents, 3)


def test_a_ledger_removed_under_its_owner_takes_nothing_until_it_is_back(
    ents: Entitlements, tmp_path: Path
) -> None:
    ledger = tmp_path / "state" / "ledger.db"
    ledger.rename(tmp_path / "elsewhere")
    refused_but_serving(ents, "was removed while it was in use")
    assert not ledger.exists(), "an empty ledger was made in its place"
    (tmp_path / "elsewhere").rename(ledger)
    works_again(ents, 3)


def test_a_ledger_replaced_under_its_owner_takes_nothing_and_is_left_alone(
    ents: Entitlements, tmp_path: Path
) -> None:
    ledger = tmp_path / "state" / "ledger.db"
    ledger.rename(tmp_path / "elsewhere")
    ledger.write_bytes(b"garbage")
    refused_but_serving(ents, "was replaced while it was in use")
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    refused_but_serving(ents, "was replaced while it was in use")  # The connection was made anew.
    assert ledger.read_bytes() == b"garbage"
    (tmp_path / "elsewhere").rename(ledger)
    works_again(ents, 5)


def test_a_log_removed_under_its_owner_loses_nothing(ents: Entitlements, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "ledger.db-wal").unlink()
    works_again(ents, 1)
    copy = sqlite3.connect(state / "ledger.db")
    assert copy.execute("SELECT count(*) FROM grants WHERE id = 'granted'").fetchone() == (1,)
    copy.close()


def test_a_ledger_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "ledger.db").close()
    (tmp_path / "ledger.db").chmod(0o400)
    code = """
    from fastcheck.hub.store.sqlite import SqliteStore
    os.chdir(sys.argv[1])
    if os.geteuid() == 0: os.seteuid(65534)
    try:
        SqliteStore("ledger.db")
    except errors.DirectoryError as error:
        say(error)
    """
    with Child(code, tmp_path) as child:
        assert "read and write access" in " ".join(child.hear())


# Damage.


def filled(path: Path, customers: int = 400) -> None:
    """A ledger with something in each table that counts, closed in order."""
    store = SqliteStore(path)
    service = service_over(store)
    service.put_customers([put_customer(f"c{n:04}", plan="pro", aliases=[f"a{n}"]) for n in range(customers)])
    for n in range(0, customers, 2):
        service.grant(make_grant(f"c{n:04}", "ai_credits", n + 1))
    store.close()


def content(connection: Connection) -> list[list[tuple[object, ...]]]:
    """Every row of every table."""
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").all()
    return [
        sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)
        for (name,) in names
    ]


def outcome(path: Path, whole: list[list[tuple[object, ...]]]) -> str:
    """refused, same, or silent: other rows than were written, and no word of it."""
    try:
        store = SqliteStore(path)
    except errors.DirectoryError:
        return "refused"
    try:
        store.inspected()
        return "same" if store.read(content) == whole else "silent"
    except errors.DirectoryError:
        return "refused"
    finally:
        store.close()


def zeros(chance: random.Random, pages: list[bytes], at: int) -> bytes:
    return bytes(PAGE)


def noise(chance: random.Random, pages: list[bytes], at: int) -> bytes:
    return chance.randbytes(PAGE)


def another(chance: random.Random, pages: list[bytes], at: int) -> bytes:
    return chance.choice(pages)


def half(chance: random.Random, pages: list[bytes], at: int) -> bytes:
    """A page of which the disk wrote only a part."""
    return pages[at][: PAGE // 2] + bytes(PAGE // 2)


@pytest.mark.parametrize("damage", [zeros, noise, another, half])
def test_a_page_that_is_not_itself_is_found_when_the_ledger_is_opened(
    tmp_path: Path, damage: Callable[[random.Random, list[bytes], int], bytes]
) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    data = path.read_bytes()
    store = SqliteStore(path)
    whole = store.read(content)
    store.close()
    pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    found = {"refused": 0, "same": 0, "silent": 0}
    chance = random.Random(7)
    for at in chance.sample(range(len(pages)), min(60, len(pages))):
        bad = damage(chance, pages, at)
        path.write_bytes(b"".join([*pages[:at], bad, *pages[at + 1 :]]))
        (tmp_path / "ledger.db-wal").unlink(missing_ok=True)
        (tmp_path / "ledger.db-shm").unlink(missing_ok=True)
        found[outcome(path, whole)] += 1
    # A page of another table is sound where that has the same kind of key, and nothing refers to its rows:
    # the tables of the past have no index to compare with.
    assert found["silent"] <= (2 if damage is another else 0), found
    assert found["refused"] > 20, found


@pytest.mark.parametrize("table", ["meta", "catalog"])
def test_an_empty_page_where_the_counters_or_the_catalogs_are_is_found(tmp_path: Path, table: str) -> None:
    """To SQLite it is as sound as any other, and nothing would seem to have been stored."""
    path = tmp_path / "ledger.db"
    filled(path, 10)
    store = SqliteStore(path)
    roots = "SELECT name, rootpage FROM sqlite_master WHERE name IN ('meta', 'catalog', 'moves', 'changes')"
    pages = {row[0]: row[1] for row in store.read(lambda c: c.exec_driver_sql(roots).all())}
    store.close()
    data = bytearray(path.read_bytes())
    source = pages["moves" if table == "meta" else "changes"] - 1  # Of the same kind, without rows.
    at = pages[table] - 1
    data[at * PAGE : (at + 1) * PAGE] = data[source * PAGE : (source + 1) * PAGE]
    path.write_bytes(data)
    with pytest.raises(errors.DirectoryError, match=r"damaged.*restore a backup"):
        SqliteStore(path)


def test_a_flipped_bit_is_found_or_changes_one_value(tmp_path: Path) -> None:
    """What SQLite cannot find: a bit that makes a valid value of another. It is never more than that."""
    path = tmp_path / "ledger.db"
    filled(path, 100)
    data = path.read_bytes()
    store = SqliteStore(path)
    whole = store.read(content)
    store.close()
    chance = random.Random(11)
    found = {"refused": 0, "same": 0, "silent": 0}
    for _ in range(120):
        at = chance.randrange(len(data))
        flipped = bytes([data[at] ^ 1 << chance.randrange(8)])
        path.write_bytes(data[:at] + flipped + data[at + 1 :])
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        found[outcome(path, whole)] += 1
    assert found["refused"] > 10, found
    assert found["silent"] < 40, found


def test_damage_found_beside_the_use_stops_the_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger too large to be looked through at once."""
    state = tmp_path / "state"
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        ents.admin.put_customers([{"id": f"c{n}", "plan": "pro"} for n in range(300)])
        ents.admin.grant("c0", "ai_credits", 10)
    data = (state / "ledger.db").read_bytes()
    row = data.index(b"c150", data.index(b"c149"))
    page = row // PAGE * PAGE
    broken = data[page : page + 8] + bytes(PAGE - 8)
    (state / "ledger.db").write_bytes(data[:page] + broken + data[page + PAGE :])
    with pytest.raises(errors.DirectoryError, match="restore a backup"):
        Entitlements.open(state)
    monkeypatch.setattr(sqlite_module, "LOOKED_THROUGH_BYTES_MAX", 0)
    used = threading.Event()

    def late(connection: sqlite3.Connection, *, thoroughly: bool) -> str | None:
        used.wait(60)
        return damage_in(connection, thoroughly=thoroughly)

    monkeypatch.setattr(soundness, "damage_in", late)
    with Entitlements.open(state) as ents:
        assert ents.consume("c0", "gpt-4o", 1)
        used.set()
        wait_for(lambda: any("restore a backup" in note for note in ents.status().notes))
        with pytest.raises(errors.DirectoryError, match="restore a backup"):
            ents.admin.grant("c0", "ai_credits", 50)
        with pytest.raises(errors.DirectoryError, match="restore a backup"):
            ents.admin.balance("c0", "ai_credits")
        assert ents.check("c0", "export")
        assert ents.consume("c0", "gpt-4o", 1)
    (state / "ledger.db").write_bytes(data)
    for end in ("-wal", "-shm"):
        (state / f"ledger.db{end}").unlink(missing_ok=True)
    with Entitlements.open(state) as ents:
        assert ents.admin.balance("c0", "ai_credits").used == 2


def test_a_fork_and_a_close_do_not_wait_for_an_inspection(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    store = SqliteStore(path)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    store.inspected()
    assert store._inspection is not None
    assert store._inspection.finished
    store.close()
    SqliteStore(path).close()


LIFE = """
ents = Entitlements.open(sys.argv[1])
for n in range(6):
    ents.admin.put_override("acme", "seats", n)
    ents.admin.grant("acme", "ai_credits", 10, id=f"g{n}")
    ents.consume("acme", "gpt-4o", 3)
    time.sleep(0.06)
say("done")
hear()
"""


def deleted(wal: Path, chance: random.Random) -> None:
    wal.unlink()


def truncated(wal: Path, chance: random.Random) -> None:
    os.truncate(wal, chance.randrange(wal.stat().st_size))


def flipped(wal: Path, chance: random.Random) -> None:
    data = bytearray(wal.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    wal.write_bytes(data)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("damage", [deleted, truncated, flipped])
def test_a_log_lost_or_damaged_after_a_kill_forgets_no_use_and_is_noticed(
    tmp_path: Path, damage: Callable[[Path, random.Random], None], seed: int
) -> None:
    state = tmp_path / "state"
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 100, id="before")
        assert ents.consume("acme", "gpt-4o", 5)
    with Child(LIFE, state) as child:
        assert child.hear() == ["done"]
        child.kill()
    damage(state / "ledger.db-wal", random.Random(seed))
    with Entitlements.open(state) as ents:
        balance = ents.admin.balance("acme", "ai_credits")
        granted = sum(int(one.amount) for one in ents.admin.list_grants("acme", "ai_credits"))
        assert balance.used >= 18, "the arena's burns are booked"
        assert balance.used <= 23
        assert balance.remaining == granted - balance.used
        assert granted == 160 or ents.status().notes, "an acknowledged grant is gone and nobody says so"
        assert unbalanced(ledger_of(ents)) == []


def test_a_log_removed_in_the_middle_of_a_commit_undoes_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")

    def bump(connection: Connection) -> int:
        connection.exec_driver_sql("UPDATE meta SET value = value + 1 WHERE key = 'seq'")
        return int(connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'seq'").scalar_one())

    def loses(connection: Connection) -> None:
        bump(connection)
        (tmp_path / "ledger.db-wal").unlink()

    assert store.run(bump) == 1
    with pytest.raises(errors.DirectoryError, match=r"ledger\.db-wal: was removed or replaced.*try again"):
        store.run(loses)
    assert store.run(bump) == 2
    store.close()
