"""What units are worth: revenue recognised from what grants cost, to the minor unit (cent).

The units of a grant leave it in the order in which they were put in. What was put in under one price is worth
``floor(cost * units / amount)``, cumulatively: so the parts always add up to the whole, however they are cut.
A movement is worth the difference it makes; where a payment was taken back, all that was earned of it is
undone. So, at any time::

    sold = burned + breakage + voided + refunded + charged_back + deferred

``deferred`` is what was paid for and not used yet; it is nothing where nothing remains."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from fastcheck.ledger.model import MovementKind
from fastcheck.ledger.postings import LedgerAccount

_ISSUED, _GRANT, _USED = LedgerAccount.ISSUED, LedgerAccount.GRANT, LedgerAccount.USED
_OVERAGE, _WRITTEN_OFF = LedgerAccount.OVERAGE, LedgerAccount.WRITTEN_OFF

_KINDS = {
    (_ISSUED, _GRANT): (MovementKind.ISSUE, 1),
    (_GRANT, _USED): (MovementKind.BURN, 1),
    (_USED, _GRANT): (MovementKind.RETURN, 1),
    (_GRANT, LedgerAccount.EXPIRED): (MovementKind.EXPIRE, 1),
    (_GRANT, LedgerAccount.VOIDED): (MovementKind.VOID, 1),
    (LedgerAccount.VOIDED, _GRANT): (MovementKind.UNVOID, 1),
    (_GRANT, LedgerAccount.REFUNDED): (MovementKind.REFUND, 1),
    (_GRANT, LedgerAccount.CHARGED_BACK): (MovementKind.CHARGE_BACK, 1),
    (_OVERAGE, _GRANT): (MovementKind.OWE, 1),
    (LedgerAccount.EXPIRED, _GRANT): (MovementKind.UNEXPIRE, 1),
    (_OVERAGE, _USED): (MovementKind.OVERAGE, 1),
    (_USED, _OVERAGE): (MovementKind.OVERAGE, -1),
    (_GRANT, _OVERAGE): (MovementKind.PAY_OVERAGE, 1),
    (_WRITTEN_OFF, _OVERAGE): (MovementKind.WRITE_OFF, 1),
    (_USED, _WRITTEN_OFF): (MovementKind.WRITE_OFF, -1),
    # What a repair of the clock undoes.
    (_GRANT, _ISSUED): (MovementKind.ISSUE, -1),
    (LedgerAccount.REFUNDED, _GRANT): (MovementKind.REFUND, -1),
    (LedgerAccount.CHARGED_BACK, _GRANT): (MovementKind.CHARGE_BACK, -1),
}


def movement(source: str, target: str, units: int) -> tuple[MovementKind, int]:
    """The movement that a posting came from, and its units: the inverse of `postings.postings`. Raises
    `KeyError`, `ValueError` for a way that no movement goes."""
    kind, sign = _KINDS[LedgerAccount(source), LedgerAccount(target)]
    return kind, sign * units


def used_by(kind: MovementKind, units: int) -> int:
    """What a movement adds to what was used."""
    if kind in (MovementKind.BURN, MovementKind.OVERAGE):
        return units
    if kind is MovementKind.RETURN:
        return -units
    return min(units, 0) if kind is MovementKind.WRITE_OFF else 0


class Price(NamedTuple):
    """What is paid for `amount` units, in minor units of a currency; nothing: ("", 0)."""

    amount: int
    cost: int
    currency: str


class Class(str, Enum):
    """What the worth of a movement is in the books of finance."""

    SOLD = "sold"
    """Paid for and owed to the customer from here on."""
    BURNED = "burned"
    """Earned by use; negative: use that was given back."""
    BREAKAGE = "breakage"
    """Earned because what was paid for ended unused; negative: the payment was taken back after that."""
    VOIDED = "voided"
    """Taken back; not earned. Negative: it came back."""
    REFUNDED = "refunded"
    """Taken back and paid back; not earned."""
    CHARGED_BACK = "charged_back"
    """The payment was taken back; not earned."""


CLASSES = {
    MovementKind.ISSUE: Class.SOLD,
    MovementKind.BURN: Class.BURNED,
    MovementKind.PAY_OVERAGE: Class.BURNED,
    MovementKind.RETURN: Class.BURNED,
    MovementKind.EXPIRE: Class.BREAKAGE,
    MovementKind.VOID: Class.VOIDED,
    MovementKind.UNVOID: Class.VOIDED,
    MovementKind.REFUND: Class.REFUNDED,
    MovementKind.CHARGE_BACK: Class.CHARGED_BACK,
    MovementKind.OWE: Class.BURNED,
    MovementKind.UNEXPIRE: Class.BREAKAGE,
}
"""Of movements of grants; overage and what was written off were never paid for."""
_BACK = (MovementKind.RETURN, MovementKind.UNVOID, MovementKind.OWE, MovementKind.UNEXPIRE)
_UNDONE = (MovementKind.OWE, MovementKind.UNEXPIRE)
"""Of a payment that was taken back: all of their class that the grant ever earned is undone. A repair of the
clock undoes a part."""


def worth(cost: int, amount: int, out: int, units: int) -> int:
    """What `units` of a grant given once are worth that leave it after `out` units did, in minor units: the
    same as the books of finance say."""
    return cost * (out + units) // amount - cost * out // amount


@dataclass
class _Stretch:
    """Units put in one after the other under one price."""

    price: Price
    first: int
    """Units put in before it."""
    worth: int
    """What those are worth."""

    def at(self, units: int) -> int:
        """The worth of the first `units` ever put in, of which the last lie here."""
        amount, cost, _ = self.price
        return self.worth + (cost * (units - self.first) // amount if amount else 0)


@dataclass
class GrantBooks:
    """One grant through its movements, in the order in which they were booked."""

    issued: int = 0
    out: int = 0
    """Units that left it, net."""
    _units: Counter[Class] = field(default_factory=Counter)
    """Units that left it, by what they were."""
    _worths: Counter[Class] = field(default_factory=Counter)
    """What left it is worth, as it was booked."""
    _stretches: list[_Stretch] = field(default_factory=list)

    def take(self, kind: MovementKind, units: int, price: Price) -> int:
        """Applies a movement of this grant; what it is worth. `price`: of the grant when it was booked, and
        only looked at where units are put in. Negative units undo: those put in last are taken out again."""
        if kind is MovementKind.ISSUE and units < 0:
            before = self._worth(self.issued)
            self.issued += units
            while len(self._stretches) > 1 and self._stretches[-1].first >= self.issued:
                self._stretches.pop()
            return self._worth(self.issued) - before
        if kind is MovementKind.ISSUE:
            if not self._stretches or self._stretches[-1].price != price:
                self._stretches.append(_Stretch(price, self.issued, self._worth(self.issued)))
            before = self._worth(self.issued)
            self.issued += units
            return self._worth(self.issued) - before
        before, group = self._worth(self.out), CLASSES[kind]
        self.out += -units if kind in _BACK else units
        self._units[group] += -units if kind in _BACK else units
        wholly = kind in _UNDONE and not self._units[group]
        if wholly or (kind is MovementKind.CHARGE_BACK and units < 0):
            found = -self._worths[group]
        elif kind is MovementKind.CHARGE_BACK:
            found = self.sold - self.recognised
        else:
            found = self._worth(self.out) - before
        self._worths[group] += found
        return found

    @property
    def sold(self) -> int:
        """The worth of all that was ever put in."""
        return self._worth(self.issued)

    @property
    def recognised(self) -> int:
        """The worth of all that left: burned, ended or taken back."""
        return sum(self._worths.values())

    def _worth(self, units: int) -> int:
        for one in reversed(self._stretches):
            if units >= one.first:
                return one.at(units)
        return 0
