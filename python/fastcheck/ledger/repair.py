"""What an account would be had a wrong clock never moved it. Pure.

The law. An account that stands beyond the true present, `at`, becomes what it was before it was moved there,
brought to `at` as time and its sources bring every account, with everything that requests did to it since, in
their order:

- *use* and what was given back, as much as it was;
- *grants* that were made, with their terms; one that was to begin at once begins when it was made;
- *voids*, of what is left then.

Each is done at its instant. Of what was booked while the clock was wrong no instant is known: it counts to
the first instant after it that is, and to `at` where there is none. What time did beyond `at` is thereby
undone: expiries, refills, what was parked or begun. What plans, add-ons and meters give is not replayed, it
follows from the customer's record.

Nothing that was posted is taken away. What was posted since and what is posted now are set off against each
other, movement by movement with their instants, and the difference is posted: an expiry of the year 2036 is
met by its reverse at the same instant of 2036, so that every period adds up as if neither had been."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from fastcheck.ledger import burn, periods
from fastcheck.ledger.lines import is_line
from fastcheck.ledger.model import Account, Grant, Holding, Movement, Rules
from fastcheck.ledger.postings import TAKEN, LedgerAccount, Posting, postings

Bring = Callable[[Account, int], Account]
"""Brings an account to an instant: time, and what its sources say then."""

_ISSUED, _GRANT, _USED = LedgerAccount.ISSUED, LedgerAccount.GRANT, LedgerAccount.USED
_EXPIRED, _VOIDED = LedgerAccount.EXPIRED, LedgerAccount.VOIDED
_OVERAGE, _WRITTEN_OFF = LedgerAccount.OVERAGE, LedgerAccount.WRITTEN_OFF


class Booked(NamedTuple):
    """A posting, and when it was written down."""

    posting: Posting
    booked_at: int


class Version(NamedTuple):
    """A grant as it was written."""

    from_at: int
    until_at: int | None
    """Exclusive; None: it is so now."""
    holding: Holding


class What(Enum):
    """What a request did."""

    USE = "use"
    PUT = "put"
    VOID = "void"
    REFUND = "refund"
    """A part of a grant was taken back, and its payment given back."""
    CHARGE_BACK = "charge_back"
    """A grant was taken back with all that was used of it: its payment was."""


class Done(NamedTuple):
    """Something that a request did to an account."""

    what: What
    at: int
    """When it is done again."""
    label: int
    """The instant of its movements."""
    units: int = 0
    grant: Grant | None = None


# what it was


Was = dict[str, Version]
"""Of each grant, the version that it was of; with what the postings say of it."""


def before(flows: Sequence[Posting], versions: Mapping[str, Sequence[Version]], at: int) -> Was:
    """The grants before an account was moved beyond `at`. `flows`: all its postings until then; `versions`:
    all that are known of each grant."""
    units = _sums(flows)
    posted = {id for id, _ in units}
    return {
        id: _was(units, id, known, at)
        for id, known in versions.items()
        # A line of nothing has no postings.
        if id in posted or any(not one.holding.granted and _knows_nothing(one, at) for one in known)
    }


def account_of(was: Was, flows: Sequence[Posting], as_of: int) -> Account:
    """The account of these grants; `as_of`: until when it had been worked through."""
    units = _sums(flows)
    holdings = sorted((one.holding for one in was.values()), key=lambda one: (one.grant.created_at, one.id))
    overage = -sum(moved for (_, where), moved in units.items() if where is _OVERAGE)
    written_off = -sum(moved for (_, where), moved in units.items() if where is _WRITTEN_OFF)
    return Account(tuple(holdings), overage, written_off, as_of)


_Sums = Counter[tuple[str | None, LedgerAccount]]


def _sums(flows: Sequence[Posting]) -> _Sums:
    units: _Sums = Counter()
    for one in flows:
        units[one.grant, one.source] -= one.units
        units[one.grant, one.target] += one.units
    return units


def _was(units: _Sums, id: str, versions: Sequence[Version], at: int) -> Version:
    """A grant with what the postings say of it, under the last terms that know nothing of the future."""
    counters = {
        "remaining": units[id, _GRANT],
        "granted": -units[id, _ISSUED],
        "burned": units[id, _USED] + units[id, _OVERAGE],
        "expired": units[id, _EXPIRED],
        "voided": sum(units[id, where] for where in TAKEN),
    }
    same = [one for one in versions if all(getattr(one.holding, name) == n for name, n in counters.items())]
    known = [one for one in same if _knows_nothing(one, at)]
    found = max(known or same or versions, key=lambda one: one.from_at)
    holding = replace(found.holding, **counters)  # type: ignore[arg-type]
    if not known:
        holding = _unknowing(holding, at)  # It was written over within the same millisecond.
    parked = None if holding.parked is None else min(holding.parked, holding.voided)
    return found._replace(
        holding=replace(holding, rolled=min(holding.rolled, holding.remaining), parked=parked)
    )


def _unknowing(holding: Holding, at: int) -> Holding:
    """A grant without what it knows of the time after an instant."""
    grant = holding.grant
    if grant.voided_at is not None and grant.voided_at > at:
        holding = replace(holding, grant=replace(grant, voided_at=None), parked=None)
    if holding.refilled_at > at:
        starts, recurrence = grant.effective_at, grant.recurrence
        if recurrence is not None:
            starts = max(starts, periods.start(recurrence, periods.index(recurrence, at)))
        holding = replace(holding, refilled_at=starts)
    return holding


def _knows_nothing(one: Version, at: int) -> bool:
    """Whether a version was written before anything was moved beyond an instant."""
    holding = one.holding
    grant = holding.grant
    return (
        one.from_at <= at
        and (grant.voided_at is None or grant.voided_at <= at)
        and (holding.refilled_at <= at or holding.refilled_at == grant.effective_at)
    )


# what requests did


def done_since(was: Account, now: Account, since: Sequence[Booked], at: int) -> list[Done]:
    """What requests did to an account since it `was` so, until `now`, in their order. `since`: what was
    posted in between."""
    instants = _instants(since, was.as_of, at)
    grants = {one.id: one.grant for one in now.holdings}
    begun = {one.id for one in was.holdings}
    made = {id: one for id, one in grants.items() if id not in begun and not _follows(one)}
    voided = _voided(was, now)
    last_void = {
        one.posting.grant: place for place, one in enumerate(since) if _goes(one.posting, _GRANT, _VOIDED)
    }
    found: list[Done] = []
    for place, (one, instant) in enumerate(zip(since, instants, strict=True)):
        posting = one.posting
        id, label = posting.grant, posting.at if max(posting.at, one.booked_at) <= at else instant
        if _USED in (posting.source, posting.target):
            used = posting.units if posting.target is _USED else -posting.units
            if found and found[-1].what is What.USE and found[-1][1:3] == (instant, label):
                found[-1] = found[-1]._replace(units=found[-1].units + used)
            else:
                found.append(Done(What.USE, instant, label, used))
        elif id in made and _goes(posting, _ISSUED, _GRANT):
            found.append(Done(What.PUT, instant, label, grant=_begun(made.pop(id), instant, at)))
        elif _goes(posting, _GRANT, _VOIDED) and id in voided and last_void[id] == place:
            found.append(Done(What.VOID, instant, label, grant=voided.pop(id)))
        elif id is not None and _goes(posting, _GRANT, LedgerAccount.REFUNDED):
            found.append(Done(What.REFUND, instant, label, posting.units, grants[id]))
        elif id is not None and (
            _goes(posting, _GRANT, LedgerAccount.CHARGED_BACK) or _goes(posting, _OVERAGE, _GRANT)
        ):
            voided.pop(id, None)
            found.append(Done(What.CHARGE_BACK, instant, label, grant=grants[id]))
    # Of these nothing was posted: there was nothing in them.
    found += [Done(What.PUT, at, at, grant=_begun(one, at, at)) for one in made.values()]
    found += [Done(What.VOID, at, at, grant=one) for one in voided.values()]
    return [one for one in found if one.what is not What.USE or one.units]


def _instants(since: Sequence[Booked], least: int, at: int) -> list[int]:
    """When each posting was made, as far as it is known; never before one that was made earlier."""
    found: list[int] = []
    next_known = at
    for one in reversed(since):
        if one.booked_at <= at:  # Else the clock was wrong, whatever the movement itself says.
            next_known = one.posting.at if one.posting.at <= at else one.booked_at
        found.append(next_known)
    found.reverse()
    for place, instant in enumerate(found):
        least = max(least, instant)
        found[place] = min(least, at)
    return found


def _follows(grant: Grant) -> bool:
    """Whether a grant follows from the customer's record."""
    return is_line(grant)


def _voided(was: Account, now: Account) -> dict[str, Grant]:
    """Grants that a request voided; those that are parked come and go by themselves."""
    over = {one.id for one in was.holdings if one.grant.voided_at is not None and one.parked is None}
    return {
        one.id: one.grant
        for one in now.holdings
        if one.grant.voided_at is not None and one.parked is None and one.id not in over
    }


def _goes(posting: Posting, source: LedgerAccount, target: LedgerAccount) -> bool:
    return posting.source is source and posting.target is target


def _begun(grant: Grant, instant: int, at: int) -> Grant:
    """The terms of a grant that was made, in force from when it was; its void comes by itself."""
    made_at, starts = grant.created_at, grant.effective_at
    if made_at > at:
        recurrence = grant.recurrence
        if starts == made_at:
            starts = instant
            if recurrence is not None and recurrence.anchor_at == made_at:
                recurrence = replace(recurrence, anchor_at=instant)
        grant = replace(grant, created_at=instant, effective_at=starts, recurrence=recurrence)
    return replace(grant, voided_at=None)


# what it should be


def replayed(was: Account, done: Iterable[Done], rules: Rules, bring: Bring, at: int) -> Account:
    """The account at `at`, with all that was done since. `moved`: since it was so."""
    account = replace(was, moved=())
    for one in done:
        account = bring(account, one.at)
        if one.what is What.USE:
            account = burn.use(account, rules, one.units, one.label)
            continue
        assert one.grant is not None
        if one.what is What.PUT:
            account = burn.put(account, rules, one.grant)
        elif one.what is What.VOID:
            account = burn.void(account, one.grant.id)
        elif one.what is What.REFUND:
            left = sum(held.remaining for held in account.holdings if held.id == one.grant.id)
            account = burn.refund(account, one.grant.id, min(one.units, left))
        else:
            account = burn.charge_back(account, rules, {one.grant.id})
    return bring(account, at)


def with_all_grants(account: Account, now: Account) -> Account:
    """The account with every grant that it has `now`: what only the wrong clock began is kept, with nothing
    in it, for its postings name it."""
    known = {one.id for one in account.holdings}
    emptied = [
        Holding(one.grant, 0, 0, refilled_at=one.refilled_at) for one in now.holdings if one.id not in known
    ]
    return replace(account, holdings=(*account.holdings, *emptied), moved=())


def corrections(undone: Iterable[Booked], moved: Iterable[Movement]) -> list[Posting]:
    """What is to be posted so that `moved` stands in place of what was posted."""
    net: Counter[tuple[int, str | None, LedgerAccount, LedgerAccount]] = Counter()
    for sign, of in ((-1, [one.posting for one in undone]), (1, postings(moved))):
        for one in of:
            if one.source.value < one.target.value:
                net[one.at, one.grant, one.source, one.target] += sign * one.units
            else:
                net[one.at, one.grant, one.target, one.source] -= sign * one.units
    found: list[Posting] = []
    for (at, grant, source, target), units in net.items():
        if units > 0:
            found += _ways(Posting(at, grant, source, target, units))
        elif units:
            found += _ways(Posting(at, grant, target, source, -units))
    # What comes back to a grant before what leaves it, so that none is ever below nothing.
    return sorted(found, key=lambda one: (_RANKS.get((one.source, one.target), 0), one.at, one.grant or ""))


_RANKS = {
    (_EXPIRED, _GRANT): -4,
    **{(where, _GRANT): -4 for where in TAKEN},
    (_USED, _GRANT): -4,
    (_GRANT, _ISSUED): -3,
    (_ISSUED, _GRANT): -2,
    (_GRANT, LedgerAccount.CHARGED_BACK): 1,  # It takes what is left of the worth.
}
_OVER = {(_OVERAGE, _GRANT): (_USED,), (_OVERAGE, _WRITTEN_OFF): (_USED,), (_WRITTEN_OFF, _USED): (_OVERAGE,)}


def _ways(one: Posting) -> Iterator[Posting]:
    """A transfer by ways that movements go, where there are such: finance reads no others but two, an expiry
    undone and an issue undone."""
    stops = (one.source, *_OVER.get((one.source, one.target), ()), one.target)
    for source, target in pairwise(stops):
        grant = one.grant if _GRANT in (source, target) else None
        yield one._replace(source=source, target=target, grant=grant)
