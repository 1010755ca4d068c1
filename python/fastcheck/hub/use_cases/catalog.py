"""Putting a catalog in force, and saying what stands in its way."""

from __future__ import annotations

from fastcheck.errors import CatalogError
from fastcheck.hub.catalog.product import product
from fastcheck.hub.store.log_changes import log_catalog
from fastcheck.hub.use_cases.booking import book_of_now, note_changed
from fastcheck.hub.use_cases.catalog_conflicts import conflicts
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.events import Kind
from fastcheck.wire.operations.catalog import CheckCatalog, GetCatalog, SetCatalog
from fastcheck.wire.shapes import CatalogText, Changed, Mistakes


def put(call: Call, request: SetCatalog) -> Changed:
    """Puts a catalog in force. Raises `CatalogError` for its mistakes, and for everything in use that it
    would take away, naming who uses it."""
    catalog = call.parse(request.source, request.filename)
    statements, now, document = call.statements, call.now, catalog.document()
    stored = statements.catalog()
    if stored is not None and stored.digest == catalog.digest:
        return Changed(False)
    if stored is not None:
        old = product(stored.document)
        new = product(document)
        in_the_way = conflicts(old, new, statements)
        if in_the_way:
            raise CatalogError(in_the_way)
        if call.parsed is not None:
            call.accounts().settle(call.totals)
            book_of_now(call)
        note_changed(call, old, new)
    statements.put_catalog(now, request.source, request.filename, catalog.digest, document)
    seq = statements.next_seq()
    if call.streams:
        log_catalog(statements, now, seq, request.filename, request.source)
    statements.tell(Kind.CATALOG_CHANGED, now, None, None, {"seq": seq, "digest": catalog.digest})
    before = None if stored is None else {"digest": stored.digest}
    call.note("set_catalog", request.filename, before, {"digest": catalog.digest})
    call.effects.catalog = catalog
    return Changed(True)


def check(call: Call, request: CheckCatalog) -> Mistakes:
    """What `put` would refuse."""
    try:
        catalog = call.parse(request.source, request.filename)
    except CatalogError as error:
        return Mistakes(tuple(map(str, error.problems)))
    return Mistakes(tuple(_in_the_way(call, catalog)))


def current(call: Call, request: object = None) -> CatalogText | None:
    """The catalog in force as it was put."""
    stored = call.statements.catalog()
    return None if stored is None else CatalogText(stored.source, stored.filename, stored.digest)


def get(call: Call, request: GetCatalog) -> CatalogText:
    """The catalog in force as it was put. Raises `CatalogError` where there is none."""
    found = current(call)
    if found is None:
        raise CatalogError(["there is no catalog yet: put one"])
    return found


def _in_the_way(call: Call, catalog: CatalogLike) -> list[str]:
    stored = call.statements.catalog()
    if stored is None or stored.digest == catalog.digest:
        return []
    return conflicts(product(stored.document), product(catalog.document()), call.statements)


def _everything(call: Call, request: SetCatalog) -> Concerns:
    """All leases; not one is closed for a catalog that is refused."""
    problems = _in_the_way(call, call.parse(request.source, request.filename))
    if problems:
        raise CatalogError(problems)
    return Concerns(all=True)


USE_CASES = (
    UseCase(GetCatalog, get),
    UseCase(SetCatalog, put, _everything, current, exclusive=True),
    UseCase(CheckCatalog, check),
)
