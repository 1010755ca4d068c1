"""What every use case is given: one transaction's tables, the catalog in force, the clock, and who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..clock import Clock
from ..errors import CatalogError, UnknownCustomer
from .accounts import Accounts, Totals
from .product import CatalogLike, Product
from .store import Again
from .store.books import Books, StoredCustomer


@dataclass(frozen=True)
class Call:
    """One call of the service, inside its transaction."""

    books: Books
    clock: Clock
    product: Product
    parsed: CatalogLike | None
    """The catalog in force; None where there is none yet."""
    author: str = ""

    @property
    def catalog(self) -> CatalogLike:
        """The catalog in force. Raises `CatalogError` where there is none."""
        return in_force(self.parsed)

    def accounts(self) -> Accounts:
        """The accounts as of now. Raises `CatalogError` where there is no catalog."""
        return Accounts(self.books, self.catalog, self.product, self.clock.now_ms(), self.author)

    def number(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        number = self.books.number_of(key)
        if number is None:
            raise UnknownCustomer(f"no customer has the id or alias {key!r:.80}: make them with put_customer")
        return number

    def customer(self, key: str) -> StoredCustomer:
        """The customer behind an id or alias. Raises `UnknownCustomer`."""
        return self.books.customer(self.number(key))

    def held(self, key: str, finals: Sequence[Totals | None] = ()) -> StoredCustomer:
        """`customer`, and nobody else changes them, nor those of the totals, until the transaction ends."""
        number = self.number(key)
        self.books.lock([number, *(one.number for one in finals if one is not None)])
        if self.number(key) != number:
            raise Again  # The key went to another customer while we waited.
        return self.books.customer(number)


def in_force(catalog: CatalogLike | None) -> CatalogLike:
    """The catalog, if there is one. Raises `CatalogError`."""
    if catalog is None:
        raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
    return catalog
