"""docs/finance.md: its example prints what it shows, and its table of files is the truth."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fastcheck.finance.tables import TABLES
from fastcheck.ledger.finance import Class

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/finance.md").read_text()


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples/quickstart", tmp_path / "examples/quickstart")
    monkeypatch.chdir(tmp_path)
    [(code, shown)] = re.findall(r"```python\n(.*?)```\n```text\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/finance.md", "exec"), {})
    assert capsys.readouterr().out.split() == shown.split()


def test_the_page_names_every_column_and_class() -> None:
    rows = {row[0]: row[1] for row in re.findall(r"^\| (\w+) \| ([^|]*) \|", PAGE, re.MULTILINE)}
    for table, columns in TABLES.items():
        assert rows[table] == ", ".join(columns)
    assert all(one.value in rows for one in Class)
