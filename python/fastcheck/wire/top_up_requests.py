"""Requests for automatic top-ups, checked."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.errors import WrongType
from fastcheck.ledger.model import Cost
from fastcheck.wire.answers import travels
from fastcheck.wire.names import name, note


@travels
@dataclass(frozen=True)
class PutTopUp:
    """A rule for an account; amounts are credits, checked against the pool's scale by the service."""

    customer: str
    pool: str
    threshold: object
    target: object
    monthly_cap: object = None
    cost: tuple[int, str] | None = None
    """(minor units, currency) of a top-up of `target` credits; others cost in proportion, rounded up."""
    reason: str = ""


def put_top_up(
    customer: str,
    pool: str,
    threshold: object,
    target: object,
    *,
    monthly_cap: object = None,
    cost: object = None,
    reason: str = "",
) -> PutTopUp:
    """Checks a rule as far as it can be without the catalog. Raises `WrongType`, `NameInvalid`,
    `AmountError`."""
    paid: tuple[int, str] | None = None
    if cost is not None:
        if not isinstance(cost, (tuple, list)) or len(cost) != 2:
            raise WrongType("cost is (minor units, currency), such as (900, 'EUR')")
        checked = Cost(cost[0], cost[1])
        paid = (checked.amount, name(checked.currency, "currency"))
    return PutTopUp(
        name(customer, "customer"),
        name(pool, "pool"),
        threshold,
        target,
        monthly_cap,
        paid,
        note(reason, "reason"),
    )
