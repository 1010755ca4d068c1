"""Grants and balances."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field, StrictBool, StrictInt, StrictStr
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Changes, Reads, ReadsBalances
from fastcheck.hub.http.api.bodies import (
    Amount,
    At,
    Body,
    Cost,
    CustomerKey,
    Id,
    Instant,
    Name,
    Note,
    PoolName,
    QueryText,
    Since,
    Until,
    cost_of,
    credits_of,
    given_instant,
    instant_of,
)
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Balance, BalanceWindow, GrantState, Page
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.requests import PRIORITY_MAX, make_grant

router = subject("money")


class RolloverTerms(Body):
    """What a refill keeps of the period before."""

    max: Amount
    min: Amount | None = None
    percent: Annotated[StrictInt, Field(ge=1, le=100)] | None = None
    once: StrictBool | None = None


class GrantTerms(Body):
    """An amount to put into a pool."""

    pool: Name = Field(examples=["ai_credits"])
    amount: Amount
    id: Name | None = Field(
        default=None, description="Your own, under which asking again changes nothing.", examples=["order_17"]
    )
    priority: Annotated[StrictInt, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = Field(
        default=100, description="Smaller burns first."
    )
    effective_at: Instant | None = None
    expires_at: Instant | None = None
    kind: StrictStr = Field(
        default="paid", max_length=32, description="paid, promotional, plan, top_up or refund."
    )
    reason: Note = None
    every: StrictStr | None = Field(
        default=None,
        max_length=64,
        description="How often the balance is set to the full amount again.",
        examples=["1 month"],
    )
    anchor: StrictStr = Field(
        default="anniversary", max_length=32, description="anniversary (of `effective_at`) or calendar."
    )
    zone: Name = Field(default="UTC", description="The time zone in which periods begin.")
    rollover: RolloverTerms | None = None
    cost: Cost | None = None


@router.post("/customers/{customer:name}/grants", **answers(GrantState, changes=True))
def make_grant_of(customer: CustomerKey, body: GrantTerms, change: Changes) -> Response:
    """Puts credits into a pool. With an `id` or an Idempotency-Key, asking again changes nothing."""
    rollover = None
    if body.rollover is not None:
        rollover = body.rollover.model_dump(exclude_none=True)
        for one in ("min", "max"):
            if one in rollover:
                rollover[one] = credits_of(rollover[one])
    request = make_grant(
        customer,
        body.pool,
        credits_of(body.amount),
        id=change.own_id(body.id, "g"),
        priority=body.priority,
        effective_at=instant_of(body.effective_at, "effective_at"),
        expires_at=instant_of(body.expires_at, "expires_at"),
        kind=body.kind,
        reason=change.reason(body.reason),
        every=body.every,
        anchor=body.anchor,
        zone=body.zone,
        rollover=rollover,
        cost=cost_of(body.cost),
    )
    return change.done(change.service.grant(request, by=change.by).grant)


@router.get("/customers/{customer:name}/grants", **answers(Page[GrantState]))
def list_grants(
    customer: CustomerKey,
    asked: Reads,
    pool: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only of this pool.")
    ] = None,
    at: At = None,
) -> Response:
    """A customer's grants, now or at an instant, oldest first, ended ones included; on one page."""
    found = asked.service.list_grants(customer, pool, instant_of(at, "at"))
    return asked.answer(Page(tuple(found), None), Page[GrantState])


@router.delete("/grants/{id:name}", **answers(GrantState, changes=True))
def void_grant(id: Id, change: Changes) -> Response:
    """Takes back what is left of a grant; again changes nothing."""
    return change.done(change.service.void(id, by=change.by))


@router.get("/customers/{customer:name}/balances/{pool:name}", **answers(Balance))
def get_balance(customer: CustomerKey, pool: PoolName, asked: ReadsBalances, at: At = None) -> Response:
    """What a customer has in a pool, by what was settled so far, or at an instant."""
    return asked.answer(asked.service.balance(customer, pool, instant_of(at, "at")))


@router.get("/customers/{customer:name}/balances/{pool:name}/history", **answers(Page[BalanceWindow]))
def get_balance_history(
    customer: CustomerKey,
    pool: PoolName,
    asked: Reads,
    since: Since,
    until: Until,
    every: Annotated[
        str, Query(max_length=32, description="minute, hour, day, week, month or year.")
    ] = "day",
) -> Response:
    """What became of a balance in each window (UTC) of [since, until); at most 1,000, on one page."""
    found = asked.service.balance_history(
        customer, pool, given_instant(since, "since"), given_instant(until, "until"), every
    )
    return asked.answer(Page(tuple(found), None), Page[BalanceWindow])
