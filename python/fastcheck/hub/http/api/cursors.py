"""Places in lists as text that is safe in an address. A caller may send anything: it is checked against what
the list's places are made of."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from fastcheck.errors import RecordError
from fastcheck.wire.names import INTEGER_MAX


def cursor_of(place: Sequence[Any] | None) -> str | None:
    """A place as text; None for the end."""
    if place is None:
        return None
    text = json.dumps(tuple(place), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def place_of(cursor: str | None, *kinds: type) -> Any:
    """The inverse of `cursor_of`; `kinds`: what the list's places are made of. Raises `RecordError`."""
    if cursor is None:
        return None
    try:
        data = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        place = json.loads(data)
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or [type(one) for one in place] != list(kinds):
        raise RecordError("cursor must be one that an earlier page gave")
    if not all(_storable(one) for one in place):
        raise RecordError("cursor must be one that an earlier page gave")
    return tuple(place)


def _storable(one: bool | int | str) -> bool:
    """Whether every database takes it."""
    if isinstance(one, str):
        return "\0" not in one and one.encode("utf-8", "replace").decode() == one
    return -1 <= one <= INTEGER_MAX
