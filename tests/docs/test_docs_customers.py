"""The blocks of the pages on customers run, in order, as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("page", "blocks"), [("customers.md", 6), ("what-happens.md", 2)])
def test_every_block_runs_in_order(
    page: str, blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text()
    known: dict[str, Any] = {}
    ran = 0
    try:
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            exec(compile("\n" * line + match[1], page, "exec"), known)
            ran += 1
    finally:
        if "ents" in known:
            known["ents"].close()
    assert ran >= blocks
