"""Refunds, caps, and what is held or burned at the hub itself."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field, StrictInt
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Changes, Reads, Spends
from fastcheck.hub.http.api.bodies import (
    Amount,
    Body,
    CustomerKey,
    Id,
    Instant,
    Name,
    Note,
    PoolName,
    QueryText,
    credits_of,
    instant_of,
)
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import GrantState, Page, ReservationState, SpendCap
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.shapes import Removed
from fastcheck.wire.spending_requests import TTL_MS_MAX, debit, make_refund, put_cap, reserve, window

router = subject("spending")

OWN_ID = "Your own, under which asking again changes nothing."
KEY = "An API key, a project: whose cap counts as well."
Window = Literal["hour", "day", "month"]


class RefundTerms(Body):
    """Used credits to be given back."""

    pool: Name = Field(examples=["ai_credits"])
    amount: Amount
    event: Name | None = Field(default=None, description="The usage record that is refunded.")
    id: Name | None = Field(default=None, description=OWN_ID + " Default: `refund:<event>`.")
    expires_at: Instant | None = None
    reason: Note = None


class CapTerms(Body):
    """A bound of what is spent in each window."""

    amount: Amount
    key: Name | None = Field(default=None, description="Only spending that names this key counts.")
    reason: Note = None


class ReservationTerms(Body):
    """Credits to hold."""

    pool: Name = Field(examples=["ai_credits"])
    amount: Amount
    ttl_ms: Annotated[StrictInt, Field(ge=1, le=TTL_MS_MAX)] = Field(
        default=60_000, description="How long they are held, a week at most."
    )
    id: Name | None = Field(default=None, description=OWN_ID)
    key: Name | None = Field(default=None, description=KEY)


class DebitTerms(Body):
    """Credits to burn."""

    pool: Name = Field(examples=["ai_credits"])
    amount: Amount
    event: Name | None = Field(default=None, description="What they are burned for.")
    id: Name | None = Field(default=None, description=OWN_ID + " Default: `debit:<event>`.")
    key: Name | None = Field(default=None, description=KEY)


class Spent(Body):
    """What was used of a reservation."""

    amount: Amount


@router.post("/customers/{customer:name}/refunds", **answers(GrantState, changes=True))
def make_refund_of(customer: CustomerKey, body: RefundTerms, change: Changes) -> Response:
    """Gives used credits back as a grant of kind `refund`, never more than was used and not refunded
    before."""
    id = change.own_id(body.id, "refund", body.event)
    request = make_refund(
        customer,
        body.pool,
        credits_of(body.amount),
        id=id,
        event=body.event,
        expires_at=instant_of(body.expires_at, "expires_at"),
        reason=change.reason(body.reason),
    )
    return change.done(change.service.refund(request, by=change.by).grant)


@router.put("/customers/{customer:name}/caps/{pool:name}/{per}", **answers(SpendCap, changes=True))
def put_cap_terms(
    customer: CustomerKey, pool: PoolName, per: Window, body: CapTerms, change: Changes
) -> Response:
    """Bounds what is spent per window of the calendar (UTC), whatever was granted."""
    request = put_cap(
        customer, pool, credits_of(body.amount), per=per, key=body.key, reason=change.reason(body.reason)
    )
    return change.done(change.service.put_cap(request, by=change.by))


@router.delete("/customers/{customer:name}/caps/{pool:name}", **answers(Removed, changes=True))
def remove_cap(
    customer: CustomerKey,
    pool: PoolName,
    change: Changes,
    per: Annotated[Window | None, Query(description="Only the cap of this window.")] = None,
    key: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Those of this key.")
    ] = None,
) -> Response:
    """Ends a customer's caps, or those of a key."""
    checked = None if per is None else window(per)
    return change.done(Removed(change.service.remove_cap(customer, pool, checked, key, by=change.by)))


@router.get("/customers/{customer:name}/caps", **answers(Page[SpendCap]))
def list_caps(customer: CustomerKey, asked: Reads) -> Response:
    """A customer's caps, with what was spent of them; on one page."""
    return asked.answer(Page(tuple(asked.service.list_caps(customer)), None), Page[SpendCap])


@router.post("/customers/{customer:name}/reservations", **answers(ReservationState, changes=True))
def reserve_credits(customer: CustomerKey, body: ReservationTerms, change: Spends) -> Response:
    """Holds credits at the hub; `state` is `denied` where they are not all there."""
    request = reserve(
        customer,
        body.pool,
        credits_of(body.amount),
        id=change.own_id(body.id, "h"),
        ttl_ms=body.ttl_ms,
        key=body.key,
    )
    return change.done(change.service.reserve(request, by=change.by))


@router.post("/reservations/{id:name}/commit", **answers(ReservationState, changes=True))
def commit_reservation(id: Id, body: Spent, change: Spends) -> Response:
    """Burns what was used of a reservation and gives up the rest; again with the same amount changes
    nothing."""
    return change.done(change.service.commit(id, credits_of(body.amount), by=change.by))


@router.delete("/reservations/{id:name}", **answers(ReservationState, changes=True))
def release_reservation(id: Id, change: Spends) -> Response:
    """Gives up a reservation; again, or after its expiry, changes nothing."""
    return change.done(change.service.release(id, by=change.by))


@router.post("/customers/{customer:name}/debits", **answers(ReservationState, changes=True))
def debit_credits(customer: CustomerKey, body: DebitTerms, change: Spends) -> Response:
    """Burns credits at the hub, all or none; `state` is `denied` where they are not all there."""
    id = change.own_id(body.id, "debit", body.event)
    request = debit(customer, body.pool, credits_of(body.amount), id=id, key=body.key, event=body.event)
    return change.done(change.service.reserve(request, by=change.by))
