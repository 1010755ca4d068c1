"""Which grants a customer's plan, trial, add-ons and meters stand for. A function of catalog, record and
instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fastcheck.hub.catalog.product import Feature, Offer, PlanGrant, Product
from fastcheck.ledger.model import Cost
from fastcheck.ledger.periods import Recurrence
from fastcheck.ledger.plan import Source
from fastcheck.wire.record import CustomerRecord, SettingValue


@dataclass(frozen=True)
class Since:
    """When a customer came to the parts of what they have; the record itself knows only the plan's."""

    trial_ms: int | None = None
    addons: Mapping[str, int] = field(default_factory=dict)


def pool_sources(
    product: Product, record: CustomerRecord, since: Since, pool: str, quota: SettingValue
) -> list[Source]:
    """The grants the customer should hold in a pool. `quota` is what the pool's meter resolves to,
    and is not looked at for a named pool. Nothing for a deleted customer."""
    if record.deleted:
        return []
    found = [*_named(product, record, since, pool)]
    for feature in product.features_of(pool):
        if feature.kind == "meter":
            found.append(_meter(feature, record, quota))
    return found


def _named(product: Product, record: CustomerRecord, since: Since, pool: str) -> Iterator[Source]:
    if record.plan is not None:
        yield from _offer_sources(
            product.plans.get((record.plan, record.version or 0)),
            f"plan:{record.plan}",
            pool,
            1,
            record.since_ms,
        )
    trial = record.trial
    if trial is not None:
        starts_at = record.since_ms if since.trial_ms is None else since.trial_ms
        yield from _offer_sources(
            product.plans.get((trial.plan, trial.version or 0)),
            f"trial:{trial.plan}",
            pool,
            1,
            starts_at,
            trial.until_ms,
        )
    for name, quantity, until_ms in record.addons:
        starts_at = since.addons.get(name, record.since_ms)
        yield from _offer_sources(
            product.addons.get(name), f"addon:{name}", pool, quantity, starts_at, until_ms
        )


def _offer_sources(
    offer: Offer | None, key: str, pool: str, quantity: int, starts_at: int, ends_at: int | None = None
) -> Iterator[Source]:
    if offer is None:
        return
    for place, grant in enumerate(offer.grants):
        if grant.pool == pool:
            yield _source(grant, f"{key}:{place}", quantity, starts_at, ends_at)


def _source(grant: PlanGrant, key: str, quantity: int, starts_at: int, ends_at: int | None) -> Source:
    recurrence = None if grant.every is None else Recurrence(grant.every, grant.anchor, starts_at)
    return Source(
        key,
        grant.amount * quantity,
        starts_at,
        ends_at,
        grant.priority,
        grant.kind,
        recurrence,
        grant.rollover,
        grant.lasts,
        None if grant.cost is None else Cost(grant.cost.amount * quantity, grant.cost.currency),
    )


def _meter(feature: Feature, record: CustomerRecord, quota: SettingValue) -> Source:
    """A meter's quota as a plan grant: one key whatever the plan, so that changing plans keeps what was
    used."""
    amount = quota if isinstance(quota, int) and not isinstance(quota, bool) else 0
    assert feature.period is not None, "a meter has a period"
    return Source(
        f"meter:{feature.name}",
        amount,
        record.since_ms,
        recurrence=Recurrence(feature.period, feature.anchor, record.since_ms),
    )
