"""Putting a catalog in force, and saying what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.errors import CatalogError
from fastcheck.hub.catalog.effects import effects
from fastcheck.hub.catalog.lines import following
from fastcheck.hub.catalog.product import EMPTY, Product, product, with_lines
from fastcheck.hub.catalog.registry import Registry
from fastcheck.hub.store.log_changes import log_catalog
from fastcheck.hub.store.statements import StoredCatalog
from fastcheck.hub.use_cases.booking import book_of_now, note_changed
from fastcheck.hub.use_cases.catalog_conflicts import conflicts
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.events import Kind
from fastcheck.wire.operations.catalog import CheckCatalog, GetCatalog, SetCatalog
from fastcheck.wire.shapes import CatalogCheck, CatalogEffect, CatalogText, Changed

EFFECTS_MAX = 1_000
"""Effects that a check lists."""


@dataclass(frozen=True)
class _Next:
    """A catalog that is to be put in force."""

    old: Product
    new: Product
    """Its lines have their identities, unless something is in the way."""
    lines: Registry
    problems: list[str]
    """What is in its way."""


def put(call: Call, request: SetCatalog) -> Changed:
    """Puts a catalog in force. Raises `CatalogError` for its mistakes, and for everything in use that it
    would take away, naming who uses it."""
    catalog = call.parse(request.source, request.filename)
    statements, now = call.statements, call.now
    stored = statements.catalog()
    if _is_in_force(call, stored, catalog):
        return Changed(False)
    then = _following(call, stored, catalog)
    if then.problems:
        raise CatalogError(then.problems)
    if call.parsed is not None:
        call.accounts().settle(call.totals)
        book_of_now(call)
    note_changed(call, then.old, then.new)
    statements.put_catalog(
        now, request.source, request.filename, catalog.digest, catalog.document(), then.lines
    )
    seq = statements.next_seq()
    if call.streams:
        log_catalog(statements, now, seq, request.filename, request.source)
    statements.tell(Kind.CATALOG_CHANGED, now, None, None, {"seq": seq, "digest": catalog.digest})
    before = None if stored is None else {"digest": stored.digest}
    call.note("set_catalog", request.filename, before, {"digest": catalog.digest})
    call.effects.catalog = catalog
    return Changed(True)


def check(call: Call, request: CheckCatalog) -> CatalogCheck:
    """What `put` would refuse, and what it would do to the lines of offers, with who has them."""
    try:
        catalog = call.parse(request.source, request.filename)
    except CatalogError as error:
        return CatalogCheck(tuple(map(str, error.problems)), ())
    stored = call.statements.catalog()
    if _is_in_force(call, stored, catalog):
        return CatalogCheck((), ())
    then = _following(call, stored, catalog)
    if stored is None or then.new is EMPTY:
        return CatalogCheck(tuple(then.problems), ())
    plans, addons = call.statements.plans_in_use(), call.statements.addons_in_use()
    found, all = [], effects(then.old, then.new)
    for effect in all[:EFFECTS_MAX]:
        used: tuple[int, str] | None = None
        if effect.concerns:
            key = (effect.plan or "", effect.version or 0)
            used = plans.get(key) if effect.addon is None else addons.get(effect.addon)
        count, example = used or (0, None)
        found.append(CatalogEffect(effect.offer, effect.line, effect.what, count, example))
    return CatalogCheck(tuple(then.problems), tuple(found), len(all) - len(found))


def _is_in_force(call: Call, stored: StoredCatalog | None, catalog: CatalogLike) -> bool:
    """Whether a catalog means what the one in force means. The digest of a stored one may be of an earlier
    build, whose documents said less; so its text counts as it is read now."""
    if stored is None:
        return False
    now = None if call.parsed is None else call.parsed.digest
    return catalog.digest in (stored.digest, now)


def _following(call: Call, stored: StoredCatalog | None, catalog: CatalogLike) -> _Next:
    """A catalog in the place of the one that is stored."""
    new = product(catalog.document())
    old = EMPTY if stored is None else stored.product()
    lines, unclear = following(None if stored is None else stored.lines, old, new, call.now)
    problems = conflicts(old, new, unclear, call.statements)
    return _Next(old, EMPTY if unclear else with_lines(new, lines), lines, problems)


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


def _everything(call: Call, request: SetCatalog) -> Concerns:
    """All leases; not one is closed for a catalog that is refused."""
    catalog, stored = call.parse(request.source, request.filename), call.statements.catalog()
    if not _is_in_force(call, stored, catalog):
        problems = _following(call, stored, catalog).problems
        if problems:
            raise CatalogError(problems)
    return Concerns(all=True)


USE_CASES = (
    UseCase(GetCatalog, get),
    UseCase(SetCatalog, put, _everything, current, exclusive=True),
    UseCase(CheckCatalog, check),
)
