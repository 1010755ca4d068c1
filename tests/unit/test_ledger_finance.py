"""What units are worth: laws for any movements, then cases by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from fastcheck.ledger.finance import CLASSES, Class, GrantBooks, Price, movement, used_by, worth
from fastcheck.ledger.model import Movement, MovementKind
from fastcheck.ledger.postings import postings

OUT = (MovementKind.BURN, MovementKind.PAY_OVERAGE, MovementKind.EXPIRE, MovementKind.VOID)
ISSUE, BURN, RETURN = MovementKind.ISSUE, MovementKind.BURN, MovementKind.RETURN
amounts = some.integers(1, 10**18)
prices = some.builds(Price, some.integers(1, 10**12), some.integers(0, 10**6), some.just("EUR"))


@given(some.sampled_from(list(MovementKind)), some.integers(1, 10**18), some.booleans())
def test_a_posting_says_which_movement_it_came_from(kind: MovementKind, units: int, negative: bool) -> None:
    if negative and kind in (MovementKind.OVERAGE, MovementKind.WRITE_OFF):
        units = -units
    [posted] = postings([Movement(0, kind, "g", units)])
    assert movement(posted.source.value, posted.target.value, posted.units) == (kind, units)


@given(some.integers(1, 10**9), some.integers(0, 10**9), some.lists(some.integers(1, 10**6)))
def test_under_one_price_the_parts_are_the_floor_of_the_whole(
    amount: int, cost: int, burns: list[int]
) -> None:
    price, statements = Price(amount, cost, "EUR"), GrantBooks()
    worth = sum(burns)
    assert statements.take(ISSUE, amount, price) == cost
    statements.take(ISSUE, max(1, worth), price)
    earned = [statements.take(BURN, units, price) for units in burns]
    assert sum(earned) == cost * worth // amount


@given(some.lists(some.tuples(prices, some.integers(1, 10**12)), min_size=1, max_size=6), some.data())
def test_whatever_the_prices_all_that_was_sold_is_recognised_when_nothing_remains(
    issues: list[tuple[Price, int]], data: some.DataObject
) -> None:
    statements, by_class = GrantBooks(), dict.fromkeys(Class, 0)
    left = out = 0
    for price, units in issues:
        by_class[Class.SOLD] += statements.take(ISSUE, units, price)
        left += units
        if out and data.draw(some.booleans()):
            back = data.draw(some.integers(1, out))
            by_class[Class.BURNED] += statements.take(RETURN, back, price)
            left, out = left + back, out - back
        gone = data.draw(some.integers(0, left))
        if gone:
            kind = data.draw(some.sampled_from(OUT))
            by_class[CLASSES[kind]] += statements.take(kind, gone, price)
            left, out = left - gone, out + gone
        assert statements.sold - statements.recognised >= 0
        assert statements.sold == by_class[Class.SOLD]
    if left:
        by_class[Class.BREAKAGE] += statements.take(MovementKind.EXPIRE, left, issues[0][0])
    earned = by_class[Class.BURNED] + by_class[Class.BREAKAGE] + by_class[Class.VOIDED]
    assert by_class[Class.SOLD] == earned


def test_ten_euros_for_three_credits_are_earned_to_the_cent() -> None:
    price, statements = Price(3, 1000, "EUR"), GrantBooks()
    assert statements.take(ISSUE, 3, price) == 1000
    assert [statements.take(BURN, 1, price) for _ in range(3)] == [333, 333, 334]


def test_each_refill_is_sold_again_and_what_it_did_not_use_is_breakage() -> None:
    price, statements = Price(100, 1000, "EUR"), GrantBooks()
    assert statements.take(ISSUE, 100, price) == 1000
    assert statements.take(BURN, 30, price) == 300
    assert statements.take(MovementKind.EXPIRE, 70, price) == 700
    assert statements.take(ISSUE, 100, price) == 1000
    assert statements.sold - statements.recognised == 1000


def test_a_new_price_counts_for_what_is_put_in_from_then_on() -> None:
    statements = GrantBooks()
    assert statements.take(ISSUE, 100, Price(100, 1000, "EUR")) == 1000
    assert statements.take(BURN, 50, Price(100, 1000, "EUR")) == 500
    assert statements.take(ISSUE, 100, Price(100, 2000, "EUR")) == 2000
    assert statements.take(BURN, 100, Price(100, 2000, "EUR")) == 500 + 1000
    assert statements.take(RETURN, 60, Price(100, 2000, "EUR")) == -1000 - 100


def test_what_was_given_for_nothing_is_worth_nothing() -> None:
    statements = GrantBooks()
    assert statements.take(ISSUE, 100, Price(0, 0, "")) == 0
    assert statements.take(BURN, 100, Price(0, 0, "")) == 0


def test_use_is_what_was_burned_and_what_is_owed() -> None:
    given_back = [(RETURN, 5), (MovementKind.OVERAGE, -3), (MovementKind.WRITE_OFF, -2)]
    assert sum(used_by(*one) for one in [(BURN, 10), (MovementKind.OVERAGE, 7), *given_back]) == 7
    assert used_by(MovementKind.WRITE_OFF, 4) == used_by(MovementKind.PAY_OVERAGE, 4) == 0


@given(some.integers(1, 10**6), some.integers(0, 10**5), some.data())
def test_a_payment_that_was_taken_back_leaves_nothing_earned(
    amount: int, cost: int, data: some.DataObject
) -> None:
    """Whatever was used, ended and paid back before, in whatever parts."""
    price, books = Price(amount, cost, "EUR"), GrantBooks()
    assert books.take(ISSUE, amount, price) == cost
    worths, units = dict.fromkeys(Class, 0), dict.fromkeys(Class, 0)
    left = amount
    for kind in data.draw(some.lists(some.sampled_from((BURN, MovementKind.EXPIRE, MovementKind.REFUND)))):
        part = data.draw(some.integers(0, left))
        if part:
            left -= part
            units[CLASSES[kind]] += part
            worths[CLASSES[kind]] += books.take(kind, part, price)
    for kind in (MovementKind.OWE, MovementKind.UNEXPIRE):
        part = units[CLASSES[kind]]
        if part:
            left += part
            worths[CLASSES[kind]] += books.take(kind, part, price)
    if left:
        worths[Class.CHARGED_BACK] += books.take(MovementKind.CHARGE_BACK, left, price)
        assert worths[Class.BURNED] == worths[Class.BREAKAGE] == 0
        assert worths[Class.CHARGED_BACK] == cost - worths[Class.REFUNDED]
    assert (books.sold, books.recognised) == (cost, sum(worths.values()))


@given(some.integers(1, 10**6), some.integers(0, 10**6), some.lists(some.integers(0, 10**5)))
def test_what_units_are_worth_is_what_the_books_say(amount: int, cost: int, parts: list[int]) -> None:
    price, books, out = Price(amount, cost, "EUR"), GrantBooks(), 0
    books.take(ISSUE, amount, price)
    for part in parts:
        part = min(part, amount - out)
        found = worth(cost, amount, out, part)
        assert found == (books.take(MovementKind.REFUND, part, price) if part else 0)
        out += part
