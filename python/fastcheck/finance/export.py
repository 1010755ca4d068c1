"""An export from beginning to end: book what is due, read, write, compare, and only then name the files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcheck.errors import RecordError
from fastcheck.finance.files import FORMATS, Files, iso, private_file
from fastcheck.finance.reading import PERIODS, Totals, Write, read
from fastcheck.finance.reconcile import Sums, reconcile
from fastcheck.wire.cut import POSTINGS_PER_SUM, Cut

MANIFEST = "manifest.json"
ROWS_PER_REQUEST = 1_000

Ask = Callable[..., Any]
"""Runs a request where the ledger is: (method, arguments…)."""
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
    ask: Ask,
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
    cut: Cut = ask("finance_cut", since, until)
    files = Files(Path(directory), format)
    try:
        totals = rows(ask, cut, files.put, period, progress)
        reconcile(totals, sums(ask, cut))
        written = files.finish()
    finally:
        files.discard()
    found = Exported(str(directory), cut.since, cut.until, cut.at, written, as_data(totals))
    _put_manifest(files.directory, found, cut, period)
    return found


def book(ask: Ask) -> None:
    """Books what is due: settled use, and what time has done to grants."""
    for request in (("settle_held",), ("book_due", "leases"), ("book_due", "accounts")):
        cursor = ask(*request, None)
        while cursor is not None:
            cursor = ask(*request, tuple(cursor))


def rows(
    ask: Ask, cut: Cut, write: Write, period: str = "month", progress: Progress = lambda done, total: None
) -> Totals:
    """Reads all that belongs to the period, and writes its rows."""
    movements = _told(_pages(ask, "finance_movements", cut), cut.place, progress)
    return read(cut, movements, _pages(ask, "finance_usage", cut), write, period)


def sums(ask: Ask, cut: Cut) -> Iterator[Sums]:
    """The ledger's own sums, in parts."""
    for after in range(0, max(cut.place, cut.record), POSTINGS_PER_SUM):
        yield ask("finance_sums", cut, after)


def _pages(ask: Ask, method: str, cut: Cut) -> Iterator[tuple[Any, ...]]:
    cursor: Sequence[Any] | None = None
    while True:
        found, cursor = ask(method, cut, cursor, ROWS_PER_REQUEST)
        yield from found
        if cursor is None:
            return


def _told(found: Iterator[tuple[Any, ...]], total: int, progress: Progress) -> Iterator[tuple[Any, ...]]:
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


def _put_manifest(directory: Path, found: Exported, cut: Cut, period: str) -> None:
    manifest = {
        "version": 1,
        "since": iso(found.since),
        "until": iso(found.until),
        "as_of": iso(found.as_of),
        "last_place": cut.place,
        "period": period,
        "scales": dict(cut.pools),
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
