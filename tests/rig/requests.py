"""Requests as tests like to write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fastcheck.admin.customers import _named
from fastcheck.wire.fields import at_ms
from fastcheck.wire.operations.caps import PutCap
from fastcheck.wire.operations.customers import NamedCustomer
from fastcheck.wire.operations.grants import MakeGrant, rollover_of
from fastcheck.wire.operations.overrides import PutOverride
from fastcheck.wire.operations.plan_changes import Destination, Migrate, MoveCustomers, MoveSegment, when_ms
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.reservations import Debit, Reserve
from fastcheck.wire.operations.segments import PatchSegment, PutSegment, PutSegmentOverride
from fastcheck.wire.operations.top_ups import PutTopUp


def put_customer(id: str, **terms: Any) -> NamedCustomer:
    return _named({"id": id, **terms})


def _override(value: Any, starts_at: Any = None, expires_at: Any = None, reason: str = "") -> dict[str, Any]:
    starts, ends = at_ms(starts_at, "starts_at"), at_ms(expires_at, "expires_at")
    return {"value": value, "starts_at": starts, "expires_at": ends, "reason": reason}


def put_override(customer: str, feature: str, value: Any, **more: Any) -> PutOverride:
    return PutOverride(customer, feature, **_override(value, **more))


def put_segment_override(segment: str, feature: str, value: Any, **more: Any) -> PutSegmentOverride:
    return PutSegmentOverride(segment, feature, **_override(value, **more))


def put_members(
    segment: str, *, add: Iterable[str] = (), remove: Iterable[str] = (), only: bool = False
) -> PutSegment | PatchSegment:
    if only:
        return PutSegment(segment, add)  # type: ignore[arg-type]
    return PatchSegment(segment, add, remove)  # type: ignore[arg-type]


def destination(plan: str | None, *, when: Any = "now", **more: Any) -> Destination:
    return Destination(plan=plan, when=when_ms(when, "when"), **more)


def move_customers(customers: Iterable[str], to: Destination) -> MoveCustomers:
    return MoveCustomers(customers, **vars(to))  # type: ignore[arg-type]


def move_segment(segment: str, to: Destination) -> MoveSegment:
    return MoveSegment(segment, **vars(to))


def migrate(plan: str, from_version: int, to_version: int, *, when: Any = "now") -> Migrate:
    return Migrate(plan, from_version, to_version, when_ms(when, "when"))


def after(request: MoveSegment | Migrate, number: int) -> MoveSegment | Migrate:
    return replace(request, after=number)


def make_refund(customer: str, pool: str, amount: Any, *, id: str, **more: Any) -> Refund:
    return Refund(customer, pool, amount, id=id, **more)


def put_cap(
    customer: str, pool: str, amount: Any, *, per: str, key: str | None = None, reason: str = ""
) -> PutCap:
    return PutCap(customer, pool, per, amount, key, reason)


def reserve(
    customer: str, pool: str, amount: Any, *, id: str, ttl_ms: int, key: str | None = None
) -> Reserve:
    return Reserve(customer, pool, amount, ttl_ms, id, key)


def debit(
    customer: str, pool: str, amount: Any, *, id: str, key: str | None = None, event: str | None = None
) -> Debit:
    return Debit(customer, pool, amount, event, id, key)


def make_grant(customer: str, pool: str, amount: Any, *, rollover: Any = None, **terms: Any) -> MakeGrant:
    for one in {"effective_at", "expires_at"} & set(terms):
        terms[one] = at_ms(terms[one], one)
    return MakeGrant(customer, pool, amount, rollover=rollover_of(rollover), **terms)


def put_top_up(customer: str, pool: str, threshold: Any, target: Any, **more: Any) -> PutTopUp:
    return PutTopUp(customer, pool, threshold, target, **more)
