"""`docs/credits.md` is true: its Python runs in order and prints what it says. So does `examples/credits`."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path

import pytest

from fastcheck import Entitlements

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "credits.md").read_text()


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    text = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    with Entitlements.open(tmp_path, catalog=ROOT / "examples/quickstart/catalog.yaml") as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 100)
        example = doctest.DocTestParser().get_doctest(text, {"ents": ents}, "credits", "credits.md", 0)
        told: list[str] = []
        runner = doctest.DocTestRunner()
        runner.run(example, out=told.append)
        assert runner.failures == 0, "".join(told)
        assert runner.tries >= 24


def test_the_example_sells_packs_over_a_year(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples/credits/packs.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "January: {'january': ('paid', 1000)}, balance 1000, owed 0",
        "refund: (500, 'USD')",
        "February: {'january': ('refunded', 500), 'february': ('paid', 4000)}, balance 5500, owed 0",
        # The allowance of the month pays what is owed for January's pack.
        "August: {'january': ('charged_back', 0), 'february': ('paid', 4000)}, balance 4500, owed 0",
        "next year: {'january': ('charged_back', 0), 'february': ('paid', 0), 'next year': ('paid', 2000)}, "
        "balance 3500, owed 0",
        "books: {'breakage': 3998, 'charged_back': 1499, 'refunded': 500, 'sold': 7996}",
    ]
