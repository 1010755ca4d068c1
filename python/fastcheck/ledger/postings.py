"""Movements as double entry, and the laws of conservation.

Each posting takes units from one account of the ledger and puts them into another, so that the balances of
all accounts always add up to nothing. What a grant holds is the balance of its own account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from fastcheck.ledger.model import Account, Holding, Movement, MovementKind


class LedgerAccount(str, Enum):
    """Where units are."""

    ISSUED = "issued"
    """Where grants come from: minus all that was ever put in."""
    GRANT = "granted"
    """What one grant holds; there is one account per grant, "granted:<id>"."""
    USED = "used"
    """Net usage."""
    EXPIRED = "expired"
    VOIDED = "voided"
    REFUNDED = "refunded"
    """Taken back with its payment."""
    CHARGED_BACK = "charged_back"
    """Taken back because the payment was."""
    OVERAGE = "overage"
    """Minus what is owed."""
    WRITTEN_OFF = "written_off"
    """Minus what nobody will pay."""


class Posting(NamedTuple):
    """A transfer of units at an instant."""

    at: int
    grant: str | None
    """The grant it is about; None for transfers between overage, usage and what was written off."""
    source: LedgerAccount
    target: LedgerAccount
    units: int
    """At least 1."""


_ISSUED, _GRANT, _USED = LedgerAccount.ISSUED, LedgerAccount.GRANT, LedgerAccount.USED
_OVERAGE, _WRITTEN_OFF = LedgerAccount.OVERAGE, LedgerAccount.WRITTEN_OFF

TAKEN = (LedgerAccount.VOIDED, LedgerAccount.REFUNDED, LedgerAccount.CHARGED_BACK)
"""Where units are that a grant counts as voided."""
_WAYS = {
    MovementKind.ISSUE: (_ISSUED, _GRANT),
    MovementKind.BURN: (_GRANT, _USED),
    MovementKind.RETURN: (_USED, _GRANT),
    MovementKind.EXPIRE: (_GRANT, LedgerAccount.EXPIRED),
    MovementKind.VOID: (_GRANT, LedgerAccount.VOIDED),
    MovementKind.UNVOID: (LedgerAccount.VOIDED, _GRANT),
    MovementKind.REFUND: (_GRANT, LedgerAccount.REFUNDED),
    MovementKind.CHARGE_BACK: (_GRANT, LedgerAccount.CHARGED_BACK),
    MovementKind.OWE: (_OVERAGE, _GRANT),
    MovementKind.UNEXPIRE: (LedgerAccount.EXPIRED, _GRANT),
    MovementKind.OVERAGE: (_OVERAGE, _USED),
    MovementKind.PAY_OVERAGE: (_GRANT, _OVERAGE),
    MovementKind.WRITE_OFF: (_WRITTEN_OFF, _OVERAGE),
}


def postings(movements: Iterable[Movement]) -> tuple[Posting, ...]:
    """One posting per movement, in their order."""
    return tuple(map(_posting, movements))


def _posting(one: Movement) -> Posting:
    source, target = _WAYS[one.kind]
    if one.units > 0:
        return Posting(one.at, one.grant, source, target, one.units)
    if one.kind is MovementKind.WRITE_OFF:
        source = _USED  # Given back without a grant to go to: it was used, and nothing was owed for it.
        return Posting(one.at, one.grant, source, _WRITTEN_OFF, -one.units)
    return Posting(one.at, one.grant, target, source, -one.units)


def name(account: LedgerAccount, grant: str | None) -> str:
    """An account's name: "used", "granted:g1"."""
    return f"{account.value}:{grant}" if account is _GRANT else account.value


def balances(postings: Iterable[Posting]) -> dict[str, int]:
    """What each account holds, by name; accounts that hold nothing are left out."""
    found: Counter[str] = Counter()
    for one in postings:
        found[name(one.source, one.grant)] -= one.units
        found[name(one.target, one.grant)] += one.units
    return {key: units for key, units in found.items() if units}


def conserved(account: Account, postings: Iterable[Posting] | None = None) -> list[str]:
    """Every broken law, in words; empty where all hold. `postings`: all there ever were of this account."""
    broken = [law for one in account.holdings for law in _broken(one)]
    if account.overage < 0:
        broken.append(f"overage is {account.overage}: it is never negative")
    if postings is None:
        return broken
    every = tuple(postings)
    broken.extend(f"a posting moves {one.units} units: at least 1" for one in every if one.units < 1)
    sums = balances(every)
    if sum(sums.values()):
        broken.append(f"the accounts add up to {sum(sums.values())}, not to nothing")
    _equal(broken, "used", sums.get("used", 0), account.used())
    _equal(broken, "overage", -sums.get("overage", 0), account.overage)
    _equal(broken, "written_off", -sums.get("written_off", 0), account.written_off)
    flows: Counter[tuple[str | None, LedgerAccount]] = Counter()
    for one in every:
        if one.grant is not None:
            flows[one.grant, one.source] -= one.units
            flows[one.grant, one.target] += one.units
    for holding in account.holdings:
        id = holding.id
        _equal(broken, f"grant {id}: remaining", flows[id, _GRANT], holding.remaining)
        _equal(broken, f"grant {id}: granted", -flows[id, _ISSUED], holding.granted)
        _equal(broken, f"grant {id}: burned", flows[id, _USED] + flows[id, _OVERAGE], holding.burned)
        _equal(broken, f"grant {id}: expired", flows[id, LedgerAccount.EXPIRED], holding.expired)
        _equal(broken, f"grant {id}: voided", sum(flows[id, one] for one in TAKEN), holding.voided)
    strangers = {str(id) for id, _ in flows} - {one.id for one in account.holdings}
    broken.extend(f"grant {id}: it has postings and is not in the account" for id in sorted(strangers))
    return broken


def _broken(one: Holding) -> list[str]:
    broken = []
    if not one.balanced():
        broken.append(
            f"grant {one.id}: granted {one.granted} is not remaining {one.remaining} + burned {one.burned} + "
            f"expired {one.expired} + voided {one.voided}"
        )
    counters = (one.remaining, one.granted, one.burned, one.expired, one.voided, one.rolled)
    if min(counters) < 0:
        broken.append(f"grant {one.id}: a counter is negative")
    if one.rolled > one.remaining:
        broken.append(f"grant {one.id}: rolled {one.rolled} is more than remaining {one.remaining}")
    if one.parked is not None and one.parked > one.voided:
        broken.append(f"grant {one.id}: parked {one.parked} is more than voided {one.voided}")
    return broken


def _equal(broken: list[str], what: str, posted: int, counted: int) -> None:
    if posted != counted:
        broken.append(f"{what}: the postings say {posted}, the account says {counted}")
