"""Accounts that follow lines, for tests of the arithmetic: what they had before is read from their grants."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.ledger.lines import Change, Line, Why, across, is_line
from fastcheck.ledger.model import Account, Holding, Rules


def follow(
    account: Account,
    rules: Rules,
    lines: Sequence[Line],
    at: int,
    customer: int = 1,
    pool: str = "credits",
    why: Why = Why.CUSTOMER,
) -> Account:
    """The account at an instant, at which it comes to have `lines`."""
    before = [line_of(one) for one in account.holdings if is_line(one.grant) and one.parked is None]
    return across(account, rules, Change(at, why, before, lines), customer, pool)


def line_of(one: Holding) -> Line:
    """The line that a grant comes from."""
    grant = one.grant
    assert grant.source is not None
    anchor = grant.effective_at if grant.recurrence is None else grant.recurrence.anchor_at
    return Line(
        grant.source,
        grant.amount,
        anchor,
        grant.expires_at,
        grant.priority,
        grant.kind,
        grant.recurrence,
        grant.rollover,
        grant.lasts,
        grant.cost,
    )
