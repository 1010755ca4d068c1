"""Lists that the service answers page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from fastcheck.wire.answers import Page

Item = TypeVar("Item")

PAGE_ITEMS = 1_000
"""Items per request."""


def walk(page: Callable[[str | None, int], Page[Item]]) -> Iterator[Item]:
    """Every item; `page(cursor, limit)` requests one page."""
    cursor: str | None = None
    while True:
        found = page(cursor, PAGE_ITEMS)
        yield from found.items
        cursor = found.cursor
        if cursor is None:
            return
