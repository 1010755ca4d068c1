"""Burning grants in order, and moving an account through time. Functions of their arguments only.

The rules:

- a grant is active in [effective_at, min(expires_at, voided_at));
- usage burns active grants in the pool's order; what is left over is overage, which a later grant pays;
- giving back (a negative amount) first lowers the overage, then refills grants in reverse order, none above
  its own amount;
- a refill sets the balance to the full amount plus what the rollover keeps; at one instant, ends come first,
  then refills and starts, then overage is paid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from . import periods
from .model import Account, Grant, GrantKind, OrderKey, Rules

_NEVER = 1 << 62


def burn_order(grants: Iterable[Grant], order: tuple[OrderKey, ...]) -> list[Grant]:
    """The grants in the order in which they are burned."""

    def key(grant: Grant) -> tuple[int | str, ...]:
        return (*(_rank(grant, step) for step in order), grant.id)

    return sorted(grants, key=key)


def _rank(grant: Grant, step: OrderKey) -> int:
    if step is OrderKey.PRIORITY:
        return grant.priority
    if step is OrderKey.EXPIRY:
        return ends_at(grant) or _NEVER
    if step is OrderKey.KIND:
        return 1 if grant.kind is GrantKind.PAID else 0
    return grant.created_at if step is OrderKey.OLDEST else -grant.created_at


def ends_at(grant: Grant) -> int | None:
    """When what the grant holds now ends: its expiry, its period's end or the length it lasts; None =
    never."""
    ends = [] if grant.expires_at is None else [grant.expires_at]
    if grant.recurrence is not None:
        ends.append(periods.next_start(grant.recurrence, grant.refilled_at))
    if grant.lasts is not None:
        ends.append(periods.add(grant.refilled_at, grant.lasts))
    return min(ends, default=None)


def burn(
    grants: tuple[Grant, ...], units: int, at: int, order: tuple[OrderKey, ...]
) -> tuple[tuple[Grant, ...], int]:
    """Takes `units` from the grants active at `at`; negative gives back. Returns the grants and what no grant
    took (positive: overage; negative: units that found no grant to go back to)."""
    if units == 0:
        return grants, 0
    changed: dict[str, Grant] = {}
    active = burn_order((grant for grant in grants if grant.active(at)), order)
    left = units
    for grant in active if units > 0 else reversed(active):
        if units > 0:
            moved = min(left, grant.remaining)
        else:
            moved = -min(-left, grant.burned, max(0, grant.amount - grant.remaining))
        if moved:
            changed[grant.id] = replace(grant, remaining=grant.remaining - moved, burned=grant.burned + moved)
            left -= moved
        if left == 0:
            break
    return tuple(changed.get(grant.id, grant) for grant in grants), left


def use(account: Account, rules: Rules, units: int) -> Account:
    """Books net usage at `as_of`; negative units give back."""
    if units < 0:
        from_overage = min(account.overage, -units)
        grants, left = burn(account.grants, units + from_overage, account.as_of, rules.order)
        return replace(
            account,
            grants=grants,
            overage=account.overage - from_overage,
            written_off=account.written_off + left,
        )
    grants, left = burn(account.grants, units, account.as_of, rules.order)
    return replace(account, grants=grants, overage=account.overage + left)


def settle_overage(account: Account, rules: Rules) -> Account:
    """Lets the grants active now pay what earlier ones could not."""
    if account.overage == 0:
        return account
    grants, left = burn(account.grants, account.overage, account.as_of, rules.order)
    return replace(account, grants=grants, overage=left)


def next_change(account: Account) -> int | None:
    """The first instant after `as_of` at which time alone changes the account; None = never."""
    return min(
        (at for grant in account.grants if (at := _next(grant, account.as_of)) is not None), default=None
    )


def _next(grant: Grant, after: int) -> int | None:
    """The first instant after `after` at which this grant starts, ends or refills."""
    if grant.voided_at is not None:
        return None
    if grant.effective_at > after:
        return grant.effective_at
    expires_at = _NEVER if grant.expires_at is None else grant.expires_at
    if expires_at <= after:
        return None
    found = expires_at
    if grant.recurrence is not None:
        found = min(found, periods.next_start(grant.recurrence, after))
    if grant.lasts is not None:
        lapses_at = periods.add(grant.refilled_at, grant.lasts)
        if lapses_at > after:
            found = min(found, lapses_at)
    return None if found >= _NEVER else found


def advance(account: Account, rules: Rules, until: int) -> Account:
    """The account at `until`: every start, end and refill in (as_of, until] applied in order. An earlier
    `until` changes nothing, so a clock that steps back cannot undo anything."""
    while account.as_of < until:
        if account.overage == 0:
            # Nothing is owed, so grants do not touch each other: each goes its own way to the end.
            grants = tuple(_advance_alone(grant, account.as_of, until) for grant in account.grants)
            return replace(account, grants=grants, as_of=until)
        at = next_change(account)
        if at is None or at > until:
            return replace(account, as_of=until)
        account = _at_boundary(account, rules, at)
    return account


def _at_boundary(account: Account, rules: Rules, at: int) -> Account:
    """Moves to the next boundary, where a start or refill may pay what is owed."""
    refilled = any(_refills(grant, account.as_of, at) for grant in account.grants)
    grants = tuple(_advance_alone(grant, account.as_of, at) for grant in account.grants)
    account = replace(account, grants=grants, as_of=at)
    if refilled and rules.period_clears_overage:
        return replace(account, overage=0, written_off=account.written_off + account.overage)
    return settle_overage(account, rules)


def _refills(grant: Grant, after: int, until: int) -> bool:
    if grant.recurrence is None or grant.voided_at is not None or grant.effective_at > until:
        return False
    at = periods.next_start(grant.recurrence, max(after, grant.effective_at))
    return at <= until and (grant.expires_at is None or at < grant.expires_at)


def _advance_alone(grant: Grant, after: int, until: int) -> Grant:
    """One grant through (after, until], as if it were the only one and nothing were owed."""
    if grant.voided_at is not None or grant.effective_at > until:
        return grant
    if grant.expires_at is not None and grant.expires_at <= after:
        return grant
    if grant.recurrence is not None:
        last = until if grant.expires_at is None else min(until, grant.expires_at - 1)
        grant = _refill_to(grant, grant.recurrence, max(after, grant.effective_at), last)
    lapsed = grant.lasts is not None and periods.add(grant.refilled_at, grant.lasts) <= until
    ended = grant.expires_at is not None and grant.expires_at <= until
    return _expire(grant) if lapsed or ended else grant


def _expire(grant: Grant) -> Grant:
    return replace(grant, remaining=0, expired=grant.expired + grant.remaining) if grant.remaining else grant


def _refill_to(grant: Grant, recurrence: periods.Recurrence, after: int, until: int) -> Grant:
    """Every refill in (after, until]. The work does not grow with the number of periods."""
    at, last = periods.index(recurrence, after), periods.index(recurrence, until)
    while at < last:
        lapses = grant.lasts is not None and (
            periods.add(grant.refilled_at, grant.lasts) <= periods.start(recurrence, at + 1)
        )
        before = _expire(grant) if lapses else grant
        # Where nothing is kept, or nothing lapses, a period depends only on what the one before left.
        uniform = grant.lasts is None or grant.rollover.max == 0
        refilled, steps = _refill(before), 1
        if uniform and refilled.remaining == grant.remaining:
            # This period changes only the totals, and all that follow do so equally.
            steps = last - at
            put_in, ended = refilled.granted - grant.granted, refilled.expired - grant.expired
            refilled = replace(
                refilled, granted=grant.granted + steps * put_in, expired=grant.expired + steps * ended
            )
        elif uniform and _grows_by_its_amount(before):
            # Everything left is kept, period after period: many steps are one multiplication.
            steps = min(last - at, (before.rollover.max - before.remaining) // before.amount + 1)
            total = steps * before.amount
            refilled = replace(before, remaining=before.remaining + total, granted=before.granted + total)
        at += steps
        grant = replace(refilled, refilled_at=periods.start(recurrence, at))
    return grant


def _grows_by_its_amount(grant: Grant) -> bool:
    return grant.amount > 0 and grant.rollover.min <= grant.remaining <= grant.rollover.max


def _refill(grant: Grant) -> Grant:
    kept = grant.rollover.kept(grant.remaining)
    return replace(
        grant,
        remaining=grant.amount + kept,
        granted=grant.granted + grant.amount + max(0, kept - grant.remaining),
        expired=grant.expired + max(0, grant.remaining - kept),
    )


def void(account: Account, grant_id: str) -> Account:
    """Takes back what is left of one grant, as of now. Again: no change."""
    grants = tuple(
        replace(
            grant, remaining=0, voided=grant.voided + grant.remaining, parked=None, voided_at=account.as_of
        )
        if grant.id == grant_id and (grant.voided_at is None or grant.parked is not None)
        else grant
        for grant in account.grants
    )
    return replace(account, grants=grants)
