"""`docs/credits.md` is true: its Python runs in order and prints what it says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

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
        assert runner.tries >= 14
