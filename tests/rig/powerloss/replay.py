"""From the shim's log to a directory as it might be found after a power loss.

What is assumed of the disk and its file system:

- What a file was given before an `fsync` or `fdatasync` of it is there, and so is the name under which
  the file was made (as on ext4 and XFS).
- Renames, removals and further names are there after an `fsync` of the directory.
- Of everything else each part may be there or not, in any order: `Survivor` says how it is cut into parts.
- A part that is not there shows what was there before: the older bytes, or zeros behind the old end.
- A sector of 512 bytes is old or new, never a mixture."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

HEAD = struct.Struct("<IIQQQ")
PAGE_BYTES = 4_096
SECTOR_BYTES = 512


class Kind(enum.IntEnum):
    """What a record is about; the numbers are the shim's."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_DIRECTORY = 5
    RENAME = 6
    UNLINK = 7
    LINK = 8
    MARK = 9


class Survivor(enum.Enum):
    """What is left of the parts that were not synced."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    WRITES = "a random half of the calls"
    PAGES = "a random half of the pages"
    TORN = "everything, but a random half of the sectors of the last write"


@dataclass(frozen=True)
class Record:
    """One call that succeeded, or a mark."""

    kind: Kind
    inode: int
    offset: int
    """Of a write; the new length of a truncation."""
    data: bytes
    """What was written, names ("from/to" of two), or the mark."""


def read_log(path: Path) -> list[Record]:
    """Every record. Raises `ValueError` for a log that ends within one."""
    raw, at, found = path.read_bytes(), 0, []
    while at < len(raw):
        kind, _, inode, offset, length = HEAD.unpack_from(raw, at)
        at += HEAD.size
        if at + length > len(raw):
            raise ValueError("the log ends within a record")
        found.append(Record(Kind(kind), inode, offset, raw[at : at + length]))
        at += length
    return found


@dataclass(eq=False)
class File:
    """A file on the disk."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Record] = field(default_factory=list)
    """Writes and truncations since the last sync."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A change of the directory."""

    record: Record
    file: File

    def apply(self, names: dict[str, File]) -> None:
        """A removal takes away only the file it was about: another may have that name by now."""
        first, _, second = self.record.data.decode().partition("/")
        if self.record.kind in (Kind.UNLINK, Kind.RENAME) and names.get(first) is self.file:
            del names[first]
        if self.record.kind is not Kind.UNLINK:
            names[second or first] = self.file


class Disk:
    """The directory after some records."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._files: dict[int, File] = {}
        self._durable: dict[str, File] = {}
        self._pending: list[Entry] = []
        self._last: Record | None = None  # the last write of all
        for record in records:
            self._take(record)

    @property
    def pending(self) -> int:
        """How many calls a power loss may undo."""
        return len(self._pending) + sum(len(file.pending) for file in self._reachable())

    def _take(self, record: Record) -> None:
        if record.kind is Kind.CREATE:
            self._files[record.inode] = File()  # the number may have been another file's before
        if record.kind is Kind.SYNC_DIRECTORY:
            for entry in self._pending:
                entry.apply(self._durable)
            self._pending.clear()
        elif record.kind in (Kind.CREATE, Kind.RENAME, Kind.UNLINK, Kind.LINK):
            self._pending.append(Entry(record, self._files[record.inode]))
        elif record.kind in (Kind.WRITE, Kind.TRUNCATE):
            self._files[record.inode].pending.append(record)
            self._last = record
        elif record.kind is Kind.SYNC:
            self._sync(self._files[record.inode])

    def _sync(self, file: File) -> None:
        for record in file.pending:
            _apply(file.durable, record)
        file.pending.clear()
        for entry in [one for one in self._pending if one.file is file and one.record.kind is Kind.CREATE]:
            entry.apply(self._durable)
            self._pending.remove(entry)

    def _reachable(self) -> list[File]:
        files = [*self._durable.values(), *(entry.file for entry in self._pending)]
        return list(dict.fromkeys(files))

    def found(self, survivor: Survivor, random: Random) -> dict[str, bytes]:
        """name -> content, after the power came back."""
        names = dict(self._durable)
        for entry in self._pending:
            if _kept(survivor, random):
                entry.apply(names)
        return {name: bytes(_content(file, survivor, random, self._last)) for name, file in names.items()}


def _kept(survivor: Survivor, random: Random) -> bool:
    if survivor in (Survivor.WRITES, Survivor.PAGES):
        return random.random() < 0.5
    return survivor is not Survivor.NOTHING


def _content(file: File, survivor: Survivor, random: Random, last: Record | None) -> bytearray:
    content = bytearray(file.durable)
    for record in file.pending:
        if survivor is Survivor.PAGES and record.kind is Kind.WRITE:
            parts = pieces(record, PAGE_BYTES)
        elif survivor is Survivor.TORN and record is last and record.kind is Kind.WRITE:
            parts = pieces(record, SECTOR_BYTES)
            parts = [part for part in parts if random.random() < 0.5]
        else:
            parts = [record]
        for part in parts:
            if _kept(survivor, random):
                _apply(content, part)
    return content


def pieces(record: Record, size: int) -> list[Record]:
    """A write cut where the file's blocks of that size end."""
    found, at, end = [], record.offset, record.offset + len(record.data)
    while at < end:
        stop = min(end, at - at % size + size)
        data = record.data[at - record.offset : stop - record.offset]
        found.append(Record(record.kind, record.inode, at, data))
        at = stop
    return found


def _apply(content: bytearray, record: Record) -> None:
    if record.kind is Kind.TRUNCATE:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
        return
    content.extend(bytes(max(0, record.offset - len(content))))
    content[record.offset : record.offset + len(record.data)] = record.data


def write_directory(found: dict[str, bytes], directory: Path) -> None:
    """Makes the directory."""
    directory.mkdir()
    for name, content in found.items():
        (directory / name).write_bytes(content)
