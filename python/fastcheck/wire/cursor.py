"""Places in lists as text that is safe in an address. Whoever asks for the next page hands back what the page
before gave, and knows nothing else of it; since they may send anything, it is checked against what the list's
places are made of."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from fastcheck.errors import ProtocolError, RecordError
from fastcheck.wire.names import INTEGER_MAX
from fastcheck.wire.packing import pack, unpack


def cursor_of(place: Sequence[bool | int | str] | None) -> str | None:
    """A place as text; None for the end."""
    return None if place is None else base64.urlsafe_b64encode(pack(tuple(place))).rstrip(b"=").decode()


def place_of(cursor: str | None, first: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inverse of `cursor_of`; `first`: where the list begins, and what its places are made of. Raises
    `RecordError`."""
    if cursor is None:
        return first
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = unpack(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, ProtocolError):
        place = None
    if not isinstance(place, tuple) or [type(one) for one in place] != [type(one) for one in first]:
        raise RecordError("cursor must be one that an earlier page gave")
    if not all(_storable(one) for one in place):
        raise RecordError("cursor must be one that an earlier page gave")
    return place


def number_of(cursor: str | None, first: int) -> int:
    """Where a page of numbered items begins: the number itself. Raises `RecordError`."""
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RecordError("cursor must be one that an earlier page gave")
    return int(cursor)


def _storable(one: bool | int | str) -> bool:
    """Whether every database takes it."""
    return "\0" not in one if isinstance(one, str) else -1 <= one <= INTEGER_MAX
