"""Automatic top-ups."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Changes, Reads
from fastcheck.hub.http.api.bodies import (
    Amount,
    Body,
    Cost,
    CustomerKey,
    Note,
    PoolName,
    QueryText,
    cost_of,
    credits_of,
)
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.shapes import Removed
from fastcheck.wire.top_up_requests import put_top_up

router = subject("top-ups")


class TopUpTerms(Body):
    """A rule by which an account is topped up by itself."""

    threshold: Amount = Field(description="At this balance or below it.")
    target: Amount = Field(description="Up to this balance.")
    monthly_cap: Amount | None = Field(default=None, description="At most so much in a calendar month (UTC).")
    cost: Cost | None = Field(default=None, description="Of a top-up of `target`; others in proportion.")
    reason: Note = None


@router.put("/customers/{customer:name}/top-ups/{pool:name}", **answers(TopUpState, changes=True))
def put_top_up_terms(customer: CustomerKey, pool: PoolName, body: TopUpTerms, change: Changes) -> Response:
    """Makes or changes the rule of an account."""
    cap = None if body.monthly_cap is None else credits_of(body.monthly_cap)
    request = put_top_up(
        customer,
        pool,
        credits_of(body.threshold),
        credits_of(body.target),
        monthly_cap=cap,
        cost=cost_of(body.cost),
        reason=change.reason(body.reason),
    )
    return change.done(change.service.put_top_up(request, by=change.by))


@router.delete("/customers/{customer:name}/top-ups/{pool:name}", **answers(Removed, changes=True))
def remove_top_up(customer: CustomerKey, pool: PoolName, change: Changes) -> Response:
    """Tops an account up no more."""
    return change.done(Removed(change.service.remove_top_up(customer, pool, by=change.by)))


@router.get("/top-ups", **answers(Page[TopUpState]))
def list_top_ups(
    asked: Reads,
    customer: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only this one's.")
    ] = None,
) -> Response:
    """The rules of a customer, or all; on one page."""
    return asked.answer(Page(tuple(asked.service.list_top_ups(customer)), None), Page[TopUpState])
