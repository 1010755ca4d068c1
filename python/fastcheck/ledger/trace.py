"""Which grants paid for which usage, so that a named usage can be undone exactly."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from fastcheck.errors import AmountError
from fastcheck.ledger.engine import Engine
from fastcheck.ledger.model import MovementKind


@dataclass(slots=True)
class _Paid:
    """What one usage burned."""

    left: int
    """Units that may still be undone."""
    parts: list[tuple[str, int, int]] = field(default_factory=list)
    """(grant, units, at), oldest first."""
    owed: int = 0
    forgotten: int = 0
    """Of its overage: units that were written off."""


class Trace:
    """Follows an engine's movements. Overage is paid oldest first; given back, newest first."""

    def __init__(self, engine: Engine, wanted: set[str]) -> None:
        self.wanted = wanted
        """Ids of usage that will be undone; nothing is followed where there are none."""
        self._engine = engine
        self._paid: dict[str, _Paid] = {}
        self._owing: deque[_Paid] = deque()
        self._seen = len(engine.moved)
        self._slots = {slot.grant.id: slot for slot in engine.slots} if wanted else {}
        if engine.overage:
            self._owing.append(_Paid(0, owed=engine.overage))

    def use(self, id: str | None, units: int, at: int) -> None:
        """Books usage, and notes who paid it."""
        self._follow()
        self._engine.use(units, at)
        paid = _Paid(max(0, units))
        if id is not None:
            self._paid[id] = paid
        self._follow(paid)

    def undo(self, id: str, units: int, at: int) -> None:
        """Gives back -`units` of a usage: what is still owed of it first, then the grants, last first."""
        self._follow()
        paid, engine, left = self._paid.get(id), self._engine, -units
        if paid is None:
            raise AmountError(f"usage at {at} undoes {id!r:.80}, and there is no earlier usage of that id")
        if left > paid.left:
            raise AmountError(
                f"usage at {at} gives back {left} units of {id!r:.80}, which burned {paid.left}"
            )
        paid.left -= left
        lowered = engine.lower_overage(min(left, paid.owed), at)
        paid.owed -= lowered
        left -= lowered
        forgiven = min(left, paid.forgotten)
        engine.forgive(forgiven, at)
        paid.forgotten -= forgiven
        left -= forgiven
        while left and paid.parts:
            grant, burned, burned_at = paid.parts.pop()
            given = min(left, burned)
            if given < burned:
                paid.parts.append((grant, burned - given, burned_at))
            left -= given
            slot = self._slots[grant]
            # Unnamed units given back may have gone to this grant already.
            back = min(given, slot.burned)
            if back:
                engine.undo(slot, back, burned_at, at)
            engine.forgive(given - back, at)
        engine.forgive(left, at)
        self._seen = len(engine.moved)
        engine.settle()
        self._follow()

    def _follow(self, paid: _Paid | None = None) -> None:
        """Books what moved since: `paid` is the usage that moved it, if one did."""
        moved = self._engine.moved
        for at, kind, grant, units in moved.since(self._seen):
            if kind is MovementKind.BURN:
                assert grant is not None
                assert paid is not None
                paid.parts.append((grant, units, at))
            elif kind is MovementKind.OVERAGE and units > 0:
                assert paid is not None
                paid.owed = units
                self._owing.append(paid)
            elif kind is MovementKind.OVERAGE:
                self._lower(-units)
            elif kind is MovementKind.PAY_OVERAGE:
                assert grant is not None
                self._pay(grant, units, at)
            elif kind is MovementKind.WRITE_OFF and units > 0:
                for one in self._owing:
                    one.forgotten += one.owed
                    one.owed = 0
                self._owing.clear()
        self._seen = len(moved)

    def _pay(self, grant: str, units: int, at: int) -> None:
        while units:
            one = self._owing[0]
            part = min(units, one.owed)
            if part:
                one.parts.append((grant, part, at))
                one.owed -= part
                units -= part
            if not one.owed:
                self._owing.popleft()

    def _lower(self, units: int) -> None:
        while units:
            one = self._owing[-1]
            part = min(units, one.owed)
            one.owed -= part
            one.forgotten += part
            units -= part
            if not one.owed:
                self._owing.pop()
