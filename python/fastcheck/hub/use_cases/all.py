"""The use case of every operation."""

from __future__ import annotations

from typing import Any, Final

from fastcheck.hub.use_cases import (
    audit,
    balances,
    caps,
    catalog,
    clock,
    customers,
    deletions,
    epochs,
    events,
    features,
    finance,
    grants,
    merging,
    overrides,
    plan_changes,
    purchases,
    refunds,
    reservations,
    segments,
    tokens,
    top_ups,
    usage,
    usage_records,
    webhooks,
)
from fastcheck.hub.use_cases.use_case import Answer, UseCase
from fastcheck.wire.operation import Request

_ALL: Final[tuple[UseCase[Any], ...]] = (
    *grants.USE_CASES,
    *purchases.USE_CASES,
    *balances.USE_CASES,
    *top_ups.USE_CASES,
    *features.USE_CASES,
    *caps.USE_CASES,
    *refunds.USE_CASES,
    *reservations.USE_CASES,
    *catalog.USE_CASES,
    *usage_records.USE_CASES,
    *audit.USE_CASES,
    *epochs.USE_CASES,
    *webhooks.USE_CASES,
    *events.USE_CASES,
    *tokens.USE_CASES,
    *usage.USE_CASES,
    *customers.USE_CASES,
    *deletions.USE_CASES,
    *merging.USE_CASES,
    *overrides.USE_CASES,
    *plan_changes.USE_CASES,
    *segments.USE_CASES,
    *finance.USE_CASES,
    *clock.USE_CASES,
)
_BY_REQUEST: Final = {one.request: one for one in _ALL}


def case_of(request: Request[Answer]) -> UseCase[Answer]:
    """What is done for a request."""
    found: UseCase[Answer] = _BY_REQUEST[type(request)]
    return found
