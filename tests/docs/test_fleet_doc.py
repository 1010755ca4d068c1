"""`docs/fleet.md` and `examples/fleet` run as they stand, against a hub that is started for them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.hubs import running_hub

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fleet.md").read_text()


def test_its_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    catalog = ROOT / "examples" / "quickstart" / "catalog.yaml"
    with running_hub(tmp_path / "hub", catalog=catalog) as hub:
        try:
            for text in blocks:
                code = text.replace("http://127.0.0.1:8700", hub.url)
                exec(compile(code, "docs/fleet.md", "exec"), known)
        finally:
            for name in ("few", "ents", "admin"):
                if name in known:
                    known[name].close()


def test_the_fleet_runs_in_one_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "fleet" / "run.py"), "--seconds", "1"],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of the workers follows the hub, 3 read what it keeps" in done.stdout
    [(allowed, denied)] = re.findall(r"(\d+) exports, (\d+) refused with 402", done.stdout)
    assert int(allowed) > 0
    assert int(denied) > 0
