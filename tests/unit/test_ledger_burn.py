"""Burning grants: the laws first (split runs, replays, conservation), then the cases a person can follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fastcheck.ledger import postings as books
from fastcheck.ledger.burn import advance, burn_order, charge_back, next_change, put, refund, use, void
from fastcheck.ledger.lend import LEASE_UNITS_MAX, Lending, lend
from fastcheck.ledger.lines import Line, returned, taken
from fastcheck.ledger.model import (
    DEFAULT_ORDER,
    Account,
    Grant,
    GrantKind,
    Holding,
    OrderKey,
    Rollover,
    RolloverAt,
    Rules,
    full,
)
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit
from fastcheck.ledger.postings import balances, postings
from rig.crossing import follow
from rig.samples import examples

HORIZON_MS = 400 * DAY_MS
INSTANTS = st.integers(0, HORIZON_MS)
SPANS = st.builds(Span, st.integers(1, 40), st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH]))
ROLLOVERS = st.builds(Rollover, st.integers(0, 50), st.integers(0, 500))
RULES = st.builds(
    Rules, st.permutations(DEFAULT_ORDER).map(tuple), st.one_of(st.none(), st.integers(0, 100)), st.booleans()
)


@st.composite
def grant(draw: st.DrawFn, number: int = 0) -> Grant:
    effective_at = draw(INSTANTS)
    every = draw(st.one_of(st.none(), SPANS))
    recurrence = Recurrence(every, draw(st.sampled_from(Anchor)), effective_at) if every else None
    return Grant(
        f"g{number}",
        draw(st.integers(0, 200)),
        created_at=draw(st.integers(0, effective_at)),
        priority=draw(st.integers(0, 3)),
        effective_at=effective_at,
        expires_at=draw(st.one_of(st.none(), st.integers(effective_at + 1, HORIZON_MS + 1))),
        kind=draw(st.sampled_from(GrantKind)),
        recurrence=recurrence,
        rollover=draw(ROLLOVERS) if every else Rollover(),
        lasts=draw(st.one_of(st.none(), SPANS)) if every else None,
    )


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    count = draw(st.integers(0, 4))
    holdings = tuple(full(draw(grant(number))) for number in range(count))
    return Account(holdings, overage=draw(st.integers(0, 30)))


def step_by_step(account: Account, rules: Rules, until: int) -> Account:
    """The slow model: one boundary after the other, however many there are."""
    while (at := next_change(account)) is not None and at <= until:
        account = advance(account, rules, at)
    return advance(account, rules, until)


def conserved(account: Account) -> bool:
    return all(one.balanced() and one.remaining >= 0 for one in account.holdings)


@given(accounts(), RULES, INSTANTS, INSTANTS)
def test_split_runs_equal_whole_runs(account: Account, rules: Rules, one: int, other: int) -> None:
    middle, end = sorted((one, other))
    assert advance(advance(account, rules, middle), rules, end) == advance(account, rules, end)


@given(accounts(), RULES, INSTANTS)
def test_a_leap_equals_every_step(account: Account, rules: Rules, until: int) -> None:
    assert advance(account, rules, until) == step_by_step(account, rules, until)


@given(accounts(), RULES, INSTANTS)
def test_going_again_or_backwards_changes_nothing(account: Account, rules: Rules, until: int) -> None:
    there = advance(account, rules, until)
    assert advance(there, rules, until) == there
    assert advance(there, rules, until // 2) == there


@given(accounts(), RULES, st.lists(st.tuples(INSTANTS, st.integers(-50, 100)), max_size=12))
def test_every_unit_is_accounted_for(account: Account, rules: Rules, usage: list[tuple[int, int]]) -> None:
    used = account.used()
    for at, units in sorted(usage):
        account = use(advance(account, rules, at), rules, units)
        used += units
        assert conserved(account)
        assert account.used() == used
        assert account.overage >= 0


@given(accounts(), RULES, INSTANTS, st.integers(0, 200), st.integers(0, 200))
def test_usage_in_parts_equals_usage_at_once(
    account: Account, rules: Rules, at: int, one: int, other: int
) -> None:
    account = advance(account, rules, at)
    assert use(use(account, rules, one), rules, other) == use(account, rules, one + other)


@given(accounts(), RULES, INSTANTS, st.integers(0, 200))
def test_giving_back_undoes_usage(account: Account, rules: Rules, at: int, units: int) -> None:
    account = advance(replace(account, overage=0), rules, at)
    # A rolled-over grant may hold more than its amount, and then cannot be told apart from a full one.
    if any(one.remaining > one.grant.amount for one in account.holdings):
        return
    assert use(use(account, rules, units), rules, -units) == account


def make(id: str, amount: int, **terms: object) -> Holding:
    return full(Grant(id, amount, **terms))  # type: ignore[arg-type]


def remaining(account: Account) -> dict[str, int]:
    return {one.id: one.remaining for one in account.holdings}


def test_default_order_is_priority_expiry_kind_age_id() -> None:
    grants = (
        make("old-paid", 1),
        make("z-promo", 1, kind=GrantKind.PROMOTIONAL, created_at=5),
        make("a-promo", 1, kind=GrantKind.PROMOTIONAL, created_at=5),
        make("expiring", 1, expires_at=100, created_at=9),
        make("urgent", 1, priority=1, created_at=9),
    )
    account = Account(grants, as_of=9)
    assert [one.id for one in burn_order(account, Rules())] == [
        "urgent",
        "expiring",
        "a-promo",
        "z-promo",
        "old-paid",
    ]
    assert burn_order(account, Rules((OrderKey.NEWEST,)))[0].id == "expiring"


def test_several_grants_burn_in_order_and_the_rest_is_overage() -> None:
    account = Account((make("late", 10, expires_at=200), make("soon", 5, expires_at=100)))
    account = use(account, Rules(), 12)
    assert remaining(account) == {"late": 3, "soon": 0}
    account = use(account, Rules(), 5)
    assert account.overage == 2
    later = replace(account, holdings=(*account.holdings, make("top-up", 10, effective_at=50)))
    assert remaining(advance(later, Rules(), 49))["top-up"] == 10
    paid = advance(later, Rules(), 50)
    assert (remaining(paid)["top-up"], paid.overage) == (8, 0)


def test_expiry_is_exclusive_and_start_inclusive() -> None:
    account = Account((make("g", 10, effective_at=10, expires_at=20),))
    for at, owed in ((9, 1), (10, 0), (19, 0), (20, 1)):
        assert use(advance(account, Rules(), at), Rules(), 1).overage == owed
    assert advance(account, Rules(), 20).holdings[0].expired == 10


def monthly(amount: int, **terms: object) -> Account:
    every = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)
    return Account((make("monthly", amount, recurrence=every, **terms),))


def test_a_refill_sets_the_balance_and_keeps_what_the_rollover_says() -> None:
    account = use(monthly(100, rollover=Rollover(max=30)), Rules(), 50)
    account = advance(account, Rules(), 31 * DAY_MS)
    assert remaining(account) == {"monthly": 130}
    account = advance(use(account, Rules(), 120), Rules(), 59 * DAY_MS)
    assert remaining(account) == {"monthly": 110}
    topped = advance(use(monthly(100, rollover=Rollover(20, 30)), Rules(), 100), Rules(), 31 * DAY_MS)
    assert remaining(topped) == {"monthly": 120}


def test_a_meter_forgets_overage_and_a_credit_carries_it() -> None:
    over = use(monthly(100), Rules(), 130)
    carried = advance(over, Rules(), 31 * DAY_MS)
    assert (carried.overage, remaining(carried)) == (0, {"monthly": 70})
    cleared = advance(over, Rules(period_clears_overage=True), 31 * DAY_MS)
    assert (cleared.overage, cleared.written_off, remaining(cleared)) == (0, 30, {"monthly": 100})


def test_what_lasts_shorter_than_its_period_ends_early() -> None:
    account = monthly(100, lasts=Span(10, Unit.DAY))
    assert next_change(account) == 10 * DAY_MS
    assert remaining(advance(account, Rules(), 10 * DAY_MS)) == {"monthly": 0}
    assert remaining(advance(account, Rules(), 31 * DAY_MS)) == {"monthly": 100}


def test_void_frees_what_is_left_once() -> None:
    account = void(use(monthly(100), Rules(), 40), "monthly")
    assert account.holdings[0].voided == 60
    assert void(account, "monthly") == account
    assert remaining(advance(account, Rules(), 100 * DAY_MS)) == {"monthly": 0}


def test_lending_ends_where_the_account_changes() -> None:
    account = use(Account((make("a", 10, expires_at=500), make("b", 5, effective_at=200))), Rules(), 3)
    assert lend(account, Rules()) == Lending(7, 200, True)
    assert lend(account, Rules(overdraft=2)) == Lending(9, 200, True)
    assert lend(account, Rules(overdraft=None)) == Lending(LEASE_UNITS_MAX, 200, False)
    assert lend(account, Rules(), unlimited=True, until=50) == Lending(LEASE_UNITS_MAX, 50, False)
    owing = use(account, Rules(), 9)
    assert owing.overage == 2
    assert lend(owing, Rules(overdraft=5)).units == 3
    assert lend(owing, Rules(overdraft=1)).units == 0
    large = Account((make("c", LEASE_UNITS_MAX + 1),))
    assert lend(large, Rules()) == Lending(LEASE_UNITS_MAX, None, False)


def quota(amount: int, since: int = 0, key: str = "meter:calls", **terms: object) -> Line:
    every = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, since)
    return Line(key, amount, since, recurrence=every, **terms)  # type: ignore[arg-type]


METER = Rules(period_clears_overage=True)
PRO = "plan:pro:m"


def test_a_quota_changed_within_the_period_counts_what_was_used() -> None:
    account = follow(Account(), METER, [quota(100)], 5, 1, "calls")
    account = use(account, METER, 80)
    lowered = follow(account, METER, [quota(50)], 6, 1, "calls")
    assert (lowered.remaining(), lowered.overage) == (0, 30)
    assert conserved(lowered)
    assert lowered.used() == 80
    raised = follow(lowered, METER, [quota(100)], 7, 1, "calls")
    assert (raised.remaining(), raised.overage) == (20, 0)
    next_month = follow(lowered, METER, [quota(50)], 31 * DAY_MS, 1, "calls")
    assert (next_month.remaining(), next_month.overage) == (50, 0)


def test_following_twice_changes_nothing() -> None:
    sources = [quota(100), Line("plan:pro:1", 50, 3, kind=GrantKind.PROMOTIONAL, lasts=Span(30, Unit.DAY))]
    once = follow(Account(), METER, sources, 40, 1, "calls")
    assert follow(once, METER, sources, 40, 1, "calls") == once
    assert once.remaining() == 150


def test_leaving_a_plan_and_coming_back_does_not_grant_twice() -> None:
    rules = Rules()
    account = use(follow(Account(), rules, [quota(100, key=PRO)], 1, 1, "credits"), rules, 70)
    away = follow(account, rules, [], 2, 1, "credits")
    assert away.remaining() == 0
    back = follow(away, rules, [quota(100, key=PRO)], 3, 1, "credits")
    assert back.remaining() == 30
    assert conserved(back)
    next_month = follow(away, rules, [quota(100, key=PRO)], 31 * DAY_MS, 1, "credits")
    assert next_month.remaining() == 100


def test_a_grant_made_once_stays_and_is_not_made_again() -> None:
    rules = Rules()
    signup = Line("plan:pro:0", 50, 10)
    account = use(follow(Account(), rules, [signup], 20, 1, "credits"), rules, 20)
    away = follow(account, rules, [], 30, 1, "credits")
    assert away.remaining() == 30
    assert follow(away, rules, [replace(signup, starts_at=40)], 40, 1, "credits").remaining() == 30


def test_a_voided_plan_grant_stays_void() -> None:
    rules = Rules()
    account = follow(Account(), rules, [quota(100, key=PRO)], 1, 1, "credits")
    account = void(account, account.holdings[0].id)
    assert follow(account, rules, [quota(100, key=PRO)], 40 * DAY_MS, 1, "credits").remaining() == 0


def test_a_trial_ends_at_its_instant_however_late_one_looks() -> None:
    rules = Rules()
    trial = quota(100, key="trial:pro:m", ends_at=10 * DAY_MS)
    account = follow(Account(), rules, [trial], 1, 1, "credits")
    assert lend(account, rules).valid_until == 10 * DAY_MS
    assert follow(account, rules, [], 90 * DAY_MS, 1, "credits").remaining() == 0


@given(st.integers(1, 50), ROLLOVERS, st.integers(0, 200))
def test_a_minute_recurrence_over_years_is_one_step(amount: int, rollover: Rollover, units: int) -> None:
    every = Recurrence(Span(1, Unit.MINUTE), Anchor.CALENDAR, 0)
    account = Account((make("m", amount, recurrence=every, rollover=rollover),))
    account = advance(use(account, Rules(), min(units, amount)), Rules(), 3_650 * DAY_MS)
    assert conserved(account)
    assert account.remaining() <= amount + max(rollover.max, amount)


MINUTES = st.builds(Span, st.integers(1, 3), st.just(Unit.MINUTE))
SHORT = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.integers(0, 2_000),
        st.one_of(st.none(), st.integers(2_001, 4_000)),
        MINUTES,
        st.one_of(st.none(), MINUTES, st.just(Span(1, Unit.MONTH))),
        st.builds(
            Rollover,
            st.integers(0, 20),
            st.integers(0, 9_000),
            st.sampled_from([0, 50, 99, 100]),
            st.booleans(),
            st.sampled_from(RolloverAt),
        ),
    ),
    min_size=1,
    max_size=3,
)


@examples(10)
@given(SHORT, RULES, st.integers(0, 5_000))
def test_leaping_over_thousands_of_refills_equals_walking(
    terms: list[tuple[int, int, int | None, Span, Span | None, Rollover]], rules: Rules, units: int
) -> None:
    account = Account()
    for number, (amount, starts, ends, every, lasts, rollover) in enumerate(terms):
        grant = Grant(
            f"g{number}",
            amount,
            effective_at=starts * 60_000,
            expires_at=None if ends is None else ends * 60_000,
            lasts=lasts,
            rollover=rollover,
            recurrence=Recurrence(every, Anchor.CALENDAR, 0),
        )
        account = put(account, rules, grant)
    account = walked = use(account, rules, units)
    there = advance(account, rules, 3 * DAY_MS)
    for at in range(0, 3 * DAY_MS, 15 * 3_600_000):  # Never more than 900 refills at once.
        walked = advance(walked, rules, at)
    walked = advance(walked, rules, 3 * DAY_MS)
    assert there == walked
    assert balances(postings(there.moved)) == balances(postings(walked.moved))
    assert [one.at for one in there.moved] == sorted(one.at for one in there.moved)
    # The oldest of more than 1,000 refills may be one movement; of the last ten hours each is one.
    late = 3 * DAY_MS - 600 * 60_000
    assert [one for one in there.moved if one.at > late] == [one for one in walked.moved if one.at > late]


def paid(id: str, amount: int, **terms: Any) -> Grant:
    return Grant(id, amount, kind=GrantKind.TOP_UP, **terms)


def test_a_refund_takes_a_part_and_the_grant_goes_on() -> None:
    account = use(put(Account(), Rules(), paid("a", 100)), Rules(), 30)
    account = refund(account, "a", 50)
    [held] = account.holdings
    assert (held.remaining, held.voided, held.allowed, held.used) == (20, 50, 50, 30)
    assert held.grant.voided_at is None
    account = use(account, Rules(), 25)
    assert (account.remaining(), account.overage) == (0, 5)
    account = use(account, Rules(), -15)  # Owed first, then to the grant.
    assert (account.remaining(), account.overage) == (10, 0)
    assert [one.kind.value for one in account.moved] == [
        "issue", "burn", "refund", "burn", "overage", "overage", "return"
    ]  # fmt: skip
    assert books.conserved(account, postings(account.moved)) == []


def test_all_that_is_refunded_is_burned_no_more() -> None:
    account = put(put(Account(), Rules(), paid("a", 10, priority=1)), Rules(), paid("b", 10, priority=2))
    account = use(refund(account, "a", 10), Rules(), 4)
    assert [one.remaining for one in account.holdings] == [0, 6]


def test_a_payment_taken_back_leaves_what_was_used_owed_and_others_pay() -> None:
    account = put(put(Account(), Rules(), paid("a", 10, priority=1)), Rules(), paid("b", 3, priority=2))
    account = use(account, Rules(), 8)
    after = charge_back(account, Rules(), {"a"})
    assert [(one.remaining, one.burned, one.voided) for one in after.holdings] == [(0, 0, 10), (0, 3, 0)]
    assert (after.overage, after.used()) == (5, 8)
    assert [(one.kind.value, one.units) for one in after.moved[len(account.moved) :]] == [
        ("owe", 8), ("charge_back", 10), ("pay_overage", 3)
    ]  # fmt: skip
    assert books.conserved(after, postings(after.moved)) == []
    assert charge_back(after, Rules(), {"a"}) == after
    assert put(after, Rules(), paid("c", 9)).remaining() == 4


def test_grants_that_are_taken_back_together_do_not_pay_for_each_other() -> None:
    account = put(put(Account(), Rules(), paid("a", 10, priority=1)), Rules(), paid("b", 10, priority=2))
    after = charge_back(use(account, Rules(), 12), Rules(), {"a", "b"})
    assert (after.remaining(), after.overage) == (0, 12)


def test_what_ended_or_was_parked_is_taken_back_too() -> None:
    account = use(put(Account(), Rules(), paid("a", 10, expires_at=DAY_MS)), Rules(), 4)
    after = charge_back(advance(account, Rules(), 2 * DAY_MS), Rules(), {"a"})
    [held] = after.holdings
    assert (held.burned, held.expired, held.voided, after.overage) == (0, 0, 10, 4)
    assert books.conserved(after, postings(after.moved)) == []
    gone = charge_back(taken(account, Rules(), 5), Rules(), {"a"})
    [held] = gone.holdings
    assert (held.parked, held.voided, gone.overage) == (None, 10, 4)
    assert [one.kind.value for one in gone.moved][-4:] == ["void", "unvoid", "owe", "charge_back"]
    assert returned(gone, Rules(), 5, 6, all=True).remaining() == 0
