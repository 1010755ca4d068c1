"""The documentation keeps to its form: short lines, one kind per page, links that resolve, plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KINDS = ("Tutorial", "How-to", "Reference", "Explanation")

LINE_CHARACTERS_MAX = 120
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*```")

GENERATED = frozenset(DOCS.glob("benchmarks*.md"))
"""Written by `make bench…`, in the words of `benches/`."""
NOTES = frozenset((DOCS / "decisions").glob("*.md"))
"""Dated notes: they stay as they were written."""
PAGES = sorted({ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")})

WRITTEN = [page for page in PAGES if page not in GENERATED | NOTES]

FORBIDDEN = (
    "whoever", "whomever", "somebody", "someone", "nobody", "no one", "anybody", "anyone", "everybody",
    "everyone", "what is countable", "who has no", "who have no", "who is not", "who was not", "who may not",
    "is told", "are told", "say so with", "what is said",
)  # fmt: skip
"""Riddles: a subject without a noun, or a passive without an agent."""
RIDDLE = re.compile("|".join(rf"\b{re.escape(one)}\b" for one in FORBIDDEN), re.IGNORECASE)


def called(page: Path) -> str:
    return str(page.relative_to(ROOT))


def lines(page: Path) -> Iterator[tuple[int, str, bool]]:
    """(number, line, whether it is in a block of code)."""
    code = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line) is not None
        code ^= fence
        yield number, line, code or fence


@pytest.mark.parametrize("page", WRITTEN, ids=called)
def test_no_line_is_too_long(page: Path) -> None:
    """Rows of tables cannot be wrapped, nor the drawings of `docs/format/`."""
    drawn = page.parent.name == "format"
    long = [
        f"{called(page)}:{number}: {len(line)} characters"
        for number, line, code in lines(page)
        if len(line) > LINE_CHARACTERS_MAX and not line.startswith("|") and not (code and drawn)
    ]
    assert long == []


@pytest.mark.parametrize("page", WRITTEN, ids=called)
def test_no_sentence_is_a_riddle(page: Path) -> None:
    found = [
        f"{called(page)}:{number}: {match[0]}"
        for number, line, code in lines(page)
        if not code
        for match in RIDDLE.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for number, line, code in lines(page):
        for target in LINK.findall(line) if not code else ():
            path, _, _ = target.partition("#")
            if path and "://" not in target and not (page.parent / path).exists():
                broken.append(f"{called(page)}:{number}: {target}")
    assert broken == []


def test_every_page_is_in_the_index_under_one_kind() -> None:
    index = DOCS / "README.md"
    first, *sections = re.split(r"^## (.+)$", index.read_text(), flags=re.MULTILINE)
    assert not LINK.findall(first.replace("(../README.md)", ""))
    assert tuple(sections[::2]) == KINDS
    listed = [DOCS / target for section in sections[1::2] for target in LINK.findall(section)]
    assert len(listed) == len(set(listed)), "a page has two kinds"
    assert {*listed} == {*DOCS.rglob("*.md")} - {index}


def test_a_riddle_and_a_long_line_would_be_found(tmp_path: Path) -> None:
    """The patterns match what they are for."""
    assert RIDDLE.search("Whoever reads this") is not None
    assert RIDDLE.search("The owner tells the hub") is None
    page = tmp_path / "page.md"
    page.write_text("```\ncode\n```\nprose\n")
    assert [code for _, _, code in lines(page)] == [True, True, True, False]
