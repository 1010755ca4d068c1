"""The one engine: a pool's grants moving through time. Mutable, single-use, without I/O and without a clock.

At one instant: ends first (expiry, void, `lasts`), then the reset, then refills and starts, then overage is
paid, then usage. Every step that moves units notes a `Movement` at that instant.

`burn` wraps it for accounts, `burndown` for a run over a span; neither has a rule of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush

from . import periods
from .model import Account, Grant, Holding, Movement, MovementKind, Rules
from .slots import (
    AT_BITS,
    INDEX_BITS,
    NEVER,
    RANKS,
    START,
    Key,
    Slot,
    boundary,
    kept_at_refill,
    leap,
)

REFILLS_NOTED = 1_000
"""Refills of one grant, skipped at once, that are noted one by one; those before become one movement."""

_SHORTEST_MS = 60_000
_KIND = 1 << INDEX_BITS
_INDEX = _KIND - 1

ISSUE, BURN, RETURN = MovementKind.ISSUE, MovementKind.BURN, MovementKind.RETURN
EXPIRE, VOID = MovementKind.EXPIRE, MovementKind.VOID
OVERAGE, PAY_OVERAGE, WRITE_OFF = MovementKind.OVERAGE, MovementKind.PAY_OVERAGE, MovementKind.WRITE_OFF


class Engine:
    """A pool at `as_of`. Methods move it; `account()` is what it became."""

    def __init__(
        self, holdings: Iterable[Holding], rules: Rules, as_of: int, overage: int = 0, written_off: int = 0
    ) -> None:
        self.slots: list[Slot] = []
        self.as_of = as_of
        for one in holdings:
            self.hold(one.grant, one)
        self.overage = overage
        self.written_off = written_off
        self.moved: list[Movement] = []
        self.changed_at: list[int] = []
        """The instants at which active grants changed."""
        self.resets: list[tuple[int, dict[str, int], dict[str, int], int]] = []
        """(at, kept, dropped, overage dropped) of each reset."""
        self._rules = rules
        self._ranks = [RANKS[step] for step in rules.order]
        self._boundaries: list[int] | None = None
        self._order: list[Key] | None = None
        self._burned: set[int] | None = None
        self._horizon = as_of
        self._leapt = False

    def account(self, moved: tuple[Movement, ...] = ()) -> Account:
        """The account now; `moved` comes before what moved here."""
        return Account(
            tuple([slot.holding() for slot in self.slots]),
            self.overage,
            self.written_off,
            self.as_of,
            (*moved, *self.moved),
        )

    # time

    def next_change(self) -> int | None:
        """The first instant after `as_of` at which time alone changes the pool; None = never."""
        boundaries = self._find_boundaries()
        return boundaries[0] >> AT_BITS if boundaries else None

    def advance(self, until: int, *, reset: bool = False, keep_overage: bool = True) -> None:
        """Applies every boundary in (as_of, until], and with `reset` a reset at `until`. An `until` that
        is not after `as_of` changes nothing, so a clock that steps back cannot undo anything."""
        if until <= self.as_of:
            return
        boundaries = self._find_boundaries()
        self._horizon = until
        noted = len(self.moved)
        limit = boundary(until if reset else until + 1, 0, 0)
        while boundaries and boundaries[0] < limit:
            self._step(boundaries, boundaries[0] >> AT_BITS, False, True)
        if reset:
            self._step(boundaries, until, True, keep_overage)
        self.as_of = until
        if self._leapt:
            # A leap notes refills ahead of what other grants did meanwhile.
            self.moved[noted:] = sorted(self.moved[noted:], key=_at)
            self._leapt = False

    def _find_boundaries(self) -> list[int]:
        """The next boundary of each slot, as a heap."""
        if self._boundaries is None:
            at = self.as_of
            self._boundaries = [one for slot in self.slots if (one := slot.next(at)) is not None]
            heapify(self._boundaries)
        return self._boundaries

    def _step(self, boundaries: list[int], at: int, reset: bool, keep_overage: bool) -> None:
        """Everything that happens at one instant but usage."""
        self.as_of = at
        self.changed_at.append(at)
        refilled = False
        starts = boundary(at, START, 0)
        while boundaries and boundaries[0] < starts:
            slot = self.slots[heappop(boundaries) & _INDEX]
            self._end(slot, at)
            if slot.live and (following := slot.next(at)) is not None:
                heappush(boundaries, following)
        if reset:
            self._reset(at, keep_overage)
        refills = starts + _KIND
        while boundaries and (one := boundaries[0]) < refills + _KIND:
            heappop(boundaries)
            slot = self.slots[one & _INDEX]
            if one < refills:
                self._start(slot, at)
            else:
                self._refill(slot, at, reset)
                refilled = True
            following = slot.next(self.as_of)
            if following is not None:
                heappush(boundaries, following)
        if self.overage:
            if refilled and self._rules.period_clears_overage:
                self._forget_overage(at)
            else:
                self.settle()

    def _start(self, slot: Slot, at: int) -> None:
        slot.live = True
        if slot.unissued:
            slot.unissued = False
            self.issue(slot, slot.grant.amount, at)
        if slot.grant.recurrence is not None or slot.grant.lasts is not None:
            slot.schedule(at)
            self._enter(slot)
            self._leap(slot, at)
        else:
            self._enter(slot)

    def _end(self, slot: Slot, at: int) -> None:
        """The end of a slot, or of what it holds until the next refill."""
        slot.era_at = at
        if slot.over_at == at:
            slot.live = False
            self.empty(slot, at)
        else:
            slot.lapsed = True
            self._take(slot, slot.remaining, EXPIRE, at)
        slot.key = None

    def empty(self, slot: Slot, at: int) -> None:
        """What is left of a slot that is over expires, or is voided."""
        voided = slot.grant.voided_at is not None and slot.grant.voided_at == slot.over_at
        expired = slot.grant.expires_at is not None and slot.grant.expires_at == slot.over_at
        self._take(slot, slot.remaining, VOID if voided and not expired else EXPIRE, at)

    def _refill(self, slot: Slot, at: int, reset: bool) -> None:
        """Sets a slot to its full amount, and what the rollover keeps on top."""
        slot.era_at = at
        left = slot.remaining
        kept = kept_at_refill(slot.grant, left, slot.rolled)
        if reset:
            self._note_roll(slot, kept, left)
        self._take(slot, left - kept, EXPIRE, at)
        slot.refilled_at = at
        slot.lapsed = False
        self.issue(slot, slot.grant.amount + max(0, kept - left), at)
        slot.rolled = kept
        slot.schedule(at)
        self._enter(slot)
        self._leap(slot, at)

    def _reset(self, at: int, keep_overage: bool) -> None:
        """Rolls every active slot; one that refills at this very instant is rolled there."""
        self.resets.append((at, {}, {}, 0 if keep_overage else self.overage))
        if not keep_overage:
            self._forget_overage(at)
        for slot in self.slots:
            if not slot.live or slot.lapsed or slot.refill_at == at or slot.refilled_at == at:
                continue
            slot.era_at = at
            left = slot.remaining
            kept = slot.grant.rollover.kept(left, slot.rolled)
            self._note_roll(slot, kept, left)
            self._take(slot, left - kept, EXPIRE, at)
            self.issue(slot, kept - left, at)
            slot.rolled = kept
            if slot.key is None or not kept:
                self._enter(slot)

    def reset_now(self, keep_overage: bool) -> None:
        """A reset at `as_of`, whose boundaries were applied already."""
        self._reset(self.as_of, keep_overage)
        self.settle()

    def _note_roll(self, slot: Slot, kept: int, left: int) -> None:
        _, all_kept, dropped, _ = self.resets[-1]
        all_kept[slot.grant.id] = kept
        dropped[slot.grant.id] = max(0, left - kept)

    def _forget_overage(self, at: int) -> None:
        if self.overage:
            self.moved.append(Movement(at, WRITE_OFF, None, self.overage))
            self.written_off += self.overage
            self.overage = 0

    def issue(self, slot: Slot, units: int, at: int) -> None:
        """Puts units into a slot."""
        if units > 0:
            slot.remaining += units
            slot.granted += units
            self.moved.append(Movement(at, ISSUE, slot.grant.id, units))

    def _take(self, slot: Slot, units: int, kind: MovementKind, at: int) -> None:
        """Units leave a slot unused."""
        if units > 0:
            slot.remaining -= units
            slot.rolled = min(slot.rolled, slot.remaining)
            if kind is EXPIRE:
                slot.expired += units
            else:
                slot.voided += units
            self.moved.append(Movement(at, kind, slot.grant.id, units))

    # leaps

    def _leap(self, slot: Slot, at: int) -> None:
        """Where more than REFILLS_NOTED refills lie ahead in this advance and nothing is owed, grants do not
        touch each other: the older refills of this one are done at once."""
        until = min(self._horizon, slot.over_at - 1)
        if until - at <= REFILLS_NOTED * _SHORTEST_MS or self.overage or slot.refill_at >= NEVER:
            return
        recurrence = slot.grant.recurrence
        assert recurrence is not None
        k, last = periods.index(recurrence, at), periods.index(recurrence, until) - REFILLS_NOTED
        if k >= last:
            return
        granted, expired = slot.granted, slot.expired
        while k < last:
            k += leap(slot, k, last)
            slot.refilled_at = periods.start(recurrence, k)
        slot.era_at = slot.refilled_at
        slot.schedule(slot.refilled_at)
        self._enter(slot)
        self._leapt = True
        for kind, units in ((ISSUE, slot.granted - granted), (EXPIRE, slot.expired - expired)):
            if units:
                self.moved.append(Movement(slot.refilled_at, kind, slot.grant.id, units))

    # burning

    def _key(self, slot: Slot) -> Key:
        return (*[rank(slot) for rank in self._ranks], slot.grant.id, slot.index)

    def _enter(self, slot: Slot) -> None:
        """Puts a slot where its place in the order is now, or takes it out where it holds nothing."""
        if self._order is None:
            return
        if slot.remaining and slot.live and not slot.lapsed:
            slot.key = self._key(slot)
            heappush(self._order, slot.key)
        else:
            slot.key = None

    def _find_order(self) -> list[Key]:
        """The active slots that hold something, as a heap of keys. A key that is not its slot's any more is
        passed over when it comes up."""
        if self._order is None:
            self._order = []
            for slot in self.slots:
                if slot.live and not slot.lapsed and slot.remaining:
                    slot.key = self._key(slot)
                    self._order.append(slot.key)
            heapify(self._order)
        return self._order

    def burn(self, units: int, kind: MovementKind, at: int) -> int:
        """Takes units from active slots in order; what no slot took."""
        order = self._find_order()
        slots, moved = self.slots, self.moved
        while units and order:
            key = order[0]
            slot = slots[key[-1]]  # type: ignore[index]  # The last part of a key is the slot's index.
            if slot.key is not key:
                heappop(order)
                continue
            taken = slot.remaining
            if taken > units:
                taken = units
                slot.remaining -= units
            else:
                slot.remaining = 0
                slot.key = None
                heappop(order)
            units -= taken
            slot.burned += taken
            if slot.rolled:
                slot.rolled = max(0, slot.rolled - taken)
            if self._burned is not None:
                self._burned.add(slot.index)
            moved.append(Movement(at, kind, slot.grant.id, taken))
        return units

    def use(self, units: int, at: int) -> None:
        """Books net usage; negative units give back: first what is owed, then to grants in reverse order,
        none above its own amount."""
        if units > 0:
            left = self.burn(units, BURN, at)
            if left:
                self.overage += left
                self.moved.append(Movement(at, OVERAGE, None, left))
        elif units < 0:
            self._give_back(-units, at)

    def _give_back(self, units: int, at: int) -> None:
        units -= self.lower_overage(units, at)
        if not units:
            return
        if self._burned is None:
            self._burned = {slot.index for slot in self.slots if slot.burned}
        open_to = [
            slot
            for slot in map(self.slots.__getitem__, self._burned)
            if slot.live and not slot.lapsed and slot.burned and slot.remaining < slot.grant.amount
        ]
        for slot in sorted(open_to, key=self._key, reverse=True):
            given = min(units, slot.burned, slot.grant.amount - slot.remaining)
            self.give_back_to(slot, given, at)
            units -= given
            if not units:
                return
        self.forgive(units, at)

    def lower_overage(self, units: int, at: int) -> int:
        """Lets units given back lower what is owed; how many did."""
        lowered = min(self.overage, units)
        if lowered:
            self.overage -= lowered
            self.moved.append(Movement(at, OVERAGE, None, -lowered))
        return lowered

    def give_back_to(self, slot: Slot, units: int, at: int) -> None:
        """Gives back to one slot, whatever it holds."""
        slot.burned -= units
        slot.remaining += units
        # Carried units burn first: while some are left, only carried ones were burned.
        slot.rolled = slot.rolled + units if slot.rolled else max(0, slot.remaining - slot.grant.amount)
        self.moved.append(Movement(at, RETURN, slot.grant.id, units))
        if slot.key is None:
            self._enter(slot)

    def undo(self, slot: Slot, units: int, burned_at: int, at: int) -> None:
        """Gives back what was burned of one slot at an instant. What it held then may have ended since: then
        what comes back ends at once."""
        rolled = slot.rolled
        self.give_back_to(slot, units, at)
        if not slot.live:
            self.empty(slot, at)
        elif burned_at < slot.era_at or slot.lapsed:
            self._take(slot, units, EXPIRE, at)
            slot.rolled = rolled
        if not slot.remaining:
            slot.key = None

    def forgive(self, units: int, at: int) -> None:
        """Units given back that find no grant to go to."""
        if units:
            self.written_off -= units
            self.moved.append(Movement(at, WRITE_OFF, None, -units))

    def settle(self) -> None:
        """Lets the grants active now pay what earlier ones could not."""
        if self.overage:
            self.overage = self.burn(self.overage, PAY_OVERAGE, self.as_of)

    def void(self, slot: Slot) -> None:
        """Takes back what is left of one slot, as of now. Again: no change. A parked one does not come
        back."""
        if slot.grant.voided_at is not None and slot.parked is None:
            return
        self._take(slot, slot.remaining, VOID, self.as_of)
        slot.grant = replace(slot.grant, voided_at=self.as_of)
        slot.parked, slot.live, slot.key, slot.over_at = None, False, None, self.as_of
        self._boundaries = None

    def in_order(self) -> list[Slot]:
        """The active slots in the order in which they are burned, empty ones included."""
        return sorted((slot for slot in self.slots if slot.live and not slot.lapsed), key=self._key)

    # grants

    def hold(self, grant: Grant, holding: Holding | None = None, refilled_at: int | None = None) -> Slot:
        """Adds a slot, before anything has moved: with a holding's counters, or with nothing in it."""
        if holding is not None:
            refilled_at = holding.refilled_at
        slot = Slot(
            len(self.slots), grant, grant.effective_at if refilled_at is None else refilled_at, self.as_of
        )
        if holding is not None:
            slot.load(holding)
        self.slots.append(slot)
        return slot

    def put(self, grant: Grant, at: int) -> Slot:
        """Puts a grant in, full as of `at`; it may start later."""
        slot = self.hold(grant)
        self.issue(slot, grant.amount, at)
        self._enter(slot)
        if self._boundaries is not None and (following := slot.next(self.as_of)) is not None:
            heappush(self._boundaries, following)
        return slot


def _at(movement: Movement) -> int:
    return movement.at
