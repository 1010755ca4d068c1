"""What is read in pages."""

from __future__ import annotations

from fastcheck.errors import RecordError

PAGE_ITEMS_MAX = 1_000


def items(limit: int) -> int:
    """How many items a page shall have. Raises `RecordError`."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE_ITEMS_MAX:
        raise RecordError(f"limit must be an int from 1 to {PAGE_ITEMS_MAX}")
    return limit


def place(cursor: str | None, first: int) -> int:
    """Where a page of numbered items begins. Raises `RecordError`."""
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RecordError("cursor must be one that an earlier page gave")
    return int(cursor)
