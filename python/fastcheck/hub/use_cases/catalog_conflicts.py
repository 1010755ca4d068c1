"""What a new catalog would take away from customers. It is refused with everything that stands in its way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastcheck.hub.catalog.lines import Unclear
from fastcheck.hub.catalog.product import Product
from fastcheck.hub.store.statements import Statements


@dataclass(frozen=True)
class _Use:
    """Who uses a part of the catalog."""

    what: str
    count: int
    id: str

    def __str__(self) -> str:
        return f"{self.what} (customer {self.id!r}{'' if self.count == 1 else f' and {self.count - 1} more'})"


def conflicts(old: Product, new: Product, unclear: Sequence[Unclear], statements: Statements) -> list[str]:
    """Every reason why `new` cannot take the place of `old`, each with who uses it and what to do. `unclear`:
    lines of which it cannot be said which was which."""
    return [
        *_lines(unclear, statements),
        *_offers(old, new, statements),
        *_features(old, new, statements),
        *_pools(old, new, statements),
    ]


def _lines(unclear: Sequence[Unclear], statements: Statements) -> Iterator[str]:
    if not unclear:
        return
    plans, addons = statements.plans_in_use(), statements.addons_in_use()
    for one in unclear:
        if one.addon is not None:
            used = addons.get(one.addon)
        else:
            used = plans.get((one.plan or "", one.version if one.since is None else one.since))
        yield one.told("" if used is None else f"used by {_Use('customers', *used)}")


def _offers(old: Product, new: Product, statements: Statements) -> Iterator[str]:
    for (plan, version), (count, id) in sorted(statements.plans_in_use().items()):
        if (plan, version) not in new.plans:
            yield (
                f"plan {plan} version {version} is gone but used by {_Use('customers', count, id)}: "
                "keep it, or move them first"
            )
    for (plan, version), (count, id) in sorted(statements.plans_ahead().items()):
        if (plan, version) not in new.plans:
            yield (
                f"plan {plan} version {version} is gone but customers will be moved to it: "
                f"{_Use('moves', count, id)}: keep it, or cancel the moves first"
            )
    for addon, (count, id) in sorted(statements.addons_in_use().items()):
        if addon not in new.addons:
            use = _Use("customers", count, id)
            yield f"add-on {addon} is gone but used by {use}: keep it, or remove it from them"
        elif new.addons[addon].sold:
            use = _Use("customers", count, id)
            yield (
                f"add-on {addon} is sold once from now on but had by {use}: "
                "sell it under another name, or remove it from them first"
            )


def _features(old: Product, new: Product, statements: Statements) -> Iterator[str]:
    for feature, use in sorted(_features_in_use(old, statements).items()):
        before, after = old.features.get(feature), new.features.get(feature)
        if after is None:
            yield (
                f"feature {feature} is gone but in use through {use}: keep it, or take it out of there first"
            )
        elif before is not None and before.kind != after.kind:
            yield (
                f"feature {feature} changes from {before.kind} to {after.kind} while in use through {use}: "
                "give the new kind another name"
            )
        elif before is not None and before.pool != after.pool:
            yield (
                f"feature {feature} moves from pool {before.pool} to {after.pool} while in use through "
                f"{use}: give it another name"
            )


def _features_in_use(old: Product, statements: Statements) -> dict[str, _Use | str]:
    found: dict[str, _Use | str] = {}
    for (plan, version), (count, id) in sorted(statements.plans_in_use().items()):
        offer = old.plans.get((plan, version))
        for feature in offer.features if offer else ():
            found.setdefault(feature, _Use(f"plan {plan} version {version}", count, id))
    for addon, (count, id) in sorted(statements.addons_in_use().items()):
        offer = old.addons.get(addon)
        for feature in offer.features if offer else ():
            found.setdefault(feature, _Use(f"add-on {addon}", count, id))
    for feature, (count, id) in statements.overridden().items():
        found.setdefault(feature, _Use("overrides", count, id))
    for feature, segment in statements.features_of_segments().items():
        found.setdefault(feature, f"an override of segment {segment}")
    for pool, (count, id) in statements.pools_in_use().items():
        for one in old.features_of(pool):
            if one.kind == "meter":
                found.setdefault(one.name, _Use("its balances", count, id))
    return found


def _pools(old: Product, new: Product, statements: Statements) -> Iterator[str]:
    for pool, (count, id) in sorted(statements.pools_in_use().items()):
        before, after = old.pools.get(pool), new.pools.get(pool)
        use = _Use("balances", count, id)
        if after is None:
            if before is None or not before.private:
                yield f"pool {pool} is gone but holds {use}: keep it"
        elif before is not None and before.scale != after.scale:
            yield (
                f"pool {pool} changes its scale from {before.scale} to {after.scale} but holds {use}: "
                "keep the scale, or use a new pool"
            )
