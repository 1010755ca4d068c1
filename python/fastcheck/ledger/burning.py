"""The units of a pool: its grants in the order in which they burn, what is owed, what moved. Here units go
into grants and out of them; when they do is the engine's to say.

Every step that moves units notes it at its instant."""

from __future__ import annotations

from typing import cast

from fastcheck.ledger.inorder import InOrder
from fastcheck.ledger.model import Grant, Holding, MovementKind, Rules
from fastcheck.ledger.moved import Moved
from fastcheck.ledger.slots import Key, Slot, key_of

ISSUE, BURN, RETURN = MovementKind.ISSUE, MovementKind.BURN, MovementKind.RETURN
EXPIRE, VOID = MovementKind.EXPIRE, MovementKind.VOID
REFUND, CHARGE_BACK = MovementKind.REFUND, MovementKind.CHARGE_BACK
UNVOID, UNEXPIRE, OWE = MovementKind.UNVOID, MovementKind.UNEXPIRE, MovementKind.OWE
OVERAGE, PAY_OVERAGE, WRITE_OFF = MovementKind.OVERAGE, MovementKind.PAY_OVERAGE, MovementKind.WRITE_OFF


class Burning:
    """A pool at `as_of`."""

    def __init__(self, rules: Rules, as_of: int, overage: int, written_off: int) -> None:
        self.slots: list[Slot] = []
        self.as_of = as_of
        self.overage = overage
        self.written_off = written_off
        self.moved = Moved()
        self.rules = rules
        self._key = key_of(rules.order)
        self._order: InOrder[Key] = InOrder()
        self._entering: list[Slot] = []
        """Slots whose place in the order is found when somebody burns."""
        self._burned: set[int] | None = None

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
        self._entering.append(slot)
        return slot

    def issue(self, slot: Slot, units: int, at: int) -> None:
        """Puts units into a slot."""
        if units > 0:
            slot.remaining += units
            slot.granted += units
            self.moved.note(at, ISSUE, slot.grant.id, units)

    def _take(self, slot: Slot, units: int, kind: MovementKind, at: int) -> None:
        """Units leave a slot unused."""
        if units > 0:
            slot.remaining -= units
            slot.rolled = min(slot.rolled, slot.remaining)
            if kind is EXPIRE:
                slot.expired += units
            else:
                slot.voided += units
            self.moved.note(at, kind, slot.grant.id, units)

    def _put_back(self, slot: Slot, units: int, kind: MovementKind, at: int) -> None:
        """Units come back to a slot from where they went, to be taken from it again at once."""
        if units > 0:
            slot.remaining += units
            if kind is OWE:
                slot.burned -= units
            elif kind is UNEXPIRE:
                slot.expired -= units
            else:
                slot.voided -= units
            self.moved.note(at, kind, slot.grant.id, units)

    def empty(self, slot: Slot, at: int) -> None:
        """What is left of a slot that is over expires, or is voided."""
        voided = slot.grant.voided_at is not None and slot.grant.voided_at == slot.over_at
        expired = slot.grant.expires_at is not None and slot.grant.expires_at == slot.over_at
        self._take(slot, slot.remaining, VOID if voided and not expired else EXPIRE, at)

    # the order

    def in_order(self) -> list[Slot]:
        """The active slots in the order in which they are burned, empty ones included."""
        return sorted((slot for slot in self.slots if slot.live and not slot.lapsed), key=self._key)

    def _enter(self, slot: Slot) -> None:
        """Lets a slot be put where its place in the order is now, or be left out if it holds nothing."""
        slot.key = None
        self._entering.append(slot)

    def _find_order(self) -> InOrder[Key]:
        """The keys of the active slots that hold something. A key that is not its slot's any more is passed
        over when it comes up."""
        if self._entering:
            keys = []
            for slot in self._entering:
                if slot.live and not slot.lapsed and slot.remaining and slot.key is None:
                    slot.key = self._key(slot)
                    keys.append(slot.key)
            self._order.add_all(keys)
            self._entering.clear()
        return self._order

    # use

    def burn(self, units: int, kind: MovementKind, at: int) -> int:
        """Takes units from active slots in order; what no slot took."""
        order = self._find_order()
        slots, note = self.slots, self.moved.note
        while units and (key := order.first()) is not None:
            slot = slots[cast(int, key[-1])]
            if slot.key is not key:
                order.pop()
                continue
            taken = slot.remaining
            if taken > units:
                taken = units
                slot.remaining -= units
            else:
                slot.remaining = 0
                slot.key = None
                order.pop()
            units -= taken
            slot.burned += taken
            if slot.rolled:
                slot.used += max(0, taken - slot.rolled)
                slot.rolled = max(0, slot.rolled - taken)
            else:
                slot.used += taken
            if self._burned is not None:
                self._burned.add(slot.index)
            note(at, kind, slot.grant.id, taken)
        return units

    def use(self, units: int, at: int) -> None:
        """Books net usage; negative units give back: first what is owed, then to grants in reverse order,
        none above its own amount."""
        if units > 0:
            left = self.burn(units, BURN, at)
            if left:
                self.overage += left
                self.moved.note(at, OVERAGE, None, left)
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
            if slot.live and not slot.lapsed and slot.burned and slot.remaining < slot.allowed
        ]
        for slot in sorted(open_to, key=self._key, reverse=True):
            given = min(units, slot.burned, slot.allowed - slot.remaining)
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
            self.moved.note(at, OVERAGE, None, -lowered)
        return lowered

    def give_back_to(self, slot: Slot, units: int, at: int) -> None:
        """Gives back to one slot, whatever it holds."""
        slot.burned -= units
        slot.remaining += units
        # Carried units burn first: while some are left, only carried ones were burned.
        rolled = slot.rolled
        slot.rolled = rolled + units if rolled else max(0, slot.remaining - slot.allowed)
        slot.used = max(0, slot.used - units + slot.rolled - rolled)
        self.moved.note(at, RETURN, slot.grant.id, units)
        # Of an amount that fell below what was used, what comes back makes up for that first.
        self._take(slot, slot.remaining - slot.rolled - max(0, slot.allowed - slot.used), VOID, at)
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
            self.moved.note(at, WRITE_OFF, None, -units)

    def settle(self) -> None:
        """Lets the grants active now pay what earlier ones could not."""
        if self.overage:
            self.overage = self.burn(self.overage, PAY_OVERAGE, self.as_of)
