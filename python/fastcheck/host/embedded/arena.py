"""What the owner needs of others: the native arena, and a catalog with its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from fastcheck.wire.catalog import CatalogLike

Key = tuple[int, str]
"""(customer number, pool)."""
CellTotals = tuple[int, str, int, int, int, int, bool]
"""(number, pool, lease, spent, returned, granted, closed)."""
LateReturn = tuple[str, int, str, int, int]
"""(key, number, pool, lease, units)."""
UsageRecord = tuple[str, int, str, str, str, int, list[tuple[str, int]]]


class Arena(Protocol):
    """What the owner needs of the native `Owner`."""

    @property
    def adopted(self) -> bool: ...
    @property
    def previous_boot(self) -> bool: ...
    @property
    def seq(self) -> int: ...
    @property
    def customers(self) -> int: ...
    @property
    def detached(self) -> bool: ...
    def load(self, records: Iterable[bytes], seq: int, now_ms: int) -> int: ...
    def put(self, records: bytes, seq: int, now_ms: int) -> int: ...
    def open_cell(
        self, number: int, pool: str, lease: int, granted: int, valid_until_ms: int | None, full: bool
    ) -> None: ...
    def raise_cell(self, number: int, pool: str, lease: int, granted: int, full: bool) -> bool: ...
    def close_cell(self, number: int, pool: str, lease: int) -> CellTotals | None: ...
    def cell(self, number: int, pool: str, lease: int) -> CellTotals | None: ...
    def cells(self, changed_only: bool = False) -> list[CellTotals]: ...
    def sweep(self, manual_now_ms: int | None = None) -> int: ...
    def late_returns(self) -> list[LateReturn]: ...
    def late_returns_booked(self) -> None: ...
    def retire(self) -> list[CellTotals]: ...
    def drain_journal(self, limit: int) -> list[UsageRecord]: ...
    def ack_journal(self) -> None: ...
    def heartbeat(self, now_ms: int, steady_ms: int | None = None) -> None: ...
    def close(self) -> None: ...


class Given(Protocol):
    """A catalog with the text it came from."""

    @property
    def catalog(self) -> CatalogLike: ...
    @property
    def source(self) -> bytes: ...
    @property
    def filename(self) -> str: ...


class Mapped:
    """The arena in force. Another takes its place where the catalog changes, or where its files are lost."""

    def __init__(self, make: Callable[[CatalogLike], Arena]) -> None:
        """`make` adopts or makes the arena under a catalog."""
        self._make = make
        self._arena: Arena | None = None

    @property
    def there(self) -> bool:
        """Whether there is one: after `start`, and before `close`."""
        return self._arena is not None

    @property
    def arena(self) -> Arena:
        """The one in force."""
        assert self._arena is not None, "start() comes first"
        return self._arena

    def make(self, catalog: CatalogLike) -> Arena:
        """Makes the arena under a catalog; the one before was closed."""
        self._arena = self._make(catalog)
        return self._arena

    def close(self) -> None:
        """Unmaps it; cells stay for the next owner, and for those who go on spending."""
        arena, self._arena = self._arena, None
        if arena is not None:
            arena.close()
