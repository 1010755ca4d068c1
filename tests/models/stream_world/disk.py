"""A host's disk: its arena and its checkpoint, which outlive its processes, and the two native classes over
them. Every call on them is a step at which the process may be killed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastcheck._fastcheck import digest
from fastcheck.errors import CatalogError, RecordError
from fastcheck.host.following.natives import Natives
from fastcheck.host.following.records import split


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class Rows:
    """What the arena's rows say."""

    epoch: int
    seq: int
    digest: int
    customers: dict[int, bytes]
    catalog: str
    on_demand: bool


@dataclass
class Stored:
    """A checkpoint's content as of one commit."""

    epoch: int
    seq: int
    digest: int
    customers: dict[int, bytes]
    source: bytes
    filename: str


@dataclass
class Disk:
    """What is left when every process is gone."""

    rows: Rows | None = None
    stored: list[Stored] = field(default_factory=list)
    """States the checkpoint went through, the last is the newest."""
    synced: int = 0
    """How many of them a power failure leaves."""
    same_boot: bool = True
    countdown: int | None = None
    """Native calls until the process is killed."""
    kills: int = 0

    def step(self) -> None:
        """A point at which the process may be killed."""
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown <= 0:
                self.countdown = None
                self.kills += 1
                raise Killed

    def power_failure(self) -> None:
        """The arena is of an earlier boot, the checkpoint as it was synced last."""
        del self.stored[self.synced :]
        self.same_boot = False

    def natives(self) -> Natives:
        """For a replica of this host."""

        def owner(directory: str, catalog: Any, now_ms: int, capacity: int | None) -> FakeOwner:
            return FakeOwner(self, catalog, capacity)

        return Natives(
            parse, owner, lambda directory: FakeCheckpoint(self), lambda directory: self.same_boot or None
        )


@dataclass(frozen=True)
class FakeCatalog:
    """A catalog whose text is its digest."""

    digest: str

    def document(self) -> dict[str, Any]:
        """Nothing is asked of it."""
        return {"features": {}}


def parse(source: bytes, filename: str) -> FakeCatalog:
    """A catalog of the world."""
    if not source.startswith(b"catalog "):
        raise CatalogError([f"{filename}: no catalog of this world"])
    return FakeCatalog(source.decode())


def summed(customers: dict[int, bytes]) -> int:
    """The digest of customers."""
    return sum(digest(one)[0] for one in customers.values()) % (1 << 64)


class FakeOwner:
    """The interface of the native `Owner`, over a disk."""

    def __init__(self, disk: Disk, catalog: FakeCatalog, capacity: int | None) -> None:
        disk.step()
        self._disk, self._catalog, self._capacity = disk, catalog, capacity
        rows = disk.rows
        self.adopted = (
            rows is not None
            and disk.same_boot
            and rows.catalog == catalog.digest
            and rows.on_demand is (capacity is not None)
        )
        self._rows = rows if self.adopted else None
        disk.same_boot = True
        self.detached = False
        self.arena = 7

    @property
    def epoch(self) -> int:
        return 0 if self._rows is None else self._rows.epoch

    @property
    def seq(self) -> int:
        return 0 if self._rows is None else self._rows.seq

    @property
    def digest(self) -> int:
        return 0 if self._rows is None else self._rows.digest

    @property
    def customers(self) -> int:
        return 0 if self._rows is None else len(self._rows.customers)

    def _publish(self, epoch: int, seq: int, customers: dict[int, bytes]) -> None:
        rows = Rows(
            epoch, seq, summed(customers), customers, self._catalog.digest, self._capacity is not None
        )
        self._rows = self._disk.rows = rows

    def load(self, records: Iterable[bytes], seq: int, now_ms: int, *, epoch: int) -> int:
        self._disk.step()
        customers: dict[int, bytes] = {}
        _apply(customers, b"".join(records))
        self._publish(epoch, seq, customers)
        self._disk.step()
        return len(customers)

    def put(self, records: bytes, seq: int, now_ms: int, *, epoch: int) -> int:
        assert self._rows is not None
        self._disk.step()
        customers = dict(self._rows.customers)
        count = _apply(customers, records)
        self._publish(epoch, seq, customers)
        self._disk.step()
        return count

    def load_checkpoint(self, checkpoint: FakeCheckpoint, now_ms: int) -> int:
        self._disk.step()
        stored = self._disk.stored[-1]
        self._publish(stored.epoch, stored.seq, dict(stored.customers))
        return len(stored.customers)

    def load_received(self, checkpoint: FakeCheckpoint, now_ms: int) -> int:
        self._disk.step()
        stored = checkpoint.received_whole()
        self._publish(stored.epoch, stored.seq, dict(stored.customers))
        self._disk.step()
        return len(stored.customers)

    def put_held(self, records: bytes, seq: int, now_ms: int, *, epoch: int) -> tuple[list[int], list[str]]:
        assert self._rows is not None
        self._disk.step()
        customers = dict(self._rows.customers)
        named = _named(records)
        for one in named:
            if one.number in customers:
                if one.deleted:
                    del customers[one.number]
                else:
                    customers[one.number] = one.data
        self._publish(epoch, seq, customers)
        self._disk.step()
        return [one.number for one in named], [key for one in named for key in one.keys]

    def put_found(self, records: bytes, now_ms: int) -> int:
        assert self._rows is not None
        self._disk.step()
        customers = dict(self._rows.customers)
        count = _apply(customers, records)
        self._publish(self._rows.epoch, self._rows.seq, customers)
        return count

    def evict(self, target: int) -> int:
        assert self._rows is not None
        customers = dict(sorted(self._rows.customers.items())[:target])
        gone = len(self._rows.customers) - len(customers)
        self._publish(self._rows.epoch, self._rows.seq, customers)
        return gone

    def held(self) -> int:
        return self.customers

    def held_keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        rows = self._rows
        numbers = sorted(number for number in (rows.customers if rows else ()) if number > after)
        return [(number, f"c{number}") for number in numbers[:limit]]

    def link(self, connected: bool) -> None: ...

    def fresh(self, as_of_ms: int) -> None: ...

    def retire(self) -> object:
        return None

    def close(self) -> None: ...


class FakeCheckpoint:
    """The interface of the native `Checkpoint`, over a disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._received: bytearray | None = None
        self._catalog: tuple[bytes, str] | None = None
        self.log_bytes = self.base_bytes = 0

    def recover(self) -> tuple[int, int, int, bytes, str] | None:
        self._disk.step()
        if not self._disk.stored:
            return None
        one = self._disk.stored[-1]
        return one.epoch, one.seq, one.digest, one.source, one.filename

    def begin(self, file_bytes: int) -> None:
        self._disk.step()
        self._received = bytearray()

    def piece(self, offset: int, data: bytes) -> None:
        assert self._received is not None
        assert offset == len(self._received)
        self._received += data

    def received_whole(self) -> Stored:
        assert self._received is not None
        found: Stored = pickle.loads(bytes(self._received))
        return found

    def received_catalog(self) -> tuple[bytes, str]:
        one = self.received_whole()
        return one.source, one.filename

    def complete(self, epoch: int, seq: int, digest: int) -> None:
        self._disk.step()
        one = self.received_whole()
        assert (one.epoch, one.seq, one.digest) == (epoch, seq, digest)
        self._disk.stored.append(one)
        self._disk.synced = len(self._disk.stored)
        self._received = None
        self._disk.step()

    def abandon(self) -> None:
        self._received = None

    def append_catalog(self, source: bytes, filename: str) -> None:
        self._catalog = source, filename

    def append(self, records: bytes, epoch: int, seq: int, digest: int) -> None:
        self._disk.step()
        last = self._disk.stored[-1]
        customers = dict(last.customers)
        _apply(customers, records)
        source, filename = self._catalog or (last.source, last.filename)
        self._catalog = None
        self._disk.stored.append(Stored(epoch, seq, digest, customers, source, filename))
        self._disk.step()

    def sync(self) -> None:
        self._disk.step()
        self._disk.synced = len(self._disk.stored)

    def compact(self) -> None: ...


def _named(records: bytes) -> list[Any]:
    try:
        return list(split(records))
    except Exception as error:
        raise RecordError(f"no records: {error}") from error


def _apply(customers: dict[int, bytes], records: bytes) -> int:
    named = _named(records)
    for one in named:
        if one.deleted:
            customers.pop(one.number, None)
        else:
            customers[one.number] = one.data
    return len(named)


Wrong = Callable[[str], None]
