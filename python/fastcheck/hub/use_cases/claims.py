"""What of an account is spoken for: reservations at the hub, leases at hosts, and caps per window of time.

A window is found by the account's own instant (`as_of`), which no clock takes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastcheck.hub.store.statements import Statements, StoredCap, StoredReservation
from fastcheck.ledger import periods
from fastcheck.ledger.limits import Cap, CapState, Room, Spent
from fastcheck.ledger.limits import room as room_of
from fastcheck.ledger.periods import Span, Unit


@dataclass(frozen=True)
class Claims:
    """What is spoken for at an instant."""

    at: int
    held: tuple[StoredReservation, ...]
    lent: int
    """What open leases may still use."""
    caps: tuple[StoredCap, ...]

    @property
    def units(self) -> int:
        """In all."""
        return self.lent + sum(one.units for one in self.held)

    @property
    def until(self) -> int | None:
        """When the first reservation expires, and with it its claim."""
        return min((one.expires_at for one in self.held), default=None)

    def without(self, id: str) -> Claims:
        """The same but for one reservation."""
        return replace(self, held=tuple(one for one in self.held if one.id != id))

    def used(self, one: StoredCap) -> int:
        """Units that count towards a cap in the present window, those that are held or lent included."""
        cap = capped(one)
        now = periods.index(cap.recurrence, self.at)
        held = (
            held.units
            for held in self.held
            if cap.applies(held.sub_key) and periods.index(cap.recurrence, held.created_at) == now
        )
        spent = one.spent if one.window_at >= periods.start(cap.recurrence, now) else 0
        return spent + sum(held) + (self.lent if cap.key is None else 0)

    def room(self, key: str | None = None) -> Room:
        """What the caps leave for spending under a sub-key."""
        caps = {one: capped(one) for one in self.caps}
        spent = tuple(
            Spent(
                cap.recurrence,
                cap.key,
                periods.start(cap.recurrence, periods.index(cap.recurrence, self.at)),
                self.used(one),
            )
            for one, cap in caps.items()
        )
        return room_of(caps.values(), CapState(spent, self.at), self.at, key)


def claims(statements: Statements, number: int, pool: str, at: int, *, but_host: str | None = None) -> Claims:
    """What is spoken for of an account; `but_host`: one host's lease is left out."""
    return Claims(
        at,
        tuple(statements.held(number, pool, at)),
        statements.unspent(number, pool, but_host),
        tuple(statements.caps(number, pool)),
    )


def capped(one: StoredCap) -> Cap:
    """A cap's row as the arithmetic has it."""
    return Cap(one.units, Span(one.count, Unit(one.unit)), one.key or None)


def counted(caps: Sequence[StoredCap], units: int, at: int, key: str | None = None) -> list[StoredCap]:
    """The caps that change when units are spent (negative: given back) at an instant. Windows that ended
    before the newest one stay as they were."""
    changed = []
    for one in caps:
        cap = capped(one)
        starts_at = periods.start(cap.recurrence, periods.index(cap.recurrence, at))
        if not cap.applies(key) or starts_at < one.window_at:
            continue
        before = one.spent if starts_at == one.window_at else 0
        changed.append(replace(one, window_at=starts_at, spent=max(0, before + units)))
    return changed
