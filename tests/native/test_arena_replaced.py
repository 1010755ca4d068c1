"""A checker whose arena is replaced by another one. Needs the native module."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgpack
import pytest

native: Any = pytest.importorskip("fastcheck._fastcheck", reason="the native module is not built")

QUICKSTART = (Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml").read_text()
# Features are numbered in the order of the file: one more in front moves them all.
SHIFTED = QUICKSTART.replace("features:\n", "features:\n  another: {kind: switch}\n", 1)


def make(directory: Path, catalog: str) -> Any:
    owner = native.Owner(str(directory), native.Catalog.parse(catalog.encode(), "catalog.yaml"), 0)
    owner.load([msgpack.packb([1, "acme", 0, "pro", 1, 0, [], [], [], None])], 1, 0)
    owner.open_cell(1, "ai_credits", 1, 10**9, None, True)
    return owner


def test_what_was_remembered_of_one_arena_is_not_taken_for_anothers(tmp_path: Path) -> None:
    """Generations count anew in every arena: the first of one and the first of the next have one number."""
    owner = make(tmp_path, QUICKSTART)
    checker = native.Checker(str(tmp_path), lambda customer, pool: False)
    handle = checker.handle("acme", "gpt-4o")
    for _ in range(4):  # Remembered from the third time on.
        assert checker.check("acme", "export")
        assert checker.consume("acme", "gpt-4o")
        assert handle.consume()
    first = checker._status()
    owner.retire()
    owner.close()
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    owner = make(tmp_path, SHIFTED)
    for _ in range(4):
        assert checker.check("acme", "export")
        assert not checker.check("acme", "another")
        assert checker.consume("acme", "gpt-4o")
        assert handle.consume()
    second = checker._status()
    assert first["generation"] == second["generation"], "the case under test did not happen"
    assert first["arena"] != second["arena"]
    assert checker._pool_totals("acme", "ai_credits") == (8_000_000, 0, 10**9)
