"""Which lines a customer has in a pool, with their plan, trial, add-ons and meters. A function of catalog and
record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fastcheck.hub.catalog.product import Feature, Offer, PlanGrant, Product
from fastcheck.ledger.lines import Line, Role
from fastcheck.ledger.model import Cost
from fastcheck.ledger.periods import Recurrence
from fastcheck.wire.record import CustomerRecord, SettingValue


@dataclass(frozen=True)
class Since:
    """When a customer came to the parts of what they have; the record itself knows only the plan's."""

    trial_ms: int | None = None
    addons: Mapping[str, int] = field(default_factory=dict)
    restored: bool = False
    """Whether a deletion was undone to this: as if it had not been."""
    trials: int = 0
    """Trials that the customer ever had; of records of earlier builds 0, with a trial or without."""
    version_ms: int | None = None
    """When the customer came to the version of the plan; None: when they came to the plan."""


@dataclass(frozen=True)
class Stay:
    """An offer that a customer has."""

    role: Role
    name: str
    offer: Offer | None
    """None: the catalog has lost it."""
    starts_at: int
    ends_at: int | None = None
    """When it ends by itself."""
    quantity: int = 1
    version_at: int | None = None
    """When the customer came to this version of the plan; None: with the stay."""

    @property
    def key(self) -> str:
        """As the keys of its lines begin: "plan:pro"."""
        return f"{self.role.value}:{self.name}"


def stays(product: Product, record: CustomerRecord, since: Since) -> Iterator[Stay]:
    """What a customer has. Nothing once they are deleted."""
    if record.deleted:
        return
    if record.plan is not None:
        offer = product.plans.get((record.plan, record.version or 0))
        yield Stay(Role.PLAN, record.plan, offer, record.since_ms, version_at=since.version_ms)
    trial = record.trial
    if trial is not None:
        offer = product.plans.get((trial.plan, trial.version or 0))
        starts_at = record.since_ms if since.trial_ms is None else since.trial_ms
        yield Stay(Role.TRIAL, trial.plan, offer, starts_at, trial.until_ms)
    for name, quantity, until_ms in record.addons:
        starts_at = since.addons.get(name, record.since_ms)
        yield Stay(Role.ADDON, name, product.addons.get(name), starts_at, until_ms, quantity)


def pool_lines(
    product: Product, record: CustomerRecord, since: Since, pool: str, quota: SettingValue
) -> list[Line]:
    """The lines of a customer in a pool. `quota` is what the pool's meter resolves to, and is not looked at
    for a named pool."""
    found = [
        line
        for stay in stays(product, record, since)
        if stay.offer is not None
        for grant in stay.offer.grants
        if grant.pool == pool and not stay.offer.sold and (line := _line(grant, stay)) is not None
    ]
    if not record.deleted:
        found += [_meter(one, record, quota) for one in product.features_of(pool) if one.kind == "meter"]
    return found


def _line(grant: PlanGrant, stay: Stay) -> Line | None:
    """None for what was given once to the customers who came later."""
    starts_at = max(stay.starts_at, grant.added_at)
    came_at = stay.starts_at if stay.version_at is None else max(stay.starts_at, stay.version_at)
    if grant.every is None and grant.added_at > came_at and not grant.existing:
        return None
    return Line(
        f"{stay.key}:{grant.id}",
        grant.amount * stay.quantity,
        starts_at,
        stay.ends_at,
        grant.priority,
        grant.kind,
        None if grant.every is None else Recurrence(grant.every, grant.anchor, stay.starts_at),
        grant.rollover,
        grant.lasts,
        None if grant.cost is None else Cost(grant.cost.amount * stay.quantity, grant.cost.currency),
        grant.prorated,
    )


def _meter(feature: Feature, record: CustomerRecord, quota: SettingValue) -> Line:
    """A meter's quota: one line whatever the plan, so that changing plans keeps what was used."""
    amount = quota if isinstance(quota, int) and not isinstance(quota, bool) else 0
    assert feature.period is not None, "a meter has a period"
    return Line(
        f"{Role.METER.value}:{feature.name}",
        amount,
        record.since_ms,
        recurrence=Recurrence(feature.period, feature.anchor, record.since_ms),
    )
