"""What a host may be lent of an account right now. A function of the account, the pool's rules and nothing
else."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.ledger.burn import next_change
from fastcheck.ledger.limits import Room
from fastcheck.ledger.model import Account, Rules

LEASE_UNITS_MAX = (1 << 47) - 1
"""The most one lease holds: half of a cell's 48-bit total, so that what is given back can be spent again."""


NO_CAP = Room(None)


@dataclass(frozen=True)
class Lending:
    """The terms of a lease."""

    units: int
    """What may be spent, from now on."""
    valid_until: int | None
    """The next instant at which the account changes by itself; None = never."""
    full: bool
    """Whether this is all there is, so that a denial under this lease is final."""


def spendable(account: Account, rules: Rules) -> int | None:
    """Units that may be spent now: what active grants hold, less what is owed, plus the overdraft; None =
    any."""
    if rules.overdraft is None:
        return None
    return max(0, account.remaining() - account.overage + rules.overdraft)


def lend(
    account: Account,
    rules: Rules,
    *,
    unlimited: bool = False,
    until: int | None = None,
    claimed: int = 0,
    room: Room = NO_CAP,
) -> Lending:
    """The lease to give at `account.as_of`. `unlimited`: the customer's quota has no bound. `until`: an
    instant at which something outside the account (a trial, an override) changes it. `claimed`: units that
    are held for somebody else. `room`: what caps leave; the lease ends with their first window."""
    bounds = [at for at in (next_change(account), until, room.lease_until) if at is not None]
    units = None if unlimited else spendable(account, rules)
    if units is not None:
        units = max(0, units - claimed)
    if room.units is not None:
        units = room.units if units is None else min(units, room.units)
    full = units is not None and units <= LEASE_UNITS_MAX
    return Lending(
        LEASE_UNITS_MAX if units is None else min(units, LEASE_UNITS_MAX), min(bounds, default=None), full
    )
