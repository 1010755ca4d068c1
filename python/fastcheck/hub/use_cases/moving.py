"""What a move makes of a customer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fastcheck.errors import RecordError
from fastcheck.hub.catalog.product import Product
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store.statements import StoredMove
from fastcheck.wire.record import CustomerRecord


def after_move(
    product: Product, record: CustomerRecord, since: Since, move: StoredMove, at: int
) -> tuple[CustomerRecord, Since]:
    """A customer once they are moved at an instant. Add-ons that have ended leave where the plan does not
    take them. Raises `RecordError` where it cannot be done."""
    check_from(record, move)
    version_of(product, move.plan, move.version, None)
    addons, refused = [], []
    for addon in record.addons:
        offer = product.addons.get(addon[0])
        if offer is None or not offer.plans or move.plan in offer.plans:
            addons.append(addon)
        elif addon[2] is None or addon[2] > at:
            refused.append(addon[0])
    if refused:
        raise RecordError(
            f"customer {record.id!r:.80}: {named(move)} does not take the add-ons "
            f"{some(refused, len(refused))}: take them from the customer first"
        )
    keeps = move.keep_since or record.plan == move.plan
    new = replace(
        record,
        plan=move.plan,
        version=move.version,
        addons=tuple(addons),
        since_ms=record.since_ms if keeps else at,
    )
    # Of parts that were never given an instant of their own, it was the plan's.
    return new, replace(
        since,
        trial_ms=None if record.trial is None else since.trial_ms or record.since_ms,
        addons={name: since.addons.get(name, record.since_ms) for name, _, _ in addons},
        version_ms=version_since(record, since, move.plan, move.version, at),
    )


def version_since(
    record: CustomerRecord | None, since: Since, plan: str | None, version: int | None, at: int
) -> int | None:
    """When a customer came to the version that they have from an instant on; None: with the plan."""
    if record is None or record.plan is None or record.plan != plan:
        return None
    return since.version_ms if record.version == version else at


def check_from(record: CustomerRecord, move: StoredMove) -> None:
    """Raises `RecordError` where a move is not the customer's any more."""
    if record.deleted:
        raise RecordError("the customer was deleted")
    if move.from_plan is not None and (record.plan, record.version) != (move.from_plan, move.from_version):
        raise RecordError(f"the customer is not on {move.from_plan} version {move.from_version} any more")


def version_of(product: Product, plan: str | None, asked: int | None, bought: int | None) -> int | None:
    """The version of a plan that a customer gets: the one asked for, else the one they have, else the newest.
    Raises `RecordError` where the catalog has none such."""
    if plan is None:
        if asked is not None:
            raise RecordError("a version without a plan: give plan, or leave version out")
        return None
    newest = product.newest(plan)
    if newest is None:
        plans = some({one for one, _ in product.plans})
        raise RecordError(f"the catalog has no plan {plan!r:.80}; it has: {plans}")
    version = asked if asked is not None else bought if bought is not None else newest
    if (plan, version) not in product.plans:
        raise RecordError(f"plan {plan!r:.80} has no version {version}; the newest is {newest}")
    return version


def named(move: StoredMove) -> str:
    """Where a move goes, for a message."""
    return "no plan" if move.plan is None else f"plan {move.plan} version {move.version}"


def some(names: Iterable[str], at_most: int = 8) -> str:
    """The first of some names, for a message."""
    known = sorted(names)
    tail = ", …" if len(known) > at_most else ""
    return (", ".join(known[:at_most]) + tail) or "none"
