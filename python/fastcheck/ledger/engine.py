"""The one engine: a pool's grants moving through time. Mutable, single-use, without I/O and without a clock.

At one instant: ends first (expiry, void, `lasts`), then the reset, then refills and starts, then overage is
paid, then usage.

`burn` wraps it for accounts, `burndown` for a run over a span; neither has a rule of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fastcheck.ledger import periods
from fastcheck.ledger.burning import (
    CHARGE_BACK,
    EXPIRE,
    ISSUE,
    OWE,
    REFUND,
    UNEXPIRE,
    UNVOID,
    VOID,
    WRITE_OFF,
    Burning,
)
from fastcheck.ledger.inorder import InOrder
from fastcheck.ledger.model import Account, Grant, Holding, Movement, Rules
from fastcheck.ledger.slots import (
    AT_BITS,
    END,
    INDEX_BITS,
    KINDS,
    NEVER,
    RESET,
    START,
    Slot,
    boundary,
    kept_at_refill,
    leap,
)

REFILLS_NOTED = 1_000
"""Refills of one grant, skipped at once, that are noted one by one; those before become one movement."""

_SHORTEST_MS = 60_000
_INDEX = (1 << INDEX_BITS) - 1
_AT_ONE_INSTANT = (1 << AT_BITS) - 1


class Engine(Burning):
    """A pool at `as_of`. Methods move it; `account()` is what it became."""

    def __init__(
        self, holdings: Iterable[Holding], rules: Rules, as_of: int, overage: int = 0, written_off: int = 0
    ) -> None:
        super().__init__(rules, as_of, overage, written_off)
        for one in holdings:
            self.hold(one.grant, one)
        self.changed_at: list[int] = []
        """The instants at which active grants changed."""
        self.resets: list[tuple[int, dict[str, int], dict[str, int], int]] = []
        """(at, kept, dropped, overage dropped) of each reset."""
        self._boundaries: InOrder[int] | None = None
        self._horizon = as_of
        self._leapt = False

    def account(self, moved: tuple[Movement, ...] = ()) -> Account:
        """The account now; `moved` comes before what moved here."""
        return Account(
            tuple([slot.holding() for slot in self.slots]),
            self.overage,
            self.written_off,
            self.as_of,
            (*moved, *self.moved.movements()),
        )

    # time

    def next_change(self) -> int | None:
        """The first instant after `as_of` at which time alone changes the pool; None = never."""
        first = self._find_boundaries().first()
        return None if first is None else first >> AT_BITS

    def advance(self, until: int, *, reset: bool = False, keep_overage: bool = True) -> None:
        """Applies every boundary in (as_of, until], and with `reset` a reset at `until`. An `until` that
        is not after `as_of` changes nothing, so a clock that steps back cannot undo anything."""
        if until <= self.as_of:
            return
        boundaries = self._find_boundaries()
        if reset:
            boundaries.add(boundary(until, RESET, 0))
        self._horizon = until
        noted = len(self.moved)
        limit = boundary(until + 1, 0, 0)
        while (due := boundaries.pop_before(limit)) is not None:
            self._step(boundaries, due, keep_overage)
        self.as_of = until
        if self._leapt:
            # A leap notes refills ahead of what other grants did meanwhile.
            self.moved.sort_since(noted)
            self._leapt = False

    def _find_boundaries(self) -> InOrder[int]:
        """The boundaries that are certain now; those that follow from them are put in at each."""
        if self._boundaries is None:
            at = self.as_of
            self._boundaries = InOrder([one for slot in self.slots for one in slot.boundaries(at)])
        return self._boundaries

    def _step(self, boundaries: InOrder[int], first: int, keep_overage: bool) -> None:
        """Everything that happens at one instant but usage; `first` is its first boundary."""
        self.as_of = at = first >> AT_BITS
        self.changed_at.append(at)
        later = first | _AT_ONE_INSTANT
        reset = refilled = False
        due: int | None = first
        while due is not None:
            kind = due >> INDEX_BITS & KINDS
            if kind == RESET:
                self._reset(at, keep_overage)
                reset = True
            else:
                slot = self.slots[due & _INDEX]
                if kind == START:
                    self._start(slot, at)
                elif kind == END:
                    self._end(slot, at)
                else:
                    self._refill(slot, at, reset)
                    refilled = True
                if slot.periodic:
                    self._follow(boundaries, slot, at)
            due = boundaries.pop_before(later)
        if self.overage:
            if refilled and self.rules.period_clears_overage:
                self._forget_overage(at)
            else:
                self.settle()

    def _follow(self, boundaries: InOrder[int], slot: Slot, at: int) -> None:
        for one in slot.boundaries(at):
            boundaries.add(one)

    def _start(self, slot: Slot, at: int) -> None:
        slot.live = True
        if slot.unissued:
            slot.unissued = False
            self.issue(slot, slot.grant.amount, at)
        if slot.periodic:
            slot.schedule(at)
        self._enter(slot)
        if slot.periodic:
            self._leap(slot, at)

    def _end(self, slot: Slot, at: int) -> None:
        """The end of a slot, or of what it holds until the next refill."""
        slot.era_at = at
        if slot.over_at == at:
            slot.live = False
            if slot.remaining:
                self.empty(slot, at)
        else:
            slot.lapsed = True
            self._take(slot, slot.remaining, EXPIRE, at)
        slot.key = None

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
        slot.allowed, slot.used = slot.grant.amount, 0
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
            slot.rolled, slot.used = kept, slot.allowed
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
            self.moved.note(at, WRITE_OFF, None, self.overage)
            self.written_off += self.overage
            self.overage = 0

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
        slot.allowed, slot.used = slot.grant.amount, 0
        slot.schedule(slot.refilled_at)
        self._enter(slot)
        self._leapt = True
        for kind, units in ((ISSUE, slot.granted - granted), (EXPIRE, slot.expired - expired)):
            if units:
                self.moved.note(slot.refilled_at, kind, slot.grant.id, units)

    # grants

    def put(self, grant: Grant, at: int) -> Slot:
        """Puts a grant in, full as of `at`; it may start later."""
        slot = self.hold(grant)
        self.issue(slot, grant.amount, at)
        if self._boundaries is not None:
            self._follow(self._boundaries, slot, self.as_of)
        return slot

    def void(self, slot: Slot) -> None:
        """Takes back what is left of one slot, as of now. Again: no change. A parked one does not come
        back."""
        if slot.grant.voided_at is not None and slot.parked is None:
            return
        self._take(slot, slot.remaining, VOID, self.as_of)
        self._close(slot)

    def refund(self, slot: Slot, units: int) -> None:
        """Takes back some of what is left of one slot, whose payment is given back. The slot goes on."""
        self._take(slot, units, REFUND, self.as_of)
        slot.allowed -= units
        self._enter(slot)

    def charge_back(self, slot: Slot) -> None:
        """Takes one slot back, whose payment was taken back: as if it had never been there, so that what was
        used of it is owed. What was refunded before stays so."""
        at = self.as_of
        owed = slot.burned
        if slot.grant.voided_at is not None and not (slot.parked or slot.remaining or owed or slot.expired):
            return
        if slot.parked:
            self._put_back(slot, slot.parked, UNVOID, at)
        self._put_back(slot, owed, OWE, at)
        self._put_back(slot, slot.expired, UNEXPIRE, at)
        self._take(slot, slot.remaining, CHARGE_BACK, at)
        slot.allowed = slot.used = 0
        self._close(slot)
        self.overage += owed

    def _close(self, slot: Slot) -> None:
        """Ends a slot that holds nothing, as of now."""
        slot.grant = replace(slot.grant, voided_at=self.as_of)
        slot.parked, slot.live, slot.key, slot.over_at = None, False, None, self.as_of
        self._boundaries = None
