"""How much may be used: soft limits, warnings on the way to them, and spend caps per window of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fastcheck.errors import AmountError
from fastcheck.ledger import periods
from fastcheck.ledger.periods import Anchor, Recurrence, Span

WARN_AT = (80, 90, 100)
"""Percents of a limit at which a customer is warned unless said otherwise."""


class Verdict(str, Enum):
    """What becomes of a use under a soft limit. All are true as a bool: ask `allowed`."""

    WITHIN = "within"
    OVER = "over"
    """Allowed, as overage."""
    DENIED = "denied"

    @property
    def allowed(self) -> bool:
        return self is not Verdict.DENIED


@dataclass(frozen=True)
class SoftLimit:
    """A limit that may be passed, up to a ceiling."""

    limit: int
    ceiling: int | None
    """The most that may be used in all, overage included; None = no end. Equal to `limit`: a hard limit."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise AmountError(f"a limit of {self.limit} is negative: give 0 or more")
        if self.ceiling is not None and self.ceiling < self.limit:
            raise AmountError(f"the ceiling {self.ceiling} is below the limit {self.limit}: raise it")

    def verdict(self, used: int, cost: int) -> Verdict:
        """Whether `cost` units more may be used. All or nothing: a use is never cut in two."""
        if cost < 0:
            raise AmountError(f"a cost of {cost} is negative: give back instead")
        after = used + cost
        if after <= self.limit:
            return Verdict.WITHIN
        # What costs nothing cannot pass a ceiling, not even one that was lowered below what is used.
        if self.ceiling is None or after <= self.ceiling or cost == 0:
            return Verdict.OVER
        return Verdict.DENIED


def warnings(limit: int, before: int, after: int, percents: tuple[int, ...] = WARN_AT) -> tuple[int, ...]:
    """The percents of a limit that usage reaches on its way up from `before` to `after`, lowest first.

    To warn once per period, let `before` be the highest usage since the last refill (`Watermark`): use that
    is given back and used again does not warn again."""
    return tuple(one for one in sorted(percents) if before * 100 < limit * one <= after * 100)


def rearmed(limit: int, before: int, after: int, percents: tuple[int, ...] = WARN_AT) -> tuple[int, ...]:
    """The percents that a drop of usage (a refill) from `before` to `after` makes warn again."""
    return warnings(limit, after, before, percents)


@dataclass(frozen=True)
class Watermark:
    """The highest usage since the last refill: what has been warned about."""

    used: int = 0

    def rise(
        self, limit: int, used: int, percents: tuple[int, ...] = WARN_AT
    ) -> tuple[Watermark, tuple[int, ...]]:
        """After usage came to `used`: the new mark, and the percents to warn about now."""
        return Watermark(max(self.used, used)), warnings(limit, self.used, used, percents)

    def refill(
        self, limit: int, used: int, percents: tuple[int, ...] = WARN_AT
    ) -> tuple[Watermark, tuple[int, ...]]:
        """After a refill left usage at `used`: the new mark, and the percents that may warn again."""
        return Watermark(used), rearmed(limit, self.used, used, percents)


@dataclass(frozen=True)
class Cap:
    """At most `units` in each window. Needs no grant: it bounds speed where grants bound amount."""

    units: int
    window: Recurrence | Span
    """A span is a calendar window in UTC: whole hours, days, months."""
    key: str | None = None
    """A sub-key of the customer (an API key, a project) whose spending counts; None = all of it."""

    def __post_init__(self) -> None:
        if self.units < 0:
            raise AmountError(f"a cap of {self.units} is negative: give 0 or more")

    @property
    def recurrence(self) -> Recurrence:
        """The window's grid. Calendar windows ignore their anchor's instant, so equal ones compare equal."""
        if isinstance(self.window, Span):
            return Recurrence(self.window, Anchor.CALENDAR, 0)
        calendar = self.window.anchor is Anchor.CALENDAR
        return Recurrence(self.window.every, Anchor.CALENDAR, 0) if calendar else self.window

    def applies(self, key: str | None) -> bool:
        """Whether spending under a sub-key counts towards it."""
        return self.key is None or self.key == key


@dataclass(frozen=True)
class Spent:
    """What was spent in the newest window of a kind."""

    window: Recurrence
    key: str | None
    starts_at: int
    units: int


@dataclass(frozen=True)
class CapState:
    """What was spent in the windows open at `as_of`. Caps that differ only in their units share a count, so
    raising a cap forgets nothing. A cap that is new counts from its first use."""

    spent: tuple[Spent, ...] = ()
    as_of: int = 0
    """The latest instant spent at. Time does not go back: an earlier instant counts as this one."""

    def used(self, cap: Cap, at: int) -> int:
        """Units spent in the cap's window at an instant."""
        starts_at = _starts_at(cap, max(at, self.as_of))
        return sum(
            one.units
            for one in self.spent
            if (one.window, one.key, one.starts_at) == (cap.recurrence, cap.key, starts_at)
        )


@dataclass(frozen=True)
class Room:
    """What the caps leave."""

    units: int | None
    """None = no cap applies."""
    ends_at: int | None = None
    """When the tightest window ends, and with it this bound; of equally tight ones, the last."""
    lease_until: int | None = None
    """Where the first window ends. A lease must end here: what is spent later counts in another window."""


@dataclass(frozen=True)
class Capped:
    """A use that a cap denies."""

    cap: Cap
    left: int
    """Units the window still has."""
    resets_at: int
    """When the window ends; of several caps in the way, the last to end."""
    never: bool
    """The use is larger than the whole cap: waiting does not help."""


def room(caps: Iterable[Cap], state: CapState, at: int, key: str | None = None) -> Room:
    """What may be spent at an instant under a sub-key without passing any cap.

    A lease of at most `units` until `lease_until` cannot pass a cap, if it is counted with `spend` when it is
    lent and what comes back of it with `give_back`."""
    at = max(at, state.as_of)
    found = [
        (max(0, cap.units - state.used(cap, at)), periods.next_start(cap.recurrence, at))
        for cap in caps
        if cap.applies(key)
    ]
    if not found:
        return Room(None)
    units, ends_at = min(found, key=lambda one: (one[0], -one[1]))
    return Room(units, ends_at, min(end for _, end in found))


def spend(
    caps: Iterable[Cap], state: CapState, at: int, units: int, key: str | None = None
) -> CapState | Capped:
    """Counts a use in every window it belongs to, or, when one lacks the room, in none."""
    if units < 0:
        raise AmountError(f"{units} units are negative: spend 0 or more")
    at = max(at, state.as_of)
    mine = [cap for cap in caps if cap.applies(key)]
    denials = [
        Capped(cap, left, periods.next_start(cap.recurrence, at), units > cap.units)
        for cap in mine
        if units > (left := max(0, cap.units - state.used(cap, at)))
    ]
    if denials:
        return max(denials, key=lambda one: (one.never, one.resets_at))
    return _book(state, mine, at, at, units)


def give_back(
    caps: Iterable[Cap], state: CapState, at: int, spent_at: int, units: int, key: str | None = None
) -> CapState:
    """Takes back, at `at`, units counted at `spent_at` (a hold released, a lease returned). Windows that
    ended meanwhile stay as they were: their room went unused, and no later window gains it."""
    if units < 0:
        raise AmountError(f"{units} units are negative: give back 0 or more")
    at = max(at, state.as_of)
    mine = [cap for cap in caps if cap.applies(key) and periods.next_start(cap.recurrence, spent_at) > at]
    return _book(state, mine, at, spent_at, -units)


def _book(state: CapState, caps: Iterable[Cap], at: int, counts_at: int, units: int) -> CapState:
    """Adds to the windows of the caps that `counts_at` is in; drops windows that ended by `at`."""
    totals = {
        (one.window, one.key, one.starts_at): one.units
        for one in state.spent
        if periods.next_start(one.window, one.starts_at) > at
    }
    # A set: two caps of one window and key (a limit for people, a lower one for robots) share a count.
    for window, key, starts_at in {(cap.recurrence, cap.key, _starts_at(cap, counts_at)) for cap in caps}:
        totals[window, key, starts_at] = max(0, totals.get((window, key, starts_at), 0) + units)
    return CapState(tuple(sorted((Spent(*place, total) for place, total in totals.items()), key=_place)), at)


def _place(one: Spent) -> tuple[int | str, ...]:
    every = one.window.every
    return (
        one.starts_at,
        every.unit.value,
        every.count,
        one.window.anchor_at,
        one.key or "",
        one.key is None,
    )


def _starts_at(cap: Cap, at: int) -> int:
    return periods.start(cap.recurrence, periods.index(cap.recurrence, at))


def carry(overage: int, new_grant: int) -> tuple[int, int]:
    """(overage still owed, units left of the grant) after a later grant paid for earlier overage."""
    paid = min(overage, new_grant)
    return overage - paid, new_grant - paid
