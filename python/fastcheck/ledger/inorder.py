"""A queue that gives the smallest first. Most of what comes in comes at once, at the beginning, so that is
sorted once; only what comes later goes through a heap. Sorting n and taking them from the end costs a
fraction of n pops of a heap."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=Any)


class InOrder(Generic[Item]):
    """Items that compare, smallest first."""

    __slots__ = ("_late", "_sorted")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._sorted = sorted(items, reverse=True)  # The smallest last, where it is cheap to take.
        self._late: list[Item] = []

    def add(self, item: Item) -> None:
        """Puts in one more."""
        heappush(self._late, item)

    def add_all(self, items: list[Item]) -> None:
        """Puts in many more."""
        if len(items) > len(self._sorted) + len(self._late):
            self.__init__([*self._sorted, *self._late, *items])  # type: ignore[misc]
        else:
            for one in items:
                heappush(self._late, one)

    def first(self) -> Item | None:
        """The smallest; None where there is nothing."""
        at_once, late = self._sorted, self._late
        if at_once and not (late and late[0] < at_once[-1]):
            return at_once[-1]
        return late[0] if late else None

    def pop(self) -> Item:
        """Takes out the smallest. Raises `IndexError` where there is nothing."""
        at_once, late = self._sorted, self._late
        if at_once and not (late and late[0] < at_once[-1]):
            return at_once.pop()
        return heappop(late)

    def pop_before(self, limit: Item) -> Item | None:
        """Takes out the smallest if it is smaller than `limit`, else None."""
        at_once, late = self._sorted, self._late
        if at_once and not (late and late[0] < at_once[-1]):
            return at_once.pop() if at_once[-1] < limit else None
        return heappop(late) if late and late[0] < limit else None
