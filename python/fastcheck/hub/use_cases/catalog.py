"""Putting a catalog in force, and saying what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastcheck.errors import CatalogError
from fastcheck.hub.catalog.product import Product, product
from fastcheck.hub.store.log_changes import log_catalog
from fastcheck.hub.use_cases.accounts import Accounts, Totals
from fastcheck.hub.use_cases.catalog_conflicts import conflicts
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.events import Kind


def put(
    call: Call,
    catalog: CatalogLike,
    document: Mapping[str, Any],
    new: Product,
    source: bytes,
    filename: str,
    finals: Sequence[Totals],
) -> bool:
    """Puts a catalog in force (its document, and that as the hub reads it); False if it already was. Raises
    `CatalogError` for all it would take away."""
    books, now = call.books, call.now
    stored = books.catalog()
    if stored is not None and stored.digest == catalog.digest:
        return False
    if stored is not None:
        old = product(stored.document)
        in_the_way = conflicts(old, new, books)
        if in_the_way:
            raise CatalogError(in_the_way)
        if call.parsed is not None:
            Accounts(books, call.parsed, old, now, call.by.author).settle(finals)
    books.put_catalog(now, source, filename, catalog.digest, document)
    seq = books.next_seq()
    if call.streams:
        log_catalog(books, now, seq, filename, source)
    books.tell(Kind.CATALOG_CHANGED, now, None, None, {"seq": seq, "digest": catalog.digest})
    before = None if stored is None else {"digest": stored.digest}
    call.note("set_catalog", filename, before, {"digest": catalog.digest})
    return True


def problems(call: Call, catalog: CatalogLike, new: Product) -> list[str]:
    """What `put` would refuse."""
    stored = call.books.catalog()
    if stored is None or stored.digest == catalog.digest:
        return []
    return conflicts(product(stored.document), new, call.books)
