"""What the ledger is made of: grants (terms), holdings (a grant and its counters), the account that holds
them, the pool's rules, and movements. Plain frozen data.

Amounts are integer pool units; instants are ms since 1970 UTC. Per holding, at any time:
``granted = remaining + burned + expired + voided``. Per account: what was used is
``sum(burned) + overage + written_off``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import NamedTuple

from fastcheck.errors import AmountError, InstantError, NameInvalid, WrongType
from fastcheck.ledger.periods import Recurrence, Span

AMOUNT_MAX = (1 << 63) - 1
"""The largest amount, in units: what a signed 64-bit column holds."""


def checked_amount(value: int, what: str) -> int:
    """An amount that a column can hold. Raises `WrongType`, `AmountError`."""
    if type(value) is not int:
        raise WrongType(f"{what} must be an int of units, not {type(value).__name__}")
    if not 0 <= value <= AMOUNT_MAX:
        raise AmountError(f"{what} must be 0 to {AMOUNT_MAX} units, not {value}")
    return value


def checked_instant(value: int, what: str) -> int:
    """An instant that a column can hold. Raises `WrongType`, `InstantError`."""
    if type(value) is not int:
        raise WrongType(f"{what} must be an int of ms since 1970, not {type(value).__name__}")
    if not -AMOUNT_MAX <= value <= AMOUNT_MAX:
        raise InstantError(f"{what} is out of range: {value}")
    return value


class GrantKind(str, Enum):
    """Where a grant comes from, and so who paid for it."""

    PLAN = "plan"
    PROMOTIONAL = "promotional"
    PAID = "paid"
    TOP_UP = "top_up"
    REFUND = "refund"


BOUGHT = frozenset((GrantKind.PAID, GrantKind.TOP_UP))
"""The kinds that somebody paid for."""


class OrderKey(str, Enum):
    """One step of a burn order; the grant id always breaks the last tie."""

    PRIORITY = "priority"
    """The smaller priority first."""
    EXPIRY = "expiry"
    """First what ends first: the sooner of `expires_at`, the next refill of a recurring grant, and `lasts`
    after the last refill. What never ends is last."""
    EXPIRES_AT = "expires_at"
    """The sooner `expires_at` of the grant itself first, refills aside; None last."""
    KIND = "kind"
    """What nobody bought (plan, promotional, refund) before what somebody did (paid, top-up)."""
    PLAN_FIRST = "plan"
    """Plan grants before all others."""
    OLDEST = "oldest"
    """The sooner `created_at` first."""
    NEWEST = "newest"
    """The later `created_at` first."""


DEFAULT_ORDER = (OrderKey.PRIORITY, OrderKey.EXPIRY, OrderKey.KIND, OrderKey.OLDEST)

ORDERS: dict[str, tuple[OrderKey, ...]] = {
    "default": DEFAULT_ORDER,
    "fifo": (OrderKey.OLDEST,),
    "lifo": (OrderKey.NEWEST,),
    "soonest_expiry": (OrderKey.EXPIRY, OrderKey.PRIORITY, OrderKey.OLDEST),
    "plan_first": (OrderKey.PLAN_FIRST, *DEFAULT_ORDER),
    "granted_first": (OrderKey.KIND, OrderKey.PRIORITY, OrderKey.EXPIRY, OrderKey.OLDEST),
}
"""Burn orders by name."""


class RolloverAt(str, Enum):
    """Where a rollover acts."""

    REFILL = "refill"
    """At each refill of the grant itself, on top of its new amount; and at a reset of the pool."""
    RESET = "reset"
    """Only at a reset of the pool; the grant's own refill sets the balance to the full amount."""


@dataclass(frozen=True, slots=True)
class Rollover:
    """What is kept of what was left: ``min(max, max(min, left * percent // 100))``.

    - At a *refill*, a grant with `at=REFILL` holds its full amount plus what is kept; one with `at=RESET`
      holds its full amount.
    - At a *reset* of the pool every active grant, whatever its `at`, holds what is kept and nothing more.
    - What was left and is not kept expires; where `min` is more than what was left, the difference is put in.
    - Where a reset and the grant's own refill fall on one instant, only the refill acts: what was left is
      rolled over once, not twice.
    - `once`: units that were rolled over before are not kept again. Carried units burn first, and come back
      last; where all that a reset carried was burned, what comes back counts as never carried.
    """

    min: int = 0
    max: int = 0
    percent: int = 100
    once: bool = False
    at: RolloverAt = RolloverAt.REFILL

    def __post_init__(self) -> None:
        checked_amount(self.min, "rollover min")
        checked_amount(self.max, "rollover max")
        if checked_amount(self.percent, "rollover percent") > 100:
            raise AmountError(f"rollover percent must be 0 to 100, not {self.percent}")

    def kept(self, left: int, carried: int = 0) -> int:
        """What is kept of `left` units, of which `carried` were rolled over before."""
        fresh = left - carried if self.once else left
        return min(self.max, max(self.min, fresh * self.percent // 100))


NOTHING_KEPT = Rollover()


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a pool that the arithmetic needs."""

    order: tuple[OrderKey, ...] = DEFAULT_ORDER
    """Burn order, first key first."""
    overdraft: int | None = 0
    """Units the balance may go below zero; 0 = hard, None = without a bound."""
    period_clears_overage: bool = False
    """Whether a refill forgets earlier overage (meters) instead of paying it (credits)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What was paid for a grant's amount, for finance; burning does not look at it."""

    amount: int
    """In the currency's minor units (cents)."""
    currency: str

    def __post_init__(self) -> None:
        checked_amount(self.amount, "cost")
        if not isinstance(self.currency, str) or not self.currency:
            raise WrongType("a cost's currency is a code such as 'EUR'")


@dataclass(frozen=True, slots=True)
class Grant:
    """The terms of an amount put into a pool. They never change, but for being voided.

    Active in [effective_at, min(expires_at, voided_at)). Raises `WrongType`, `AmountError` or `InstantError`
    for terms that cannot be meant."""

    id: str
    amount: int
    """Units per period; for a grant made once, all of it."""
    _: KW_ONLY
    priority: int = 100
    """Smaller burns first."""
    effective_at: int = 0
    """Active from this instant on (inclusive)."""
    expires_at: int | None = None
    """Active before this instant (exclusive); None = never ends."""
    kind: GrantKind = GrantKind.PAID
    created_at: int = 0
    recurrence: Recurrence | None = None
    """How often the balance is set to the full amount again."""
    rollover: Rollover = NOTHING_KEPT
    lasts: Span | None = None
    """How long after the start and each refill what is left ends, where that is sooner than the next
    refill; in the zone of the recurrence."""
    voided_at: int | None = None
    """Taken back as of this instant; one before `effective_at` means that it is never active."""
    reason: str = ""
    source: str | None = None
    """The plan, add-on or meter it comes from, the event it refunds ("event:req_8f2"), or the purchase
    ("purchase:order_17"); None for a grant somebody made."""
    cost: Cost | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str):
            raise WrongType(f"a grant's id is a str, not {type(self.id).__name__}")
        if not self.id:
            raise NameInvalid("a grant's id is empty: give it one")
        checked_amount(self.amount, f"the amount of grant {self.id!r:.80}")
        if type(self.priority) is not int:
            raise WrongType(f"the priority of grant {self.id!r:.80} is an int")
        checked_instant(self.effective_at, "effective_at")
        checked_instant(self.created_at, "created_at")
        if self.voided_at is not None:
            checked_instant(self.voided_at, "voided_at")
        if self.expires_at is None:
            return
        if checked_instant(self.expires_at, "expires_at") <= self.effective_at:
            raise InstantError(
                f"grant {self.id!r:.80} expires at {self.expires_at}, which is not after its start "
                f"{self.effective_at}: it would never be active"
            )

    def over_at(self) -> int | None:
        """The first instant at which it is no longer active; None = never."""
        if self.voided_at is None:
            return self.expires_at
        return self.voided_at if self.expires_at is None else min(self.expires_at, self.voided_at)

    def active(self, at: int) -> bool:
        """Whether it may be burned at an instant."""
        over_at = self.over_at()
        return self.effective_at <= at and (over_at is None or at < over_at)


@dataclass(frozen=True, slots=True)
class Holding:
    """A grant and its counters, in units."""

    grant: Grant
    remaining: int
    """Still to be burned."""
    granted: int
    """Ever put in, refills included."""
    burned: int = 0
    expired: int = 0
    """Ended unused: at the expiry, or at a refill or reset that did not keep them."""
    voided: int = 0
    """Taken back: a void, a lower quota, a plan that was left, a refund, a payment that was taken back."""
    parked: int | None = None
    """The part of `voided` that comes back when the customer returns to the plan; None = not parked."""
    refilled_at: int = 0
    """Start of what `remaining` counts: effective_at, then each refill."""
    rolled: int = 0
    """The part of `remaining` that was rolled over before."""
    allowed: int = 0
    """What its amount allows in this period: less or more than the amount, where that changed within it."""
    used: int = 0
    """What of `allowed` is used: burned in this period beyond what was rolled over, or carried to it."""

    @property
    def id(self) -> str:
        """The grant's."""
        return self.grant.id

    def active(self, at: int) -> bool:
        """Whether it may be burned at an instant."""
        return self.grant.active(at)

    def balanced(self) -> bool:
        """The conservation law of one grant."""
        return self.granted == self.remaining + self.burned + self.expired + self.voided


def full(grant: Grant) -> Holding:
    """A grant as it is made: nothing burned yet."""
    return Holding(grant, grant.amount, grant.amount, refilled_at=grant.effective_at, allowed=grant.amount)


class MovementKind(str, Enum):
    """Why units moved."""

    ISSUE = "issue"
    """Put into a grant: its first amount, a refill, a rollover's minimum, a raised quota."""
    BURN = "burn"
    """A grant pays usage as it happens."""
    RETURN = "return"
    """Usage given back to a grant."""
    EXPIRE = "expire"
    VOID = "void"
    UNVOID = "unvoid"
    """A parked grant comes back."""
    REFUND = "refund"
    """Taken back, and so is what was paid for it."""
    CHARGE_BACK = "charge_back"
    """Taken back because the payment was."""
    OWE = "owe"
    """What a grant paid is owed again, because its own payment was taken back."""
    UNEXPIRE = "unexpire"
    """What ended unused comes back for the same reason."""
    OVERAGE = "overage"
    """Used without a grant; negative: units given back lower what is owed."""
    PAY_OVERAGE = "pay_overage"
    """A grant pays earlier overage."""
    WRITE_OFF = "write_off"
    """Overage forgotten; negative: units given back that found no grant to go to."""


class Movement(NamedTuple):
    """Units that moved, at the instant they did and not when somebody looked."""

    at: int
    kind: MovementKind
    grant: str | None
    """Its id; None for `OVERAGE` and `WRITE_OFF`."""
    units: int
    """Never 0; negative only for `OVERAGE` and `WRITE_OFF`."""


@dataclass(frozen=True, slots=True)
class Account:
    """Everything one customer has in one pool, as of an instant."""

    holdings: tuple[Holding, ...] = ()
    overage: int = 0
    """Units used that no grant has paid yet; a later grant pays them."""
    written_off: int = 0
    """Units used that no grant will ever pay; negative: units given back that found no grant to go to."""
    as_of: int = 0
    """Expiries and refills up to this instant (inclusive) are in the numbers."""
    moved: tuple[Movement, ...] = field(default=(), compare=False)
    """What moved since the account was read, oldest first."""

    def used(self) -> int:
        """Net units ever used."""
        return sum(one.burned for one in self.holdings) + self.overage + self.written_off

    def remaining(self) -> int:
        """Units that active grants still hold at `as_of`."""
        return sum(one.remaining for one in self.holdings if one.active(self.as_of))
