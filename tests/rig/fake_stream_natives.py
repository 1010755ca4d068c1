"""The native parts of a host that follows a hub, in plain Python. What is in `Disk` outlives every process,
as files do; after `steps_left` steps that touch it a process is killed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastcheck._fastcheck import digest
from fastcheck.errors import ArenaError, Conflict, DirectoryError, RecordError
from fastcheck.host.following.natives import Natives
from fastcheck.host.following.records import split
from rig.fake_catalog import FakeCatalog, parse


class Killed(BaseException):
    """The process is gone at this step."""


@dataclass
class Disk:
    """The files of one directory, and whether they are of this boot."""

    rows: dict[int, bytes] = field(default_factory=dict)
    epoch: int = 0
    seq: int = 0
    catalog: str = ""
    """Digest of the catalog that the rows were made with; empty: no rows."""
    base: tuple[tuple[int, int, int], tuple[bytes, str], dict[int, bytes]] | None = None
    log: list[tuple[tuple[int, int, int], bytes, tuple[bytes, str] | None]] = field(default_factory=list)
    synced: int = 0
    same_boot: bool = True
    deleted: bool = False
    full: bool = False
    """Whether nothing can be written to the checkpoint."""
    steps_left: int | None = None
    """Steps until the process is killed; None: never."""
    link: bool = False
    fresh: list[int] = field(default_factory=list)
    loads: int = 0
    """How often all rows were replaced."""

    def step(self) -> None:
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise Killed
            self.steps_left -= 1

    def stored(self) -> tuple[tuple[int, int, int], tuple[bytes, str], dict[int, bytes]] | None:
        """What the checkpoint comes to."""
        if self.base is None:
            return None
        at, catalog, rows = self.base
        rows = dict(rows)
        for place, records, changed in self.log:
            at, catalog = place, changed or catalog
            _apply(rows, records)
        return at, catalog, rows


def _apply(rows: dict[int, bytes], records: bytes) -> int:
    count = 0
    for named in split(records):
        count += 1
        if named.deleted:
            rows.pop(named.number, None)
        else:
            rows[named.number] = named.data
    return count


def total(rows: dict[int, bytes]) -> int:
    """The digest of rows."""
    return sum(digest(one)[0] for one in rows.values()) % (1 << 64)


def snapshot(at: tuple[int, int, int], catalog: bytes, rows: dict[int, bytes]) -> bytes:
    """A snapshot's file, of this fake."""
    return repr((at, (catalog, "c.json"), rows)).encode()


class FakeCheckpoint:
    """The interface of the native `Checkpoint`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._size = 0
        self._received = b""
        self._pending: tuple[bytes, str] | None = None
        self.abandoned = 0
        self.compactions = 0

    @property
    def log_bytes(self) -> int:
        return sum(len(records) for _, records, _ in self._disk.log)

    @property
    def base_bytes(self) -> int:
        return 0

    def _write(self) -> None:
        self._disk.step()
        if self._disk.full:
            raise DirectoryError("checkpoint", "no space left", "make room")

    def recover(self) -> tuple[int, int, int, bytes, str] | None:
        stored = self._disk.stored()
        return None if stored is None else (*stored[0], *stored[1])

    def begin(self, file_bytes: int) -> None:
        self._write()
        self._size, self._received = file_bytes, b""

    def piece(self, offset: int, data: bytes) -> None:
        self._write()
        assert offset == len(self._received)
        self._received += data

    def received(self) -> Any:
        if len(self._received) != self._size:
            raise Conflict("not every byte is there")
        try:
            return eval(self._received.decode())
        except (ValueError, SyntaxError) as error:
            raise ArenaError("no snapshot") from error

    def received_catalog(self) -> tuple[bytes, str]:
        source, filename = self.received()[1]
        return source, filename

    def complete(self, epoch: int, seq: int, digest: int) -> None:
        self._write()
        received = self.received()
        assert received[0] == (epoch, seq, digest)
        self._disk.base, self._disk.log = received, []

    def abandon(self) -> None:
        self.abandoned += 1
        self._received = b""

    def append(self, records: bytes, epoch: int, seq: int, digest: int) -> None:
        self._write()
        stored = self._disk.stored()
        assert stored is not None
        at = stored[0]
        if at[0] == epoch and seq <= at[1]:
            return
        if (epoch, seq) != (at[0], at[1] + 1):
            raise Conflict(f"change {seq} does not follow {at}")
        self._disk.log.append(((epoch, seq, digest), records, self._pending))
        self._pending = None

    def append_catalog(self, source: bytes, filename: str) -> None:
        self._pending = source, filename

    def sync(self) -> None:
        self._write()
        self._disk.synced = len(self._disk.log)

    def compact(self) -> None:
        self._write()
        self.compactions += 1
        self._disk.base, self._disk.log = self._disk.stored(), []


class FakeOwner:
    """The interface of the native `Owner`, of a host that follows a hub."""

    def __init__(self, disk: Disk, catalog: FakeCatalog, on_demand: int | None) -> None:
        self._disk = disk
        self._catalog = catalog
        self.on_demand = on_demand
        self.adopted = disk.same_boot and disk.catalog == catalog.digest
        self.evictions = 0
        self.closed = False
        if not self.adopted:
            self._loaded = False
        else:
            self._loaded = True
        disk.same_boot = True

    epoch = property(lambda self: self._disk.epoch if self._loaded else 0)
    seq = property(lambda self: self._disk.seq if self._loaded else 0)
    arena = 42
    detached = property(lambda self: self._disk.deleted)

    @property
    def digest(self) -> int:
        return total(self._disk.rows) if self._loaded else 0

    @property
    def customers(self) -> int:
        return len(self._disk.rows)

    def _check(self, records: Iterable[bytes]) -> None:
        for chunk in records:
            for named in split(chunk):
                problem = None if named.deleted else self._catalog.customer_error(named.data)
                if problem is not None:
                    raise RecordError(problem)

    def load(self, records: Iterable[bytes], seq: int, now_ms: int, *, epoch: int = 1) -> int:
        rows: dict[int, bytes] = {}
        chunks = list(records)
        self._check(chunks)
        for chunk in chunks:
            _apply(rows, chunk)
        return self._install(rows, epoch, seq)

    def _install(self, rows: dict[int, bytes], epoch: int, seq: int) -> int:
        self._disk.step()
        self._disk.rows, self._disk.epoch, self._disk.seq = dict(rows), epoch, seq
        self._disk.catalog = self._catalog.digest
        self._disk.loads += 1
        self._disk.deleted = False
        self._loaded = True
        return len(rows)

    def put(self, records: bytes, seq: int, now_ms: int, *, epoch: int = 1) -> int:
        assert self._loaded, "no rows are loaded"
        self._check([records])
        for named in split(records):
            self._disk.step()  # Each customer's row by itself, the number last.
            _apply(self._disk.rows, named.data)
        self._disk.step()
        self._disk.epoch, self._disk.seq = epoch, seq
        return sum(1 for _ in split(records))

    def load_checkpoint(self, checkpoint: Any, now_ms: int) -> int:
        stored = self._disk.stored()
        if stored is None:
            raise Conflict("the checkpoint has nothing")
        return self._verified(stored[0], stored[2])

    def load_received(self, checkpoint: Any, now_ms: int) -> int:
        at, _, rows = checkpoint.received()
        return self._verified(at, rows)

    def _verified(self, at: tuple[int, int, int], rows: dict[int, bytes]) -> int:
        self._check(rows.values())
        if total(rows) != at[2]:
            raise ArenaError("records do not sum up")
        return self._install(rows, at[0], at[1])

    def put_held(self, records: bytes, seq: int, now_ms: int, *, epoch: int) -> tuple[list[int], list[str]]:
        named = list(split(records))
        held = b"".join(one.data for one in named if one.number in self._disk.rows)
        self.put(held, seq, now_ms, epoch=epoch)
        return [one.number for one in named], [key for one in named for key in one.keys]

    def put_found(self, records: bytes, now_ms: int) -> int:
        self._check([records])
        self._disk.step()
        return _apply(self._disk.rows, records)

    def evict(self, target: int) -> int:
        self.evictions += 1
        gone = sorted(self._disk.rows)[: max(0, len(self._disk.rows) - target)]
        for number in gone:
            del self._disk.rows[number]
        return len(gone)

    def held(self) -> int:
        return len(self._disk.rows)

    def held_keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        named = [next(split(data)) for _, data in sorted(self._disk.rows.items())]
        return [(one.number, one.keys[0]) for one in named if one.number > after][:limit]

    def link(self, connected: bool) -> None:
        self._disk.link = connected

    def fresh(self, as_of_ms: int) -> None:
        self._disk.fresh.append(as_of_ms)

    def retire(self) -> list[object]:
        return []

    def close(self) -> None:
        self.closed = True


def natives(disk: Disk) -> Natives:
    """The native module, over a disk."""
    return Natives(
        parse=parse,
        owner=lambda directory, catalog, now_ms, on_demand: FakeOwner(disk, catalog, on_demand),
        checkpoint=lambda directory: FakeCheckpoint(disk),
        arena_boot=lambda directory: True if disk.catalog and disk.same_boot else None,
    )
