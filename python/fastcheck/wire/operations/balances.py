"""Balances: what customers have in their pools, now and in the past."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.wire.answers import Balance, BalanceWindow, Page
from fastcheck.wire.fields import At, CustomerKey, Every, InstantMs, PoolName
from fastcheck.wire.operation import Operation, Request, Touches


@dataclass(frozen=True)
class GetBalance(Request[Balance]):
    """What a customer has in a pool, by what was settled so far, or at an instant."""

    customer: CustomerKey
    pool: PoolName
    at: At | None = None


@dataclass(frozen=True)
class GetBalanceHistory(Request[Page[BalanceWindow]]):
    """What became of a balance in each window (UTC) of [since, until); at most 1,000, on one page."""

    customer: CustomerKey
    pool: PoolName
    since: InstantMs
    """From this instant on: ms since 1970, or RFC 3339."""
    until: InstantMs
    """Before this instant: ms since 1970, or RFC 3339."""
    every: Every = "day"
    """How long a window is: minute, hour, day, week, month or year."""


OPERATIONS = (
    Operation(GetBalance, "GET", "/customers/{customer}/balances/{pool}", "balances.read", Touches.SETTLED),
    Operation(
        GetBalanceHistory,
        "GET",
        "/customers/{customer}/balances/{pool}/history",
        "balance_history.read",
        Touches.SETTLED,
    ),
)
