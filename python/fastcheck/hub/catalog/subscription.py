"""When a customer's subscription begins its next period. A function of catalog, record and instant."""

from __future__ import annotations

from collections.abc import Iterator

from fastcheck.hub.catalog.product import Product
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit, next_start
from fastcheck.wire.record import CustomerRecord

MONTH = Span(1, Unit.MONTH)


def period_end(product: Product, record: CustomerRecord, now: int) -> int:
    """The instant at which the next period of a subscription starts, always after `now`.

    What recurs is the plan version's recurring grants and the meters that it names. The rule:

    1. of those that count from the anniversary, the earliest refill;
    2. none does, but some go by the calendar: the end of the calendar month (UTC);
    3. nothing recurs, or there is no plan: a month of the anniversary of `since`.

    A subscription that has not begun yet ends its first period after its begin."""
    after = max(now, record.since_ms)
    recurring = list(_recurring(product, record))
    own = [every for every, anchor in recurring if anchor is Anchor.ANNIVERSARY]
    if not own and recurring:
        return next_start(Recurrence(MONTH, Anchor.CALENDAR, 0), after)
    return min(
        next_start(Recurrence(every, Anchor.ANNIVERSARY, record.since_ms), after) for every in own or [MONTH]
    )


def _recurring(product: Product, record: CustomerRecord) -> Iterator[tuple[Span, Anchor]]:
    if record.plan is None:
        return
    offer = product.plans.get((record.plan, record.version or 0))
    if offer is None:
        return
    for grant in offer.grants:
        if grant.every is not None:
            yield grant.every, grant.anchor
    for name in offer.features:
        feature = product.features.get(name)
        if feature is not None and feature.period is not None:
            yield feature.period, feature.anchor
