"""Checkpoints and snapshots as Python sees them. FAULTS 52: whatever is cut, flipped, killed or refused by
the disk, the last good state is there. The formats themselves are tested in `rust/snapshot/tests`."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastcheck import Catalog, errors
from fastcheck._fastcheck import Checkpoint, Owner, SnapshotWriter, digest, snapshot_info
from fastcheck.wire.record import CustomerRecord, pack_record

QUICKSTART = (Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml").read_bytes()
CATALOG = Catalog.parse(QUICKSTART, "catalog.yaml")
NOW_MS = 1_800_000_000_000
NOBODY = 65_534
CHILD_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}

Customers = dict[int, bytes]


def record(number: int, plan: str = "pro", *, deleted: bool = False) -> bytes:
    return pack_record(CustomerRecord(number, f"customer-{number}", deleted, plan, 1))


def customers(count: int) -> Customers:
    return {number: record(number) for number in range(1, count + 1)}


def total(here: Customers) -> int:
    return digest(b"".join(here.values()))[0]


def snapshot(path: Path, seq: int, here: Customers, *, epoch: int = 1) -> bytes:
    """The file of a snapshot, left at `path` too."""
    writer = SnapshotWriter(str(path), epoch, seq, total(here), "catalog.yaml", QUICKSTART)
    writer.add(b"".join(here.values()))
    customers, size = writer.finish()
    assert (customers, size) == (len(here), path.stat().st_size)
    return path.read_bytes()


def receive(checkpoint: Checkpoint, data: bytes) -> None:
    checkpoint.begin(len(data))
    for offset in range(0, len(data), 64):
        checkpoint.piece(offset, data[offset : offset + 64])


class Host:
    """A checkpoint with a base of three customers, and what it should hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path / "checkpoint"
        self.here = customers(3)
        self.seq = 1
        self.checkpoint = Checkpoint(str(self.directory))
        self.full()

    def full(self) -> None:
        receive(self.checkpoint, snapshot(self.path / "s.fcs", self.seq, self.here))
        self.checkpoint.complete(1, self.seq, total(self.here))

    def change(self, number: int, plan: str = "free") -> None:
        self.seq += 1
        self.here[number] = record(number, plan)
        self.checkpoint.append(self.here[number], 1, self.seq, total(self.here))

    def state(self) -> tuple[int, int, int]:
        return (1, self.seq, total(self.here))


def recovered(directory: Path) -> tuple[int, int, int] | None:
    found = Checkpoint(str(directory)).recover()
    if found is None:
        return None
    assert found[3:] == (QUICKSTART, "catalog.yaml")
    return found[:3]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    arena = tmp_path / "arena"
    arena.mkdir()
    owner = Owner(str(arena), CATALOG, NOW_MS)
    yield owner
    owner.close()


def test_a_snapshot_says_what_it_is(tmp_path: Path) -> None:
    here = customers(5)
    data = snapshot(tmp_path / "s.fcs", 7, here, epoch=3)
    raw = int(struct.unpack_from("<Q", data, 48)[0])
    assert snapshot_info(str(tmp_path / "s.fcs")) == (3, 7, total(here), 5, raw)
    assert (tmp_path / "s.fcs").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "s.fcs"]
    (tmp_path / "bad.fcs").write_bytes(data[:71])
    with pytest.raises(errors.ArenaError, match="damaged"):
        snapshot_info(str(tmp_path / "bad.fcs"))
    with pytest.raises(errors.DirectoryError, match="No such file"):
        snapshot_info(str(tmp_path / "none.fcs"))


def test_a_snapshot_that_does_not_sum_up_is_not_written_and_both_sums_are_said(tmp_path: Path) -> None:
    writer = SnapshotWriter(str(tmp_path / "s.fcs"), 1, 1, 5, "catalog.yaml", QUICKSTART)
    writer.add(record(1))
    with pytest.raises(errors.LedgerError) as raised:
        writer.finish()
    assert f"{total(customers(1)):016x}" in str(raised.value)
    assert f"{5:016x}" in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    for again in (writer.finish, lambda: writer.add(b"")):
        with pytest.raises(errors.Closed):
            again()


def test_a_snapshot_takes_records_and_nothing_else(tmp_path: Path) -> None:
    here = customers(2)
    writer = SnapshotWriter(str(tmp_path / "s.fcs"), 1, 1, total(here), "catalog.yaml", QUICKSTART)
    with pytest.raises(errors.RecordError):
        writer.add(record(1) + b"\xc1")
    writer.add(record(1) + record(9, deleted=True))
    writer.add(record(2))
    assert writer.finish()[0] == 2
    with pytest.raises(errors.RecordError, match="at most"):
        SnapshotWriter(str(tmp_path / "t.fcs"), 1, 1, 0, "catalog.yaml", bytes((16 << 20) + 1))


def test_a_host_goes_on_from_its_checkpoint(host: Host, owner: Owner) -> None:
    host.change(2)
    host.change(9)
    host.checkpoint.sync()
    again = Checkpoint(str(host.directory))
    found = again.recover()
    assert found is not None
    assert found[:3] == host.state()
    assert owner.load_checkpoint(again, NOW_MS) == 4
    assert (owner.epoch, owner.seq, owner.digest) == host.state()
    assert owner.arena != 0
    owner.put(record(3, "free"), host.seq + 1, NOW_MS, epoch=1)
    again.append(record(3, "free"), 1, host.seq + 1, owner.digest)
    assert recovered(host.directory) == (1, host.seq + 1, owner.digest)


def test_rows_have_the_epoch_that_they_are_loaded_with(owner: Owner) -> None:
    owner.load([record(1)], 5, NOW_MS)
    assert (owner.epoch, owner.seq) == (1, 5)
    owner.load([record(1)], 2, NOW_MS, epoch=7)
    owner.put(record(2), 3, NOW_MS, epoch=7)
    assert (owner.epoch, owner.seq, owner.digest) == (7, 3, total(customers(2)))


def test_a_received_snapshot_is_loaded_before_it_counts(host: Host, owner: Owner) -> None:
    here = customers(8)
    receive(host.checkpoint, snapshot(host.path / "s.fcs", 40, here))
    assert host.checkpoint.received_catalog() == (QUICKSTART, "catalog.yaml")
    assert host.checkpoint.received_info()[:4] == (1, 40, total(here), 8)
    assert owner.load_received(host.checkpoint, NOW_MS) == 8
    assert (owner.epoch, owner.seq, owner.digest) == (1, 40, total(here))
    assert recovered(host.directory) == host.state(), "and not before it is complete"
    receive(host.checkpoint, snapshot(host.path / "s.fcs", 40, here))
    host.checkpoint.complete(1, 40, total(here))
    assert recovered(host.directory) == (1, 40, total(here))
    assert host.checkpoint.log_bytes == 56
    assert host.checkpoint.base_bytes == (host.path / "s.fcs").stat().st_size


def without_plan(path: Path) -> bytes:
    """A sound snapshot with a customer whom the catalog refuses."""
    return snapshot(path, 40, {1: record(1), 2: record(2, "no such plan")})


def with_a_flip(path: Path) -> bytes:
    data = bytearray(snapshot(path, 40, customers(8)))
    data[-20] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("made", "error"), [(without_plan, errors.RecordError), (with_a_flip, errors.ArenaError)]
)
def test_a_bad_snapshot_leaves_rows_and_checkpoint_as_they_were(
    host: Host, owner: Owner, made: Callable[[Path], bytes], error: type[Exception]
) -> None:
    owner.load_checkpoint(host.checkpoint, NOW_MS)
    receive(host.checkpoint, made(host.path / "s.fcs"))
    with pytest.raises(error):
        owner.load_received(host.checkpoint, NOW_MS)
    host.checkpoint.abandon()
    assert (owner.epoch, owner.seq, owner.digest) == host.state()
    assert owner.customers == 3
    owner.put(record(3, "free"), host.seq + 1, NOW_MS)
    assert recovered(host.directory) == host.state()


def test_a_wrong_digest_is_refused(host: Host, owner: Owner) -> None:
    here = customers(8)
    data = snapshot(host.path / "s.fcs", 40, here)
    for wrong in [(2, 40, total(here)), (1, 41, total(here)), (1, 40, total(here) ^ 1)]:
        receive(host.checkpoint, data)
        with pytest.raises(errors.ArenaError, match="its commit says"):
            host.checkpoint.complete(*wrong)
    with pytest.raises(errors.Conflict, match="begin one"):
        host.checkpoint.complete(1, 40, total(here))
    assert recovered(host.directory) == host.state()
    host.checkpoint.append(record(1, "free"), 1, 2, 12345)
    with pytest.raises(errors.ArenaError, match="sum up to"):
        owner.load_checkpoint(host.checkpoint, NOW_MS)
    assert owner.customers == 0


def test_what_does_not_follow_is_refused(host: Host) -> None:
    host.change(1)
    size = host.checkpoint.log_bytes
    host.checkpoint.append(host.here[1], *host.state())
    for epoch, seq in [(1, host.seq + 2), (2, host.seq + 1), (0, 1)]:
        with pytest.raises(errors.Conflict, match="does not follow"):
            host.checkpoint.append(b"", epoch, seq, 0)
    with pytest.raises(errors.RecordError):
        host.checkpoint.append(b"\xc1", 1, host.seq + 1, 0)
    host.checkpoint.begin(100)
    with pytest.raises(errors.Conflict, match="next byte is at 0"):
        host.checkpoint.piece(1, b"x")
    with pytest.raises(errors.Conflict, match="at most"):
        host.checkpoint.begin(1 << 62)
    assert host.checkpoint.log_bytes == size
    assert recovered(host.directory) == host.state()


def test_a_change_that_the_rows_refuse_is_taken_out_again(host: Host, owner: Owner) -> None:
    owner.load_checkpoint(host.checkpoint, NOW_MS)
    bad = record(2, "no such plan")
    host.checkpoint.append_catalog(b"refused too", "other.yaml")
    host.checkpoint.append(bad, 1, 2, total(host.here | {2: bad}))
    with pytest.raises(errors.RecordError):
        owner.put(bad, 2, NOW_MS)
    host.checkpoint.retract()
    assert recovered(host.directory) == host.state()
    with pytest.raises(errors.Conflict):
        host.checkpoint.retract()
    host.change(2)
    assert recovered(host.directory) == host.state()


def test_power_lost_at_any_byte_of_the_log_leaves_a_state_that_once_was(host: Host) -> None:
    """What the disk got of the last writes: a part of them, or with holes of zeros in it."""
    states = [(host.checkpoint.log_bytes, host.state())]
    for number in (1, 5, 2, 1):
        host.change(number)
        states.append((host.checkpoint.log_bytes, host.state()))
    log = host.directory / "log-1"
    whole = log.read_bytes()
    rng = random.Random(52)

    def then(length: int) -> tuple[int, int, int]:
        return max(state for state in states if state[0] <= length)[1] if length >= 56 else states[0][1]

    for length in range(0, len(whole) + 1, 3):
        log.write_bytes(whole[:length])
        assert recovered(host.directory) == then(length)
    for _ in range(50):
        start = rng.randrange(56, len(whole) - 8)
        log.write_bytes(whole[:start] + bytes(8) + whole[start + 8 :])
        found = recovered(host.directory)
        differs = next((i for i in range(start, start + 8) if whole[i]), None)
        assert found == (then(differs) if differs is not None else host.state())


def test_two_generations_are_kept_and_the_older_one_is_used_if_the_newest_is_damaged(
    host: Host, owner: Owner
) -> None:
    host.change(1)
    host.checkpoint.compact()
    before = host.state()
    host.change(2)
    host.checkpoint.compact()
    host.change(3)
    files = sorted(path.name for path in host.directory.iterdir())
    assert files == ["base-2.fcs", "base-3.fcs", "log-2", "log-3"]
    base = host.directory / "base-3.fcs"
    base.write_bytes(base.read_bytes()[:-1])
    between = (1, before[1] + 1, total(host.here | {3: record(3)}))
    again = Checkpoint(str(host.directory))
    found = again.recover()
    assert found is not None
    assert found[:3] == between, "the generation before, with all of its log"
    assert owner.load_checkpoint(again, NOW_MS) == 3
    files = sorted(path.name for path in host.directory.iterdir())
    assert files == ["base-2.fcs", "base-3.fcs.damaged", "log-2", "log-3.damaged"]
    again.compact()
    (host.directory / "base-4.fcs").write_bytes(b"")
    (host.directory / "base-2.fcs").write_bytes(b"")
    assert recovered(host.directory) is None
    files = sorted(path.name for path in host.directory.iterdir())
    assert files == ["base-2.fcs.damaged", "log-2.damaged"], "one of the damaged is kept"


def in_child(script: str) -> str:
    """What a Python process says that runs `script` with this module's names."""
    done = subprocess.run(
        [sys.executable, "-c", "from native.test_checkpoint import *\n" + textwrap.dedent(script)],
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_that_cannot_be_written_is_read(host: Host) -> None:
    """In a child that is not root, since root may write whatever the modes say."""
    host.change(1)
    host.path.chmod(0o711)
    log = host.directory / "log-1"
    log.write_bytes(log.read_bytes() + b"a torn tail that cannot be cut off")
    for path in [*host.directory.iterdir(), host.directory]:
        os.chown(path, NOBODY if os.geteuid() == 0 else -1, -1)
        path.chmod(0o500 if path == host.directory else 0o400)
    out = in_child(
        f"""
        os.chdir({str(host.path)!r})
        os.mkdir("child-arena")
        owner = Owner("child-arena", CATALOG, NOW_MS)
        if os.geteuid() == 0:
            os.seteuid({NOBODY})
        checkpoint = Checkpoint("checkpoint")
        state = checkpoint.recover()[:3]
        if os.getuid() == 0:
            os.seteuid(0)  # For the arena, whose disk is another one.
        print(state == {host.state()!r}, owner.load_checkpoint(checkpoint, NOW_MS), owner.digest == state[2])
        if os.geteuid() == 0:
            os.seteuid({NOBODY})
        append, begin = (lambda: checkpoint.append(record(2), 1, 3, 0)), (lambda: checkpoint.begin(9))
        for refused in (append, begin, checkpoint.compact):
            try:
                refused()
            except errors.DirectoryError as error:
                print("refused", "run as the user" in str(error))
        """
    )
    assert out.split("\n")[:4] == ["True 3 True", *["refused True"] * 3]
    for path in [host.directory, *host.directory.iterdir()]:
        path.chmod(0o700)
    assert recovered(host.directory) == host.state()
    assert log.stat().st_size == host.checkpoint.log_bytes


def full_disk(host: Host, most: int, script: str) -> str:
    """What a process says whose files may have at most `most` bytes; `checkpoint` is the host's."""
    before = f"""
        import resource
        checkpoint = Checkpoint({str(host.directory)!r})
        print(checkpoint.recover()[:2])
        resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
    """
    return in_child(textwrap.dedent(before) + textwrap.dedent(script))


def test_a_full_disk_refuses_a_change_and_the_next_one_that_fits_is_taken(host: Host) -> None:
    host.change(1)
    size = host.checkpoint.log_bytes
    out = full_disk(
        host,
        size + 150,
        """
        here = {1: record(1, "free"), 2: record(2), 3: record(3)}
        many = here | {n: record(n) for n in range(10, 40)}
        for _ in range(3):
            try:
                checkpoint.append(b"".join(many.values()), 1, 3, total(many))
            except errors.DirectoryError as error:
                print("refused", "free some space" in str(error))
        here[2] = record(2, "free")
        checkpoint.append(here[2], 1, 3, total(here))
        checkpoint.sync()
        """,
    )
    assert out.split("\n")[1:4] == ["refused True"] * 3
    host.here[2] = record(2, "free")
    assert recovered(host.directory) == (1, 3, total(host.here))


def test_a_full_disk_refuses_a_snapshot_and_a_compaction_and_the_state_stays(host: Host) -> None:
    host.change(1)
    files = sorted(path.name for path in host.directory.iterdir())
    out = full_disk(
        host,
        100,
        f"""
        for _ in range(2):
            try:
                checkpoint.compact()
            except errors.DirectoryError:
                print("no compaction")
        try:
            receive(checkpoint, open({str(host.path / "s.fcs")!r}, "rb").read())
        except errors.DirectoryError:
            print("no transfer")
        try:
            checkpoint.complete(1, 1, 1)
        except errors.Conflict:
            print("dropped")
        writer = SnapshotWriter({str(host.path / "t.fcs")!r}, 1, 1, 0, "catalog.yaml", QUICKSTART)
        try:
            for seed in range(1000):
                writer.add(b"".join(record(seed * 1000 + n + 1) for n in range(1000)))
        except errors.DirectoryError:
            print("no snapshot")
        try:
            writer.finish()
        except errors.Closed:
            print("closed")
        """,
    )
    said = ["no compaction", "no compaction", "no transfer", "dropped", "no snapshot", "closed"]
    assert out.split("\n")[1:7] == said
    assert sorted(path.name for path in host.directory.iterdir()) == files
    assert not list(host.path.glob("t.fcs*"))
    assert recovered(host.directory) == host.state()


def test_killed_while_it_writes_what_was_appended_is_there(host: Host) -> None:
    """A child appends, compacts, receives, and says what it was told is written, until it is killed."""
    program = f"""
        checkpoint = Checkpoint({str(host.directory)!r})
        checkpoint.recover()
        here = customers(3)
        for seq in range(2, 1_000_000):
            number = seq % 50 + 1
            here[number] = record(number, "free" if seq % 3 else "pro")
            if seq % 10 == 0:
                receive(checkpoint, snapshot(Path({str(host.path / "t.fcs")!r}), seq, here))
                checkpoint.complete(1, seq, total(here))
            else:
                checkpoint.append(here[number], 1, seq, total(here))
            print(seq, total(here), flush=True)
            if seq % 7 == 0:
                checkpoint.compact()
    """
    command = [sys.executable, "-c", "from native.test_checkpoint import *\n" + textwrap.dedent(program)]
    rng = random.Random(52)
    for _ in range(4):
        host.here, host.seq = customers(3), 1
        host.full()
        with subprocess.Popen(command, env=CHILD_ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(rng.randrange(20, 150))]
            os.kill(child.pid, signal.SIGKILL)
            said += child.stdout.readlines()
        lines = [line for line in said if line.endswith("\n")]
        told = [(1, *map(int, line.split())) for line in lines]
        found = recovered(host.directory)
        assert found is not None
        # The last one told, or the one after it, written and not yet told.
        assert found == told[-1] or found[1] == told[-1][1] + 1, (found, told[-1])
        checkpoint = Checkpoint(str(host.directory))
        checkpoint.recover()
        receive(checkpoint, snapshot(host.path / "t.fcs", 1, customers(3)))
        host.checkpoint = checkpoint
