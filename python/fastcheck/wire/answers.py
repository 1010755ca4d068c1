"""What `admin`, `explain` and `status` answer with. Frozen; amounts are credits; instants are ms since
1970."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from fastcheck.amounts import Credits
from fastcheck.clock import at_utc
from fastcheck.wire.record import SettingValue

Item = TypeVar("Item")


@dataclass(frozen=True)
class AddonState:
    """An add-on of a customer."""

    name: str
    quantity: int
    until_at: int | None


@dataclass(frozen=True)
class TrialState:
    """A plan with an end, on top of the customer's own."""

    plan: str
    version: int
    until_at: int
    number: int = 1
    """2 for the customer's second trial, and so on."""


@dataclass(frozen=True)
class Customer:
    """A customer as stored."""

    id: str
    plan: str | None
    version: int | None
    """The version bought; it stays until the customer is moved."""
    since_at: int
    """When the customer came to the plan; anniversaries count from here."""
    addons: tuple[AddonState, ...]
    aliases: tuple[str, ...]
    trial: TrialState | None


@dataclass(frozen=True)
class DeletedCustomer:
    """A deleted customer who can still be restored."""

    id: str
    plan: str | None
    """The one they had."""
    deleted_at: int
    until_at: int
    """Until when they can be restored (exclusive)."""
    reason: str
    author: str


@dataclass(frozen=True)
class Override:
    """A per-customer exception to one feature."""

    customer: str
    feature: str
    value: SettingValue | Decimal
    """None = unlimited."""
    starts_at: int | None
    expires_at: int | None
    reason: str
    author: str
    created_at: int
    segment: str | None = None
    """The segment it is made for; None: for this customer alone."""


@dataclass(frozen=True)
class Segment:
    """Customers who are treated alike."""

    name: str
    members: int
    overrides: tuple[Override, ...]
    """With "" for the customer."""
    reason: str
    author: str
    created_at: int


@dataclass(frozen=True)
class Move:
    """A change of a customer's plan: done, ahead or cancelled."""

    id: str
    customer: str
    plan: str | None
    """The plan they come to; None = no plan."""
    version: int | None
    at: int
    """The instant from which it counts, whenever it was done."""
    keep_since: bool
    """Whether anniversaries go on from the old plan's start."""
    reason: str
    author: str
    created_at: int
    done_at: int | None
    cancelled_at: int | None
    cancelled_why: str

    @property
    def pending(self) -> bool:
        """Whether it is still ahead."""
        return self.done_at is None and self.cancelled_at is None


@dataclass(frozen=True)
class GrantState:
    """A grant and what became of it."""

    id: str
    customer: str
    pool: str
    amount: Credits
    remaining: Credits
    priority: int
    effective_at: int
    expires_at: int | None
    kind: str
    reason: str
    source: str | None
    """The plan, add-on or meter it comes from, the event it refunds ("event:req_8f2"), or the purchase
    ("purchase:order_17"); None for one made by hand."""
    created_at: int
    voided_at: int | None
    every: str | None
    """How often it is made again, as in "1 month"; None: once."""
    cost: tuple[int, str] | None
    """What was paid for the amount, each time: (minor units, currency)."""
    burned: Credits = 0
    """Ever burned, refills included; so are the next two."""
    expired: Credits = 0
    voided: Credits = 0


@dataclass(frozen=True)
class Balance:
    """What a customer has in a pool, after everything used so far."""

    customer: str
    pool: str
    remaining: Credits | None
    """What may be spent without an overdraft; None = unlimited."""
    overage: Credits
    """Used beyond the grants, and not paid yet."""
    used: Credits
    """Net use ever."""
    next_change_at: int | None
    """When time alone changes it: an expiry, a start, a refill."""
    as_of: int
    reserved: Credits = 0
    """Held at the hub itself, and so in neither `remaining` nor `used`."""


@dataclass(frozen=True)
class SpendCap:
    """At most `amount` in each window, whatever was granted."""

    customer: str
    pool: str
    per: str
    """hour, day or month, of the calendar in UTC."""
    amount: Credits
    spent: Credits
    """In the present window, what is reserved at the hub included."""
    key: str | None
    """Whose spending counts, of debits and reservations that name it; None = all of the customer's."""
    resets_at: int
    """When the present window ends (exclusive)."""
    reason: str
    author: str
    created_at: int


@dataclass(frozen=True)
class ReservationState:
    """A reservation or a debit at the hub; true where it was not denied."""

    id: str
    customer: str
    pool: str
    amount: Credits
    """Held, or asked for."""
    state: str
    """open, committed, released, expired or denied."""
    spent: Credits
    key: str | None
    event: str | None
    expires_at: int
    """Holds nothing from here on (exclusive)."""
    created_at: int
    left: Credits | None = None
    """Of one that was denied: what could have been had."""
    resets_at: int | None = None
    """Of one that a cap denied: when its window ends."""

    def __bool__(self) -> bool:
        return self.state != "denied"


@dataclass(frozen=True)
class BalanceWindow:
    """What became of a balance from `from_at` (inclusive) to `until_at` (exclusive).

    ``opening + granted - used - expired - voided = closing - (overage, and what was given back to nobody)``;
    without those, the two sides are the same without it."""

    from_at: int
    until_at: int
    opening: Credits
    """What active grants held before."""
    granted: Credits
    """Put in: grants, refills."""
    used: Credits
    """Net use; negative where more was given back."""
    expired: Credits
    voided: Credits
    closing: Credits
    """What active grants hold at the end."""
    overage: Credits
    """Owed at the end."""


@dataclass(frozen=True)
class PoolState:
    """A pool of the catalog."""

    name: str
    scale: int
    """Decimal digits: a unit is 10^-scale of a credit."""
    private: bool
    """Whether it is the balance behind one meter, named like the meter."""


@dataclass(frozen=True)
class UsageTotal:
    """What was used in one period."""

    start_at: int
    end_at: int
    """Exclusive."""
    units: int
    """Of the feature, `adjusted` included."""
    events: int
    late: int
    """Of those, events that arrived after the grace of their own period."""
    adjusted: int
    """Units that late corrections of earlier periods brought."""


@dataclass(frozen=True)
class Problem:
    """A law that the ledger breaks."""

    customer: str
    """"" where it is about all."""
    pool: str
    law: str
    """What is wrong, with the numbers."""


@dataclass(frozen=True)
class AuditEntry:
    """One change: who did what to what, why, and what it was before."""

    number: int
    at: int
    author: str
    action: str
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class EventState:
    """Something that happened, as it was told."""

    id: str
    kind: str
    at: int
    customer: str | None
    """None for what concerns all of them."""
    data: dict[str, Any]
    """As `docs/events.md` says for the kind; amounts are credits."""


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of a list. `cursor` asks for the rest; None = that was all."""

    items: tuple[Item, ...]
    cursor: str | None


@dataclass(frozen=True)
class Consideration:
    """One source that `explain` looked at."""

    source: str
    """override, trial, addon, plan or default."""
    name: str
    setting: str
    active: bool
    starts_at: int | None
    ends_at: int | None
    won: bool
    why: str


@dataclass(frozen=True)
class Explanation:
    """Why a customer has what they have of a feature. `print` it."""

    customer: str
    feature: str
    kind: str
    at: int
    value: SettingValue | Decimal
    """What the sources come to; None = unlimited."""
    source: str
    """The source that won."""
    considered: tuple[Consideration, ...]
    """Strongest first."""
    balance: Balance | None
    """Of the pool behind a countable feature."""
    allowed: bool
    """What a check of one use answers at that instant."""
    reason: str
    """allowed, not_entitled or exhausted, as `Decision.reason`."""

    def __str__(self) -> str:
        value = "unlimited" if self.value is None else repr(self.value)
        lines = [
            f"{self.feature} ({self.kind}) for {self.customer} at {at_utc(self.at):%Y-%m-%d %H:%M:%S} UTC"
        ]
        lines.append(f"  = {value}, from {self.source}: {self.reason}")
        for one in self.considered:
            mark = "*" if one.won else "+" if one.active else "-"
            until = "" if one.ends_at is None else f", until {at_utc(one.ends_at):%Y-%m-%d %H:%M:%S}"
            label = f"{one.source} {one.name}".rstrip()
            lines.append(f"  {mark} {label}: {one.setting}{until} ({one.why})")
        if self.balance is not None:
            left = "unlimited" if self.balance.remaining is None else f"{self.balance.remaining} left"
            lines.append(f"  {self.balance.pool}: {left}, {self.balance.used} used")
        return "\n".join(lines)


@dataclass(frozen=True)
class Status:
    """How this process is doing."""

    role: str
    """owner or worker."""
    directory: str
    owner_pid: int | None
    seq: int
    """The last change that checks see."""
    customers: int
    as_of: int
    """When what this host has was last known to be current: by the owner, or by the hub's clock."""
    lag_ms: int
    """How long ago that was."""
    generation: int
    unknown_names: int
    """Checks that named a customer or feature nobody knows."""
    journal_dropped: int
    panics: int
    notes: tuple[str, ...] = ()
    """What an operator should know, such as leases whose arena was lost."""
    epoch: int = 0
    """Of the ledger that `seq` counts in."""
    stale_answers: int = 0
    """Checks that were answered by the staleness policy of their feature."""
    connected: bool | None = None
    """Whether the hub is heard; None: the ledger is in this directory."""
    url: str | None = None
    """The hub's address."""
    reason: str = ""
    """Why there is no stream; empty while there is one."""
    customers_mode: str = "all"
    """all, or on_demand: only customers that were asked for."""
