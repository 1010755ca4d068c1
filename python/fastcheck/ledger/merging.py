"""Two customers become one: what moves from an account to the survivor's. The law is decision 0012.

Units never leave the books: what moves is voided in the one account and issued in the other, at the same
worth. What was used stays where it was used, but for what is owed, which is moved by giving it back and using
it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fastcheck.ledger.burn import burn_order, settle_overage
from fastcheck.ledger.lines import Role, fitted, is_line, is_plans, lasts_beyond, plan_use
from fastcheck.ledger.model import BOUGHT, Account, Cost, Grant, Holding, Movement, MovementKind, Rules

_METER, _TRIAL = f"{Role.METER.value}:", f"{Role.TRIAL.value}:"


@dataclass
class _Side:
    """An account under way."""

    account: Account
    holdings: list[Holding]
    overage: int
    written_off: int
    moved: list[Movement]

    @property
    def at(self) -> int:
        """Its instant."""
        return self.account.as_of

    def note(self, kind: MovementKind, grant: str | None, units: int) -> None:
        """Units that move now."""
        if units:
            self.moved.append(Movement(self.at, kind, grant, units))

    def owe(self, units: int) -> None:
        """Use without a grant; negative: it is given back."""
        self.note(MovementKind.OVERAGE, None, units)
        self.overage += units

    def done(self) -> Account:
        """The account now."""
        return replace(
            self.account,
            holdings=tuple(self.holdings),
            overage=self.overage,
            written_off=self.written_off,
            moved=tuple(self.moved),
        )


def merged(
    one: Account, other: Account, rules: Rules, named: Callable[[str], str]
) -> tuple[Account, Account]:
    """(what is left of an account, the survivor's), both brought to now before. `named`: the id that a grant
    gets in the survivor's account."""
    gone, kept = _side(one), _side(other)
    if rules.period_clears_overage:
        _meter(gone, kept)
    else:
        _carry(gone, kept, rules)
        owed = gone.overage
        gone.owe(-owed)
        kept.owe(owed)
    for place, held in enumerate(gone.holdings):
        if _moves(held, gone.at):
            kept.holdings.append(_issued(held, kept, named(held.id)))
            gone.holdings[place] = _voided(held, gone)
    return gone.done(), settle_overage(kept.done(), rules)


def _side(account: Account) -> _Side:
    return _Side(account, list(account.holdings), account.overage, account.written_off, list(account.moved))


# What was used.


def _carry(gone: _Side, kept: _Side, rules: Rules) -> None:
    """What was used of the lines of plans in periods that run counts against the survivor's."""
    used = plan_use(gone.holdings, gone.at)
    order = [held.id for held in burn_order(kept.done(), rules)]
    places = {held.id: place for place, held in enumerate(kept.holdings) if is_plans(held.grant)}
    come = [places[id] for id in order if id in places]
    for place in come:
        held = kept.holdings[place]
        part = used if place == come[-1] else min(used, max(0, held.allowed - held.used))
        if part:
            used -= part
            kept.holdings[place] = fitted(held, held.allowed, held.used + part, kept.at, kept.moved)


def _meter(gone: _Side, kept: _Side) -> None:
    """What was used in the period counts in the survivor's. What their quota does not cover is overage there:
    it was used once, and moves."""
    mine, theirs = _quota(gone), _quota(kept)
    used = gone.overage + (0 if mine is None else gone.holdings[mine].used)
    covered = 0
    if theirs is not None:
        held = kept.holdings[theirs]
        covered = min(used, held.remaining)
        kept.holdings[theirs] = fitted(held, held.allowed, held.used + covered, kept.at, kept.moved)
    more = used - covered
    owed = min(more, gone.overage)
    gone.owe(-owed)
    back = 0
    if mine is not None:
        held = gone.holdings[mine]
        back = min(more - owed, held.burned)
        gone.note(MovementKind.RETURN, held.id, back)
        gone.holdings[mine] = replace(
            held, burned=held.burned - back, remaining=held.remaining + back, used=held.used - back
        )
    kept.owe(owed + back)
    carried = more - owed - back
    if carried and theirs is not None:
        # It was used by a third customer, in whose books it is.
        held = kept.holdings[theirs]
        kept.holdings[theirs] = replace(held, used=held.used + carried)
    # What the survivor's quota covers is not owed any more.
    gone.note(MovementKind.WRITE_OFF, None, gone.overage)
    gone.written_off += gone.overage
    gone.overage = 0


def _quota(side: _Side) -> int | None:
    """The place of a meter's grant."""
    for place, held in enumerate(side.holdings):
        if (held.grant.source or "").startswith(_METER) and held.active(side.at):
            return place
    return None


# What moves.


def _moves(held: Holding, at: int) -> bool:
    """What was granted by hand or bought, and what an offer gave once that was paid for."""
    grant = held.grant
    if grant.voided_at is not None or not lasts_beyond(held, at):
        return False
    if not held.remaining and grant.recurrence is None:
        return False
    if not is_line(grant):
        return True
    paid = grant.kind in BOUGHT or grant.cost is not None
    return paid and grant.recurrence is None and not (grant.source or "").startswith(_TRIAL)


def _voided(held: Holding, gone: _Side) -> Holding:
    left = held.remaining
    gone.note(MovementKind.VOID, held.id, left)
    grant = replace(held.grant, voided_at=gone.at)
    return replace(held, grant=grant, remaining=0, voided=held.voided + left, rolled=0)


def _issued(held: Holding, kept: _Side, id: str) -> Holding:
    """A grant of what is left, worth what that is worth. One that recurs has its price for each period, and
    so the period is issued whole and what was used of it is voided."""
    grant, left = held.grant, held.remaining
    source = None if is_line(grant) else grant.source
    if grant.recurrence is None:
        made = replace(grant, id=id, source=source, amount=left, cost=_worth(held))
        kept.note(MovementKind.ISSUE, id, left)
        # Of what it holds, the rest was rolled over and is none of its own.
        return replace(_new(held, made, left), allowed=left, used=held.rolled)
    put_in = left
    if grant.cost is not None and grant.amount:
        put_in = held.granted - (held.granted - left) // grant.amount * grant.amount
    kept.note(MovementKind.ISSUE, id, put_in)
    kept.note(MovementKind.VOID, id, put_in - left)
    return _new(held, replace(grant, id=id, source=source), put_in)


def _new(held: Holding, grant: Grant, put_in: int) -> Holding:
    left = held.remaining
    return replace(held, grant=grant, granted=put_in, burned=0, expired=0, voided=put_in - left, parked=None)


def _worth(held: Holding) -> Cost | None:
    """What the rest of a grant that was made once is worth, to the minor unit: see `ledger.finance`."""
    cost, amount = held.grant.cost, held.grant.amount
    if cost is None or not amount:
        return cost
    out = held.granted - held.remaining
    return Cost(cost.amount * held.granted // amount - cost.amount * out // amount, cost.currency)
