"""Marks on the way down: where, in the totals of a lease, a balance crosses a threshold. Pure.

A pool names percents of what was granted (`warn_at`). Used is what was granted and is not there any more,
and what was used beyond it: at 100 percent nothing is left, and above it the customer owes. Each mark is
passed once; it is set again only by a gain (a grant, a refill, a raised quota) that lifts the balance above
it. Units given back set nothing again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastcheck.ledger.model import Account, Holding
from fastcheck.ledger.slots import lapse_at

NET_MAX = (1 << 62) - 1
"""Marks beyond it are left out: no lease comes that far, and the next one sets them anew."""
_ISSUED = 1 << 62


@dataclass(frozen=True)
class Marks:
    """The marks of a lease, in its net use."""

    empty_at: int
    """The net use at which nothing is left; negative where the customer owed before."""
    total: int
    """Units that 100 percent stands for."""
    issued: int
    """Units ever granted, modulo 2^62: another number means that the account has gained."""
    ahead: tuple[tuple[int, int], ...]
    """(percent, the net use at which it is passed) of each mark still ahead, lowest first."""
    told: tuple[int, ...]
    """Percents that were passed, and that no gain has set again."""
    top_up_at: int | None
    """The net use at which an automatic top-up is due; None = there is none, or it is due already."""

    def remaining(self, net: int) -> int:
        """Units left at a net use; 0 where the customer owes."""
        return max(0, self.empty_at - net)


@dataclass(frozen=True)
class Passed:
    """What a settlement passed."""

    marks: Marks
    percents: tuple[int, ...]
    """Lowest first."""
    top_up: bool


def total(account: Account) -> int:
    """Units that the grants active now were given for their present period. Grants made once that are used up
    do not count: what a customer bought years ago says nothing about what is left of what they have."""
    return sum(
        max(one.grant.amount + one.rolled, one.remaining)
        for one in account.holdings
        if one.active(account.as_of)
        and (one.remaining or one.grant.recurrence is not None)
        and not _lapsed(one, account.as_of)
    )


def _lapsed(one: Holding, at: int) -> bool:
    return one.grant.lasts is not None and lapse_at(one.grant, one.refilled_at) <= at


def marks(
    account: Account, percents: Iterable[int], net: int, before: Marks | None, top_up_below: int | None
) -> Marks:
    """The marks of a lease that has used `net` when its account is as given. `before`: those of this lease,
    or of the one before it. `top_up_below`: the balance at which (inclusive) a top-up is due."""
    issued = sum(one.granted for one in account.holdings) % _ISSUED
    gained = before is None or before.issued != issued
    units = total(account)
    if units == 0 and before is not None and not gained:
        units = before.total  # All is used up; beyond it, percents are of what there was.
    left = account.remaining() - account.overage
    told = () if before is None else before.told
    ahead = []
    for percent in sorted(set(percents)) if units else ():
        at = net + left - units + -(-percent * units // 100)
        if at > net and (gained or percent not in told):
            ahead.append((percent, at))
    set_again = {percent for percent, _ in ahead}
    top_up_at = None
    if top_up_below is not None and left > top_up_below:
        top_up_at = net + left - top_up_below
    return Marks(
        min(net + left, NET_MAX),
        min(units, NET_MAX),
        issued,
        tuple(one for one in ahead if one[1] <= NET_MAX),
        tuple(percent for percent in told if percent not in set_again),
        top_up_at if top_up_at is None or top_up_at <= NET_MAX else None,
    )


def passed(known: Marks, net: int) -> Passed:
    """What is passed once a lease has used `net`. Asked again, nothing."""
    percents = tuple(percent for percent, at in known.ahead if at <= net)
    top_up = known.top_up_at is not None and known.top_up_at <= net
    if percents or top_up:
        known = replace(
            known,
            ahead=tuple(one for one in known.ahead if one[1] > net),
            told=tuple(sorted({*known.told, *percents})),
            top_up_at=None if top_up else known.top_up_at,
        )
    return Passed(known, percents, top_up)


def plain(known: Marks) -> tuple[object, ...]:
    """As it is stored."""
    return (known.empty_at, known.total, known.issued, known.ahead, known.told, known.top_up_at)


def from_plain(stored: Sequence[Any]) -> Marks:
    """The inverse of `plain`."""
    empty_at, units, issued, ahead, told, top_up_at = stored
    return Marks(empty_at, units, issued, tuple((one[0], one[1]) for one in ahead), tuple(told), top_up_at)
