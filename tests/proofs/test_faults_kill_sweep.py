"""FAULTS 1 and 2: a spender or an owner killed between any two instructions leaves nothing to repair.

Here a sample of the instructions; `make prove` takes every one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPENDERS = ["consume", "consume-event", "reserve", "commit", "commit-all", "release"]
OWNERS = ["sweep", "put", "load", "put-held", "put-found", "evict", "open-cell", "close-cell", "raise-cell"]
KILLS_MAX = 30


@pytest.mark.parametrize(
    "operation", [*(pytest.param(one, id=f"row1-{one}") for one in SPENDERS),
                  *(pytest.param(one, id=f"row2-{one}") for one in OWNERS)],
)  # fmt: skip
def test_killed_at_any_instruction(tmp_path: Path, operation: str) -> None:
    """Rows 1 and 2: totals exact, rows old or new, holds freed to the unit, the successor adopts."""
    run = subprocess.run(
        [sys.executable, "-m", "proofs.kill_sweep", tmp_path / "sweep",
         "--operation", operation, "--kills-max", str(KILLS_MAX)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    swept: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])[0]
    assert swept["kills"] >= KILLS_MAX // 2
    # A sweep that killed on one side of the decisive instruction only has proved nothing.
    assert swept["before"] > 0
    assert swept["after"] > 0
    if operation == "consume-event":
        assert swept["notes"]["burned and recorded"] > 0
