"""Request traces: CSV files, plain or gzipped, one request per row in the order of arrival.

Columns, found by name in any order; others are ignored:

- `ts_ms`                when the request came, ms since the start of the trace; never less than in the row
  before
- `session`              who asks: the replay makes each session one customer
- `input_tokens`         tokens of the prompt, cached ones included
- `cached_input_tokens`  how many of them were read from a cache; at most `input_tokens`
- `output_tokens`        tokens of the answer
"""

import csv
import gzip
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fastcheck.replay.csvfile import read_rows
from fastcheck.replay.errors import TraceError

COLUMNS = ("ts_ms", "session", "input_tokens", "cached_input_tokens", "output_tokens")

TS_MS_MAX = 10**14
"""Latest time accepted, so that epoch milliseconds work too and microseconds are noticed."""

TOKENS_MAX = 10**9
"""Most tokens of one request accepted: far above any model, far below where a cost could overflow."""

SESSION_CHARACTERS_MAX = 256


class Request(NamedTuple):
    """One row of a trace."""

    ts_ms: int
    """Arrival, ms since the start of the trace."""
    session: str
    """The session's key; the replay's customer id."""
    input_tokens: int
    """Prompt tokens, cached ones included."""
    cached_input_tokens: int
    """Prompt tokens that came from a cache."""
    output_tokens: int
    """Tokens of the answer."""


def read_trace(path: Path, limit: int | None = None) -> list[Request]:
    """The first `limit` requests of a trace (all without one). Raises `TraceError` at the first row that is
    not right.
    """
    requests = list(islice(iter_trace(path), limit))
    if not requests:
        raise TraceError(str(path), "the trace has no requests", "add at least one row below the header")
    return requests


def iter_trace(path: Path) -> Iterator[Request]:
    """The requests of a trace, one at a time, each checked on its own and against the one before."""

    def fail(problem: str, hint: str, line: int | None = None, column: str | None = None) -> TraceError:
        return TraceError(str(path), problem, hint, line, column)

    def number(text: str, largest: int, line: int, column: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise fail(
                f"{_shown(text)} is not a whole number of at least 0", "write digits only", line, column
            )
        if len(text) > 20 or int(text) > largest:
            raise fail(
                f"{_shown(text)} is more than {largest:,}", "check the unit of this column", line, column
            )
        return int(text)

    rows = read_rows(path, fail)
    header_line, header = next(rows, (1, []))
    if not header:
        raise fail("the file is empty", f"expected the header {','.join(COLUMNS)}")
    if missing := [name for name in COLUMNS if name not in header]:
        hint = f"the first line must name the columns {','.join(COLUMNS)}"
        raise fail(f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}", hint, header_line)
    if twice := [name for name in COLUMNS if header.count(name) > 1]:
        raise fail(f"column {twice[0]} is named twice", "name each column once", header_line)
    at = [header.index(name) for name in COLUMNS]

    last_ts_ms = 0
    for line, fields in rows:
        if len(fields) != len(header):
            hint = "write every column of the header in every row"
            raise fail(f"{len(fields)} fields where the header has {len(header)}", hint, line)
        ts, session, *counts = (fields[i] for i in at)
        ts_ms = number(ts, TS_MS_MAX, line, "ts_ms")
        input_tokens, cached, output = (
            number(text, TOKENS_MAX, line, column) for text, column in zip(counts, COLUMNS[2:], strict=True)
        )
        if not session or not session.isprintable() or len(session) > SESSION_CHARACTERS_MAX:
            hint = f"write 1 to {SESSION_CHARACTERS_MAX} printable characters"
            raise fail(f"{_shown(session)} is not a session key", hint, line, "session")
        if ts_ms < last_ts_ms:
            hint = "sort the rows by ts_ms"
            raise fail(f"time goes back from {last_ts_ms} to {ts_ms}", hint, line, "ts_ms")
        if cached > input_tokens:
            hint = "input_tokens counts all tokens of the prompt, cached ones included"
            raise fail(f"{cached} cached of {input_tokens} input tokens", hint, line, "cached_input_tokens")
        last_ts_ms = ts_ms
        yield Request(ts_ms, session, input_tokens, cached, output)


def write_trace(path: Path, requests: list[Request]) -> None:
    """Writes a trace that `read_trace` reads back unchanged; gzipped, with a fixed header, if the name ends
    in `.gz`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(requests)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
