"""The catalog as the hub reads it: pools with their rules, features, and the grants that come with plans.

It is made from `Catalog.document()`, the canonical content with every default filled in::

    {"pools": {name: {"scale": int, "policy": "hard" | "soft", "overdraft": units | None,
                      "order": [key…], "warn_at": [percent…], "private": bool}},
     "features": {name: {"kind": str, "pool": name | None, "period": {"every": span, "anchor": str} | None,
                         "rates": {quantity: units}}},
     "plans": {name: {version: {"features": {feature: setting}, "grants": [grant…]}}},
     "addons": {name: {"plans": [name…], "max_quantity": int | None,
                       "features": {feature: setting}, "grants": [grant…], "sold": "once" | None}}}

    grant = {"name": str | None, "pool": name, "amount": units, "priority": int, "kind": str,
             "every": span | None, "anchor": str | None, "expires_after": span | None,
             "rollover": {"min": units, "max": units, "percent": int, "once": bool},
             "cost": {"amount": minor units, "currency": "USD"} | None,
             "existing": "give" | None, "proration": "full" | "prorated" | None}
    span  = [3, "month"]

`docs/catalog.md` says the same of the whole document. Ledgers keep documents of earlier builds, without
`name`, `existing`, `proration` and `sold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastcheck.errors import CatalogError
from fastcheck.hub.catalog.registry import Line, Registry
from fastcheck.ledger.model import DEFAULT_ORDER, Cost, GrantKind, OrderKey, Rollover, Rules
from fastcheck.ledger.periods import Anchor, Span, Unit


@dataclass(frozen=True)
class Pool:
    """A balance that is spent."""

    name: str
    scale: int
    """Decimal digits: a unit is 10^-scale of a credit."""
    rules: Rules
    private: bool
    """The balance behind one meter, named like the meter."""
    warn_at: tuple[int, ...] = (90, 100)
    """Percents of what was granted at whose use somebody is told, ascending."""
    dearest: int = 1
    """Units that the dearest single use of any feature burns."""


@dataclass(frozen=True)
class Feature:
    """What is checked."""

    name: str
    kind: str
    pool: str | None
    """What it spends, if it is countable."""
    period: Span | None
    """How often a meter refills."""
    anchor: Anchor
    cost: int = 1
    """Pool units that one use burns; of a feature with named quantities only, the least there is."""


@dataclass(frozen=True)
class PlanGrant:
    """A grant that comes with a plan or an add-on; amounts of an add-on are per unit of quantity."""

    pool: str
    amount: int
    priority: int
    kind: GrantKind
    every: Span | None
    anchor: Anchor
    lasts: Span | None
    rollover: Rollover
    cost: Cost | None
    """What is paid for `amount`, each time."""
    id: str = ""
    """The line's identity within its plan or add-on, across versions and catalogs."""
    added_at: int = 0
    """When the line was added to its offer; before any customer where it was there from the beginning."""
    existing: bool = False
    """Of a line given once: whether customers get it who came to the offer before the line did."""
    prorated: bool = False
    """Of a recurring line: whether what changes within a period counts for the rest of it."""
    name: str | None = None
    """How the catalog calls the line; None in a list."""


@dataclass(frozen=True)
class Offer:
    """A plan version or an add-on: which features it names, and its grants."""

    features: frozenset[str]
    grants: tuple[PlanGrant, ...]
    plans: tuple[str, ...] = ()
    """Of an add-on: the plans it may be added to; empty = any."""
    max_quantity: int | None = None
    trial: Span | None = None
    """Of a plan: how long a trial lasts where nobody says otherwise."""
    sold: bool = False
    """Of an add-on: whether it is bought, each purchase for itself, and not had."""


@dataclass(frozen=True)
class Product:
    """The whole catalog."""

    pools: Mapping[str, Pool]
    features: Mapping[str, Feature]
    plans: Mapping[tuple[str, int], Offer]
    addons: Mapping[str, Offer]

    def newest(self, plan: str) -> int | None:
        """The newest version of a plan; None where there is no such plan."""
        return max((version for name, version in self.plans if name == plan), default=None)

    def features_of(self, pool: str) -> Iterator[Feature]:
        """The features that spend a pool."""
        return (feature for feature in self.features.values() if feature.pool == pool)


EMPTY = Product({}, {}, {}, {})


def product(document: Mapping[str, Any], lines: Registry | None = None) -> Product:
    """Reads a document. `lines` says which of its lines is which; without it they are their places. Raises
    `CatalogError` where the document is not of the form above."""
    try:
        read = Product(
            {
                name: _pool(name, pool, document["features"].values())
                for name, pool in document.get("pools", {}).items()
            },
            {name: _feature(name, feature) for name, feature in document.get("features", {}).items()},
            {
                (name, int(version)): _offer(offer)
                for name, plan in document.get("plans", {}).items()
                for version, offer in plan.items()
            },
            {name: _offer(addon) for name, addon in document.get("addons", {}).items()},
        )
        return read if lines is None else with_lines(read, lines)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogError(
            [f"the catalog's document cannot be read: {type(error).__name__}: {error}"]
        ) from error


def with_lines(product: Product, lines: Registry) -> Product:
    """A catalog whose lines have the identities of its registry. Raises `KeyError` and `ValueError` for the
    registry of another catalog."""
    return replace(
        product,
        plans={key: _with_lines(offer, lines.of_plan(*key)) for key, offer in product.plans.items()},
        addons={name: _with_lines(offer, lines.of_addon(name)) for name, offer in product.addons.items()},
    )


def _with_lines(offer: Offer, lines: tuple[Line, ...]) -> Offer:
    grants = zip(offer.grants, lines, strict=True)
    known = tuple(replace(grant, id=line.id, added_at=line.added_at) for grant, line in grants)
    return replace(offer, grants=known)


def _pool(name: str, pool: Mapping[str, Any], features: Iterable[Mapping[str, Any]]) -> Pool:
    rates = (
        cost for one in features if one.get("pool") == name for cost in (one.get("rates") or {}).values()
    )
    private = bool(pool.get("private"))
    order = tuple(OrderKey(key) for key in pool.get("order") or DEFAULT_ORDER)
    overdraft = pool.get("overdraft") if pool.get("policy", "hard") == "soft" else 0
    return Pool(
        name,
        int(pool["scale"]),
        Rules(order, overdraft, period_clears_overage=private),
        private,
        tuple(int(percent) for percent in pool.get("warn_at", (90, 100))),
        max(rates, default=1),
    )


def _feature(name: str, feature: Mapping[str, Any]) -> Feature:
    period = feature.get("period") or {}
    return Feature(
        name,
        feature["kind"],
        feature.get("pool"),
        _span(period.get("every")),
        _anchor(period.get("anchor")),
        int((feature.get("rates") or {}).get("", 1)),
    )


def _offer(offer: Mapping[str, Any]) -> Offer:
    return Offer(
        frozenset(offer.get("features") or ()),
        tuple(_plan_grant(grant, str(place)) for place, grant in enumerate(offer.get("grants") or ())),
        tuple(offer.get("plans") or ()),
        offer.get("max_quantity"),
        _span(offer.get("trial")),
        offer.get("sold") == "once",
    )


def _plan_grant(grant: Mapping[str, Any], id: str) -> PlanGrant:
    rollover, cost = grant.get("rollover") or {}, grant.get("cost")
    return PlanGrant(
        grant["pool"],
        int(grant["amount"]),
        int(grant["priority"]),
        GrantKind(grant["kind"]),
        _span(grant.get("every")),
        _anchor(grant.get("anchor")),
        _span(grant.get("expires_after")),
        Rollover(
            int(rollover.get("min") or 0),
            int(rollover.get("max") or 0),
            int(rollover.get("percent", 100)),
            bool(rollover.get("once", False)),
        ),
        None if cost is None else Cost(int(cost["amount"]), str(cost["currency"])),
        id,
        existing=grant.get("existing") == "give",
        prorated=grant.get("proration") == "prorated",
        name=grant.get("name"),
    )


def _anchor(anchor: str | None) -> Anchor:
    return Anchor(anchor or "calendar")


def _span(span: Any) -> Span | None:
    if span is None:
        return None
    count, unit = span
    return Span(int(count), Unit(unit))
