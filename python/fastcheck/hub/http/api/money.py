"""Grants and balances."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Reads, ReadsBalances
from fastcheck.hub.http.api.bodies import At, CustomerKey, PoolName, Since, Until, given_instant, instant_of
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Balance, BalanceWindow, Page

router = subject("money")


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
