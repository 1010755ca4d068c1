"""Runs of plain grants over a span: the laws against a slow and obvious model, then cases a person can
follow."""

from __future__ import annotations

import doctest
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import AmountError, Conflict, InstantError, UnknownGrant, WrongType
from fastcheck.ledger import burndown
from fastcheck.ledger.burndown import BurnDown, Segment, Usage, burn_down
from fastcheck.ledger.model import (
    AMOUNT_MAX,
    DEFAULT_ORDER,
    ORDERS,
    Account,
    Cost,
    Grant,
    GrantKind,
    MovementKind,
    OrderKey,
    Rollover,
    RolloverAt,
)
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit, next_start
from fastcheck.ledger.postings import conserved, postings

MINUTE_MS = 60_000
END = 12 * MINUTE_MS
# Few distinct instants, so that several things fall on one.
INSTANTS = st.integers(0, 24).map(lambda step: step * MINUTE_MS // 2)
ROLLOVERS = st.builds(
    Rollover,
    st.integers(0, 15),
    st.integers(0, 60),
    st.sampled_from([0, 50, 100]),
    st.booleans(),
    st.sampled_from(RolloverAt),
)
SPANS = st.builds(Span, st.integers(1, 3), st.just(Unit.MINUTE))
ORDER = st.one_of(
    st.sampled_from(list(ORDERS.values())), st.permutations(list(OrderKey)).map(lambda keys: tuple(keys[:3]))
)


@st.composite
def grant(draw: st.DrawFn, number: int) -> Grant:
    effective_at = draw(INSTANTS)
    every = draw(st.one_of(st.none(), SPANS))
    later = INSTANTS.map(lambda ms: effective_at + MINUTE_MS // 2 + ms)
    return Grant(
        f"g{number}",
        draw(st.integers(0, 50)),
        priority=draw(st.integers(0, 1)),
        effective_at=effective_at,
        expires_at=draw(st.one_of(st.none(), later)),
        kind=draw(st.sampled_from(GrantKind)),
        created_at=draw(st.integers(0, 2)),
        rollover=draw(ROLLOVERS),
        recurrence=Recurrence(every, draw(st.sampled_from(Anchor)), effective_at) if every else None,
        lasts=draw(st.one_of(st.none(), SPANS)),
        voided_at=draw(st.one_of(st.none(), st.none(), INSTANTS)),
    )


@st.composite
def pools(draw: st.DrawFn) -> list[Grant]:
    return [draw(grant(number)) for number in range(draw(st.integers(0, 4)))]


USAGE = st.lists(st.tuples(INSTANTS.filter(lambda at: at < END), st.integers(-20, 60)), max_size=10)
RESETS = st.lists(INSTANTS, max_size=3)


# The slow model: every half minute is looked at, everything is a dict, every burn sorts again.


@dataclass
class Model:
    grants: list[Grant]
    order: tuple[OrderKey, ...]
    keep_overage: bool
    left: dict[str, int] = field(default_factory=dict)
    carried: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    burned: dict[str, int] = field(default_factory=dict)
    overage: int = 0

    def active(self, one: Grant, at: int) -> bool:
        ends = [end for end in (one.expires_at, one.voided_at) if end is not None]
        return one.effective_at <= at and all(at < end for end in ends)

    def lapsed(self, one: Grant, at: int) -> bool:
        return one.lasts is not None and self.since[one.id] + one.lasts.count * MINUTE_MS <= at

    def holding(self, at: int) -> list[Grant]:
        found = [one for one in self.grants if self.active(one, at) and not self.lapsed(one, at)]
        return sorted(found, key=lambda one: (*(self.rank(one, key, at) for key in self.order), one.id))

    def rank(self, one: Grant, key: OrderKey, at: int) -> float:
        ends = [] if one.expires_at is None else [one.expires_at]
        if key is OrderKey.EXPIRY:
            if one.recurrence is not None:
                ends.append(next_start(one.recurrence, at))
            if one.lasts is not None:
                ends.append(self.since[one.id] + one.lasts.count * MINUTE_MS)
        bought = one.kind in (GrantKind.PAID, GrantKind.TOP_UP)
        return {
            OrderKey.PRIORITY: one.priority,
            OrderKey.EXPIRY: min(ends, default=float("inf")),
            OrderKey.EXPIRES_AT: min(ends, default=float("inf")),
            OrderKey.KIND: bought,
            OrderKey.PLAN_FIRST: one.kind is not GrantKind.PLAN,
            OrderKey.OLDEST: one.created_at,
            OrderKey.NEWEST: -one.created_at,
        }[key]

    def roll(self, one: Grant) -> int:
        left = self.left[one.id] - (self.carried[one.id] if one.rollover.once else 0)
        kept = max(one.rollover.min, left * one.rollover.percent // 100)
        return min(one.rollover.max, kept)

    def begin(self, one: Grant, at: int) -> None:
        self.left[one.id], self.carried[one.id], self.since[one.id] = one.amount, 0, at
        self.burned.setdefault(one.id, 0)

    def boundaries(self, at: int, reset: bool, first: bool) -> None:
        for one in self.grants:
            if one.id in self.left and (not self.active(one, at) or self.lapsed(one, at)):
                self.left[one.id] = self.carried[one.id] = 0
        refills = [
            one
            for one in self.grants
            if one.id in self.left
            and self.active(one, at)
            and one.recurrence is not None
            and next_start(one.recurrence, at - 1) == at
            and at > one.effective_at
        ]
        if reset and not first:
            if not self.keep_overage:
                self.overage = 0
            for one in self.grants:
                if one.id not in self.left or not self.active(one, at) or self.lapsed(one, at):
                    continue
                if one not in refills:
                    self.left[one.id] = self.carried[one.id] = self.roll(one)
        for one in refills:
            kept = self.roll(one) if one.rollover.at is RolloverAt.REFILL else 0
            self.begin(one, at)
            self.left[one.id], self.carried[one.id] = one.amount + kept, kept
        for one in self.grants:
            if one.id not in self.left and self.active(one, at):
                self.begin(one, at)
        owed, self.overage = self.overage, 0
        self.use(owed, at)

    def use(self, units: int, at: int) -> None:
        if units < 0:
            lowered = min(self.overage, -units)
            self.overage, units = self.overage - lowered, units + lowered
            for one in reversed(self.holding(at)):
                back = max(0, min(-units, self.burned[one.id], one.amount - self.left[one.id]))
                self.left[one.id] += back
                if self.carried[one.id]:
                    self.carried[one.id] += back
                self.burned[one.id] -= back
                units += back
            return
        for one in self.holding(at):
            taken = min(units, self.left[one.id])
            self.left[one.id] -= taken
            self.carried[one.id] = max(0, self.carried[one.id] - taken)
            self.burned[one.id] += taken
            units -= taken
        self.overage += units


def slowly(
    grants: list[Grant],
    usage: list[tuple[int, int]],
    order: tuple[OrderKey, ...],
    resets: list[int],
    keep: bool,
) -> Model:
    model = Model(grants, order, keep)
    for at in range(0, END + 1, MINUTE_MS // 2):
        model.boundaries(at, at in resets, at == 0)
        for when, units in usage:
            if when == at:
                model.use(units, at)
    return model


@given(pools(), USAGE, ORDER, RESETS, st.booleans())
def test_a_run_agrees_with_the_slow_model(
    grants: list[Grant],
    usage: list[tuple[int, int]],
    order: tuple[OrderKey, ...],
    resets: list[int],
    keep: bool,
) -> None:
    model = slowly(grants, usage, order, resets, keep)
    run = burn_down(grants, usage, 0, END, order=order, resets=resets, keep_overage=keep)
    assert run.balances == {one.id: model.left.get(one.id, 0) for one in grants}
    assert run.overage == model.overage
    assert {one.id: one.burned for one in run.closing.holdings if one.burned} == {
        id: units for id, units in model.burned.items() if units
    }


@given(pools(), USAGE, ORDER, RESETS, st.booleans(), INSTANTS.filter(lambda at: 0 < at < END))
def test_two_runs_equal_the_whole(
    grants: list[Grant],
    usage: list[tuple[int, int]],
    order: tuple[OrderKey, ...],
    resets: list[int],
    keep: bool,
    middle: int,
) -> None:
    terms = {"order": order, "resets": resets, "keep_overage": keep}
    whole = burn_down(grants, usage, 0, END, **terms)  # type: ignore[arg-type]
    before, after = [one for one in usage if one[0] < middle], [one for one in usage if one[0] >= middle]
    first = burn_down(grants, before, 0, middle, **terms)  # type: ignore[arg-type]
    second = burn_down(grants, after, middle, END, opening=first.closing, **terms)  # type: ignore[arg-type]
    assert (second.balances, second.overage) == (whole.balances, whole.overage)
    assert first.movements + second.movements == whole.movements
    assert second.closing == whole.closing


@given(pools(), USAGE, ORDER, RESETS)
def test_running_again_changes_nothing(
    grants: list[Grant], usage: list[tuple[int, int]], order: tuple[OrderKey, ...], resets: list[int]
) -> None:
    assert burn_down(grants, usage, 0, END, order=order, resets=resets) == burn_down(
        iter(grants), iter(usage), 0, END, order=order, resets=iter(resets)
    )


@given(pools(), st.dictionaries(INSTANTS.filter(lambda at: at < END), st.integers(-20, 60)), st.randoms())
def test_usage_may_arrive_in_any_order(grants: list[Grant], usage: dict[int, int], random: object) -> None:
    shuffled = list(usage.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert burn_down(grants, shuffled, 0, END) == burn_down(grants, sorted(usage.items()), 0, END)


@given(pools(), st.randoms())
def test_the_order_of_the_grants_does_not_matter(grants: list[Grant], random: object) -> None:
    shuffled = list(grants)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    usage = [(0, 40), (END // 2, 60)]
    one, other = burn_down(grants, usage, 0, END), burn_down(shuffled, usage, 0, END)
    assert (one.balances, one.overage) == (other.balances, other.overage)


def account_of(run: BurnDown) -> Account:
    closing = run.closing
    return Account(closing.holdings, closing.overage, closing.written_off, closing.at)


@st.composite
def undoing(draw: st.DrawFn) -> list[Usage]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        at, units = draw(INSTANTS.filter(lambda ms: ms < END)), draw(st.integers(0, 60))
        found.append(Usage(at, units, f"u{number}"))
        back = draw(st.integers(0, units))
        later = draw(st.integers(0, 6)) * MINUTE_MS // 2
        if at + later < END:
            found.append(Usage(at + later, -back, undoes=f"u{number}"))
    return found


@given(pools(), USAGE, undoing(), RESETS, st.booleans())
def test_every_unit_of_a_run_is_accounted_for(
    grants: list[Grant], plain: list[tuple[int, int]], named: list[Usage], resets: list[int], keep: bool
) -> None:
    usage = [*named, *(Usage(*one) for one in plain)]
    run = burn_down(grants, usage, 0, END, resets=resets, keep_overage=keep)
    account = account_of(run)
    assert conserved(account, postings(run.movements)) == []
    assert account.used() == sum(one.units for one in usage)
    assert min([0, *run.balances.values()]) == 0
    assert sum(one.used for one in run.segments) == account.used()
    paid = {one.id: 0 for one in account.holdings}
    for segment in run.segments:
        for id, units in segment.burned.items():
            paid[id] += units
    assert paid == {one.id: one.burned for one in account.holdings}
    spans = [(one.start, one.until) for one in run.segments]
    assert spans[0][0] == 0
    assert spans[-1][1] == END
    assert [end for _, end in spans[:-1]] == [begin for begin, _ in spans[1:]]
    assert run.segments[-1].overage == run.overage


@given(pools(), st.integers(1, 60), INSTANTS.filter(lambda at: at < END))
def test_undoing_at_once_leaves_no_trace_in_the_balances(grants: list[Grant], units: int, at: int) -> None:
    usage = [Usage(at, units, "job"), Usage(at, -units, undoes="job")]
    one, other = burn_down(grants, usage, 0, END), burn_down(grants, [], 0, END)
    assert (one.balances, one.overage, one.closing) == (other.balances, 0, other.closing)


# Cases


def every_minutes(count: int) -> Recurrence:
    return Recurrence(Span(count, Unit.MINUTE), Anchor.CALENDAR, 0)


def test_the_example_of_the_docstring_is_true() -> None:
    failed, attempted = doctest.testmod(burndown)
    assert (failed, attempted > 5) == (0, True)


def test_undo_goes_back_to_the_grants_it_came_from() -> None:
    grants = [Grant("a", 10, priority=1), Grant("b", 10, priority=2)]
    usage = [Usage(0, 8, "one"), Usage(1, 8, "two"), Usage(2, -5, undoes="one")]
    assert burn_down(grants, usage, 0, 10).balances == {"a": 5, "b": 4}
    assert burn_down(grants, [*usage[:2], Usage(2, -7, undoes="two")], 0, 10).balances == {"a": 1, "b": 10}


def test_undo_to_a_grant_that_ended_expires_at_once() -> None:
    grants = [Grant("old", 10, expires_at=5), Grant("new", 10, effective_at=5)]
    run = burn_down(grants, [Usage(1, 6, "job"), Usage(7, -6, undoes="job")], 0, 10)
    assert run.balances == {"old": 0, "new": 10}
    assert [(one.kind, one.units) for one in run.movements if one.at == 7] == [
        (MovementKind.RETURN, 6),
        (MovementKind.EXPIRE, 6),
    ]


def test_undo_of_overage_reaches_the_grant_that_paid_it_later() -> None:
    grants = [Grant("a", 10), Grant("b", 20, effective_at=5)]
    usage = [Usage(0, 16, "job"), Usage(7, -8, undoes="job")]
    assert burn_down(grants, usage, 0, 10).balances == {"a": 2, "b": 20}


def test_more_than_was_burned_cannot_be_undone() -> None:
    with pytest.raises(AmountError, match="gives back 9 units of 'job', which burned 8"):
        burn_down([Grant("a", 10)], [Usage(0, 8, "job"), Usage(1, -9, undoes="job")], 0, 10)
    with pytest.raises(AmountError, match="no earlier usage of that id"):
        burn_down([Grant("a", 10)], [Usage(3, 8, "job"), Usage(1, -1, undoes="job")], 0, 10)


def test_a_boundary_at_the_end_belongs_to_the_run_that_ends_there() -> None:
    plan = Grant("plan", 10, recurrence=every_minutes(1))
    first = burn_down([plan], [(0, 7)], 0, MINUTE_MS)
    assert first.balances == {"plan": 10}
    second = burn_down([plan], [], MINUTE_MS, MINUTE_MS + 1, opening=first.closing)
    assert second.movements == ()


def test_what_is_paid_at_the_very_end_has_a_segment_without_length() -> None:
    run = burn_down([Grant("late", 10, effective_at=5)], [(0, 4)], 0, 5)
    assert run.segments == (Segment(0, 5, 4, 4, {}), Segment(5, 5, 0, 0, {"late": 4}))


def test_a_reset_keeps_what_the_rollover_says_and_drops_overage_if_told() -> None:
    grants = [
        Grant("kept", 100, rollover=Rollover(0, 30, at=RolloverAt.RESET)),
        Grant("part", 100, rollover=Rollover(0, 100, percent=50)),
        Grant("topped", 10, rollover=Rollover(5, 20), priority=1),
        Grant("none", 40),
    ]
    run = burn_down(grants, [(0, 10)], 0, 10, resets=[5])
    assert run.balances == {"kept": 30, "part": 50, "topped": 5, "none": 0}
    (reset,) = run.rollovers
    assert (reset.at, reset.dropped) == (5, {"kept": 70, "part": 50, "topped": 0, "none": 40})
    assert reset.kept == run.balances
    owing = [Grant("a", 10), Grant("b", 10, effective_at=7)]
    assert burn_down(owing, [(0, 15)], 0, 10, resets=[5]).balances == {"a": 0, "b": 5}
    dropped = burn_down(owing, [(0, 15)], 0, 10, resets=[5], keep_overage=False)
    assert (dropped.balances, dropped.rollovers[0].overage_dropped) == ({"a": 0, "b": 10}, 5)


def test_a_reset_and_a_refill_at_one_instant_roll_over_once() -> None:
    def at_minute(rollover: Rollover) -> int:
        plan = Grant("plan", 100, recurrence=every_minutes(1), rollover=rollover)
        run = burn_down([plan], [(0, 60)], 0, MINUTE_MS, resets=[MINUTE_MS])
        assert run.rollovers[0].kept["plan"] + 100 == run.balances["plan"]
        return run.balances["plan"]

    assert at_minute(Rollover(0, 100, percent=50)) == 120
    assert at_minute(Rollover(0, 100, at=RolloverAt.RESET)) == 100


def test_units_carried_once_are_not_carried_again() -> None:
    plan = Grant("plan", 10, recurrence=every_minutes(1), rollover=Rollover(0, 100, once=True))
    assert burn_down([plan], [], 0, 5 * MINUTE_MS).balances == {"plan": 20}
    # 20 held, 10 of them carried: the 12 used are the carried ones first, so 8 of the fresh are kept.
    assert burn_down([plan], [(MINUTE_MS, 12)], 0, 2 * MINUTE_MS).balances == {"plan": 18}


def test_named_orders_burn_what_they_say() -> None:
    grants = [
        Grant("plan", 10, kind=GrantKind.PLAN, created_at=2, expires_at=900),
        Grant("gift", 10, kind=GrantKind.PROMOTIONAL, created_at=3),
        Grant("refund", 10, kind=GrantKind.REFUND, created_at=4),
        Grant("paid", 10, kind=GrantKind.PAID, created_at=1, expires_at=800),
        Grant("top-up", 10, kind=GrantKind.TOP_UP, created_at=5, expires_at=700),
    ]

    def burned(name: str) -> list[str]:
        run = burn_down(grants, [(0, 50)], 0, 10, order=ORDERS[name])
        return [one.grant or "" for one in run.movements if one.kind is MovementKind.BURN]

    assert ORDERS["default"] == DEFAULT_ORDER
    assert burned("fifo") == ["paid", "plan", "gift", "refund", "top-up"]
    assert burned("lifo") == ["top-up", "refund", "gift", "plan", "paid"]
    assert burned("soonest_expiry") == ["top-up", "paid", "plan", "gift", "refund"]
    assert burned("plan_first")[0] == "plan"
    assert burned("granted_first") == ["plan", "gift", "refund", "top-up", "paid"]


def test_a_void_ahead_takes_back_what_is_left_then() -> None:
    run = burn_down([Grant("a", 10, voided_at=5)], [(0, 4), (6, 1)], 0, 10)
    assert (run.balances, run.overage, run.closing.holdings[0].voided) == ({"a": 0}, 1, 6)
    first = burn_down([Grant("a", 10)], [(0, 4)], 0, 10)
    again = burn_down([Grant("a", 10, voided_at=7)], [], 10, 20, opening=first.closing)
    assert again.closing.holdings[0].voided == 6


def test_years_of_minutes_are_not_walked_one_by_one() -> None:
    plan = Grant("plan", 10, recurrence=every_minutes(1), rollover=Rollover(0, 25))
    year_ms = 365 * 86_400_000
    run = burn_down([plan], [(0, 4)], 0, year_ms)
    assert run.balances == {"plan": 35}
    assert len(run.movements) < 3_000
    assert run.closing.holdings[0].granted == 10 * (year_ms // MINUTE_MS + 1)
    assert conserved(account_of(run), postings(run.movements)) == []


def test_what_cannot_be_meant_is_refused_with_its_reason() -> None:
    one = Grant("a", 10)
    with pytest.raises(Conflict, match="grant id 'a' is given twice"):
        burn_down([one, Grant("a", 5)], [], 0, 10)
    with pytest.raises(Conflict, match="usage id 'x' is given twice"):
        burn_down([one], [Usage(0, 1, "x"), Usage(1, 1, "x")], 0, 10)
    with pytest.raises(InstantError, match=r"usage at 10 lies outside the run, \[0, 10\)"):
        burn_down([one], [(10, 1)], 0, 10)
    with pytest.raises(AmountError, match="out of range"):
        burn_down([one], [(0, AMOUNT_MAX + 1)], 0, 10)
    with pytest.raises(WrongType, match="both int"):
        burn_down([one], [(0, 1.5)], 0, 10)  # type: ignore[list-item]
    with pytest.raises(InstantError, match="ends after it starts"):
        burn_down([one], [], 10, 10)
    with pytest.raises(AmountError, match="its units are negative"):
        burn_down([one], [Usage(0, 5, undoes="x")], 0, 10)
    closing = burn_down([one], [], 0, 10).closing
    with pytest.raises(InstantError, match="opening is of 10, the run starts at 11"):
        burn_down([one], [], 11, 20, opening=closing)
    with pytest.raises(UnknownGrant, match="holds 10 units of grant 'a'"):
        burn_down([], [], 10, 20, opening=closing)


@pytest.mark.parametrize(
    ("error", "terms"),
    [
        (WrongType, {"amount": True}),
        (WrongType, {"amount": 1.0}),
        (AmountError, {"amount": -1}),
        (AmountError, {"amount": AMOUNT_MAX + 1}),
        (InstantError, {"effective_at": 10, "expires_at": 10}),
        (WrongType, {"voided_at": "now"}),
        (WrongType, {"priority": None}),
        (InstantError, {"created_at": 1 << 70}),
    ],
)
def test_a_grant_that_cannot_be_meant_is_refused(error: type[Exception], terms: dict[str, object]) -> None:
    with pytest.raises(error):
        Grant(**{"id": "a", "amount": 1, **terms})  # type: ignore[arg-type]


def test_a_cost_and_a_rollover_are_checked_too() -> None:
    assert Grant("a", 1, cost=Cost(990, "EUR")).cost == Cost(990, "EUR")
    with pytest.raises(AmountError):
        Cost(-1, "EUR")
    with pytest.raises(WrongType):
        Cost(1, "")
    with pytest.raises(AmountError, match="0 to 100"):
        Rollover(0, 1, percent=101)


def test_undo_of_a_past_period_adds_nothing_to_the_present_one() -> None:
    plan = Grant("plan", 10, recurrence=every_minutes(1))
    usage = [Usage(0, 6, "job"), Usage(MINUTE_MS, 3), Usage(MINUTE_MS + 1, -6, undoes="job")]
    run = burn_down([plan], usage, 0, MINUTE_MS + 2)
    assert run.balances == {"plan": 7}
    assert [one.kind for one in run.movements[-2:]] == [MovementKind.RETURN, MovementKind.EXPIRE]


def test_undo_of_a_past_period_leaves_what_is_carried_as_it_is() -> None:
    plan = Grant("plan", 10, recurrence=every_minutes(1), rollover=Rollover(0, 100, once=True))
    usage = [Usage(0, 4, "job"), Usage(MINUTE_MS + 1, -4, undoes="job")]
    # 16 held after the refill, 6 of them carried: the 10 fresh ones are kept at the next.
    assert burn_down([plan], usage, 0, 2 * MINUTE_MS).balances == {"plan": 20}


def test_carried_units_come_back_as_carried() -> None:
    pack = Grant("pack", 100, rollover=Rollover(0, 30, once=True, at=RolloverAt.RESET))
    run = burn_down([pack], [(6, 10), (7, -10)], 0, 10, resets=[5, 8])
    assert [one.kept for one in run.rollovers] == [{"pack": 30}, {"pack": 0}]
