"""The examples of the native module's stub and of the Python modules run, each from a fresh start.

As the stub says: `ents` is open on the quickstart's catalog, "acme" has plan `pro` and 50,000 `ai_credits`,
"tiny" has plan `free`. An example belongs to one class or function and knows nothing of the others."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import fastcheck
from fastcheck import Entitlements

PACKAGE = Path(fastcheck.__file__).parent
STUB = PACKAGE / "_fastcheck.pyi"
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(path: Path) -> Iterator[tuple[str, Documented]]:
    """Every module, class and function of a file with its dotted name."""

    def inside(node: Documented, name: str) -> Iterator[tuple[str, Documented]]:
        yield name, node
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from inside(child, f"{name}.{child.name}")

    yield from inside(ast.parse(path.read_text()), module_of(path).removeprefix("fastcheck."))


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def examples() -> list[Any]:
    """(path, name, line, docstring) of every docstring with an example."""
    found = []
    for path in [STUB, *sorted(PACKAGE.rglob("*.py"))]:
        for name, node in documented(path):
            text = ast.get_docstring(node)
            if text is not None and ">>>" in text:
                line = 0 if isinstance(node, ast.Module) else node.lineno
                found.append(pytest.param(path, name, line, text, id=f"{path.relative_to(PACKAGE)}:{name}"))
    return found


@pytest.fixture
def ents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entitlements]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog.yaml").write_text(QUICKSTART.read_text())
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 50_000)
        ents.admin.put_customer("tiny", plan="free")
        yield ents


@pytest.mark.parametrize(("path", "name", "line", "text"), examples())
def test_example(path: Path, name: str, line: int, text: str, ents: Entitlements) -> None:
    known: dict[str, Any] = {one: getattr(fastcheck, one) for one in fastcheck.__all__}
    if path.suffix == ".py":
        known |= vars(importlib.import_module(module_of(path)))
    known |= {"ents": ents, "Entitlements": Entitlements, "asyncio": asyncio, "Decimal": Decimal}
    test = doctest.DocTestParser().get_doctest(text, known, name, str(path), line)
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert not told, "".join(told)


def test_there_are_examples() -> None:
    """A change of the docstrings' form must not make this file run nothing."""
    names = {param.values[1] for param in examples()}
    assert len(names) >= 40
    assert {
        "_fastcheck.Checker.consume",
        "client.Entitlements.open",
        "admin.grants.GrantsAdmin.grant",
    } <= names


def test_every_public_name_of_the_stub_has_a_docstring() -> None:
    bare = [
        name
        for name, node in documented(STUB)
        if not any(part.startswith("_") for part in name.split(".")[1:]) and ast.get_docstring(node) is None
    ]
    assert bare == []


def test_every_public_method_of_the_client_has_an_example() -> None:
    bare = [
        name
        for path in [PACKAGE / "client.py", *sorted((PACKAGE / "admin").glob("*.py"))]
        for name, node in documented(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and name.rpartition(".")[0].endswith(("Entitlements", "Admin", "AdminBase"))
        and not name.rpartition(".")[2].startswith("_")
        and not any(ast.unparse(one) == "overload" for one in node.decorator_list)
        and ">>>" not in (ast.get_docstring(node) or "")
    ]
    assert bare == []
