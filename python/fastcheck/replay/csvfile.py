"""Rows of a CSV file, plain or gzipped, each with its line number. Every way to be unreadable has its own
message.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

LINE_BYTES_MAX = 64 * 1024
"""Longest line accepted: real rows are under 100 bytes, and a gzip file can unpack to one endless line."""

Fail = Callable[[str, str, int | None], Exception]
"""(problem, what to do, line) -> the error to raise."""


def read_rows(path: Path, fail: Fail) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number from 1, fields) for each line that is not blank. The gzip format is told by
    content, not name.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines = _lines(gzip.GzipFile(fileobj=raw) if packed else raw, fail)
            reader = csv.reader(lines, strict=True)
            try:
                for fields in reader:
                    if fields:
                        yield reader.line_num, fields
            except csv.Error as error:
                raise fail(
                    f"not valid CSV ({error})", "write one row per line, quotes closed", reader.line_num
                ) from None
    except OSError as error:
        raise fail(
            f"cannot be read ({error.strerror or error})", "check the path and its permissions", None
        ) from None


def _lines(file: IO[bytes] | gzip.GzipFile, fail: Fail) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(LINE_BYTES_MAX + 1)
        except EOFError:
            raise fail(
                "the gzip data ends early", "the file was cut off: copy or download it again", number
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise fail(
                f"the gzip data is damaged ({error})", "copy or download the file again", number
            ) from None
        if not line:
            return
        if len(line) > LINE_BYTES_MAX:
            raise fail(f"the line is longer than {LINE_BYTES_MAX:,} bytes", "write one row per line", number)
        if b"\0" in line:
            raise fail("the line holds a NUL byte", "write the file as UTF-8 text", number)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise fail(f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8", number) from None
