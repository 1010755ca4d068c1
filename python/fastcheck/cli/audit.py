"""Entries of the audit log for people: one line per change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from fastcheck.cli.instants import told
from fastcheck.cli.screen import print_json_list, printable, setting_text
from fastcheck.wire.answers import AuditEntry
from fastcheck.wire.record import setting_value


def show(entries: Iterable[AuditEntry], limit: int | None, as_json: bool, subject: bool) -> None:
    """Prints entries, newest first; `subject`: with the id that each is about."""
    wanted = islice(entries, limit)
    if as_json:
        print_json_list(wanted)
        return
    none = True
    for one in wanted:
        none = False
        # A line each, not a table: what was changed is long, and is read in order.
        whom = f"  {one.subject or '-'}" if subject else ""
        why = [part for part in (one.reason, one.author and f"by {one.author}") if part]
        note = f" ({', '.join(why)})" if why else ""
        print(printable(f"{told(one.at)} UTC{whom}  {one.action}: {change(one.before, one.after)}{note}"))
    if none:
        print("nothing was changed")


def change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """The difference as text: `plan free -> pro`; a value that is new or gone, by its name."""
    if before is None or after is None:
        only = after or before or {}
        parts = [f"{_called(name)}{_told(name, value)}" for name, value in only.items() if _says(name, value)]
    else:
        # What did not change still says which one was changed.
        parts = [
            f"{_called(name)}{_told(name, before.get(name))} -> {_told(name, value)}"
            if before.get(name) != value
            else f"{_called(name)}{_told(name, value)}"
            for name, value in after.items()
            if before.get(name) != value or name in ("feature", "grant")
        ]
    return ", ".join(parts) or "-"


def _called(name: str) -> str:
    """The label in front of a value; some values need none."""
    if name in ("feature", "grant", "setting", "kind", "pool"):
        return ""
    return "pool units " if name == "units" else f"{name.removesuffix('_at')} "


def _says(name: str, value: Any) -> bool:
    """Whether a value adds anything to the other columns."""
    return value not in (None, (), [], "") and name not in ("reason", "since_ms")


def _told(name: str, value: Any) -> str:
    if value is None or value in ((), []):
        return "none"
    if name == "setting":
        return setting_text(setting_value(value))
    if name.endswith(("_at", "_ms")) and isinstance(value, int):
        return told(value)
    if name == "digest":
        return str(value)[:12]
    if name == "addons":
        return " ".join(_addon(*one) for one in value)
    if name == "trial":
        plan, version, until = value if isinstance(value, (tuple, list)) else value.values()
        return f"{plan}@{version} until {told(until)}"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value)


def _addon(name: str, quantity: int, until: int | None) -> str:
    return f"{name}={quantity}" + ("" if until is None else f"@{told(until)}")
