"""Who may import whom: one order of the rooms, and every import of the package is checked against it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import fastcheck

PACKAGE = Path(fastcheck.__file__).parent

ORDER = (
    "errors", "loading", "clock", "steady", "amounts", "_fastcheck",
    "ledger", "wire", "directory",
    "hub.catalog", "hub.store", "hub.access", "hub.webhooks", "hub.use_cases", "hub.service",
    "hub.logs", "hub.metrics", "hub.stream", "hub.background", "hub.parts", "hub.http", "hub.app",
    "hub.process", "hub",
    "finance", "admin", "hub_client",
    "host", "host.embedded", "host.following",
    "factories", "client", "", "replay", "cli", "__main__",
)  # fmt: skip
"""The rooms, from the ground up: a room imports what stands before it, and nothing after it. `""` is the
package itself. `docs/ARCHITECTURE.md` quotes this."""

NEVER = (
    ("finance", "hub"), ("admin", "hub"), ("hub_client", "hub"), ("host", "hub"), ("host.following", "hub"),
    ("client", "hub"), ("factories", "hub"),
)  # fmt: skip
"""Rooms that stand higher, and import nothing of the hub all the same."""

PURE = (
    "steady.py", "ledger", "wire/frames.py", "wire/names.py", "wire/record.py", "wire/packing.py",
    "hub/catalog", "host/following/protocol.py", "host/following/demand.py", "host/following/refetch.py",
    "host/following/backoff.py", "hub/stream/ring.py", "hub/stream/session.py", "hub/stream/admission.py",
    "hub/stream/websocket.py", "hub/access/rate.py",
)  # fmt: skip
BANNED = {
    "asyncio", "socket", "threading", "time", "os", "pathlib", "random", "websockets", "ssl", "sqlalchemy",
}  # fmt: skip


def _name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name_of(file): file for file in sorted(PACKAGE.rglob("*.py")) if "migrations" not in file.parts}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the package that one imports, wherever in it: at its top, in a function, for types."""

    def found() -> Iterator[str]:
        for node in ast.walk(ast.parse(MODULES[module].read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module}: imports are absolute"
                base = node.module or ""
                if base.partition(".")[0] == "fastcheck":
                    below = base.removeprefix("fastcheck").lstrip(".")
                    for one in node.names:
                        whole = f"{below}.{one.name}".lstrip(".")
                        yield whole if whole in MODULES or whole == "_fastcheck" else below
            elif isinstance(node, ast.Import):
                for one in node.names:
                    if one.name.partition(".")[0] == "fastcheck":
                        yield one.name.removeprefix("fastcheck").lstrip(".")

    return frozenset(found()) - {module}


def room(module: str) -> str:
    """The room of a module: the longest name of the order that it begins with."""
    fitting = [one for one in ORDER if module == one or (one and module.startswith(f"{one}."))]
    assert fitting, f"{module} stands in no room: give it one in ORDER"
    return max(fitting, key=len)


def test_imports_point_down() -> None:
    wrong = [
        f"{module} imports {other}"
        for module in MODULES
        for other in imports(module)
        if ORDER.index(room(other)) > ORDER.index(room(module))
        or (room(module), room(other).partition(".")[0]) in NEVER
    ]
    assert wrong == []


def test_every_room_of_the_order_is_there() -> None:
    assert {room(module) for module in MODULES} | {"_fastcheck"} == set(ORDER)


LATE_AT_EASE = ("replay", "cli", "hub.process", "hub.parts", "hub.http", "hub.logs", "__main__")
"""Rooms of processes that are nobody else's application, and do not fork once they run."""


def _late(node: ast.AST, held: bool = False) -> Iterator[ast.stmt]:
    """The imports within functions that do not hold `LOADING`."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            running = isinstance(one, ast.Import) and one.names[0].name == "asyncio"  # There is a loop.
            if not held and not running:
                yield one
        else:
            loads = isinstance(one, ast.With) and any(
                isinstance(item.context_expr, ast.Name) and item.context_expr.id == "LOADING"
                for item in one.items
            )
            yield from _late(one, held or loads)


def test_what_is_loaded_late_holds_the_lock_of_forks() -> None:
    """FAULTS 7, 8: a child that is forked while a thread loads a module could never load it."""
    wrong = [
        f"{module}:{late.lineno}"
        for module, file in MODULES.items()
        if room(module) not in LATE_AT_EASE
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for late in _late(function)
    ]
    assert sorted(set(wrong)) == []


def test_there_is_no_circle() -> None:
    below: dict[str, set[str]] = {}

    def visit(module: str, on_the_way: tuple[str, ...]) -> set[str]:
        assert module not in on_the_way, f"a circle: {' -> '.join((*on_the_way, module))}"
        if module not in below:
            reached = {other for other in imports(module) if other in MODULES}
            below[module] = reached.union(*(visit(one, (*on_the_way, module)) for one in reached))
        return below[module]

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("pure", PURE)
def test_a_pure_module_has_no_socket_no_file_no_clock(pure: str) -> None:
    where = PACKAGE / pure
    files = [where] if where.is_file() else sorted(where.rglob("*.py"))
    assert files
    found = {
        f"{file.name}: {name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.partition(".")[0] in BANNED
    }
    assert found == set()


@pytest.mark.parametrize(
    "package", [name for name, file in MODULES.items() if file.name == "__init__.py" and name]
)
def test_a_package_says_what_lives_there(package: str) -> None:
    told = ast.get_docstring(ast.parse(MODULES[package].read_text())) or ""
    nested = ("hub.store.", "hub.http.", "hub.webhooks", "hub.service", "replay.")
    if not package.startswith(nested):
        assert "May import:" in told
        assert "Boundaries:" in told
    assert told
