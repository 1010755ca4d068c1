"""After a power loss the ledger is what it was after the last call that was answered, or after the one that
was under way: a disk keeps what was synced, and of the rest whatever it likes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fastcheck.clock import ManualClock
from fastcheck.hub.store.sqlite import SqliteStore
from rig.fake_catalog import parse
from rig.powerloss.child import NOW_MS, State, state_of
from rig.powerloss.replay import Disk, Kind, Record, Survivor, read_log, write_directory
from rig.samples import sample
from rig.serving import Service

TESTS = Path(__file__).parents[1]
SEED = 22
CUTS = sample(60, 1_500)
THREADS_CUTS = sample(25, 500)
MUTANT_CUTS = 40
CHILD_WITHIN_S = 300


@dataclass(frozen=True)
class Life:
    """What a child did to its directory, and what was left of it in the end."""

    records: list[Record]
    marks: list[int]
    """Positions of the marks."""
    left: dict[str, bytes]
    """The real directory afterwards."""

    def around(self, cut: int) -> tuple[State | None, State | None]:
        """The last state that was acknowledged before a cut, and the one that was under way."""
        done = bisect_left(self.marks, cut)
        return self._state(done - 1), self._state(done)

    def without_syncs(self) -> Life:
        """The same calls on a disk that says it synced and did not."""
        syncs = (Kind.SYNC, Kind.SYNC_DIRECTORY)
        return life_of([record for record in self.records if record.kind not in syncs], self.left)

    def _state(self, n: int) -> State | None:
        if not 0 <= n < len(self.marks):
            return None
        state: State = json.loads(self.records[self.marks[n]].data)
        return state


def life_of(records: list[Record], left: dict[str, bytes]) -> Life:
    return Life(records, [n for n, record in enumerate(records) if record.kind is Kind.MARK], left)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    source = TESTS / "rig" / "powerloss" / "shim.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", built, source], check=True)
    return built


def live(shim: Path, base: Path, *, synchronous: str = "-", work: str = "calls", code: str = "") -> Life:
    """What the child of `powerloss.child` does, or some code."""
    directory, log = base / "state", base / "log"
    directory.mkdir()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "POWERLOSS_DIR": str(directory),
        "POWERLOSS_LOG": str(log),
        "PYTHONPATH": os.pathsep.join(map(str, [TESTS, *filter(None, sys.path)])),
    }
    program = ["-c", code] if code else ["-m", "rig.powerloss.child"]
    command = [sys.executable, *program, str(directory), str(SEED), synchronous, work]
    subprocess.run(command, env=environment, check=True, timeout=CHILD_WITHIN_S)
    left = {one.name: one.read_bytes() for one in directory.iterdir() if not one.name.endswith("-shm")}
    return life_of(read_log(log), left)


@pytest.fixture(scope="module")
def life(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    return live(shim, tmp_path_factory.mktemp("life"))


def cuts(life: Life, count: int) -> Iterator[tuple[int, Survivor, Random]]:
    """Seeded positions in the log, each kind of disk in turn."""
    survivors = list(Survivor)
    for seed in range(count):
        random = Random(seed)
        yield random.randrange(len(life.records) + 1), survivors[seed % len(survivors)], random


def reopened(directory: Path) -> State:
    store = SqliteStore(directory / "ledger.db")
    try:
        service = Service(store, ManualClock(NOW_MS), parse)
        service.load_catalog()
        found = state_of(service)
    finally:
        store.close()
    connection = sqlite3.connect(directory / "ledger.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def lost(before: State, found: State) -> list[str]:
    """What was acknowledged and is not there."""
    problems = []
    if found["seq"] < before["seq"]:
        problems.append(f"seq {found['seq']} after {before['seq']}")
    for id, (amount, _, voided_at) in before["grants"].items():
        now: Any = found["grants"].get(id)
        if now is None or now[0] != amount:
            problems.append(f"grant {id} of {amount} is {now}")
        elif voided_at is not None and now[2] is None:
            problems.append(f"grant {id} is not void any more")
    problems += [f"customer {id}" for id in before["plans"].keys() - found["plans"].keys()]
    for account, used in before["used"].items():
        if Decimal(found["used"].get(account, -1)) < Decimal(used):
            problems.append(f"{account} used {found['used'].get(account)} after {used}")
    for lease, (_, spent, returned) in before["leases"].items():
        totals = found["leases"].get(lease)
        if totals is not None and (totals[1] < spent or totals[2] < returned):
            problems.append(f"lease {lease} {totals} after {spent}, {returned}")
    return problems


def loss_at(life: Life, cut: int, survivor: Survivor, random: Random, directory: Path) -> list[str]:
    """What is wrong with the ledger on the disk that is found after a cut."""
    write_directory(Disk(life.records[:cut]).found(survivor, random), directory)
    try:
        found = reopened(directory)
    except Exception as error:
        return [f"does not open: {error!r}"]
    before, after = life.around(cut)
    if before is None or found in (before, after):
        return []
    return lost(before, found) or ["neither what was acknowledged nor what was under way"]


def test_the_log_tells_all_that_was_done_to_the_directory(life: Life) -> None:
    assert Disk(life.records).found(Survivor.EVERYTHING, Random(0)) == life.left
    kinds = {record.kind for record in life.records}
    assert {Kind.CREATE, Kind.WRITE, Kind.SYNC, Kind.SYNC_DIRECTORY, Kind.UNLINK, Kind.MARK} <= kinds
    syncs_of = {record.inode for record in life.records if record.kind is Kind.SYNC}
    assert len(syncs_of) > 1, "checkpoints sync the database besides the write-ahead log"


def test_nothing_acknowledged_is_lost_with_the_power(life: Life, tmp_path: Path) -> None:
    undone = changed = 0
    for n, (cut, survivor, random) in enumerate(cuts(life, CUTS)):
        problems = loss_at(life, cut, survivor, random, tmp_path / str(n))
        assert not problems, f"cut {n} at {cut} of {len(life.records)}, {survivor}: {problems}"
        undone += Disk(life.records[:cut]).pending > 0
        changed += life.around(cut)[0] is not None
    assert undone > CUTS // 2, "most cuts must have found something to undo"
    assert changed > CUTS // 2, "most cuts must come after something was acknowledged"


def test_no_grant_of_several_threads_is_lost_once_its_caller_has_the_answer(
    shim: Path, tmp_path: Path
) -> None:
    life = live(shim, tmp_path, work="grants")
    told = [json.loads(life.records[at].data)["grants"] for at in life.marks]
    makers = [next(iter(one)).partition("-")[0] for one in told]
    changes = sum(one != other for one, other in pairwise(makers))
    assert changes > len(set(makers)), "the threads did not take turns"
    for n, (cut, survivor, random) in enumerate(cuts(life, THREADS_CUTS)):
        directory = tmp_path / str(n)
        write_directory(Disk(life.records[:cut]).found(survivor, random), directory)
        found = reopened(directory)["grants"]
        for grants in told[: bisect_left(life.marks, cut)]:
            for id, amount in grants.items():
                assert found.get(id, [None])[0] == amount, f"cut {n} at {cut}, {survivor}: grant {id}"


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_ledger_that_syncs_less_is_found_out(shim: Path, tmp_path: Path, synchronous: str) -> None:
    life = live(shim, tmp_path, synchronous=synchronous)
    tried = cuts(life, MUTANT_CUTS)
    losses = [loss_at(life, *one, tmp_path / str(n)) for n, one in enumerate(tried)]
    assert any(loss and not loss[0].startswith("does not open") for loss in losses), losses


def test_a_disk_that_does_not_sync_is_found_out(life: Life, tmp_path: Path) -> None:
    lying = life.without_syncs()
    losses = [loss_at(lying, *one, tmp_path / str(n)) for n, one in enumerate(cuts(lying, MUTANT_CUTS))]
    assert any(losses)


# The disk itself, in cases a person can follow.


def made(*records: tuple[Kind, int, int, bytes]) -> Disk:
    return Disk(Record(*one) for one in records)


A_FILE = (Kind.CREATE, 1, 0, b"a"), (Kind.WRITE, 1, 0, b"old"), (Kind.SYNC, 1, 0, b"")


def possible(disk: Disk) -> set[tuple[tuple[str, bytes], ...]]:
    """Every directory that some seeds of some survivor find."""
    return {
        tuple(sorted(disk.found(survivor, Random(seed)).items()))
        for survivor in Survivor
        for seed in range(64)
    }


def test_what_was_synced_is_there_and_the_rest_may_be() -> None:
    assert possible(made(*A_FILE)) == {(("a", b"old"),)}
    assert possible(made(*A_FILE, (Kind.WRITE, 1, 2, b"new"))) == {(("a", b"old"),), (("a", b"olnew"),)}
    assert possible(made(*A_FILE[:2])) == {(), (("a", b""),), (("a", b"old"),)}


def test_a_name_changes_for_good_when_the_directory_is_synced() -> None:
    renamed = (*A_FILE, (Kind.RENAME, 1, 0, b"a/b"))
    assert possible(made(*renamed)) == {(("a", b"old"),), (("b", b"old"),)}
    assert possible(made(*renamed, (Kind.SYNC_DIRECTORY, 0, 0, b""))) == {(("b", b"old"),)}
    removed = (*A_FILE, (Kind.UNLINK, 1, 0, b"a"))
    assert possible(made(*removed)) == {(("a", b"old"),), ()}
    again = (Kind.CREATE, 2, 0, b"a"), (Kind.WRITE, 2, 0, b"2"), (Kind.SYNC, 2, 0, b"")
    assert possible(made(*removed, *again)) == {(("a", b"2"),)}


def test_pages_and_sectors_are_old_or_new_each_on_its_own() -> None:
    written = (Kind.WRITE, 1, 0, b"1" * 8_192)
    disk = made((Kind.CREATE, 1, 0, b"a"), (Kind.SYNC, 1, 0, b""), written)
    pages = {disk.found(Survivor.PAGES, Random(seed))["a"] for seed in range(64)}
    new, none = b"1" * 4_096, bytes(4_096)
    assert pages == {b"", new, none + new, new + new}
    torn = disk.found(Survivor.TORN, Random(1))["a"]
    sectors = {torn[at : at + 512] for at in range(0, len(torn), 512)}
    assert sectors == {b"1" * 512, bytes(512)}


def test_the_shim_sees_every_way_in_which_python_changes_files(shim: Path, tmp_path: Path) -> None:
    code = """
        import os, sys
        os.chdir(sys.argv[1])
        fd = os.open("a", os.O_RDWR | os.O_CREAT)
        os.write(fd, b"hello"); os.pwrite(fd, b"HE", 0); os.writev(fd, [b" wor", b"ld"]); os.fsync(fd)
        twin = os.dup(fd)
        os.write(twin, b"!"); os.ftruncate(fd, 8); os.close(fd); os.close(twin)
        with open("a", "ab") as file: file.write(b"more")
        here = os.open(".", os.O_RDONLY)
        os.rename("a", "b"); os.link("b", "c"); os.rename("c", "d", src_dir_fd=here, dst_dir_fd=here)
        with open("gone", "w") as file: file.write("x")
        os.unlink("gone")
        with open("b", "r+b", buffering=0) as file: file.write(b"J")
        with open("e", "w") as file: file.write("long")
        with open("e", "w") as file: file.write("e")
        os.replace("e", "f"); os.fsync(here)
        with open("../outside", "w") as file: file.write("not ours")
    """
    life = live(shim, tmp_path, code=textwrap.dedent(code))
    assert life.left == {"b": b"JEllo womore", "d": b"JEllo womore", "f": b"e"}
    assert Disk(life.records).found(Survivor.EVERYTHING, Random(0)) == life.left
    assert {record.kind for record in life.records} == set(Kind) - {Kind.MARK}
