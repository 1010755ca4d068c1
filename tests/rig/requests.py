"""Requests as tests like to write them."""

from __future__ import annotations

from typing import Any

from fastcheck.wire.fields import at_ms
from fastcheck.wire.operations.caps import PutCap
from fastcheck.wire.operations.grants import MakeGrant, rollover_of
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.reservations import Debit, Reserve
from fastcheck.wire.operations.top_ups import PutTopUp


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
