"""Grants that come with a plan, an add-on, a trial or a meter: making an account hold what its sources say.

Terms follow the source: a quota raised within a period adds the difference, a lowered one takes it back. A
recurring grant whose source is gone is parked: coming back within the same period brings back what was left,
and not a fresh amount. A grant made once stays with the customer until it is burned or expires, and is made
once per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import periods
from .burn import advance, settle_overage
from .model import NOTHING_KEPT, Account, Grant, GrantKind, Rollover, Rules, new_grant


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
    owed = 0
    grants: list[Grant] = []
    for grant in account.grants:
        if grant.source is None:
            grants.append(grant)
            continue
        source = wanted.pop(grant.source, None)
        if source is None:
            grants.append(_park(grant, at) if grant.recurrence is not None else grant)
        elif grant.recurrence is None or (grant.voided_at is not None and grant.parked is None):
            grants.append(grant)  # Made once, or taken back by somebody: the source has no more say.
        else:
            grant, short = _agree(_return(grant, at), source, rules)
            owed += short
            grants.append(grant)
    account = replace(account, grants=tuple(grants), overage=account.overage + owed)
    for source in wanted.values():
        account = _begin(account, rules, source, customer, pool)
    return settle_overage(account, rules)


def _begin(account: Account, rules: Rules, source: Source, customer: int, pool: str) -> Account:
    """Makes a grant as of the instant its source began, and lets it live through the time since."""
    grant = new_grant(
        f"{source.key}/{customer}/{pool}", customer, pool, source.amount, at=source.starts_at,
        priority=source.priority, expires_at=source.expires_at(), kind=source.kind, reason=source.key,
        source=source.key, recurrence=source.recurrence, rollover=source.rollover,
        lasts=source.lasts if source.recurrence is not None else None,
    )  # fmt: skip
    alone = advance(Account((grant,), as_of=min(source.starts_at, account.as_of)), rules, account.as_of)
    return replace(account, grants=(*account.grants, *alone.grants))


def _park(grant: Grant, at: int) -> Grant:
    if grant.voided_at is not None:
        return grant
    left = grant.remaining
    return replace(grant, remaining=0, voided=grant.voided + left, parked=left, voided_at=at)


def _return(grant: Grant, at: int) -> Grant:
    """A parked grant comes back with what was left, and then lives through the time it was away."""
    left_at, parked = grant.voided_at, grant.parked
    if left_at is None or parked is None:
        return grant
    back = replace(grant, remaining=parked, voided=grant.voided - parked, parked=None, voided_at=None)
    return advance(Account((back,), as_of=left_at), Rules(), at).grants[0]


def _agree(grant: Grant, source: Source, rules: Rules) -> tuple[Grant, int]:
    """The grant under its source's present terms, and the units it was burned beyond a lowered meter's
    quota."""
    terms = replace(
        grant,
        priority=source.priority,
        kind=source.kind,
        expires_at=source.expires_at(),
        recurrence=source.recurrence,
        rollover=source.rollover,
        lasts=source.lasts if source.recurrence is not None else None,
    )
    more = source.amount - grant.amount
    if more >= 0:
        return replace(
            terms, amount=source.amount, remaining=grant.remaining + more, granted=grant.granted + more
        ), 0
    taken = min(grant.remaining, -more)
    # A meter counts what was used in the period against its new quota; credits already burned stay burned.
    short = min(-more - taken, grant.burned) if rules.period_clears_overage else 0
    return (
        replace(
            terms,
            amount=source.amount,
            remaining=grant.remaining - taken,
            burned=grant.burned - short,
            voided=grant.voided + taken + short,
        ),
        short,
    )
