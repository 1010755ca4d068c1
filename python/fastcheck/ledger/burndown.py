"""Burning plain grants over a span of time, with everything that happened as the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from fastcheck.errors import AmountError, Conflict, InstantError, UnknownGrant, WrongType
from fastcheck.ledger import periods
from fastcheck.ledger.burning import OVERAGE, PAY_OVERAGE, RETURN
from fastcheck.ledger.engine import Engine
from fastcheck.ledger.model import (
    AMOUNT_MAX,
    DEFAULT_ORDER,
    Grant,
    Holding,
    Movement,
    MovementKind,
    OrderKey,
    Rules,
    checked_instant,
)
from fastcheck.ledger.trace import Trace

_UNUSED = (MovementKind.ISSUE, MovementKind.EXPIRE, MovementKind.VOID)
"""Kinds of movements that are neither usage nor its payment."""


class Usage(NamedTuple):
    """Units used at an instant; a plain `(at, units)` does as well."""

    at: int
    units: int
    """Negative: given back."""
    id: str | None = None
    undoes: str | None = None
    """The id of an earlier usage of the same run; `units` is then negative: what of it is given back."""


class Segment(NamedTuple):
    """What happened in [start, until), in which the same grants were active."""

    start: int
    until: int
    used: int
    """Net units used."""
    overage: int
    """Units owed at its end."""
    burned: dict[str, int]
    """Net units that each grant paid, earlier overage included; negative where more came back."""


_segment = partial(tuple.__new__, Segment)  # `Segment(*one)` in C.


@dataclass(frozen=True, slots=True)
class ResetRollover:
    """What a reset kept, by grant. A grant refilled at that instant shows what it kept on top."""

    at: int
    kept: dict[str, int]
    dropped: dict[str, int]
    overage_dropped: int


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a run ended, for the next to go on from."""

    at: int
    holdings: tuple[Holding, ...]
    overage: int
    written_off: int


class BurnDown:
    """What became of grants and usage in a run. Its parts are made when they are first read: a run of a year
    has hundreds of thousands of them, and few callers want all."""

    def __init__(self, engine: Engine, start: int, until: int, owed: int) -> None:
        """Of an engine that has run over [start, until); `owed`: the overage it began with."""
        self.overage = engine.overage
        """Units used that no grant has paid yet."""
        self._engine = engine
        self._run = (start, until, owed)

    @cached_property
    def balances(self) -> dict[str, int]:
        """Units that each grant given holds at `until`; 0 for one that did not start or is over."""
        return {slot.grant.id: slot.remaining for slot in self._engine.slots}

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Without gaps from start to until, a new one wherever active grants changed. Where overage was paid
        or dropped at `until` itself, the last one has no length."""
        return tuple(_segments(self._engine, *self._run))

    @cached_property
    def rollovers(self) -> tuple[ResetRollover, ...]:
        """What each reset kept."""
        return tuple([ResetRollover(*one) for one in self._engine.resets])

    @cached_property
    def movements(self) -> tuple[Movement, ...]:
        """Everything that moved, oldest first."""
        return self._engine.moved.movements()

    @cached_property
    def closing(self) -> Opening:
        """For the next run to go on from."""
        engine = self._engine
        held = tuple([slot.holding() for slot in engine.slots if not slot.unissued])
        return Opening(engine.as_of, held, engine.overage, engine.written_off)

    def _parts(self) -> tuple[object, ...]:
        return self.balances, self.overage, self.segments, self.rollovers, self.movements, self.closing

    def __eq__(self, other: object) -> bool:
        return self._parts() == other._parts() if isinstance(other, BurnDown) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # Like the dicts in it.

    def __repr__(self) -> str:
        start, until, _ = self._run
        return f"<BurnDown of {len(self._engine.slots)} grants over [{start}, {until}), {self.overage} owed>"


def burn_down(
    grants: Iterable[Grant],
    usage: Iterable[Usage | tuple[int, int]],
    start: int,
    until: int,
    *,
    order: tuple[OrderKey, ...] = DEFAULT_ORDER,
    resets: Iterable[int] = (),
    keep_overage: bool = True,
    opening: Opening | None = None,
) -> BurnDown:
    """Burns usage from grants over [start, until).

    Units are integers of any kind (the ledger uses pool units); instants are ms since 1970 UTC. No clock is
    read: the same arguments give the same answer.

    - A grant is active in [effective_at, min(expires_at, voided_at)).
    - Usage burns active grants in `order`, the id breaking ties. What is left over is overage; it is carried,
      and the next grant that starts or refills pays it before later usage.
    - Negative usage gives back: first what is owed, then to active grants in reverse order, none above its
      own amount. With `undoes` it gives back to the very grants that the named usage burned, last first, what
      they paid of its overage later included; what returns to a grant, period or reset that is over expires
      at once.
    - A recurrence sets the balance to the full amount, and does not add; see `Rollover` for what is kept.
    - A reset (an instant of `resets`; those outside (start, until] are passed over) leaves each active grant
      what its rollover keeps. `keep_overage=False` forgets what is owed at a reset.
    - At one instant: ends, then the reset, then refills and starts, then overage is paid, then usage in the
      order given. Usage may come unsorted.
    - Usage lies in [start, until). Boundaries in (start, until] are applied: one exactly at `until` belongs
      to this run and not to the next.
    - Grants active at `start` begin full, in their present period, unless `opening`, the `closing` of the run
      that ended at `start`, says what they hold. So one run over [a, c) equals [a, b) and then [b, c).
    - More than 1,000 refills of one grant without usage between are noted as one movement, but for the last
      1,000.

    Raises `InstantError` (an instant outside the span, a span that ends before it starts, an opening of
    another instant), `AmountError` (an amount out of range, more given back than was burned, `undoes` that
    names nothing), `Conflict` (an id given twice), `UnknownGrant` (the opening holds units of a grant that is
    not given), `WrongType`.

    >>> from fastcheck.ledger.model import Grant, GrantKind
    >>> plan = Grant("plan", 100, expires_at=1_000, kind=GrantKind.PLAN)
    >>> bought = Grant("bought", 50, effective_at=500)
    >>> run = burn_down([plan, bought], [(10, 90), Usage(20, 30, id="job"), (600, 5)], 0, 2_000)
    >>> run.balances, run.overage
    ({'plan': 0, 'bought': 25}, 0)
    >>> [(one.start, one.until, one.used, one.overage, one.burned) for one in run.segments[:2]]
    [(0, 500, 120, 20, {'plan': 100}), (500, 1000, 5, 0, {'bought': 25})]
    >>> burn_down([plan, bought], [], 2_000, 3_000, opening=run.closing).balances
    {'plan': 0, 'bought': 25}
    """
    if checked_instant(until, "until") <= checked_instant(start, "start"):
        raise InstantError(f"a run ends after it starts: start {start}, until {until}")
    events = _checked(usage, start, until)
    engine = _begin(_by_id(grants), start, Rules(order), opening)
    trace = Trace(engine, {one.undoes for one in events if one.undoes is not None})
    pending = sorted({at for at in resets if start < checked_instant(at, "a reset") <= until}, reverse=True)
    for one in events:
        while pending and pending[-1] <= one.at:
            engine.advance(pending.pop(), reset=True, keep_overage=keep_overage)
        engine.advance(one.at)
        if one.undoes is not None:
            trace.undo(one.undoes, one.units, one.at)
        elif trace.wanted:
            trace.use(one.id, one.units, one.at)
        else:
            engine.use(one.units, one.at)
    while pending:
        engine.advance(pending.pop(), reset=True, keep_overage=keep_overage)
    engine.advance(until)
    return BurnDown(engine, start, until, 0 if opening is None else opening.overage)


def _checked(usage: Iterable[Usage | tuple[int, int]], start: int, until: int) -> list[Usage]:
    """The usage in order of time, equal instants as they came."""
    events = [one if isinstance(one, Usage) else Usage(*one) for one in usage]
    ids = set()
    for one in events:
        at, units = one.at, one.units
        if type(at) is not int or type(units) is not int:
            raise WrongType(f"usage is (at, units), both int: {tuple(one)!r:.120}")
        if not start <= at < until:
            raise InstantError(f"usage at {at} lies outside the run, [{start}, {until})")
        if not -AMOUNT_MAX <= units <= AMOUNT_MAX:
            raise AmountError(f"usage of {units} units at {at} is out of range")
        if one.undoes is not None and units > 0:
            raise AmountError(f"usage at {at} undoes {one.undoes!r:.80}: its units are negative, not {units}")
        if one.id is not None:
            if one.id in ids:
                raise Conflict(f"usage id {one.id!r:.80} is given twice")
            ids.add(one.id)
    events.sort(key=_at)
    return events


def _at(one: Usage) -> int:
    return one.at


def _by_id(grants: Iterable[Grant]) -> dict[str, Grant]:
    found: dict[str, Grant] = {}
    for one in grants:
        if found.setdefault(one.id, one) is not one:
            raise Conflict(f"grant id {one.id!r:.80} is given twice")
    return found


def _begin(grants: dict[str, Grant], start: int, rules: Rules, opening: Opening | None) -> Engine:
    """The pool at `start`."""
    known: dict[str, Holding] = {}
    if opening is not None:
        if opening.at != start:
            raise InstantError(f"the opening is of {opening.at}, the run starts at {start}: they must be one")
        known = {one.id: one for one in opening.holdings}
        for one in opening.holdings:
            if one.id not in grants and one.remaining:
                raise UnknownGrant(
                    f"the opening holds {one.remaining} units of grant {one.id!r:.80}: give it too"
                )
    owed, forgiven = (0, 0) if opening is None else (opening.overage, opening.written_off)
    engine = Engine((), rules, start, owed, forgiven)
    for grant in grants.values():
        held = known.get(grant.id)
        if held is not None:
            slot = engine.hold(grant, held)
            if slot.remaining and slot.over_at <= start:
                engine.empty(slot, start)  # Voided since the opening.
            continue
        slot = engine.hold(grant, refilled_at=_period(grant, start))
        if not slot.live:
            slot.unissued = True
        elif not slot.lapsed:
            engine.issue(slot, grant.amount, start)
    engine.settle()
    return engine


def _period(grant: Grant, at: int) -> int:
    """Start of what a grant holds at an instant."""
    every = grant.recurrence
    if every is None or at < grant.effective_at:
        return grant.effective_at
    return max(grant.effective_at, periods.start(every, periods.index(every, at)))


def _segments(engine: Engine, start: int, until: int, owed: int) -> list[Segment]:
    """What moved, between the instants at which active grants changed."""
    found: list[Segment] = []
    ends = iter([one for one in engine.changed_at if start < one < until] + [until, until + 1])
    begin, end = start, next(ends)
    used = 0
    burned: dict[str, int] = {}
    for at, kind, grant, units in engine.moved.since():
        while at >= end:
            found.append(_segment((begin, end, used, owed, burned)))
            begin, end, used, burned = end, next(ends), 0, {}
        if kind in _UNUSED:
            continue
        if kind is OVERAGE:
            owed += units
            used += units
        elif grant is not None:
            paid = -units if kind is RETURN else units
            burned[grant] = burned.get(grant, 0) + paid
            if kind is PAY_OVERAGE:
                owed -= units
            else:
                used += paid
        elif units > 0:
            owed -= units  # Written off.
        else:
            used += units  # Given back without a grant to go to.
    while end <= until:
        found.append(_segment((begin, end, used, owed, burned)))
        begin, end, used, burned = end, next(ends), 0, {}
    if burned or owed != found[-1].overage:
        found.append(Segment(until, until, used, owed, burned))
    return found
