"""A grant under way inside the engine: its counters, its boundaries and its place in the burn order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from fastcheck.ledger import periods
from fastcheck.ledger.model import BOUGHT, Grant, GrantKind, Holding, OrderKey, Rollover, RolloverAt

NEVER = 1 << 64
"""After every instant."""

END, RESET, START, REFILL = 0, 1, 2, 3
"""Kinds of boundaries, in the order in which they act at one instant. A reset is of no slot."""
KINDS = 3
"""The bits of a kind."""

AT_BITS, INDEX_BITS = 34, 32


def boundary(at: int, kind: int, index: int) -> int:
    """A slot's boundary as one int, which sorts by instant, then kind, then slot, faster than a tuple."""
    return at << AT_BITS | kind << INDEX_BITS | index


Key = tuple[int | str, ...]
"""A place in the burn order: the ranks, the grant's id, the slot's index."""


class Slot:
    """A holding under way. `live`: started and not over. `lapsed`: what it held has ended (`lasts`), until
    the next refill. `era_at`: its last start, refill, reset or end; what was burned before cannot come back.
    `unissued`: it is put in when it starts, and holds nothing before. `periodic`: it may end and be refilled
    before it is over."""

    __slots__ = (
        "allowed", "burned", "era_at", "expired", "grant", "granted", "index", "key", "lapse_at", "lapsed",
        "live", "origin", "over_at", "parked", "periodic", "refill_at", "refilled_at", "remaining", "rolled",
        "unissued", "used", "voided",
    )  # fmt: skip

    def __init__(self, index: int, grant: Grant, refilled_at: int, at: int) -> None:
        self.index = index
        self.grant = grant
        self.origin: Holding | None = None
        self.remaining = self.granted = self.burned = self.expired = self.voided = self.rolled = 0
        self.allowed, self.used = grant.amount, 0
        self.parked: int | None = None
        self.refilled_at = refilled_at
        over_at = grant.expires_at if grant.voided_at is None else grant.over_at()
        self.over_at = NEVER if over_at is None else over_at
        self.live = grant.effective_at <= at < self.over_at
        self.unissued = False
        self.era_at = refilled_at
        self.key: Key | None = None
        self.refill_at = NEVER
        self.lapse_at = NEVER
        self.lapsed = False
        self.periodic = grant.recurrence is not None or grant.lasts is not None
        if self.live and self.periodic:
            self.schedule(at)

    def load(self, holding: Holding) -> None:
        """Takes over the counters of a holding."""
        self.origin = holding
        self.remaining = holding.remaining
        self.granted = holding.granted
        self.burned = holding.burned
        self.expired = holding.expired
        self.voided = holding.voided
        self.parked = holding.parked
        self.rolled = holding.rolled
        self.allowed = holding.allowed
        self.used = holding.used

    def schedule(self, at: int) -> None:
        """Finds when what it holds ends: the next refill after `at`, and the lapse."""
        grant = self.grant
        if grant.recurrence is not None:
            self.refill_at = periods.next_start(grant.recurrence, at)
        if grant.lasts is not None:
            self.lapse_at = lapse_at(grant, self.refilled_at)
            self.lapsed = self.lapse_at <= at

    @property
    def ends_at(self) -> int:
        """When what it holds now ends."""
        expires_at = self.grant.expires_at
        ends_at = NEVER if expires_at is None else expires_at
        return min(ends_at, self.refill_at, self.lapse_at) if self.periodic else ends_at

    @property
    def expires_at(self) -> int:
        """When the grant itself ends, refills aside."""
        expires_at = self.grant.expires_at
        return NEVER if expires_at is None else expires_at

    @property
    def bought(self) -> bool:
        """Whether somebody paid for it."""
        return self.grant.kind in BOUGHT

    @property
    def not_of_plan(self) -> bool:
        """Whether it is anything but a plan's."""
        return self.grant.kind is not GrantKind.PLAN

    @property
    def newest(self) -> int:
        """Smaller for what was created later."""
        return -self.grant.created_at

    def boundaries(self, at: int) -> tuple[int, ...]:
        """Its boundaries after `at` that are certain: the next one, and for a plain grant ahead both its
        start and its end. Those after a boundary of a periodic one are known once it has passed."""
        if not self.live:
            starts_at, over_at = self.grant.effective_at, self.over_at
            if not at < starts_at < over_at:
                return ()
            begin = boundary(starts_at, START, self.index)
            if self.periodic or over_at == NEVER:
                return (begin,)
            return (begin, boundary(over_at, END, self.index))
        found = self.over_at
        if not self.lapsed and self.lapse_at < found:
            found = self.lapse_at
        if self.refill_at < found:
            return (boundary(self.refill_at, REFILL, self.index),)
        return (boundary(found, END, self.index),) if found < NEVER else ()

    def holding(self) -> Holding:
        """Its counters now; the very holding it was made from where nothing changed."""
        was = self.origin
        if (
            was is not None
            and was.remaining == self.remaining
            and was.refilled_at == self.refilled_at
            and was.granted == self.granted
            and was.burned == self.burned
            and was.voided == self.voided
            and was.rolled == self.rolled
            and was.used == self.used
            and was.allowed == self.allowed
            and was.parked == self.parked
            and was.grant is self.grant
        ):
            return was
        return Holding(
            self.grant,
            self.remaining,
            self.granted,
            self.burned,
            self.expired,
            self.voided,
            self.parked,
            self.refilled_at,
            self.rolled,
            self.allowed,
            self.used,
        )


def lapse_at(grant: Grant, refilled_at: int) -> int:
    """When what was put in at `refilled_at` ends by `lasts`."""
    assert grant.lasts is not None
    zone = "UTC" if grant.recurrence is None else grant.recurrence.zone
    return periods.add(refilled_at, grant.lasts, zone=zone)


RANKS: dict[OrderKey, str] = {
    OrderKey.PRIORITY: "grant.priority",
    OrderKey.EXPIRY: "ends_at",
    OrderKey.EXPIRES_AT: "expires_at",
    OrderKey.KIND: "bought",
    OrderKey.PLAN_FIRST: "not_of_plan",
    OrderKey.OLDEST: "grant.created_at",
    OrderKey.NEWEST: "newest",
}
"""What of a slot each step of a burn order looks at; the smaller burns first."""


def key_of(order: Iterable[OrderKey]) -> Callable[[Slot], Key]:
    """What gives a slot's place in a burn order."""
    return attrgetter(*[RANKS[step] for step in order], "grant.id", "index")


def kept_at_refill(grant: Grant, left: int, rolled: int) -> int:
    """What stays of `left` units when the grant is refilled."""
    rollover = grant.rollover
    return rollover.kept(left, rolled) if rollover.at is RolloverAt.REFILL else 0


def leap(slot: Slot, k: int, last: int) -> int:
    """Refills a slot from period `k` on, once or as many times as have the same effect, but not past period
    `last`: how many times. Its boundaries are for the caller to find."""
    grant, recurrence = slot.grant, slot.grant.recurrence
    assert recurrence is not None
    left, rolled = slot.remaining, slot.rolled
    lapses = grant.lasts is not None and lapse_at(grant, slot.refilled_at) <= periods.start(recurrence, k + 1)
    after_lapse = 0 if lapses else left
    kept = kept_at_refill(grant, after_lapse, min(rolled, after_lapse))
    put_in = grant.amount + max(0, kept - after_lapse)
    ended = left - after_lapse + max(0, after_lapse - kept)
    times = 1
    # Where nothing is kept, or nothing lapses, a period depends only on what the one before left.
    if grant.lasts is None or grant.rollover.max == 0 or periods.even(recurrence, grant.lasts):
        if (grant.amount + kept, kept) == (left, rolled):
            times = last - k  # This period changes only the totals, and all that follow do so equally.
        elif kept == left > 0 and grant.amount and _keeps_all(grant.rollover):
            # Everything left is kept, period after period: many steps are one multiplication.
            times = min(last - k, (grant.rollover.max - left) // grant.amount + 1)
            slot.granted += times * grant.amount
            slot.remaining = left + times * grant.amount
            slot.rolled = slot.remaining - grant.amount
            return times
    slot.remaining, slot.rolled = grant.amount + kept, kept
    slot.granted += times * put_in
    slot.expired += times * ended
    return times


def _keeps_all(rollover: Rollover) -> bool:
    """Whether what is within `min` and `max` stays as it is."""
    return rollover.percent == 100 and not rollover.once
