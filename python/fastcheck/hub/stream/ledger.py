"""What the server asks of the service, so that each part says what it needs and tests can stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from fastcheck.hub.stream.actions import FoundRecords
from fastcheck.hub.stream.ring import LoggedChange

if TYPE_CHECKING:
    from fastcheck.hub.store.statements import StoredCatalog

Answer = TypeVar("Answer")


class Position(Protocol):
    """Where the ledger stands, at one instant."""

    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def digest(self) -> int: ...
    @property
    def catalog_digest(self) -> str:
        """Of the catalog in force; "" where there is none."""
        ...


class Changes(Protocol):
    """A part of the change log."""

    @property
    def epoch(self) -> int: ...
    @property
    def first_kept(self) -> int:
        """The first change that the log still has."""
        ...

    @property
    def items(self) -> Sequence[LoggedChange]:
        """In order, without a gap."""
        ...


class Ledger(Protocol):
    """The reading that the stream lives on. Every call may block; each raises `FastcheckError`."""

    def position(self) -> Position:
        """Where the ledger stands."""
        ...

    def changes(self, after: int, limit_bytes: int) -> Changes:
        """Changes after `after`, of about `limit_bytes`, at least one if there is any."""
        ...

    def scan(self, work: Callable[[Position, StoredCatalog, Iterator[bytes]], Answer]) -> Answer:
        """Everything of one instant. Raises `CatalogError` where there is no catalog yet."""
        ...

    def find_records(self, keys: Sequence[str]) -> FoundRecords:
        """Customers by id or alias."""
        ...
