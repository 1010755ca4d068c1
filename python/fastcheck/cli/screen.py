"""What commands print: tables, named values, JSON, progress. On a terminal with `rich`, if installed."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from itertools import islice
from time import monotonic
from typing import Any

from fastcheck.cli.instants import iso
from fastcheck.clock import instant_ms
from fastcheck.replay.report import plain
from fastcheck.wire import answers

REDRAW_S = 0.1
ROWS_PER_TABLE = 1_000
"""A longer list is printed as it comes, with the header again."""

AMOUNTS = frozenset({"amount", "remaining", "cost"}) | {
    field.name
    for kind in vars(answers).values()
    if is_dataclass(kind)
    for field in fields(kind)
    if "Credits" in str(field.type)
}
"""Fields of answers that are credits: text for programs, since not every reader of JSON has exact numbers."""


def plain_data(value: Any) -> Any:
    """An answer of the library as data that JSON knows: credits as decimal text, instants as ISO 8601,
    objects as mappings.
    """
    if isinstance(value, Enum):
        return plain_data(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return iso(instant_ms(value, "an instant"))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        # Mappings name quantities and counts too, so only instants are recognised by their name.
        return {
            str(key): _field(key, item) if str(key).endswith("_at") else plain_data(item)
            for key, item in value.items()
        }
    if hasattr(value, "_asdict"):
        return plain_data(value._asdict())
    if is_dataclass(value):
        return {field.name: _field(field.name, getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Sequence | set | frozenset):
        return [plain_data(item) for item in value]
    named = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
    shown = {name: _field(name, item) for name, item in named.items() if not callable(item)}
    return shown or str(value)


def _field(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if _is_instant(name):
            return iso(value)
        if name in AMOUNTS:
            return str(value)
    return plain_data(value)


def _is_instant(name: str) -> bool:
    return name.endswith("_at") or name in ("at", "as_of")


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(plain_data(data), indent=2, ensure_ascii=False))


def print_json_list(items: Iterable[Any]) -> None:
    """One JSON array on standard output, written as the items come."""
    between = "[\n"
    for item in items:
        text = json.dumps(plain_data(item), indent=2, ensure_ascii=False)
        print(between + "  " + text.replace("\n", "\n  "), end="")
        between = ",\n"
    print("[]" if between == "[\n" else "\n]")


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]], left: int, none: str) -> None:
    """Rows as they come, in tables without a title; `none` where there are none."""
    source = iter(rows)
    part = list(islice(source, ROWS_PER_TABLE))
    if not part:
        print(none)
    while part:
        print_table("", header, part, left)
        part = list(islice(source, ROWS_PER_TABLE))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A table; the first `left` columns are text, the others numbers, aligned to the right. Without a title
    it is not indented."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if _rich(sys.stdout):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(title) if title else None,
            title_justify="left",
            title_style="bold",
            header_style="dim",
            box=None,
            pad_edge=bool(title),
            padding=(0, 2, 0, 0),
        )
        for index, name in enumerate(header):
            text = index < left
            # Text is folded, never cut: an id must stay whole to be copied. Numbers are neither.
            table.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=not text)
        for row in rows:
            table.add_row(*map(Text, row))  # Text: a name such as "[red]" is no markup
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if title:
        print(title)
    indent = "  " if title else ""
    for line in (header, *rows):
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print(indent + "  ".join(cells).rstrip())


def print_values(data: Mapping[str, Any]) -> None:
    """Named values as `plain_data` makes them, one per line; lists of mappings as tables below them."""
    simple = {name: value for name, value in data.items() if not _is_rows(value)}
    width = max(map(len, simple), default=0)
    for name, value in simple.items():
        instant = _is_instant(name) and value is not None
        print(f"{name.ljust(width)}  {utc_text(value) if instant else printable(_cell(value))}")
    for name, rows in data.items():
        if _is_rows(rows):
            header = list(dict.fromkeys(key for row in rows for key in row))
            print()
            print_table(
                name, header, [[_cell(row.get(key)) for key in header] for row in rows], left=len(header)
            )


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows the progress of long work on standard error, if that is a terminal. Call the value with how many
    are done."""
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


def utc_text(shown: str) -> str:
    """An instant as `plain_data` makes it, for people."""
    return datetime.fromisoformat(shown.removesuffix("Z")).strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(text: str) -> str:
    """Text whose control characters are written out, so that a name or a reason can neither steer a terminal
    nor pass for another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def credits_text(value: int | Decimal | None) -> str:
    """Credits for people: exact, thousands apart; None = unlimited."""
    if value is None:
        return "unlimited"
    whole, point, fraction = plain(Decimal(value)).partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.removeprefix('-')):,}{point}{fraction}"


def setting_text(value: Any) -> str:
    """A setting of a feature, as `override put` takes it."""
    if value is None:
        return "unlimited"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        looks_like_another = value.lower() in ("true", "false") or value.lstrip("-").isdigit()
        return json.dumps(value) if looks_like_another else value
    return plain(value) if isinstance(value, Decimal) else str(value)


def _cell(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
