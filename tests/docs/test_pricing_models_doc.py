"""`docs/pricing-models.md` is true: each section runs in a directory of its own and prints what it says."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements

PAGE = (Path(__file__).parents[2] / "docs" / "pricing-models.md").read_text()
INTRODUCTION, *SECTIONS = re.split(r"^(?=## )", PAGE, flags=re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def title(section: str) -> str:
    return section.splitlines()[0].removeprefix("## ")


def run(section: str, known: dict[str, Any]) -> int:
    """Runs the Python in order, `catalog` being the YAML before them; how many outcomes were compared."""
    checked = 0
    for language, text in BLOCK.findall(section):
        if language == "yaml":
            known["catalog"] = text
            continue
        assert language == "python"
        example = doctest.DocTestParser().get_doctest(text, known, title(section), "pricing-models.md", 0)
        told: list[str] = []
        runner = doctest.DocTestRunner()
        runner.run(example, out=told.append, clear_globs=False)
        assert runner.failures == 0, "".join(told)
        known |= example.globs
        checked += sum(bool(one.want) for one in example.examples)
    return checked


@pytest.fixture
def known(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The names of one section, with those of the introduction."""
    known: dict[str, Any] = {"directory": tmp_path}
    run(INTRODUCTION, known)
    yield known
    for value in known.values():
        if isinstance(value, Entitlements):
            value.close()


@pytest.mark.parametrize("section", SECTIONS, ids=title)
def test_a_pricing_model_does_what_the_page_says(section: str, known: dict[str, Any]) -> None:
    assert run(section, known) >= 1


def test_every_model_is_in_the_table_and_has_its_anchor() -> None:
    listed = re.findall(r"^\| \[.*?\]\(#(.*?)\)", INTRODUCTION, re.MULTILINE)
    assert listed == [re.sub(r"[^a-z -]", "", title(one).lower()).replace(" ", "-") for one in SECTIONS]


def test_a_wrong_number_on_the_page_is_found(known: dict[str, Any]) -> None:
    tiers = next(one for one in SECTIONS if title(one) == "Tiers")
    with pytest.raises(AssertionError, match="4601"):
        run(tiers.replace("(4600, 3000)", "(4601, 3000)"), known)
