"""`docs/webhooks.md` runs as it stands; `docs/events.md` names every kind, its data, every attempt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fastcheck.host.changes import KINDS
from fastcheck.hub.webhooks.retry import DELAYS_MS
from fastcheck.wire.events import FIELDS, Kind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
HOW_TO = (ROOT / "docs" / "webhooks.md").read_text()


def test_its_blocks_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    try:
        for text in blocks:
            exec(compile(text, "docs/webhooks.md", "exec"), known)
    finally:
        known["ents"].close()


def test_its_table_is_what_is_told() -> None:
    kinds = PAGE.split("\n## Kinds\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| ([\w, ]+) \|$", kinds, re.MULTILINE)
    stated = {kind: tuple(fields.split(", ")) for kind, fields in rows if kind != "kind"}
    assert stated == {kind.value: FIELDS[kind] for kind in Kind}
    assert {*stated, "connected", "disconnected", "missed"} == {*KINDS}


def test_its_attempts_are_those_made() -> None:
    row = re.search(r"^\| after \| (.*) \|$", PAGE, re.MULTILINE)
    assert row is not None
    units = {"s": 1, "min": 60, "h": 3_600}
    stated = [one.split() for one in row[1].replace("at once", "0 s").split(" | ")]
    assert [int(number) * units[unit] for number, unit in stated] == [one // 1_000 for one in DELAYS_MS]
    assert [one // 1_000 for one in DELAYS_MS] == [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]
