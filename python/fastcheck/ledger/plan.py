"""Grants that come with a plan, an add-on, a trial or a meter: making an account hold what its sources say.

Terms follow the source: a quota raised within a period adds the difference, a lowered one takes it back. A
recurring grant whose source is gone is parked: coming back within the same period brings back what was left,
and not a fresh amount. A grant made once stays with the customer until it is burned or expires, and is made
once per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastcheck.ledger import periods
from fastcheck.ledger.burn import advance, put, settle_overage
from fastcheck.ledger.model import (
    NOTHING_KEPT,
    Account,
    Cost,
    Grant,
    GrantKind,
    Holding,
    Movement,
    MovementKind,
    Rollover,
    Rules,
)
from fastcheck.ledger.slots import lapse_at

_ALONE = Rules()


@dataclass(frozen=True)
class Source:
    """One grant that the customer should hold."""

    key: str
    """Which plan, add-on or meter, and which of its grants: "plan:pro:0". One grant per key and account."""
    amount: int
    """Units, add-on quantity included."""
    starts_at: int
    """When the customer came to the source."""
    ends_at: int | None = None
    """When the source leaves by itself (trial, add-on with an end)."""
    priority: int = 100
    kind: GrantKind = GrantKind.PLAN
    recurrence: periods.Recurrence | None = None
    rollover: Rollover = NOTHING_KEPT
    lasts: periods.Span | None = None
    cost: Cost | None = None
    """What is paid for `amount`, each time."""

    def expires_at(self) -> int | None:
        """When the whole grant ends."""
        ends = [] if self.ends_at is None else [self.ends_at]
        if self.lasts is not None and self.recurrence is None:
            ends.append(periods.add(self.starts_at, self.lasts))
        return min(ends, default=None)


def follow(
    account: Account, rules: Rules, sources: Sequence[Source], at: int, customer: int, pool: str
) -> Account:
    """The account at `at`, holding what `sources` say. Doing it again changes nothing."""
    account = advance(account, rules, at)
    at = account.as_of
    wanted = {source.key: source for source in sources}
    overage = account.overage
    moved = list(account.moved)
    holdings: list[Holding] = []
    for one in account.holdings:
        key = one.grant.source
        if key is None:
            holdings.append(one)
            continue
        source = wanted.pop(key, None)
        if source is None:
            holdings.append(_park(one, at, moved) if one.grant.recurrence is not None else one)
        elif one.grant.recurrence is None or (one.grant.voided_at is not None and one.parked is None):
            holdings.append(one)  # Made once, or taken back by somebody: the source has no more say.
        else:
            one, short = _agree(_return(one, at, moved), source, rules, at, moved)
            if short:
                moved.append(Movement(at, MovementKind.OVERAGE, None, short))
            overage += short
            holdings.append(one)
    for source in wanted.values():
        begun = _begin(source, account.as_of, customer, pool)
        holdings.extend(begun.holdings)
        moved.extend(begun.moved)
    account = replace(account, holdings=tuple(holdings), overage=overage, moved=tuple(moved))
    return settle_overage(account, rules)


def _begin(source: Source, at: int, customer: int, pool: str) -> Account:
    """Makes a grant as of the instant its source began, and lets it live alone through the time since."""
    expires_at = source.expires_at()
    if expires_at is not None and expires_at <= source.starts_at:
        return Account()  # A source that had ended before it began.
    grant = Grant(
        f"{source.key}/{customer}/{pool}",
        source.amount,
        priority=source.priority,
        effective_at=source.starts_at,
        expires_at=expires_at,
        kind=source.kind,
        created_at=source.starts_at,
        recurrence=source.recurrence,
        rollover=source.rollover,
        lasts=source.lasts if source.recurrence is not None else None,
        reason=source.key,
        source=source.key,
        cost=source.cost,
    )
    return advance(put(Account(as_of=min(source.starts_at, at)), _ALONE, grant), _ALONE, at)


def _park(one: Holding, at: int, moved: list[Movement]) -> Holding:
    if one.grant.voided_at is not None:
        return one
    left = one.remaining
    _note(moved, at, MovementKind.VOID, one, left)
    return replace(
        one,
        grant=replace(one.grant, voided_at=at),
        remaining=0,
        voided=one.voided + left,
        parked=left,
        rolled=0,
    )


def _return(one: Holding, at: int, moved: list[Movement]) -> Holding:
    """A parked grant comes back with what was left, and then lives through the time it was away: what that
    moved counts as moved at the return."""
    left_at, parked = one.grant.voided_at, one.parked
    if left_at is None or parked is None:
        return one
    back = replace(
        one,
        grant=replace(one.grant, voided_at=None),
        remaining=parked,
        voided=one.voided - parked,
        parked=None,
    )
    now = advance(Account((back,), as_of=left_at), _ALONE, at).holdings[0]
    _note(moved, at, MovementKind.UNVOID, one, parked)
    _note(moved, at, MovementKind.ISSUE, one, now.granted - back.granted)
    _note(moved, at, MovementKind.EXPIRE, one, now.expired - back.expired)
    return now


def _agree(one: Holding, source: Source, rules: Rules, at: int, moved: list[Movement]) -> tuple[Holding, int]:
    """The grant under its source's present terms, and the units it was burned beyond a lowered meter's
    quota."""
    grant, expires_at = one.grant, source.expires_at()
    if expires_at is not None:
        # A source cut short to before the grant's start leaves it a start that is never reached again.
        expires_at = max(expires_at, grant.effective_at + 1)
    lasts = source.lasts if source.recurrence is not None else None
    agreed = replace(
        grant,
        amount=source.amount,
        priority=source.priority,
        kind=source.kind,
        expires_at=expires_at,
        recurrence=source.recurrence,
        rollover=source.rollover,
        lasts=lasts,
        cost=source.cost,
    )
    if agreed == grant:
        return one, 0
    more = source.amount - grant.amount
    if more >= 0:
        if agreed.lasts is not None and lapse_at(agreed, one.refilled_at) <= at:
            more = 0  # What it held has ended: the next refill brings the new amount.
        _note(moved, at, MovementKind.ISSUE, one, more)
        return replace(one, grant=agreed, remaining=one.remaining + more, granted=one.granted + more), 0
    taken = min(one.remaining, -more)
    # A meter counts what was used in the period against its new quota; credits already burned stay burned.
    short = min(-more - taken, one.burned) if rules.period_clears_overage else 0
    _note(moved, at, MovementKind.RETURN, one, short)
    _note(moved, at, MovementKind.VOID, one, taken + short)
    return (
        replace(
            one,
            grant=agreed,
            remaining=one.remaining - taken,
            burned=one.burned - short,
            voided=one.voided + taken + short,
            rolled=min(one.rolled, one.remaining - taken),
        ),
        short,
    )


def _note(moved: list[Movement], at: int, kind: MovementKind, one: Holding, units: int) -> None:
    if units:
        moved.append(Movement(at, kind, one.grant.id, units))
