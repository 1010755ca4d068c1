"""What moved, as the engine notes it: four entries of one flat list per movement. An object for each would
cost more than all else: hundreds of thousands of them keep the garbage collector looking."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from fastcheck.ledger.model import Movement, MovementKind

_FIELDS = len(Movement._fields)
_movement = partial(tuple.__new__, Movement)  # `Movement(*one)` in C.


class Moved:
    """Movements, oldest first."""

    __slots__ = ("_flat",)

    def __init__(self) -> None:
        self._flat: list[Any] = []

    def note(self, at: int, kind: MovementKind, grant: str | None, units: int) -> None:
        """One more; see `Movement`."""
        self._flat += (at, kind, grant, units)

    def __len__(self) -> int:
        return len(self._flat) // _FIELDS

    def since(self, count: int = 0) -> Iterator[tuple[int, MovementKind, str | None, int]]:
        """Those after the first `count`, as (at, kind, grant, units)."""
        fields = iter(self._flat[count * _FIELDS :] if count else self._flat)
        return zip(fields, fields, fields, fields, strict=True)

    def sort_since(self, count: int) -> None:
        """Puts those after the first `count` in the order of their instants; equal ones stay as they are."""
        by_instant = sorted(self.since(count), key=_at)
        self._flat[count * _FIELDS :] = [field for one in by_instant for field in one]

    def movements(self) -> tuple[Movement, ...]:
        """All of them."""
        return tuple(map(_movement, self.since()))


def _at(one: tuple[int, MovementKind, str | None, int]) -> int:
    return one[0]
