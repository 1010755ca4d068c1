"""Automatic top-ups: accounts that are filled up whenever they are low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.ledger.model import checked_amount
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.fields import Credits, CustomerKey, Kind, Note, PoolName, cost_within
from fastcheck.wire.operation import Operation, Repeat, Request
from fastcheck.wire.shapes import Removed


def _cost(value: object, what: str) -> tuple[int, str]:
    """As of a grant, with an `AmountError` for less than nothing."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        checked_amount(value[0], what)
    return cost_within(value, what)


@dataclass(frozen=True)
class PutTopUp(Request[TopUpState]):
    """Makes or changes the rule of an account, by which it is topped up by itself."""

    customer: CustomerKey
    pool: PoolName
    threshold: Credits
    """At this balance or below it."""
    target: Credits
    """Up to this balance."""
    monthly_cap: Credits | None = None
    """At most so much in a calendar month (UTC)."""
    cost: Annotated[tuple[int, str], Kind(_cost)] | None = None
    """Of a top-up of `target`; others in proportion, rounded up."""
    reason: Note = ""


@dataclass(frozen=True)
class RemoveTopUp(Request[Removed]):
    """Tops an account up no more."""

    customer: CustomerKey
    pool: PoolName


@dataclass(frozen=True)
class ListTopUps(Request[Page[TopUpState]]):
    """The rules of a customer, or all; on one page."""

    customer: CustomerKey | None = None
    """Only this one's."""


_PATH = "/customers/{customer}/top-ups/{pool}"

OPERATIONS = (
    Operation(PutTopUp, "PUT", _PATH, "top_ups.write", repeat=Repeat.NAMES),
    Operation(RemoveTopUp, "DELETE", _PATH, "top_ups.write", repeat=Repeat.KEYED),
    Operation(ListTopUps, "GET", "/top-ups", "top_ups.read"),
)
