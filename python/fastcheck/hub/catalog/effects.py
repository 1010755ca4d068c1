"""What a new catalog does to the customers of each offer, line by line, in words. A function of two catalogs
whose lines have identities; section 3 of decision 0012 is what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastcheck.amounts import credits
from fastcheck.hub.catalog.lines import in_words
from fastcheck.hub.catalog.product import Offer, PlanGrant, Product

ALL = "for every customer of it"
LATER = "for customers who come later"


@dataclass(frozen=True)
class Effect:
    """What becomes of one line, or of a whole offer."""

    plan: str | None
    """None: of an add-on."""
    version: int | None
    addon: str | None
    line: str | None
    """The line's identity; None: the offer as a whole."""
    what: str
    """In words, after the offer's."""
    concerns: bool
    """Whether customers are concerned who have the offer already."""

    @property
    def offer(self) -> str:
        """The offer in words."""
        return f"add-on {self.addon}" if self.plan is None else f"plan {self.plan} version {self.version}"

    def __str__(self) -> str:
        return f"{self.offer}: {self.what}"


def effects(old: Product, new: Product) -> list[Effect]:
    """What changes for a line or an offer: plans, then add-ons, in the order of names, versions, lines."""
    found: list[Effect] = []
    for plan, version in sorted({*old.plans, *new.plans}):
        before, after = old.plans.get((plan, version)), new.plans.get((plan, version))
        for line, what, concerns in _offer(old, new, before, after):
            found.append(Effect(plan, version, None, line, what, concerns))
    for addon in sorted({*old.addons, *new.addons}):
        before, after = old.addons.get(addon), new.addons.get(addon)
        for line, what, concerns in _offer(old, new, before, after):
            found.append(Effect(None, None, addon, line, what, concerns))
    return found


_Told = tuple[str | None, str, bool]


def _offer(old: Product, new: Product, before: Offer | None, after: Offer | None) -> Iterator[_Told]:
    if before is None:
        yield None, "is new", False
        return
    if after is None:
        yield None, "leaves the catalog", True
        return
    if before.sold != after.sold:
        what = "is sold from now on: customers buy it" if after.sold else "is had from now on, and not bought"
        yield None, what, False
    had = {grant.id: grant for grant in before.grants}
    sold = after.sold
    for grant in after.grants:
        was = had.get(grant.id)
        name = f"line {grant.name or grant.id}"
        if was is None:
            yield from _added(grant, f"{name} ({_words(new, grant)}) is new", sold)
        elif was.pool != grant.pool or (was.every is None) != (grant.every is None):
            yield from _left(was, f"{name} ({_words(old, was)}) leaves", sold)
            yield from _added(grant, f"{name} ({_words(new, grant)}) is new", sold)
        else:
            yield from _changed(old, new, was, grant, name, sold)
    have = {grant.id for grant in after.grants}
    for grant in before.grants:
        if grant.id not in have:
            yield from _left(grant, f"line {grant.name or grant.id} ({_words(old, grant)}) leaves", sold)


def _added(grant: PlanGrant, what: str, sold: bool) -> Iterator[_Told]:
    if sold:
        yield grant.id, f"{what}: in purchases from now on", False
    elif grant.every is not None:
        yield grant.id, f"{what}: begins now, {ALL}", True
    elif grant.existing:
        yield grant.id, f"{what}: given now, {ALL}", True
    else:
        yield grant.id, f"{what}: {LATER}", False


def _left(grant: PlanGrant, what: str, sold: bool) -> Iterator[_Told]:
    if grant.every is not None:
        yield grant.id, f"{what}: ends at the next refill", True
    else:
        yield grant.id, f"{what}: stays with those who {'bought' if sold else 'have'} it", False


def _changed(
    old: Product, new: Product, was: PlanGrant, grant: PlanGrant, name: str, sold: bool
) -> Iterator[_Told]:
    """The same line, in the same pool, given once before and after or recurring before and after."""
    before, after = _amount(old, was), _amount(new, grant)
    recurs = grant.every is not None
    later = "in purchases from now on" if sold else LATER
    if was.name != grant.name and grant.name is not None:
        yield (
            grant.id,
            f"line {was.name or was.id} is called {grant.name} now, and stays the same line",
            False,
        )
    if was.every != grant.every or was.anchor != grant.anchor:
        what = f"{name} changes from {_words(old, was)} to {_words(new, grant)}: now, {ALL}"
        yield grant.id, what, True
    elif before != after:
        if not recurs:
            yield grant.id, f"{name} gives {after} {grant.pool} instead of {before}: {later}", False
        elif grant.amount > was.amount:
            yield grant.id, f"{name} rises from {before} to {after} {grant.pool} now, {ALL}", True
        else:
            yield (
                grant.id,
                f"{name} falls from {before} to {after} {grant.pool} at the next refill, {ALL}",
                True,
            )
    terms = [
        word
        for word, differs in (
            ("kind", was.kind != grant.kind),
            ("priority", was.priority != grant.priority),
            ("rollover", was.rollover != grant.rollover),
            ("expires_after", was.lasts != grant.lasts),
            ("cost", was.cost != grant.cost),
            ("proration", was.prorated != grant.prorated),
        )
        if differs
    ]
    if terms:
        what = f"{name} changes its {', '.join(terms)}"
        yield grant.id, f"{what}: now, {ALL}" if recurs else f"{what}: {later}", recurs
    if was.existing != grant.existing:
        if not grant.existing:
            yield grant.id, f"{name} goes from now on only to customers who come later", False
        elif grant.added_at:
            yield grant.id, f"{name} is given now to customers who came before it", True


def _amount(product: Product, grant: PlanGrant) -> str:
    pool = product.pools.get(grant.pool)
    return "?" if pool is None else f"{credits(grant.amount, pool.scale):,}"


def _words(product: Product, grant: PlanGrant) -> str:
    return in_words(grant, product.pools.get(grant.pool))
