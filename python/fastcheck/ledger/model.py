"""What the ledger is made of: grants, the account that holds them, and the pool's rules. Plain frozen data.

Amounts are integer pool units; instants are ms since 1970. Per grant, at any time:
``granted = remaining + burned + expired + voided``. Per account: what was used is
``sum(burned) + overage + written_off``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .periods import Recurrence, Span

AMOUNT_MAX = (1 << 63) - 1
"""The largest amount, in units: what a signed 64-bit column holds."""


class GrantKind(str, Enum):
    """Who paid for a grant."""

    PLAN = "plan"
    PROMOTIONAL = "promotional"
    PAID = "paid"


class OrderKey(str, Enum):
    """One step of a burn order; the grant id always breaks the last tie."""

    PRIORITY = "priority"
    EXPIRY = "expiry"
    KIND = "kind"
    OLDEST = "oldest"
    NEWEST = "newest"


DEFAULT_ORDER = (OrderKey.PRIORITY, OrderKey.EXPIRY, OrderKey.KIND, OrderKey.OLDEST)


@dataclass(frozen=True)
class Rollover:
    """What a new period keeps of the old one: min(max, max(min, what was left)), on top of its own amount."""

    min: int = 0
    max: int = 0

    def kept(self, left: int) -> int:
        """What is kept of `left` units."""
        return min(self.max, max(self.min, left))


NOTHING_KEPT = Rollover()


@dataclass(frozen=True)
class Rules:
    """The settings of a pool that the arithmetic needs."""

    order: tuple[OrderKey, ...] = DEFAULT_ORDER
    """Burn order, first key first."""
    overdraft: int | None = 0
    """Units the balance may go below zero; 0 = hard, None = without a bound."""
    period_clears_overage: bool = False
    """Whether a refill forgets earlier overage (meters) instead of paying it (credits)."""


@dataclass(frozen=True)
class Grant:
    """An amount put into a pool. Its terms never change; its counters do."""

    id: str
    customer: int
    """The customer's number."""
    pool: str
    amount: int
    """Units per period; for a grant made once, all of it."""
    remaining: int
    """Units still to be burned."""
    priority: int = 100
    """Smaller burns first."""
    effective_at: int = 0
    """Active from this instant on (inclusive)."""
    expires_at: int | None = None
    """Active before this instant (exclusive); None = never ends."""
    kind: GrantKind = GrantKind.PAID
    created_at: int = 0
    reason: str = ""
    source: str | None = None
    """The plan, add-on or meter it comes from; None for a grant somebody made."""
    recurrence: Recurrence | None = None
    rollover: Rollover = NOTHING_KEPT
    lasts: Span | None = None
    """How long after each refill what is left ends, where that is sooner than the next refill."""
    refilled_at: int = 0
    """Start of what `remaining` counts: effective_at, then each refill."""
    granted: int = 0
    """Units ever put in, refills included."""
    burned: int = 0
    expired: int = 0
    """Units that ended unused: at the expiry, or at a refill that did not keep them."""
    voided: int = 0
    """Units taken back: a void, a lower quota, a plan that was left."""
    parked: int | None = None
    """The part of `voided` that comes back when the customer returns to the plan; None = not parked."""
    voided_at: int | None = None

    def active(self, at: int) -> bool:
        """Whether it may be burned at an instant."""
        ended = (self.expires_at is not None and at >= self.expires_at) or (
            self.voided_at is not None and at >= self.voided_at
        )
        return self.effective_at <= at and not ended

    def balanced(self) -> bool:
        """The conservation law of one grant."""
        return self.granted == self.remaining + self.burned + self.expired + self.voided


def new_grant(
    id: str,
    customer: int,
    pool: str,
    amount: int,
    *,
    at: int,
    priority: int = 100,
    effective_at: int | None = None,
    expires_at: int | None = None,
    kind: GrantKind = GrantKind.PAID,
    reason: str = "",
    source: str | None = None,
    recurrence: Recurrence | None = None,
    rollover: Rollover = NOTHING_KEPT,
    lasts: Span | None = None,
) -> Grant:
    """A grant as it is made: full, and active from `effective_at` (default: now)."""
    starts = at if effective_at is None else effective_at
    return Grant(
        id, customer, pool, amount, amount, priority, starts, expires_at, kind, at, reason, source,
        recurrence, rollover, lasts, refilled_at=starts, granted=amount,
    )  # fmt: skip


@dataclass(frozen=True)
class Account:
    """Everything one customer has in one pool, as of an instant."""

    grants: tuple[Grant, ...] = ()
    overage: int = 0
    """Units used that no grant has paid yet; a later grant pays them."""
    written_off: int = 0
    """Units used that no grant will ever pay; negative: units given back that found no grant to go to."""
    as_of: int = 0
    """Expiries and refills up to this instant (inclusive) are in the numbers."""

    def used(self) -> int:
        """Net units ever used."""
        return sum(grant.burned for grant in self.grants) + self.overage + self.written_off

    def remaining(self) -> int:
        """Units that active grants still hold at `as_of`."""
        return sum(grant.remaining for grant in self.grants if grant.active(self.as_of))
