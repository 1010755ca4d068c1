"""Who may import whom, read from the code: what `docs/ARCHITECTURE.md` says is absent."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import fastcheck
import pytest

PACKAGE = Path(fastcheck.__file__).parent


def imports(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it, as dotted names below `fastcheck`."""
    place = file.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = place[: len(place) - node.level]
            module = (*base, *(node.module or "").split(".")) if node.module else base
            yield ".".join(module)
            yield from (".".join((*module, one.name)) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastcheck"):
            yield (node.module or "").removeprefix("fastcheck").lstrip(".")
        elif isinstance(node, ast.Import):
            yield from (one.name.removeprefix("fastcheck.") for one in node.names)


def reached(folder: str, forbidden: tuple[str, ...]) -> list[str]:
    """Files of a part of the package that import what they must not."""
    where = PACKAGE / folder
    files = [where] if where.is_file() else sorted(where.rglob("*.py"))
    assert files
    return [
        f"{file.relative_to(PACKAGE)}: {module}"
        for file in files
        for module in imports(file)
        if module.startswith(forbidden)
    ]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("stream", ("hub", "owner", "hub_client")),
        ("hub", ("stream", "owner.", "client", "connected", "embedded", "hub_client", "cli")),
        ("hub_client", ("stream", "hub.server", "hub.store", "hub.service", "owner.")),
        ("frames.py", ("stream", "hub", "client")),
        ("ledger", ("hub", "owner", "stream", "clock")),
    ],
)
def test_a_part_imports_nothing_of_what_it_must_not_know(folder: str, forbidden: tuple[str, ...]) -> None:
    assert reached(folder, forbidden) == []


@pytest.mark.parametrize(
    "pure",
    [
        "frames.py", "stream/protocol.py", "stream/demand.py", "stream/refetch.py", "stream/backoff.py",
        "hub/ring.py", "hub/session.py", "hub/admission.py", "hub/rate.py", "hub/websocket.py",
    ],
)  # fmt: skip
def test_a_pure_module_has_no_socket_no_file_no_clock(pure: str) -> None:
    banned = {"asyncio", "socket", "threading", "time", "os", "pathlib", "random", "websockets", "ssl"}
    found = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse((PACKAGE / pure).read_text()))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    assert found & banned == set()
