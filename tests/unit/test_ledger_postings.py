"""Double entry: after anything that may happen to an account, every unit is where the postings say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fastcheck.ledger.burn import advance, put, reset, use, void
from fastcheck.ledger.lines import Line
from fastcheck.ledger.model import (
    Account,
    Grant,
    GrantKind,
    Movement,
    MovementKind,
    Rollover,
    RolloverAt,
    Rules,
)
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit
from fastcheck.ledger.postings import LedgerAccount, Posting, balances, conserved, postings
from rig.crossing import follow

SPANS = st.builds(Span, st.integers(1, 3), st.sampled_from([Unit.MINUTE, Unit.DAY, Unit.WEEK, Unit.MONTH]))
ROLLOVERS = st.builds(
    Rollover,
    st.integers(0, 20),
    st.integers(0, 99),
    st.integers(0, 100),
    st.booleans(),
    st.sampled_from(RolloverAt),
)
GRANTS = st.tuples(
    st.integers(0, 90),
    st.integers(0, 20),
    st.integers(1, 60),
    st.one_of(st.none(), SPANS),
    ROLLOVERS,
    st.one_of(st.none(), SPANS),
)
SOURCES = st.lists(
    st.builds(
        Line,
        st.sampled_from(["plan:pro:0", "plan:free:0", "meter:calls"]),
        st.integers(0, 90),
        st.just(0),
        st.one_of(st.none(), st.integers(1, 90 * DAY_MS)),
        st.integers(0, 2),
        st.sampled_from(GrantKind),
        st.one_of(st.none(), SPANS.map(lambda span: Recurrence(span, Anchor.CALENDAR, 0))),
        ROLLOVERS,
        st.one_of(st.none(), SPANS),
    ),
    max_size=2,
    unique_by=lambda line: line.key,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 40 * DAY_MS)),
        st.tuples(st.just("use"), st.integers(-60, 120)),
        st.tuples(st.just("put"), GRANTS),
        st.tuples(st.just("void"), st.integers(0, 4)),
        st.tuples(st.just("reset"), st.booleans()),
        st.tuples(st.just("follow"), SOURCES),
    ),
    max_size=12,
)
RULES = st.builds(Rules, period_clears_overage=st.booleans())


def step(account: Account, rules: Rules, kind: str, what: object) -> Account:
    at = account.as_of
    if kind == "advance":
        return advance(account, rules, at + what)  # type: ignore[operator]
    if kind == "use":
        return use(account, rules, what)  # type: ignore[arg-type]
    if kind == "reset":
        return reset(account, rules, at, keep_overage=what)  # type: ignore[arg-type]
    if kind == "void":
        held = account.holdings[what : what + 1]  # type: ignore
        return void(account, held[0].id) if held else account
    if kind == "follow":
        return follow(account, rules, what, at, 1, "credits")  # type: ignore[arg-type]
    units, starts, lasts_days, every, rollover, lasts = what  # type: ignore[misc]
    starts_at = at + starts * DAY_MS  # type: ignore[has-type]
    grant = Grant(
        f"g{len(account.holdings)}",
        units,  # type: ignore[has-type]
        effective_at=starts_at,
        rollover=rollover,  # type: ignore[has-type]
        lasts=lasts,  # type: ignore[has-type]
        expires_at=starts_at + lasts_days * DAY_MS,  # type: ignore[has-type]
        recurrence=None if every is None else Recurrence(every, Anchor.ANNIVERSARY, starts_at),  # type: ignore[has-type]
    )
    return put(account, rules, grant)


@given(STEPS, RULES)
def test_after_any_sequence_every_law_holds(steps: list[tuple[str, object]], rules: Rules) -> None:
    account, used = Account(), 0
    for kind, what in steps:
        account = step(account, rules, kind, what)
        used += what if kind == "use" else 0  # type: ignore[operator]
        assert conserved(account, postings(account.moved)) == []
        assert account.used() == used


def test_a_grant_that_pays_what_was_owed_takes_it_from_what_is_owed() -> None:
    """And not from what was used, which was posted when it was used."""
    account = put(use(Account(), Rules(overdraft=None), 7), Rules(), Grant("late", 10))
    assert balances(postings(account.moved)) == {
        "used": 7,
        f"{LedgerAccount.GRANT.value}:late": 3,
        LedgerAccount.ISSUED.value: -10,
    }


@given(STEPS, RULES)
def test_no_grant_is_ever_below_nothing_in_the_course_of_the_postings(
    steps: list[tuple[str, object]], rules: Rules
) -> None:
    account = Account()
    for kind, what in steps:
        account = step(account, rules, kind, what)
    held: dict[str, int] = {}
    for one in postings(account.moved):
        for where, sign in ((one.source, -1), (one.target, 1)):
            if where is LedgerAccount.GRANT:
                assert one.grant is not None
                held[one.grant] = held.get(one.grant, 0) + sign * one.units
                assert held[one.grant] >= 0


def test_each_broken_law_is_named() -> None:
    account = put(Account(), Rules(), Grant("g", 10))
    account = use(account, Rules(), 4)
    holding = account.holdings[0]
    lost = replace(account, holdings=(replace(holding, remaining=5),))
    assert conserved(lost) == ["grant g: granted 10 is not remaining 5 + burned 4 + expired 0 + voided 0"]
    assert "grant g: remaining: the postings say 6, the account says 5" in conserved(
        lost, postings(lost.moved)
    )
    assert conserved(replace(account, overage=-1)) == ["overage is -1: it is never negative"]
    assert "used: the postings say 4, the account says 5" in conserved(
        replace(account, written_off=1), postings(account.moved)
    )
    assert conserved(Account(), postings(account.moved))[-1] == (
        "grant g: it has postings and is not in the account"
    )
    below = replace(account, holdings=(replace(holding, remaining=-1, expired=7),))
    assert conserved(below) == [
        "grant g: a counter is negative",
        "grant g: rolled 0 is more than remaining -1",
    ]
    twice = (*postings(account.moved), *postings(account.moved))
    assert "grant g: burned: the postings say 8, the account says 4" in conserved(account, twice)


def test_movements_become_transfers_of_positive_units() -> None:
    account = use(put(Account(as_of=5), Rules(), Grant("g", 10)), Rules(), 12, at=7)
    assert account.moved == (
        Movement(5, MovementKind.ISSUE, "g", 10),
        Movement(7, MovementKind.BURN, "g", 10),
        Movement(7, MovementKind.OVERAGE, None, 2),
    )
    account = use(account, Rules(), -13)
    entries = postings(account.moved)
    assert entries[-3:] == (
        Posting(5, None, LedgerAccount.USED, LedgerAccount.OVERAGE, 2),
        Posting(5, "g", LedgerAccount.USED, LedgerAccount.GRANT, 10),
        Posting(5, None, LedgerAccount.USED, LedgerAccount.WRITTEN_OFF, 1),
    )
    assert balances(entries) == {"issued": -10, "granted:g": 10, "used": -1, "written_off": 1}


def test_a_parked_plan_comes_back_with_what_was_left_and_says_so() -> None:
    monthly = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)
    source = Line("plan:pro:0", 100, 0, recurrence=monthly)
    account = use(follow(Account(), Rules(), [source], 5, 1, "credits"), Rules(), 70)
    account = follow(account, Rules(), [], 6, 1, "credits")
    account = follow(account, Rules(), [source], 7, 1, "credits")
    kinds = [(one.at, one.kind.value, one.units) for one in account.moved]
    assert kinds == [(0, "issue", 100), (5, "burn", 70), (6, "void", 30), (7, "unvoid", 30)]
