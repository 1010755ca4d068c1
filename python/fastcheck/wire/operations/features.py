"""Features: what a customer has of one, and why."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.wire.answers import Explanation
from fastcheck.wire.fields import At, CustomerKey, FeatureName
from fastcheck.wire.operation import Operation, Request, Touches
from fastcheck.wire.shapes import FeatureCheck


@dataclass(frozen=True)
class Explain(Request[Explanation]):
    """Every source of a feature for a customer, now or at an instant, which one won, and what a check
    answers."""

    customer: CustomerKey
    feature: FeatureName
    at: At | None = None


@dataclass(frozen=True)
class CheckFeature(Request[FeatureCheck]):
    """What a check of one use of a feature answers now, by what was settled so far. A host answers the same
    in nanoseconds; this is for callers without one."""

    customer: CustomerKey
    feature: FeatureName


_PATH = "/customers/{customer}/features/{feature}"

OPERATIONS = (
    Operation(Explain, "GET", f"{_PATH}/explanation", "explanations.read", Touches.SETTLED),
    Operation(CheckFeature, "GET", _PATH, "features.read", Touches.SETTLED),
)
