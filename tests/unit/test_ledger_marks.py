"""Thresholds on the way down: each is passed once, whatever the steps, and set again only by a gain."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from fastcheck.ledger.burn import put, use
from fastcheck.ledger.marks import NET_MAX, Marks, from_plain, marks, passed, plain, total
from fastcheck.ledger.model import AMOUNT_MAX, Account, Grant, Rules, full
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.wire.packing import pack, unpack

SOFT = Rules(overdraft=None)
PERCENTS = some.lists(some.integers(1, 1_000), max_size=5).map(tuple)
STEPS = some.lists(some.integers(0, 3_000), max_size=20)


def account(*amounts: int) -> Account:
    made = Account()
    for place, amount in enumerate(amounts):
        made = put(made, SOFT, Grant(f"g{place}", amount))
    return made


def walk(known: Marks, steps: list[int], net: int = 0) -> tuple[Marks, list[int], int]:
    """The marks after some use, what was told on the way, the net use."""
    told: list[int] = []
    for step in steps:
        net += step
        found = passed(known, net)
        told += found.percents
        known = found.marks
    return known, told, net


@given(some.integers(1, 1_000), PERCENTS, STEPS)
def test_what_is_told_is_what_was_used_of_what_was_granted_once_in_order(
    amount: int, percents: tuple[int, ...], steps: list[int]
) -> None:
    _, told, net = walk(marks(account(amount), percents, 0, None, None), steps)
    assert told == [one for one in sorted(set(percents)) if net * 100 >= one * amount and steps]


@given(some.lists(some.integers(1, 500), min_size=1, max_size=4), PERCENTS, STEPS, STEPS)
def test_another_lease_tells_nothing_again(
    amounts: list[int], percents: tuple[int, ...], first: list[int], second: list[int]
) -> None:
    before = account(*amounts)
    known, told, net = walk(marks(before, percents, 0, None, None), first)
    after = use(before, SOFT, net)
    _, more, _ = walk(marks(after, percents, 0, known, None), second)
    assert not {*told} & {*more}
    if len(amounts) == 1:
        # One grant: the steps of two leases tell what those of one do.
        assert told + more == walk(marks(before, percents, 0, None, None), first + second)[1]


@given(some.integers(1, 1_000), PERCENTS, some.integers(0, 2_000), some.integers(0, 2_000))
def test_units_given_back_set_nothing_again(
    amount: int, percents: tuple[int, ...], used: int, given_back: int
) -> None:
    before = account(amount)
    known, told, net = walk(marks(before, percents, 0, None, None), [used])
    after = use(use(before, SOFT, net), SOFT, -min(given_back, net))
    _, more, _ = walk(marks(after, percents, 0, known, None), [5_000])
    assert not {*told} & {*more}


@given(some.integers(1, 1_000), PERCENTS, some.integers(0, 2_000), some.integers(1, 5_000))
def test_a_gain_sets_again_exactly_what_it_lifts_the_balance_above(
    amount: int, percents: tuple[int, ...], used: int, bought: int
) -> None:
    before = account(amount)
    known, _, net = walk(marks(before, percents, 0, None, None), [used])
    after = put(use(before, SOFT, net), SOFT, Grant("more", bought))
    again = marks(after, percents, net, known, None)
    units = total(after)
    spent = units - after.remaining() + after.overage
    assert [one for one, _ in again.ahead] == [
        one for one in sorted(set(percents)) if spent * 100 < one * units
    ]


@given(some.integers(0, 1_000), some.integers(0, 1_500), some.integers(1, 300), STEPS)
def test_a_top_up_is_due_once_when_the_balance_comes_to_the_threshold(
    amount: int, used: int, threshold: int, steps: list[int]
) -> None:
    known = marks(use(account(amount), SOFT, used), (), 0, None, threshold)
    left, net, due = amount - used, 0, []
    for step in steps:
        net += step
        found = passed(known, net)
        known = found.marks
        due.append(found.top_up)
    assert any(due) == (left > threshold >= left - net and bool(steps))
    assert due.count(True) <= 1


@given(some.integers(1, AMOUNT_MAX), PERCENTS, some.integers(0, 1 << 47))
def test_marks_are_stored_and_read_as_they_were(amount: int, percents: tuple[int, ...], net: int) -> None:
    known = passed(marks(account(amount), percents, 0, None, 5), net).marks
    assert from_plain(unpack(pack(plain(known)))) == known
    assert all(at <= NET_MAX for _, at in known.ahead)


def test_ninety_percent_of_a_thousand_is_at_nine_hundred() -> None:
    known = marks(account(1_000), (90, 100, 120), 0, None, 250)
    assert known.ahead == ((90, 900), (100, 1_000), (120, 1_200))
    assert known.top_up_at == 750
    found = passed(known, 1_000)
    assert (found.percents, found.top_up) == ((90, 100), True)
    assert (known.remaining(950), known.remaining(1_150)) == (50, 0)


def test_a_balance_without_grants_has_no_marks() -> None:
    assert marks(Account(), (90, 100), 0, None, None).ahead == ()
    assert marks(use(Account(), SOFT, 5), (90, 100, 200), 0, None, None).ahead == ()


def test_what_was_bought_and_used_up_long_ago_does_not_count() -> None:
    spent = use(account(1_000), SOFT, 1_000)
    known = marks(put(spent, SOFT, Grant("new", 100)), (90,), 0, None, None)
    assert known.ahead == ((90, 90),)
    # Until something new is granted, percents are of what there was.
    first = marks(account(1_000), (90, 150), 0, None, None)
    assert marks(spent, (90, 150), 0, passed(first, 1_000).marks, None).ahead == ((150, 500),)


def test_a_refill_counts_its_full_amount_and_what_was_carried_over() -> None:
    month = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 0)
    plan = full(Grant("plan", 100, recurrence=month))
    assert total(Account((replace(plan, remaining=0, burned=100),))) == 100
    assert total(Account((replace(plan, remaining=120, granted=120, rolled=20),))) == 120
    lapsed = Grant("day", 100, recurrence=month, lasts=Span(1, Unit.DAY))
    assert total(Account((replace(full(lapsed), remaining=0, expired=100),), as_of=3 * 86_400_000)) == 0
