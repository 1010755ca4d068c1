"""Which line of an offer is which: what a ledger keeps beside each of its catalogs. `hub.catalog.lines` says
how one follows from the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastcheck.errors import CatalogError

ADDON = 0
"""The version under which an add-on's lines are kept: it has one."""

_FORM = 1


class Line(NamedTuple):
    """One line of a plan version or an add-on."""

    id: str
    """Its identity within the plan, whatever the version, or within the add-on."""
    added_at: int
    """When it was added to the version or add-on; 0 where it was there from the beginning."""


@dataclass(frozen=True)
class Family:
    """The lines of a plan in all its versions, or of an add-on. It outlives them in the catalog, so that no
    identity is given twice."""

    offers: Mapping[int, tuple[Line, ...]] = field(default_factory=dict)
    """Version -> its lines in the catalog's order."""
    next: int = 0
    """The smallest number that no line ever had."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Name -> identity, of all lines that ever had a name; no two names have one identity."""


@dataclass(frozen=True)
class Registry:
    """The lines of all offers of a catalog."""

    plans: Mapping[str, Family] = field(default_factory=dict)
    addons: Mapping[str, Family] = field(default_factory=dict)

    def of_plan(self, plan: str, version: int) -> tuple[Line, ...]:
        """The lines of a plan version."""
        return self.plans[plan].offers[version]

    def of_addon(self, addon: str) -> tuple[Line, ...]:
        """The lines of an add-on."""
        return self.addons[addon].offers[ADDON]

    def plain(self) -> tuple[Any, ...]:
        """As values that msgpack holds; `registry` reads them."""
        return (_FORM, _plain(self.plans), _plain(self.addons))


def registry(plain: Any) -> Registry:
    """What `Registry.plain` made. Raises `CatalogError` for what it did not make."""
    try:
        form, plans, addons = plain
        if form != _FORM:
            raise ValueError(f"form {form}")
        return Registry(_families(plans), _families(addons))
    except (TypeError, ValueError, AttributeError) as error:
        raise CatalogError([f"the catalog's lines cannot be read: {error}"]) from error


def _plain(families: Mapping[str, Family]) -> dict[str, Any]:
    return {
        name: (family.next, dict(family.names), {v: list(lines) for v, lines in family.offers.items()})
        for name, family in families.items()
    }


def _families(plain: Mapping[str, Any]) -> dict[str, Family]:
    return {
        name: Family(
            {int(v): tuple(Line(str(id), int(at)) for id, at in lines) for v, lines in offers.items()},
            int(unused),
            dict(names),
        )
        for name, (unused, names, offers) in plain.items()
    }
