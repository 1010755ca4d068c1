"""Snapshots as files: when they are made, who reads them, when they go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastcheck.hub.stream import snapshot_files as spools
from fastcheck.hub.stream.ring import CatalogText, Ring
from fastcheck.hub.stream.snapshot_files import File, Spool
from rig.stream_ledger import EPOCH, NOW_MS, LoggedChange, MemoryLedger, PlainWriter, record


class Rig:
    """A spool over a ledger in memory whose changes come into the ring by hand."""

    def __init__(self, directory: Path) -> None:
        self.ledger = MemoryLedger()
        self.ledger.put_catalog()
        self.ring = Ring()
        self.ring.begin(EPOCH, 1, 0, CatalogText("catalog.yaml", b"catalog: 1"))
        self.ring.log_first = 0
        self.executor = ThreadPoolExecutor(1)
        self.directory = directory / "spool"
        self.spool = Spool(self.directory, self.ledger, self.ring, self.executor, PlainWriter, lambda: NOW_MS)

    def put(self, size: int = 0) -> None:
        self.ledger.put(record(1, size=size))
        change = self.ledger.log[-1]
        assert isinstance(change, LoggedChange)
        self.ring.append(change)

    async def open(self) -> File | None:
        opened: asyncio.Future[File | None] = asyncio.get_running_loop().create_future()
        self.spool.open(lambda file, why_not: opened.set_result(file))
        return await asyncio.wait_for(opened, 10)

    @property
    def files(self) -> list[str]:
        return sorted(one.name for one in self.directory.iterdir())


def run(directory: Path, scenario: Callable[[Rig], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        rig = Rig(directory)
        task = asyncio.ensure_future(rig.spool.run())
        try:
            await scenario(rig)
            assert not task.done()
        finally:
            task.cancel()
            rig.executor.shutdown()
            rig.spool.close()

    asyncio.run(all_of_it())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen in time")


def test_what_an_earlier_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1.fcs").write_bytes(b"old")
    (tmp_path / "spool" / "2.fcs.new").write_bytes(b"half")

    async def scenario(rig: Rig) -> None:
        assert rig.files == []
        assert (tmp_path / "spool").stat().st_mode & 0o777 in (0o700, 0o755)

    run(tmp_path, scenario)


def test_the_first_who_asks_has_it_made_and_all_share_one_file(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        first, second, third = await asyncio.gather(rig.open(), rig.open(), rig.open())
        assert first is second is third
        assert first is not None
        assert (first.readers, first.info.seq, first.etag) == (3, 1, f'"{EPOCH}-1"')
        assert first.read(0, 5) == f"{EPOCH} 1 0"[:5].encode()
        assert rig.files == [first.path.name]
        for _ in range(3):
            rig.spool.give_back(first)
        assert rig.files == [first.path.name]  # It is the newest.

    run(tmp_path, scenario)


def test_a_snapshot_that_is_outgrown_is_made_anew_and_the_old_one_stays_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "OUTGROWN_BYTES_MIN", 10_000)
    monkeypatch.setattr(spools, "PAUSE_PER_BUILD", 0.0)

    async def scenario(rig: Rig) -> None:
        old = await rig.open()
        assert old is not None
        rig.put()
        rig.spool.wake()
        await asyncio.sleep(0)
        assert rig.spool.newest is old
        rig.put(size=20_000)
        rig.spool.wake()
        await until(lambda: rig.spool.newest is not old)
        newest = rig.spool.newest
        assert newest is not None
        assert newest.info.seq == rig.ledger.seq
        assert len(rig.files) == 2
        assert old.read(0, 2) == b"77"
        rig.spool.give_back(old)
        assert rig.files == [newest.path.name]

    run(tmp_path, scenario)


def test_a_snapshot_from_which_the_log_does_not_go_on_is_not_given_out(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        old = await rig.open()
        assert old is not None
        rig.put()
        rig.put()
        rig.ring.log_first = 3
        new = await rig.open()
        assert new is not None
        assert new.info.seq == 3
        rig.spool.give_back(old)
        rig.spool.give_back(new)

    run(tmp_path, scenario)


def test_a_snapshot_of_another_epoch_is_not_given_out(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        old = await rig.open()
        assert old is not None
        rig.ledger.new_epoch()
        rig.ring.begin(rig.ledger.epoch, rig.ledger.seq, 0, CatalogText("c", b"c"))
        assert rig.spool.newest is None
        new = await rig.open()
        assert new is not None
        assert new.info.epoch == EPOCH + 1
        rig.spool.give_back(new)
        rig.spool.give_back(old)
        assert len(rig.files) == 1

    run(tmp_path, scenario)


def test_what_fell_off_the_ring_or_grew_old_makes_a_snapshot_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(rig: Rig) -> None:
        file = await rig.open()
        assert file is not None
        rig.spool.give_back(file)
        later = file.made_at_s + spools.AGE_S_MAX
        assert not rig.spool._due(later + 1)  # Nothing came after it.
        rig.put()
        assert not rig.spool._due(later - 1)
        assert rig.spool._due(later + 1)
        rig.ring._drop()
        assert rig.spool._due(later - 1)

    monkeypatch.setattr(spools, "LOOK_S", 3_600.0)
    run(tmp_path, scenario)


def test_a_build_that_fails_leaves_the_last_one_and_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "OUTGROWN_BYTES_MIN", 10)
    monkeypatch.setattr(spools, "PAUSE_PER_BUILD", 0.0)

    async def scenario(rig: Rig) -> None:
        file = await rig.open()
        assert file is not None

        def full(self: PlainWriter) -> tuple[int, int]:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(PlainWriter, "finish", full)
        rig.put(size=10_000)
        rig.spool.wake()
        await until(lambda: rig.spool.failed != "")
        assert "No space" in rig.spool.failed
        assert rig.spool.newest is file
        assert rig.files == [file.path.name]
        again = await rig.open()
        assert again is file
        monkeypatch.undo()
        rig.spool._next_build_s = 0.0
        rig.ring.log_first = rig.ring.seq
        new = await rig.open()
        assert new is not None
        assert new is not file
        assert rig.spool.failed == ""

    run(tmp_path, scenario)


def test_nothing_new_is_made_while_too_many_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "FILES_MAX", 1)

    async def scenario(rig: Rig) -> None:
        assert await rig.open() is not None
        rig.put(size=3_000_000)
        assert not rig.spool._due(10**9)

    run(tmp_path, scenario)


def test_who_waits_when_the_hub_ends_is_told(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        told: list[str] = []
        rig.spool.open(lambda file, why_not: told.append(why_not))
        rig.spool.close()
        assert told == ["the hub is being stopped"]

    run(tmp_path, scenario)
