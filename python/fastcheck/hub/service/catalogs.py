"""Every catalog that a ledger ever had in force, read once."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastcheck.hub.catalog.product import Product
from fastcheck.hub.store.statements import Statements
from fastcheck.wire.catalog import CatalogLike

KEPT_MAX: Final = 16
"""Catalogs that stay parsed."""

Parsed = tuple[CatalogLike, Product]


class KnownCatalogs:
    """What was read of the ledger's catalogs. Used by many threads at once."""

    def __init__(self, parse: Callable[[bytes, str], CatalogLike]) -> None:
        self._parse: Final = parse
        self._changing: Final = threading.Lock()
        self._instants: tuple[tuple[int, int], ...] = ()
        self._parsed: OrderedDict[int, Parsed] = OrderedDict()

    def instants(self, statements: Statements, number: int) -> Sequence[tuple[int, int]]:
        """(instant, number) of each catalog up to that of a number, oldest first."""
        known = self._instants
        if not known or known[-1][1] < number:
            known = tuple(statements.catalog_instants())
            with self._changing:
                if not self._instants or self._instants[-1][1] < known[-1][1]:
                    self._instants = known
        return known

    def get(self, statements: Statements, number: int) -> Parsed:
        """A catalog by its number."""
        with self._changing:
            found = self._parsed.get(number)
            if found is not None:
                self._parsed.move_to_end(number)
                return found
        stored = statements.numbered_catalog(number)
        found = self._parse(stored.source, stored.filename), stored.product()
        with self._changing:
            self._parsed[number] = found
            if len(self._parsed) > KEPT_MAX:
                self._parsed.popitem(last=False)
        return found


@dataclass(frozen=True)
class CatalogsInCall:
    """The catalogs as one call sees them."""

    known: KnownCatalogs
    number: int
    """Of the one in force."""

    def since(self, statements: Statements, at: int) -> Sequence[tuple[int, int]]:
        """As `timeline.Catalogs.since`."""
        instants = self.known.instants(statements, self.number)
        first = max(0, bisect_right(instants, at, key=lambda one: one[0]) - 1)
        return [one for one in instants[first:] if one[1] <= self.number]

    def get(self, statements: Statements, number: int) -> Parsed:
        """As `timeline.Catalogs.get`."""
        return self.known.get(statements, number)
