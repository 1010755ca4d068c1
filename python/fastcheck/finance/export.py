"""An export from beginning to end: book what is due, read, write, compare, and only then name the files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fastcheck.errors import RecordError
from fastcheck.finance.files import FORMATS, Files, iso, private_file
from fastcheck.finance.reading import PERIODS, Totals, Write, read
from fastcheck.finance.reconcile import reconcile
from fastcheck.wire.answers import Page
from fastcheck.wire.operation import Asks
from fastcheck.wire.operations.finance import (
    DUE,
    POSTINGS_PER_SUM,
    BeginExport,
    BookDue,
    GetSums,
    ListExportedUsage,
    ListMovements,
    SettleHeld,
)
from fastcheck.wire.shapes import Export, ExportSums

MANIFEST = "manifest.json"
ROWS_PER_REQUEST = 1_000

Row = TypeVar("Row")
Progress = Callable[[int, int], None]
"""Told how many postings of how many were read."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    directory: str
    since: int
    until: int
    """Exclusive."""
    as_of: int
    """What was booked later is not in it."""
    files: dict[str, dict[str, Any]]
    """Name -> table, rows, bytes, sha256."""
    sums: dict[str, Any]
    """What the rows come to: the same as the ledger's own sums."""


def export(
    ask: Asks,
    directory: str | os.PathLike[str],
    *,
    since: int | None = None,
    until: int | None = None,
    format: str = "csv",
    period: str = "month",
    progress: Progress = lambda done, total: None,
) -> Exported:
    """Writes what moved in [since, until) to files in a directory. Raises `LedgerError` where the rows do not
    come to the ledger's sums; then, as after any error, files of an earlier export stay as they were."""
    for what, given, known in (("format", format, FORMATS), ("period", period, tuple(PERIODS))):
        if given not in known:
            raise RecordError(f"{what} must be one of {', '.join(known)}, not {given!r:.40}")
    book(ask)
    moment = ask(BeginExport(since, until))
    files = Files(Path(directory), format)
    try:
        totals = rows(ask, moment, files.put, period, progress)
        reconcile(totals, sums(ask, moment))
        written = files.finish()
    finally:
        files.discard()
    found = Exported(str(directory), moment.since, moment.until, moment.at, written, as_data(totals))
    _put_manifest(files.directory, found, moment, period)
    return found


def book(ask: Asks) -> None:
    """Books what is due: settled use, and what time has done to grants."""
    _to_the_end(lambda cursor: ask(SettleHeld(cursor)))
    for what in DUE:
        _to_the_end(lambda cursor, what=what: ask(BookDue(what, cursor)).cursor)  # type: ignore[misc]


def _to_the_end(step: Callable[[str | None], str | None]) -> None:
    cursor = step(None)
    while cursor is not None:
        cursor = step(cursor)


def rows(
    ask: Asks,
    moment: Export,
    write: Write,
    period: str = "month",
    progress: Progress = lambda done, total: None,
) -> Totals:
    """Reads all that belongs to the period, and writes its rows."""
    id, count = moment.id, ROWS_PER_REQUEST
    movements = _pages(lambda cursor: ask(ListMovements(id, cursor, count)))
    used = _pages(lambda cursor: ask(ListExportedUsage(id, cursor, count)))
    return read(moment, _told(movements, moment.place, progress), used, write, period)


def sums(ask: Asks, moment: Export) -> Iterator[ExportSums]:
    """The ledger's own sums, in parts."""
    for after in range(0, max(moment.place, moment.record), POSTINGS_PER_SUM):
        yield ask(GetSums(moment.id, after))


def _pages(page: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
    cursor: str | None = None
    while True:
        found = page(cursor)
        yield from found.items
        cursor = found.cursor
        if cursor is None:
            return


def _told(found: Iterator[Row], total: int, progress: Progress) -> Iterator[Row]:
    for done, row in enumerate(found, 1):
        if done % ROWS_PER_REQUEST == 0:
            progress(done, total)
        yield row
    progress(total, total)


def as_data(totals: Totals) -> dict[str, Any]:
    """The sums as plain data, nothing left out but zeros."""
    return {
        "movements": _nested(totals.movements),
        "worth": _nested(totals.worth),
        "opening": {pool: units for pool, units in sorted(totals.opening.items()) if units},
        "closing": {pool: units for pool, units in sorted(totals.closing.items()) if units},
        "used": {pool: units for pool, units in sorted(totals.used.items()) if units},
        "records": dict(sorted(totals.records.items())),
    }


def _nested(found: Any) -> dict[str, dict[str, int]]:
    made: dict[str, dict[str, int]] = {}
    for (outer, inner), units in sorted(found.items()):
        if units:
            made.setdefault(outer, {})[inner] = units
    return made


def _put_manifest(directory: Path, found: Exported, moment: Export, period: str) -> None:
    manifest = {
        "version": 1,
        "since": iso(found.since),
        "until": iso(found.until),
        "as_of": iso(found.as_of),
        "last_place": moment.place,
        "period": period,
        "scales": dict(moment.pools),
        "files": found.files,
        "sums": found.sums,
    }
    path = directory / f".{MANIFEST}.{os.getpid()}.unfinished"
    with private_file(path) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    path.replace(directory / MANIFEST)
    kept = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(kept)
    finally:
        os.close(kept)
