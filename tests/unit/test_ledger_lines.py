"""Rows of decision 0012, each on an account alone: what becomes of a line where something changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastcheck.ledger.burn import advance, put, use
from fastcheck.ledger.lines import Change, Line, Why, across, returned, taken
from fastcheck.ledger.model import Account, Cost, Grant, GrantKind, Rollover, Rules
from fastcheck.ledger.periods import DAY_MS, Anchor, Recurrence, Span, Unit
from fastcheck.ledger.postings import conserved, postings

RULES = Rules()
THIRTY = Recurrence(Span(30, Unit.DAY), Anchor.ANNIVERSARY, 0)
MONTHLY = Line("plan:pro:monthly", 60, 0, recurrence=THIRTY)
ONCE = Line("plan:pro:welcome", 60, 0)
PAID = Cost(600, "EUR")


def begun(*lines: Line, used: int = 0) -> Account:
    account = across(Account(), RULES, Change(0, Why.CUSTOMER, (), lines), 1, "c")
    return use(account, RULES, used)


def changed(
    account: Account, before: tuple[Line, ...], after: tuple[Line, ...], day: float, why: Why = Why.CUSTOMER
) -> Account:
    found = across(account, RULES, Change(int(day * DAY_MS), why, before, after), 1, "c")
    assert conserved(found, postings(found.moved)) == []
    again = across(found, RULES, Change(int(day * DAY_MS), why, before, after), 1, "c")
    assert replace(again, moved=()) == replace(found, moved=()), "crossing again changes nothing"
    return found


def left(account: Account, day: float) -> int:
    return advance(account, RULES, int(day * DAY_MS)).remaining()


def test_a_line_that_leaves_the_catalog_stays_until_its_refill() -> None:
    account = changed(begun(MONTHLY, used=10), (MONTHLY,), (), 5, Why.CATALOG)
    assert [left(account, day) for day in (5, 29, 30, 90)] == [50, 50, 0, 0]
    back = changed(account, (), (MONTHLY,), 10, Why.CATALOG)
    assert [left(back, day) for day in (10, 30)] == [50, 60], "it is the same line"


def test_a_line_that_the_customer_leaves_is_taken_at_once() -> None:
    account = changed(begun(MONTHLY, used=10), (MONTHLY,), (), 5)
    assert left(account, 5) == 0
    assert left(changed(account, (), (MONTHLY,), 10), 10) == 50
    assert left(changed(account, (), (replace(MONTHLY, starts_at=40 * DAY_MS),), 40), 40) == 60


@pytest.mark.parametrize(("why", "now"), [(Why.CATALOG, 50), (Why.CUSTOMER, 20)])
def test_a_lowered_line_falls_now_or_at_the_refill(why: Why, now: int) -> None:
    account = changed(begun(MONTHLY, used=10), (MONTHLY,), (replace(MONTHLY, amount=30),), 5, why)
    assert [left(account, day) for day in (5, 30)] == [now, 30]


@pytest.mark.parametrize("why", Why)
def test_a_raised_line_rises_now(why: Why) -> None:
    account = changed(begun(MONTHLY, used=10), (MONTHLY,), (replace(MONTHLY, amount=90),), 5, why)
    assert [left(account, day) for day in (5, 30)] == [80, 90]


def test_a_paid_line_falls_at_the_refill_and_rises_to_nothing_new() -> None:
    paid = replace(MONTHLY, cost=PAID)
    less = replace(paid, amount=30, cost=Cost(300, "EUR"))
    account = changed(begun(paid, used=50), (paid,), (less,), 5)
    assert [left(account, day) for day in (5, 30)] == [10, 30]
    assert left(changed(account, (less,), (paid,), 6), 6) == 10


def test_what_is_paid_for_once_stays() -> None:
    paid = replace(ONCE, cost=PAID)
    less = replace(paid, amount=30, cost=Cost(300, "EUR"))
    account = changed(begun(paid, used=50), (paid,), (less,), 5)
    assert left(account, 400) == 10


def test_what_is_given_once_keeps_what_the_catalog_said() -> None:
    account = begun(ONCE, used=10)
    for amount in (5, 500):
        assert left(changed(account, (ONCE,), (replace(ONCE, amount=amount),), 5, Why.CATALOG), 5) == 50
    assert left(changed(account, (ONCE,), (), 5, Why.CATALOG), 5) == 50
    assert left(changed(account, (ONCE,), (replace(ONCE, amount=30),), 5), 5) == 20
    assert left(changed(account, (ONCE,), (replace(ONCE, amount=90),), 5), 5) == 80


def test_a_refill_forgets_what_was_used_and_what_was_allowed() -> None:
    account = changed(begun(MONTHLY, used=60), (MONTHLY,), (replace(MONTHLY, amount=30),), 5)
    assert left(account, 5) == 0
    account = advance(account, RULES, 30 * DAY_MS)
    assert left(changed(account, (replace(MONTHLY, amount=30),), (MONTHLY,), 31), 31) == 60


def test_use_given_back_to_a_line_that_fell_makes_up_for_its_fall() -> None:
    account = changed(begun(MONTHLY, used=60), (MONTHLY,), (replace(MONTHLY, amount=30),), 5)
    account = use(account, RULES, -20)
    assert (account.remaining(), account.used()) == (0, 40)
    account = use(account, RULES, -20)
    assert (account.remaining(), account.used()) == (10, 20)
    assert conserved(account, postings(account.moved)) == []


def test_what_was_rolled_over_is_beside_what_a_change_allows() -> None:
    line = replace(MONTHLY, rollover=Rollover(max=40))
    account = use(advance(begun(line), RULES, 30 * DAY_MS), RULES, 50)  # 40 rolled over, then 10 of 60.
    lowered = changed(account, (line,), (replace(line, amount=30),), 31)
    assert left(lowered, 31) == 20
    away = changed(use(advance(begun(line), RULES, 30 * DAY_MS), RULES, 10), (line,), (), 31)
    assert left(changed(away, (), (line,), 32), 32) == 90


def test_a_prorated_line_changes_by_what_is_left_of_the_period() -> None:
    line = replace(MONTHLY, prorated=True)
    more, less = replace(line, amount=120), replace(line, amount=30)
    account = begun(line)
    assert [left(changed(account, (line,), (more,), day), day) for day in (0, 15, 29)] == [120, 90, 62]
    lowered = changed(account, (line,), (less,), 15)
    assert left(lowered, 15) == 45
    assert left(changed(lowered, (less,), (line,), 15), 15) == 60
    assert left(changed(lowered, (less,), (line,), 16), 16) == 59, "of 30 more, 14/30 are left"
    later = replace(line, key="plan:pro:later", starts_at=15 * DAY_MS)
    assert left(changed(begun(), (), (later,), 15, Why.CATALOG), 15) == 30


def test_what_was_used_is_carried_to_the_lines_of_another_plan() -> None:
    gold = Line("plan:gold:monthly", 100, 0, recurrence=THIRTY)
    more = Line("plan:gold:more", 10, 0, priority=1, recurrence=THIRTY)
    account = changed(begun(MONTHLY, used=50), (MONTHLY,), (gold, more), 5)
    assert sorted(one.remaining for one in account.holdings) == [0, 0, 60]
    account = changed(use(account, RULES, 20), (gold, more), (MONTHLY,), 6)
    assert left(account, 6) == 0, "70 of 60 are used"
    assert left(account, 30) == 60


def test_a_trials_lines_carry_nothing() -> None:
    trial = Line("trial:pro:monthly", 60, 0, ends_at=20 * DAY_MS, recurrence=THIRTY)
    account = across(
        begun(trial, used=50),
        RULES,
        Change(5 * DAY_MS, Why.CUSTOMER, (trial,), (MONTHLY,), converted=True),
        1,
        "c",
    )
    assert account.remaining() == 60
    assert [one.remaining for one in account.holdings if one.grant.source == trial.key] == [0]


def test_a_deletion_takes_all_and_the_id_brings_back_what_was_paid_for() -> None:
    account = put(begun(ONCE, MONTHLY, used=10), RULES, Grant("bought", 7, kind=GrantKind.PAID))
    account = put(account, RULES, Grant("gift", 5, kind=GrantKind.PROMOTIONAL))
    gone = taken(account, RULES, 5 * DAY_MS)
    assert gone.remaining() == 0
    again = returned(gone, RULES, 5 * DAY_MS, 6 * DAY_MS, all=False)
    again = changed(again, (), (ONCE, MONTHLY), 6)
    assert again.remaining() == account.remaining() - 5
    restored = returned(gone, RULES, 5 * DAY_MS, 6 * DAY_MS, all=True)
    assert restored.remaining() == account.remaining()
    assert conserved(restored, postings(restored.moved)) == []
