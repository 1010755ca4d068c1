"""Tables as CSV and Parquet files. Each is written under another name and renamed once it is whole."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from fastcheck.clock import at_utc
from fastcheck.errors import AmountError, FastcheckError
from fastcheck.finance.tables import TABLES, Cell
from fastcheck.loading import LOADING

FORMATS = ("csv", "parquet")
ROWS_PER_GROUP = 16_384
"""Rows that a Parquet file keeps together, and that wait in memory."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Sheet(Protocol):
    """A table that is being written."""

    def put(self, row: tuple[Any, ...]) -> None:
        """Adds a row."""

    def end(self) -> None:
        """Writes what waits. The file stays open."""


class CsvSheet:
    """RFC 4180, UTF-8, with a header. A text cell that a spreadsheet would take for a formula gets an
    apostrophe in front."""

    def __init__(self, file: IO[bytes], columns: dict[str, Cell]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._csv = csv.writer(self._text)
        self._cells = tuple(columns.values())
        self._csv.writerow(columns)

    def put(self, row: tuple[Any, ...]) -> None:
        self._csv.writerow(map(_csv_cell, self._cells, row))

    def end(self) -> None:
        self._text.flush()
        self._text.detach()


def _csv_cell(cell: Cell, value: Any) -> Any:
    if cell is Cell.TEXT:
        return f"'{value}" if value.startswith(_FORMULA) else value
    return iso(value) if cell is Cell.INSTANT else value


def iso(at: int) -> str:
    """An instant as ISO 8601 in UTC, ms included."""
    return f"{at_utc(at):%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z"


class ParquetSheet:
    """int64 for units, ms in UTC for instants, text for the rest."""

    def __init__(self, file: IO[bytes], columns: dict[str, Cell]) -> None:
        arrow, parquet = _pyarrow()
        kinds = {
            Cell.TEXT: arrow.string(), Cell.DECIMAL: arrow.string(), Cell.UNITS: arrow.int64(),
            Cell.INSTANT: arrow.timestamp("ms", tz="UTC"),
        }  # fmt: skip
        self._arrow = arrow
        self._schema = arrow.schema([(name, kinds[cell]) for name, cell in columns.items()])
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._waiting: list[tuple[Any, ...]] = []

    def put(self, row: tuple[Any, ...]) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def end(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns = list(zip(*self._waiting, strict=True))
        try:
            arrays = [
                self._arrow.array(list(values), type=field.type)
                for values, field in zip(columns, self._schema, strict=True)
            ]
        except OverflowError as error:
            raise AmountError("a sum is over 64 bits, which Parquet does not hold: export as csv") from error
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting.clear()


def _pyarrow() -> tuple[Any, Any]:
    try:
        with LOADING:
            import pyarrow
            import pyarrow.parquet
    except ImportError as error:
        raise FastcheckError(
            "Parquet files need pyarrow: pip install 'fastcheck[parquet]', or export as csv"
        ) from error
    return pyarrow, pyarrow.parquet


class Files:
    """The files of one export, unfinished until `finish`."""

    def __init__(self, directory: Path, format: str) -> None:
        """Begins a file for each table. Raises OSError, and `FastcheckError` where the format needs what is
        not installed."""
        if format == "parquet":
            _pyarrow()
        self.directory = directory
        self._format = format
        self._rows = dict.fromkeys(TABLES, 0)
        self._open: dict[str, IO[bytes]] = {}
        self._sheets: dict[str, Sheet] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            for name, columns in TABLES.items():
                self._open[name] = file = private_file(self._unfinished(name))
                self._sheets[name] = (CsvSheet if format == "csv" else ParquetSheet)(file, columns)
        except BaseException:
            self.discard()
            raise

    def name(self, table: str) -> str:
        """The file's name."""
        return f"{table}.{self._format}"

    def _unfinished(self, table: str) -> Path:
        return self.directory / f".{self.name(table)}.{os.getpid()}.unfinished"

    def put(self, table: str, row: tuple[Any, ...]) -> None:
        """Adds a row to a table."""
        self._sheets[table].put(row)
        self._rows[table] += 1

    def finish(self) -> dict[str, dict[str, Any]]:
        """Writes everything to the disk under its own name; of each file its rows, bytes and SHA-256."""
        found = {}
        for name, file in self._open.items():
            self._sheets[name].end()
            file.flush()
            os.fsync(file.fileno())
            file.close()
            path = self._unfinished(name)
            found[self.name(name)] = {
                "table": name, "rows": self._rows[name], "bytes": path.stat().st_size, "sha256": digest(path),
            }  # fmt: skip
        for name in self._open:
            self._unfinished(name).replace(self.directory / self.name(name))
        return found

    def discard(self) -> None:
        """Removes what is unfinished."""
        for name, file in self._open.items():
            with contextlib.suppress(Exception):
                file.close()
            self._unfinished(name).unlink(missing_ok=True)


def private_file(path: Path) -> IO[bytes]:
    """A new file, mode 0600, in the place of one that was left behind."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for part in _parts(file):
            found.update(part)
    return found.hexdigest()


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(1 << 20):
        yield part
