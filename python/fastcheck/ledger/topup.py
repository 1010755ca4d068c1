"""Automatic top-ups: when a balance is low, how much to buy, and never more than a month allows.

A month is a calendar month in UTC. The rule is stateless; who applies it keeps, per rule and month, what
was topped up and how often, and makes the grant under `key`, so that two who see the same low balance buy
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fastcheck.errors import AmountError
from fastcheck.ledger import periods
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit

_MONTHLY = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)


@dataclass(frozen=True)
class TopUpRule:
    """At or below `threshold`, fill up to `target`; at most `monthly_cap` units a month (None = no cap)."""

    threshold: int
    target: int
    monthly_cap: int | None = None

    def __post_init__(self) -> None:
        if self.target <= self.threshold:
            raise AmountError(
                f"a top-up to {self.target} would leave the balance at or below the threshold "
                f"{self.threshold}: raise the target"
            )
        if self.monthly_cap is not None and self.monthly_cap < 0:
            raise AmountError(f"a monthly cap of {self.monthly_cap} is negative: give 0 or more")


class Reason(str, Enum):
    """Why a top-up is as large as it is."""

    ENOUGH = "enough"
    """The balance is above the threshold."""
    DUE = "due"
    """The balance is filled up to the target."""
    CAPPED = "capped"
    """Only what the month's cap leaves is added."""
    CAP_REACHED = "cap_reached"
    """The month's cap leaves nothing."""


@dataclass(frozen=True)
class Due:
    """What to add now."""

    units: int
    """0 = nothing."""
    reason: Reason
    retry_at: int | None = None
    """When the cap stood in the way: the start of the next month, when it is worth asking again."""


def due(rule: TopUpRule, remaining: int, topped_up_this_month: int, at: int) -> Due:
    """What to add at an instant. `remaining` is negative where the customer owes (overage); then the top-up
    pays that as well, so that the balance after it is the target."""
    if remaining > rule.threshold:
        return Due(0, Reason.ENOUGH)
    wanted = rule.target - remaining
    if rule.monthly_cap is None:
        return Due(wanted, Reason.DUE)
    left = max(0, rule.monthly_cap - topped_up_this_month)
    if wanted <= left:
        return Due(wanted, Reason.DUE)
    return Due(left, Reason.CAPPED if left else Reason.CAP_REACHED, month_ends_at(at))


def month_starts_at(at: int) -> int:
    """The start of the month that an instant is in: what `topped_up_this_month` counts from (inclusive)."""
    return periods.start(_MONTHLY, periods.index(_MONTHLY, at))


def month_ends_at(at: int) -> int:
    """The end of that month (exclusive), when the cap starts anew."""
    return periods.next_start(_MONTHLY, at)


def key(rule_id: str, at: int, sequence: int) -> str:
    """The id under which to make the grant. `sequence`: how many top-ups of the rule the month has already.
    It grows only with a top-up that was booked, so everybody who sees one crossing has the same key."""
    if sequence < 0:
        raise AmountError(f"a sequence of {sequence} is negative: count from 0")
    year, month = divmod(periods.index(_MONTHLY, at), 12)
    return f"topup:{rule_id}:{1970 + year:04d}-{month + 1:02d}:{sequence}"
