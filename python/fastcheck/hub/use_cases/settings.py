"""Settings of features between callers and the ledger: a meter's quota is whole uses out there, and units of
its pool in here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fastcheck.amounts import credits, units
from fastcheck.errors import UnknownFeature, WrongType
from fastcheck.hub.catalog.product import Feature, Product
from fastcheck.hub.use_cases.moving import some
from fastcheck.wire.record import SettingValue, setting


def feature_of(product: Product, name: str) -> Feature:
    """A feature of the catalog. Raises `UnknownFeature`."""
    feature = product.features.get(name)
    if feature is None:
        raise UnknownFeature(f"the catalog has no feature {name!r:.80}; it has: {some(product.features)}")
    return feature


def taken(product: Product, value: SettingValue | Decimal, feature: Feature) -> tuple[Any, ...]:
    """A caller's value as a setting. Raises `WrongType`, `RecordError`, `AmountError`."""
    scale = _meter_scale(product, feature)
    if isinstance(value, Decimal) or (scale and isinstance(value, int) and not isinstance(value, bool)):
        if feature.kind != "meter":
            raise WrongType(f"{feature.name} is a {feature.kind}: an override is no Decimal")
        value = units(value, scale, f"the quota of {feature.name}") if value else 0
    return setting(value, feature.kind, feature.name)


def shown(product: Product, value: SettingValue, name: str) -> SettingValue | Decimal:
    """A setting as people write it."""
    feature = product.features.get(name)
    if feature is None or isinstance(value, bool) or not isinstance(value, int):
        return value
    return credits(value, _meter_scale(product, feature))


def _meter_scale(product: Product, feature: Feature) -> int:
    pool = product.pools.get(feature.pool or "")
    return 0 if pool is None or feature.kind != "meter" else pool.scale
