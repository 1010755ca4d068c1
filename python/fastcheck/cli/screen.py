"""What commands print: tables, named values, JSON, progress. With `rich` where it is installed and a person
looks.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from time import monotonic
from typing import Any

from fastcheck.replay.report import plain

REDRAW_S = 0.1


def plain_data(value: Any) -> Any:
    """An answer of the library as data that JSON knows: decimals as text, instants as ISO 8601, objects as
    mappings.
    """
    if isinstance(value, Enum):
        return plain_data(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain_data(value._asdict())
    if is_dataclass(value):
        return {field.name: plain_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Sequence | set | frozenset):
        return [plain_data(item) for item in value]
    named = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
    shown = {name: plain_data(item) for name, item in named.items() if not callable(item)}
    return shown or str(value)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(plain_data(data), indent=2, ensure_ascii=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A table; the first `left` columns are text, the others numbers, aligned to the right."""
    if _rich(sys.stdout):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(title), title_justify="left", title_style="bold", header_style="dim", box=None
        )
        for index, name in enumerate(header):
            table.add_column(name, justify="left" if index < left else "right")
        for row in rows:
            table.add_row(*map(Text, row))  # Text: a name such as "[red]" is no markup
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    print(title)
    for line in (header, *rows):
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join(cells).rstrip())


def print_values(data: Mapping[str, Any]) -> None:
    """Named values, one per line, instants (ms) in words; lists of mappings as tables below them."""
    simple = {name: value for name, value in data.items() if not _is_rows(value)}
    width = max(map(len, simple), default=0)
    for name, value in simple.items():
        instant = isinstance(value, int) and (name.endswith("_at") or name == "as_of")
        print(f"{name.ljust(width)}  {_utc(value) if instant else _cell(value)}")
    for name, rows in data.items():
        if _is_rows(rows):
            header = list(dict.fromkeys(key for row in rows for key in row))
            print()
            print_table(
                name, header, [[_cell(row.get(key)) for key in header] for row in rows], left=len(header)
            )


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far long work is, on standard error, if that is a terminal. The value is told how many are
    done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
    elif _rich(sys.stderr):
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(what, total=total)
            yield lambda done: bars.update(bar, completed=done)
    else:
        drawn_at = 0.0

        def draw(done: int) -> None:
            nonlocal drawn_at
            if monotonic() - drawn_at >= REDRAW_S:
                drawn_at = monotonic()
                print(f"\r{what}: {done:,} of {total:,}", end="", file=sys.stderr, flush=True)

        try:
            yield draw
        finally:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _rich(stream: Any) -> bool:
    if not stream.isatty():
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
