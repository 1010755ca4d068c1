"""Lines: the grants that come with a plan, a trial, an add-on or a meter, and what an account becomes where
the lines that a customer has change. The law is decision 0012; a row of its table is a branch here.

A line's grant is known by the line's key and the number of the stay. Three counters say what may still be
used of its own amount in a period: `allowed`, `used`, and what remains, `rolled + max(0, allowed - used)`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from fastcheck.ledger import periods
from fastcheck.ledger.burn import advance, burn_order, put, settle_overage, use
from fastcheck.ledger.model import (
    BOUGHT,
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

PURCHASE = "purchase:"
"""How the source of a grant begins that was bought."""


class Role(str, Enum):
    """What a line comes with. The first part of its key."""

    PLAN = "plan"
    TRIAL = "trial"
    ADDON = "addon"
    METER = "meter"


PLAN, _TRIAL = f"{Role.PLAN.value}:", f"{Role.TRIAL.value}:"
"""How the keys of their lines begin."""


class Why(Enum):
    """What changed."""

    CUSTOMER = "customer"
    """What the customer has."""
    CATALOG = "catalog"
    """What the catalog says of it."""


@dataclass(frozen=True)
class Line:
    """A grant that a customer should hold."""

    key: str
    """Role, offer and the line's identity: "plan:pro:welcome". One grant per key, account and stay."""
    amount: int
    """Units, add-on quantity included."""
    starts_at: int
    """When the customer's stay began, or when the line was added to what they have."""
    ends_at: int | None = None
    """When the stay ends by itself (trial, add-on with an end)."""
    priority: int = 100
    kind: GrantKind = GrantKind.PLAN
    recurrence: periods.Recurrence | None = None
    rollover: Rollover = NOTHING_KEPT
    lasts: periods.Span | None = None
    cost: Cost | None = None
    """What is paid for `amount`, each time."""
    prorated: bool = False
    """Whether what changes within a period counts for the rest of it alone."""

    @property
    def role(self) -> Role:
        """What it comes with."""
        return Role(self.key.partition(":")[0])

    @property
    def offer(self) -> str:
        """The plan, trial or add-on: "plan:pro"."""
        return _offer_of(self.key)

    def expires_at(self, starts_at: int) -> int | None:
        """When the whole grant of a stay that began at an instant ends."""
        ends = [] if self.ends_at is None else [self.ends_at]
        if self.lasts is not None and self.recurrence is None:
            ends.append(periods.add(starts_at, self.lasts))
        return min(ends, default=None)


@dataclass(frozen=True)
class Change:
    """From one set of lines to another, of one customer in one pool."""

    at: int
    why: Why
    before: Sequence[Line]
    after: Sequence[Line]
    kept: frozenset[str] = frozenset()
    """The offers that the customer had before, under the same stay."""
    has: frozenset[str] | None = None
    """The offers that the customer has then; None: those of `after`, and where the catalog changes those of
    `before`."""
    offers_stay: bool = False
    """Whether the customer has the same offers as before."""
    converted: bool = False
    """Whether a trial became a plan."""

    def offers(self) -> frozenset[str]:
        """The offers that the customer has then, meters among them."""
        has = self.has
        if has is None:
            lines = [*self.after, *(self.before if self.why is Why.CATALOG else ())]
            has = frozenset(line.offer for line in lines)
        return has | {Role.METER.value}


def across(account: Account, rules: Rules, change: Change, customer: int, pool: str) -> Account:
    """The account on the other side of a change, which is brought to its instant first. Crossing again
    changes nothing."""
    account = advance(account, rules, change.at)
    crossing = _Crossing(account, rules, change, customer, pool)
    crossing.leave()
    crossing.stay()
    crossing.begin()
    crossing.carry()
    return crossing.account()


def taken(account: Account, rules: Rules, at: int) -> Account:
    """Takes everything that may still be used, as a deletion does: all of it may come back."""
    account = advance(account, rules, at)
    moved = list(account.moved)
    over = account.as_of
    holdings = tuple(_park(one, over, moved) if lasts_beyond(one, over) else one for one in account.holdings)
    return replace(account, holdings=holdings, moved=tuple(moved))


def returned(account: Account, rules: Rules, taken_at: int, at: int, *, all: bool) -> Account:
    """Brings back what a deletion took: everything, or (the id is put again) what was given once with an
    offer and what was paid for; recurring lines are then the change's to bring back."""
    account = advance(account, rules, at)
    moved = list(account.moved)
    holdings = tuple(
        _return(one, account.as_of, moved)
        if (one.grant.voided_at or 0) >= taken_at and (all or _outlives_deletion(one.grant))
        else one
        for one in account.holdings
    )
    account = replace(account, holdings=holdings, moved=tuple(moved))
    return settle_overage(account, rules)


def undone(account: Account, rules: Rules, taken_at: int, but: Collection[str], late: int) -> Account:
    """The account as of the deletion that took it, as if it had not been: what may still be used is back.
    `but`: grants that were taken before. `late`: use that was given back since and found no grant."""
    back = [
        one
        for one in account.holdings
        if one.parked is not None and (one.grant.voided_at or 0) >= taken_at and one.id not in but
    ]
    at = max((one.grant.voided_at or 0 for one in back), default=taken_at)
    moved = list(account.moved)
    for one in back:
        _note(moved, at, MovementKind.UNVOID, one, one.parked or 0)
    ids = {one.id for one in back}
    holdings = tuple(_unparked(one) if one.id in ids else one for one in account.holdings)
    if late:
        # It counts as used again, and is given back where the grants are.
        moved.append(Movement(at, MovementKind.OVERAGE, None, late))
        moved.append(Movement(at, MovementKind.WRITE_OFF, None, late))
    account = replace(
        account, holdings=holdings, written_off=account.written_off + late, as_of=at, moved=tuple(moved)
    )
    return use(settle_overage(account, rules), rules, -late)


def _outlives_deletion(grant: Grant) -> bool:
    source = grant.source or ""
    if not is_line(grant):
        return grant.kind in BOUGHT or source.startswith(PURCHASE)
    return grant.recurrence is None and not source.startswith(_TRIAL)


def _offer_of(key: str) -> str:
    """The plan, trial or add-on of a line's key."""
    return key.rpartition(":")[0]


def is_line(grant: Grant) -> bool:
    """Whether a grant comes from a line."""
    role, _, rest = (grant.source or "").partition(":")
    return bool(rest) and role in {one.value for one in Role}


def is_plans(grant: Grant) -> bool:
    """Whether a grant comes from a recurring line of a plan."""
    return grant.recurrence is not None and (grant.source or "").startswith(PLAN)


def plan_use(holdings: Iterable[Holding], at: int) -> int:
    """What was used of the lines of plans, had or taken, in periods that still run."""
    here = (one for one in holdings if one.grant.voided_at is not None or lasts_beyond(one, at))
    return max(_plan_use(here, at))


def _plan_use(holdings: Iterable[Holding], at: int) -> tuple[int, int]:
    """(used of the lines that a customer has, used of those that were taken in a period that still runs): of
    several plans the greatest sum, for it contains what was carried before."""
    counted = 0
    left: dict[str, int] = {}
    for one in holdings:
        if not is_plans(one.grant):
            continue
        if one.grant.voided_at is None:
            counted += one.used
        elif one.parked is not None and _runs(one, at):
            offer = _offer_of(one.grant.source or "")
            left[offer] = left.get(offer, 0) + one.used
    return counted, max(left.values(), default=0)


class _Crossing:
    """One change under way."""

    def __init__(self, account: Account, rules: Rules, change: Change, customer: int, pool: str) -> None:
        self._was = account
        self._rules = rules
        self._change = change
        self._of = f"{customer}/{pool}"
        self._at = account.as_of
        self._overage = account.overage
        self._written_off = account.written_off
        self._moved = list(account.moved)
        self._holdings = list(account.holdings)
        self._before = {line.key: line for line in change.before}
        self._after = {line.key: line for line in change.after}
        self._newest = {key: place for place, key in self._places()}
        self._come: list[int] = []
        """The places of grants that begin or come back."""

    def _places(self) -> Iterator[tuple[int, str]]:
        stays: dict[str, int] = {}
        for place, one in enumerate(self._holdings):
            key = one.grant.source
            if key is not None and is_line(one.grant):
                stay = self._stay_of(one)
                if stays.get(key, 0) < stay:
                    stays[key] = stay
                    yield place, key

    def _stay_of(self, one: Holding) -> int:
        head = one.grant.id.removesuffix(f"/{self._of}")
        number = head.removeprefix(one.grant.source or "").removeprefix("#")
        return int(number) if number.isdecimal() else 1

    def leave(self) -> None:
        """Lines that the customer has no more."""
        has = self._change.offers()
        for key, place in self._newest.items():
            one = self._holdings[place]
            if key in self._after or one.grant.voided_at is not None or not lasts_beyond(one, self._at):
                continue
            offer = _offer_of(key)
            once, paid = one.grant.recurrence is None, one.grant.cost is not None
            if offer not in has:
                if not once or key.startswith(_TRIAL):  # What was given once stays with the customer.
                    self._holdings[place] = _park(one, self._at, self._moved)
            elif self._change.why is Why.CATALOG or key not in self._before:
                if not once:
                    self._holdings[place] = _ending(one, self._at)
            elif not paid:  # A version that lacks the line says an amount of nothing.
                self._holdings[place] = _park(one, self._at, self._moved)
            elif not once:
                self._holdings[place] = _ending(one, self._at)

    def stay(self) -> None:
        """Lines that have a grant already."""
        for key, line in self._after.items():
            place = self._newest.get(key)
            if place is None:
                continue
            one = self._holdings[place]
            if one.parked is not None:
                if not self._resumes(one, line):
                    continue
                one = _return(one, self._at, self._moved)
                self._come.append(place)
            elif line.recurrence is None and key not in self._before:
                # It stayed with the customer while the offer was away; a stay that had an end goes on.
                if line.lasts is None and one.grant.expires_at is not None and lasts_beyond(one, self._at):
                    self._holdings[place] = replace(one, grant=replace(one.grant, expires_at=line.ends_at))
                continue
            if one.grant.voided_at is None and lasts_beyond(one, self._at):
                one = self._agreed(one, self._before.get(key), line)
            self._holdings[place] = self._ended(one)

    def begin(self) -> None:
        """Lines that have no grant yet, or whose stay is a new one."""
        for key, line in self._after.items():
            place = self._newest.get(key)
            if place is None:
                self._begin(line, 1)
            elif self._is_new_stay(self._holdings[place], line):
                self._begin(line, self._stay_of(self._holdings[place]) + 1)

    def carry(self) -> None:
        """What was used of a plan's lines counts against those that come in their place."""
        come = [place for place in self._come if self._is_plans(place)]
        if not come or self._change.converted:
            return
        places = {*self._newest.values(), *come}
        counted, left = _plan_use([self._holdings[place] for place in places], self._at)
        more = left - counted
        order = [
            one.id for one in burn_order(replace(self._was, holdings=tuple(self._holdings)), self._rules)
        ]
        ranks = {id: rank for rank, id in enumerate(order)}
        come.sort(key=lambda place: ranks.get(self._holdings[place].id, len(ranks)))
        for place in come:
            one = self._holdings[place]
            part = more if place == come[-1] else min(more, max(0, one.allowed - one.used))
            if part > 0:
                more -= part
                self._holdings[place] = self._fitted(one, one.allowed, one.used + part)

    def account(self) -> Account:
        """The account on the other side."""
        account = replace(
            self._was,
            holdings=tuple(self._holdings),
            overage=self._overage,
            written_off=self._written_off,
            moved=tuple(self._moved),
        )
        return settle_overage(account, self._rules)

    def _is_plans(self, place: int) -> bool:
        return is_plans(self._holdings[place].grant)

    # stays

    def _resumes(self, one: Holding, line: Line) -> bool:
        """Whether a grant that was taken comes back, rather than a new stay beginning."""
        if line.role is Role.METER:
            return True
        if line.recurrence is None:
            return not self._ended_by_itself(one, line)
        return _runs(one, self._at)

    def _ended_by_itself(self, one: Holding, line: Line) -> bool:
        """Whether the end of the stay ended a grant, and not the end of what it gave."""
        expires_at = one.grant.expires_at
        if expires_at is None or expires_at > self._at:
            return False
        before = self._before.get(line.key)
        if before is not None:
            return before.ends_at is not None and before.ends_at <= self._at
        if line.lasts is None or line.recurrence is not None:
            return True
        return periods.add(one.grant.effective_at, line.lasts) > expires_at

    def _is_new_stay(self, one: Holding, line: Line) -> bool:
        over_at = one.grant.over_at()
        if line.role is Role.METER or over_at is None or over_at > self._at:
            return False
        if line.key in self._before and line.starts_at < over_at:
            return False  # It is over, and nothing has begun since.
        if line.recurrence is None:
            return line.role is not Role.PLAN and self._ended_by_itself(one, line)
        return one.parked is None or not _runs(one, self._at)

    def _begin(self, line: Line, stay: int) -> None:
        """Makes a grant as of the instant its line began, and lets it live alone through the time since."""
        starts_at = line.starts_at
        if starts_at < self._at and (stay > 1 or line.offer in self._change.kept):
            starts_at = self._at  # The customer's stay is older than this of the line.
        expires_at = line.expires_at(starts_at)
        if expires_at is not None and expires_at <= starts_at:
            return  # It had ended before it began.
        key = line.key if stay == 1 else f"{line.key}#{stay}"
        recurring = line.recurrence is not None
        grant = Grant(
            f"{key}/{self._of}",
            line.amount,
            priority=line.priority,
            effective_at=starts_at,
            expires_at=expires_at,
            kind=line.kind,
            created_at=starts_at,
            recurrence=line.recurrence,
            rollover=line.rollover,
            lasts=line.lasts if recurring else None,
            reason=line.key,
            source=line.key,
            cost=line.cost,
        )
        begun = Account(as_of=min(starts_at, self._at))
        first = _part(line.amount, line.recurrence, starts_at) if line.prorated else line.amount
        begun = put(begun, _ALONE, replace(grant, amount=first))
        whole = replace(begun.holdings[0], grant=grant, allowed=first)
        begun = advance(replace(begun, holdings=(whole,)), _ALONE, self._at)
        self._come.append(len(self._holdings))
        self._holdings.extend(begun.holdings)
        self._moved.extend(begun.moved)

    # terms

    def _agreed(self, one: Holding, before: Line | None, line: Line) -> Holding:
        """A grant under its line's present terms."""
        grant = one.grant
        expires_at = line.expires_at(grant.effective_at)
        if expires_at is not None:
            # A stay cut short to before the grant's start leaves it a start that is never reached again.
            expires_at = max(expires_at, grant.effective_at + 1)
        if line.recurrence is None:
            if before is None or before.ends_at != line.ends_at:
                one = replace(one, grant=replace(grant, expires_at=expires_at))
            was = grant.amount if before is None else before.amount
            if self._change.why is Why.CATALOG or line.amount == was:
                return one
            if line.amount < was and grant.cost is not None:
                return one  # Paid for.
            return self._amended(one, replace(one.grant, amount=line.amount, cost=line.cost), before, line)
        agreed = replace(
            grant,
            amount=line.amount,
            priority=line.priority,
            kind=line.kind,
            expires_at=expires_at,
            recurrence=self._recurrence(one, before, line),
            rollover=line.rollover,
            lasts=line.lasts,
            cost=line.cost,
        )
        if line.role is Role.METER:
            return self._metered(one, agreed)
        return self._amended(one, agreed, before, line)

    def _recurrence(self, one: Holding, before: Line | None, line: Line) -> periods.Recurrence | None:
        """A stay keeps its anchor, but where it is moved."""
        known, said = one.grant.recurrence, line.recurrence
        assert said is not None
        same = known is not None and replace(known, anchor_at=said.anchor_at) == said
        moved = before is not None and before.recurrence is not None and before.recurrence != said
        return known if same and not moved and line.role is not Role.METER else said

    def _amended(self, one: Holding, agreed: Grant, before: Line | None, line: Line) -> Holding:
        """A grant whose amount may have changed within its period."""
        was, now, allowed = one.grant.amount, agreed.amount, one.allowed
        if before is not None and agreed.recurrence is None:
            was = before.amount  # The catalog may have said another since it was given.
        if now > was:
            more = _part(now - was, agreed.recurrence, self._at) if line.prorated else now
            allowed = min(max(allowed, now), allowed + more)
        elif now < was and self._change.why is Why.CUSTOMER and agreed.cost is None:
            least = now if allowed > now else 0
            if line.prorated:
                less = _part(was - now, agreed.recurrence, self._at, up=True)
                allowed = max(least, allowed - less)
            else:
                allowed = min(allowed, now)
        return self._fitted(replace(one, grant=agreed), allowed, one.used)

    def _fitted(self, one: Holding, allowed: int, used: int) -> Holding:
        return fitted(one, allowed, used, self._at, self._moved)

    def _ended(self, one: Holding) -> Holding:
        """A grant whose end was moved to before now ends now."""
        return one if lasts_beyond(one, self._at) else _emptied(one, self._at, self._moved)

    def _metered(self, one: Holding, agreed: Grant) -> Holding:
        """A quota counts what was used in its period, and what is beyond a lowered one is owed. Where a trial
        became a plan, one of the anniversary starts anew."""
        recurrence = agreed.recurrence
        if (
            self._change.converted
            and recurrence is not None
            and recurrence.anchor is periods.Anchor.ANNIVERSARY
            and one.refilled_at < self._at
        ):
            return self._anew(one, agreed)
        less = one.grant.amount - agreed.amount
        # What another customer used who was merged into this one was burned in their account.
        short = min(max(0, less - one.remaining), one.used, one.burned)
        if short:
            _note(self._moved, self._at, MovementKind.RETURN, one, short)
            self._moved.append(Movement(self._at, MovementKind.OVERAGE, None, short))
            self._overage += short
        one = replace(one, grant=agreed, burned=one.burned - short, remaining=one.remaining + short)
        return self._fitted(one, agreed.amount, one.used - short)

    def _anew(self, one: Holding, agreed: Grant) -> Holding:
        if self._overage:
            self._moved.append(Movement(self._at, MovementKind.WRITE_OFF, None, self._overage))
            self._written_off += self._overage
            self._overage = 0
        _note(self._moved, self._at, MovementKind.EXPIRE, one, one.remaining)
        empty = replace(one, grant=agreed, expired=one.expired + one.remaining, remaining=0, rolled=0)
        return self._fitted(replace(empty, refilled_at=self._at), agreed.amount, 0)


def fitted(one: Holding, allowed: int, used: int, at: int, moved: list[Movement]) -> Holding:
    """A grant that holds what its period allows, less what is used of that; what moves is noted."""
    one = replace(one, allowed=allowed, used=used)
    if one.grant.lasts is not None and lapse_at(one.grant, one.refilled_at) <= at:
        return _emptied(one, at, moved)  # What it held has ended, until the next refill.
    own = max(0, allowed - used)
    more = one.rolled + own - one.remaining
    _note(moved, at, MovementKind.ISSUE if more > 0 else MovementKind.VOID, one, abs(more))
    return replace(
        one,
        remaining=one.remaining + more,
        granted=one.granted + max(0, more),
        voided=one.voided + max(0, -more),
    )


def _emptied(one: Holding, at: int, moved: list[Movement]) -> Holding:
    """A grant of which nothing is left: it expired."""
    _note(moved, at, MovementKind.EXPIRE, one, one.remaining)
    return replace(one, expired=one.expired + one.remaining, remaining=0, rolled=0)


def _part(amount: int, recurrence: periods.Recurrence | None, at: int, *, up: bool = False) -> int:
    """An amount's part for what is left of the period, rounded down; `up`: rounded up."""
    if recurrence is None:
        return amount
    begins = periods.start(recurrence, periods.index(recurrence, at))
    ends = periods.next_start(recurrence, at)
    if up:
        return -(-amount * (ends - at) // (ends - begins))
    return amount * (ends - at) // (ends - begins)


def lasts_beyond(one: Holding, at: int) -> bool:
    """Whether a grant is not over at an instant; it may still begin."""
    over_at = one.grant.over_at()
    return over_at is None or at < over_at


def _runs(one: Holding, at: int) -> bool:
    """Whether the period in which a grant was taken, or the stay that it had, still runs."""
    grant = one.grant
    assert grant.voided_at is not None
    if grant.expires_at is not None:
        return at < grant.expires_at and (not is_plans(grant) or at < _refill_after(grant, grant.voided_at))
    return at < _refill_after(grant, grant.voided_at)


def _refill_after(grant: Grant, at: int) -> int:
    assert grant.recurrence is not None
    return periods.next_start(grant.recurrence, at)


def _ending(one: Holding, at: int) -> Holding:
    """A grant whose line left the catalog: it lasts until its next refill."""
    grant = one.grant
    ends_at = max(_refill_after(grant, at), grant.effective_at + 1)
    if grant.expires_at is not None:
        ends_at = min(ends_at, grant.expires_at)
    return replace(one, grant=replace(grant, expires_at=ends_at))


def _park(one: Holding, at: int, moved: list[Movement]) -> Holding:
    """Takes what is left of a grant, which may come back."""
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
    """A grant that was taken comes back with what was left, and then lives through the time it was away: what
    that moved counts as moved at the return."""
    left_at, parked = one.grant.voided_at, one.parked
    if left_at is None or parked is None:
        return one
    back = _unparked(one)
    now = advance(Account((back,), as_of=left_at), _ALONE, at).holdings[0]
    _note(moved, at, MovementKind.UNVOID, one, parked)
    _note(moved, at, MovementKind.ISSUE, one, now.granted - back.granted)
    _note(moved, at, MovementKind.EXPIRE, one, now.expired - back.expired)
    return now


def _unparked(one: Holding) -> Holding:
    """A grant as it was before it was taken."""
    assert one.parked is not None
    return replace(
        one,
        grant=replace(one.grant, voided_at=None),
        remaining=one.parked,
        voided=one.voided - one.parked,
        parked=None,
        rolled=max(0, one.parked - max(0, one.allowed - one.used)),
    )


def _note(moved: list[Movement], at: int, kind: MovementKind, one: Holding, units: int) -> None:
    if units:
        moved.append(Movement(at, kind, one.grant.id, units))
