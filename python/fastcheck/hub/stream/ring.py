"""The last changes as messages, ready for every socket. A connection is a cursor into it.

- A change is encoded once: its `records` or `catalog` frames and its `commit`.
- `after` gives what follows a cursor as bytes that a transport can write as they are, WebSocket header
  included. Runs of small changes are joined into one message; those that several connections ask for are
  kept.
- The ring is bounded in bytes and in changes: the oldest fall off. A cursor below `first` is served from the
  change log in the database, down to `log_first`; below that, by a full transfer.

Every number here is of one epoch. `begin` starts anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgpack

from fastcheck.errors import LedgerError, ProtocolError
from fastcheck.hub.stream.websocket import binary
from fastcheck.wire.frames import PIECE_BYTES_MAX, RECORDS_BYTES_MAX, CatalogPart, Commit, Records, encode
from fastcheck.wire.packing import unpack

RING_BYTES_MAX: Final = 64 << 20
"""Bytes of the changes that are kept: a host that was away for some seconds finds them here."""
RING_CHANGES_MAX: Final = 65_536
"""Changes that are kept: what one costs beside its bytes is bounded too."""
RUN_BYTES_MAX: Final = 256 << 10
"""Bytes of small changes in one message. A transport that takes no more holds one run, beside its buffer."""
RUNS_KEPT: Final = 16
"""Joined runs that are kept: hosts are at few different places at once, or each is slow in its own way."""
CATALOG: Final = "catalog"
"""The kind of a change whose body is a catalog."""


class LoggedChange(Protocol):
    """A row of the change log."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def kind(self) -> str:
        """`records` or `catalog`."""
        ...

    @property
    def body(self) -> bytes:
        """Customer records one after the other; or a catalog, `wire.pack([filename, source])`."""
        ...

    @property
    def digest(self) -> int:
        """Of all records after the change."""
        ...


class CatalogText(NamedTuple):
    """A catalog as it was put in force."""

    filename: str
    source: bytes


class Run(NamedTuple):
    """What follows a cursor, and where that leads."""

    data: bytes
    """Ready for a socket."""
    seq: int
    digest: int
    """After `seq`."""


class _Entry(NamedTuple):
    parts: tuple[bytes, ...]
    """Payloads of messages, all but rarely one; the commit ends the last."""
    size: int
    digest: int
    end: int
    """Bytes ever appended to the ring, up to this change."""


def messages_of(epoch: int, change: LoggedChange) -> tuple[bytes, ...]:
    """The payloads of the messages of a change, with its commit at the end. Raises `ProtocolError` for a body
    that is not as the log's are."""
    commit = encode(Commit(epoch, change.seq, change.digest, change.at))
    if change.kind == CATALOG:
        frames = catalog_frames(catalog_of(change.body))
    else:
        frames = [encode(Records(part)) for part in _portions(change.body)]
    if not frames:
        return (commit,)
    return (*frames[:-1], frames[-1] + commit)


def catalog_of(body: bytes) -> CatalogText:
    """The catalog of a change. Raises `ProtocolError`."""
    value = unpack(body)
    match value:
        case (str(filename), bytes(source)):
            return CatalogText(filename, source)
    raise ProtocolError("a change of the log holds no catalog where one is expected: restore the ledger")


def catalog_frames(catalog: CatalogText) -> list[bytes]:
    """The catalog in parts, each an encoded frame."""
    filename, source = catalog
    return [
        encode(CatalogPart(filename, len(source), offset, source[offset : offset + PIECE_BYTES_MAX]))
        for offset in range(0, len(source), PIECE_BYTES_MAX)
    ]


def _portions(records: bytes) -> Iterator[bytes]:
    """Records in portions that a frame can hold, each record whole."""
    if len(records) <= RECORDS_BYTES_MAX:
        if records:
            yield records
        return
    unpacker = msgpack.Unpacker(max_buffer_size=len(records))
    unpacker.feed(records)
    begin = end = 0
    while end < len(records):
        try:
            unpacker.skip()
        except (ValueError, msgpack.UnpackException) as error:
            raise ProtocolError(f"a change of the log ends inside a record ({error})") from error
        after = unpacker.tell()
        if after - begin > RECORDS_BYTES_MAX and end > begin:
            yield records[begin:end]
            begin = end
        end = after
    yield records[begin:]


def joined(changes: Iterable[Sequence[bytes]]) -> bytes:
    """Changes as messages ready for a socket. Those of one part share messages of about `RUN_BYTES_MAX`."""
    ready: list[bytes] = []
    together: list[bytes] = []
    size = 0
    for parts in changes:
        if len(parts) > 1 or size + len(parts[0]) > RUN_BYTES_MAX:
            if together:
                ready.append(binary(together))
                together, size = [], 0
            if len(parts) > 1:
                ready.extend(binary((part,)) for part in parts)
                continue
        together.append(parts[0])
        size += len(parts[0])
    if together:
        ready.append(binary(together))
    return ready[0] if len(ready) == 1 else b"".join(ready)


class Ring:
    """The last changes of the epoch. One thread uses it."""

    __slots__ = (
        "_base_digest", "_base_end", "_bytes_max", "_catalog", "_catalog_frames", "_changes_max", "_end",
        "_entries", "_runs", "bytes", "digest", "epoch", "first", "log_first", "seq",
    )  # fmt: skip

    def __init__(self, *, bytes_max: int = RING_BYTES_MAX, changes_max: int = RING_CHANGES_MAX) -> None:
        self._bytes_max = bytes_max
        self._changes_max = changes_max
        self.epoch = 0
        """0: nothing is known yet."""
        self.begin(0, 0, 0, None)

    def begin(self, epoch: int, seq: int, digest: int, catalog: CatalogText | None) -> None:
        """Starts anew at a position of the ledger."""
        self.epoch = epoch
        self.seq = self.first = seq
        """`seq`: of the last change. `first`: the lowest cursor that is served from here."""
        self.digest = self._base_digest = digest
        self.log_first = seq
        """The lowest cursor that the log in the database serves; whoever reads the log keeps it."""
        self.bytes = 0
        """Of the changes that are kept."""
        self._end = self._base_end = 0  # Bytes ever appended: up to the last change, up to `first`.
        self._entries: dict[int, _Entry] = {}
        self._runs: dict[int, Run] = {}
        self.catalog = catalog

    @property
    def catalog(self) -> CatalogText | None:
        """The catalog in force at `seq`; None where there is none yet."""
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: CatalogText | None) -> None:
        self._catalog = catalog
        self._catalog_frames: list[bytes] | None = None

    def catalog_frames(self) -> list[bytes]:
        """The catalog in force as frames, encoded once."""
        if self._catalog_frames is None:
            self._catalog_frames = [] if self._catalog is None else catalog_frames(self._catalog)
        return self._catalog_frames

    def append(self, change: LoggedChange) -> None:
        """The next change. Raises `LedgerError` where it is not the next, `ProtocolError` where its body is
        not as the log's are; the ring is as before then."""
        if change.seq != self.seq + 1:
            raise LedgerError(
                f"the change log goes from {self.seq} to {change.seq}: changes in between are missing"
            )
        parts = messages_of(self.epoch, change)
        size = sum(map(len, parts))
        if change.kind == CATALOG:
            self.catalog = catalog_of(change.body)
        self._end += size
        self._entries[change.seq] = _Entry(parts, size, change.digest, self._end)
        # A run that ended at the last change could be longer now.
        self._runs = {begin: run for begin, run in self._runs.items() if run.seq != self.seq}
        self.seq, self.digest = change.seq, change.digest
        self.bytes += size
        while self._entries and (self.bytes > self._bytes_max or len(self._entries) > self._changes_max):
            self._drop()

    def _drop(self) -> None:
        oldest = self._entries.pop(self.first + 1)
        self._runs.pop(self.first, None)
        self.first += 1
        self.bytes -= oldest.size
        self._base_digest, self._base_end = oldest.digest, oldest.end

    def after(self, seq: int) -> Run | None:
        """What follows the cursor `seq`, which lies below the last change: one change at least, at most
        about `RUN_BYTES_MAX` of small ones. None where it has fallen off the ring."""
        if seq < self.first:
            return None
        run = self._runs.get(seq)
        if run is None:
            run = self._join(seq)
            if len(self._runs) >= RUNS_KEPT:
                del self._runs[next(iter(self._runs))]
            self._runs[seq] = run
        return run

    def _join(self, seq: int) -> Run:
        end, size = seq + 1, self._entries[seq + 1].size
        while end < self.seq and size + self._entries[end + 1].size <= RUN_BYTES_MAX:
            end += 1
            size += self._entries[end].size
        data = joined(self._entries[number].parts for number in range(seq + 1, end + 1))
        return Run(data, end, self._entries[end].digest)

    def digest_at(self, seq: int) -> int | None:
        """The digest after a change; None where that is not known here any more."""
        if seq == self.first:
            return self._base_digest
        entry = self._entries.get(seq)
        return None if entry is None else entry.digest

    def bytes_since(self, seq: int) -> int | None:
        """Bytes of the changes after `seq`; None where they are not all here."""
        if seq < self.first:
            return None
        if seq == self.first:
            return self._end - self._base_end
        entry = self._entries.get(seq)
        return 0 if entry is None else self._end - entry.end
