"""Why a feature is what it is for a customer."""

from __future__ import annotations

from typing import Any

from ..answers import Consideration, Explanation
from .call import Call
from .grants import balance
from .settings import feature_of, shown


def explain(call: Call, key: str, name: str, at: int | None) -> Explanation:
    """Every source of a feature, and which one won. Raises `UnknownFeature`, `UnknownCustomer`."""
    feature = feature_of(call.product, name)
    accounts = call.accounts()
    stored = call.customer(key)
    moment = accounts.now if at is None else at
    value, source = accounts.catalog.resolve(stored.packed, moment)[name]
    considered = tuple(_considered(one) for one in accounts.catalog.explain(stored.packed, name, moment))
    pool = None if feature.pool is None else call.product.pools.get(feature.pool)
    return Explanation(
        stored.record.id, name, feature.kind, moment, shown(call.product, value, name), source, considered,
        None if pool is None or at is not None else balance(accounts, stored, pool),
    )  # fmt: skip


def _considered(found: dict[str, Any]) -> Consideration:
    return Consideration(
        str(found["source"]), str(found.get("name") or ""), str(found.get("setting")),
        bool(found.get("active")), found.get("starts_at_ms"), found.get("ends_at_ms"), bool(found.get("won")),
        str(found.get("why") or ""),
    )  # fmt: skip
