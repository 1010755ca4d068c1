"""The use case of every operation."""

from __future__ import annotations

from typing import Any, Final

from fastcheck.hub.use_cases import caps, events, finance, refunds, reservations, tokens, usage, webhooks
from fastcheck.hub.use_cases.use_case import Answer, UseCase
from fastcheck.wire.operation import Request

_ALL: Final[tuple[UseCase[Any], ...]] = (
    *caps.USE_CASES,
    *refunds.USE_CASES,
    *reservations.USE_CASES,
    *webhooks.USE_CASES,
    *events.USE_CASES,
    *tokens.USE_CASES,
    *usage.USE_CASES,
    *finance.USE_CASES,
)
_BY_REQUEST: Final = {one.request: one for one in _ALL}


def case_of(request: Request[Answer]) -> UseCase[Answer]:
    """What is done for a request."""
    found: UseCase[Answer] = _BY_REQUEST[type(request)]
    return found
