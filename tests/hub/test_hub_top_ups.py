"""Automatic top-ups: never over the month's cap, never twice for one crossing, and the balance ends at the
target unless the cap stood in the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Terms, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.topup import month_starts_at
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_top_up
from rig.samples import examples
from rig.serving import Service

POOL = "soft_credits"
"""Of scale 0, with an overdraft of 100."""


def made(store: Store, clock: ManualClock, granted: int = 1_000) -> Service:
    service = Service(store, clock, parse)
    service.set_catalog(FakeCatalog(), FakeCatalog().source(), "catalog.json")
    service.put_customers([put_customer("acme", plan="free")])
    service.grant(make_grant("acme", POOL, granted))
    return service


def rule(service: Service, threshold: int, target: int, cap: int | None = None, **more: Any) -> None:
    service.put_top_up(put_top_up("acme", POOL, threshold, target, monthly_cap=cap, **more))


def totals(terms: Terms, spent: int) -> Totals:
    return Totals(terms.number, terms.pool, terms.lease, spent, 0, False)


def left(service: Service) -> int:
    balance = service.balance("acme", POOL)
    return int((balance.remaining or 0) - balance.overage)


def do_due(service: Service, times: int = 1) -> list[int]:
    """What each rule that was due topped up; asked as often as several owners would."""
    done = [service.top_up(*key) for key in service.top_ups_due(10) for _ in range(times)]
    return [one.units for one in done if one.units]


@examples(15)
@given(
    some.integers(0, 300),
    some.integers(1, 500),
    some.none() | some.integers(1, 1_500),
    some.lists(some.tuples(some.integers(0, 400), some.sampled_from([0, 1, 9, 40])), max_size=25),
)
def test_the_laws_of_top_ups(
    threshold: int, above: int, cap: int | None, steps: list[tuple[int, int]]
) -> None:
    clock, target = ManualClock(MAY_2024_MS), threshold + above
    store = SqliteStore.in_memory()
    try:
        service = made(store, clock)
        rule(service, threshold, target, cap)
        do_due(service)
        terms, spent, months = service.lend("acme", POOL), 0, dict[int, int]()
        for units, days in steps:
            clock.advance(days * DAY_MS)
            # A host spends what it was lent, and no more.
            spent = min(spent + units, service.lend("acme", POOL).lent)
            service.settle([totals(terms, spent)])
            before, month = left(service), month_starts_at(clock.now_ms())
            topped = do_due(service, times=3)
            assert len(topped) <= 1, "twice for one crossing"
            for more in topped:
                assert before <= threshold
                months[month] = months.get(month, 0) + more
                room = None if cap is None else cap - months[month]
                assert room is None or room >= 0, "over the cap"
                assert left(service) == target if room != 0 else left(service) <= target
            if not topped and before <= threshold:
                assert months.get(month, 0) == cap, "low, and nothing was done"
        events = [one for one in service.list_events(limit=1_000).items if one.kind == "topped_up"]
        grants = [one for one in service.list_grants("acme", POOL) if one.kind == "top_up"]
        first = sum(one.data["amount"] for one in events) - sum(months.values())
        assert first >= 0
        assert sorted(one.data["grant"] for one in events) == sorted(one.id for one in grants)
        assert sum(one.amount for one in grants) == sum(one.data["amount"] for one in events)
    finally:
        store.close()


def test_a_crossing_tops_up_to_the_target_once(any_store: Store, clock: ManualClock) -> None:
    service = made(any_store, clock)
    rule(service, 200, 900, cost=(450, "EUR"))
    assert do_due(service) == []
    terms = service.lend("acme", POOL)
    service.settle([totals(terms, 799)])
    assert service.top_ups_due(10) == []
    for _ in range(3):
        service.settle([totals(terms, 850)])
    [(number, pool)] = service.top_ups_due(10)
    done = service.top_up(number, pool, totals=totals(terms, 860))
    assert done.units == 760
    assert done.terms is not None
    assert done.terms.lent >= 860 + 900
    assert left(service) == 900
    assert [service.top_up(number, pool).units for _ in range(2)] == [0, 0]
    [told] = service.list_events(kind="topped_up").items
    assert told.data == {
        "pool": POOL,
        "grant": f"topup:auto/{number}/{POOL}:2024-05:0",
        "amount": 760,
        "remaining": 900,
    }
    # The raised lease knows the threshold anew.
    service.settle([totals(terms, 860 + 700)])
    assert do_due(service) == [700]


def test_the_cap_holds_for_the_month_and_for_a_rule_that_comes_back(
    any_store: Store, clock: ManualClock
) -> None:
    service = made(any_store, clock)
    rule(service, 200, 1_000, 1_000)
    terms = service.lend("acme", POOL)
    service.settle([totals(terms, 900)])
    assert do_due(service) == [900]
    service.settle([totals(terms, 1_800)])
    assert do_due(service) == [100]
    assert [one.data["remaining"] for one in service.list_events(kind="top_up_capped").items] == [200]
    assert service.remove_top_up("acme", POOL)
    assert not service.remove_top_up("acme", POOL)
    rule(service, 200, 1_000, 1_000)
    assert do_due(service) == []
    assert service.top_ups_due(10) == []
    [shown] = service.list_top_ups("acme")
    assert (shown.topped_up, shown.monthly_cap) == (1_000, 1_000)
    # The month turns, and what was low is topped up though nobody spends.
    clock.set(MAY_2024_MS + 31 * DAY_MS)
    assert do_due(service) == [800]
    assert left(service) == 1_000
    assert [one.topped_up for one in service.list_top_ups()] == [800]


def test_what_the_customer_owes_is_topped_up_as_well(any_store: Store, clock: ManualClock) -> None:
    service = made(any_store, clock, granted=10)
    terms = service.lend("acme", POOL)
    service.settle([totals(terms, 60)])
    rule(service, 0, 100)
    assert do_due(service) == [150]
    assert left(service) == 100


def test_a_balance_that_fell_by_itself_is_topped_up_at_the_next_lease(
    any_store: Store, clock: ManualClock
) -> None:
    service = made(any_store, clock, granted=10)
    service.grant(make_grant("acme", POOL, 500, expires_at=MAY_2024_MS + DAY_MS))
    rule(service, 50, 100)
    assert do_due(service) == []
    clock.advance(DAY_MS)
    service.lend("acme", POOL)
    assert do_due(service) == [90]


def test_a_deleted_customer_is_not_topped_up(any_store: Store, clock: ManualClock) -> None:
    service = made(any_store, clock, granted=10)
    rule(service, 50, 100)
    service.delete_customer("acme")
    assert service.top_ups_due(10) == []
    assert service.list_top_ups() == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda service: rule(service, 100, 100), errors.AmountError),
        (lambda service: rule(service, -1, 100), errors.AmountError),
        (lambda service: rule(service, 1, 100, 0), errors.AmountError),
        (lambda service: rule(service, 1, 1.5), errors.WrongType),  # type: ignore[arg-type]
        (lambda service: rule(service, 1, 100, cost="5 EUR"), errors.WrongType),
        (lambda service: rule(service, 1, 100, cost=(-5, "EUR")), errors.AmountError),
        (lambda service: service.put_top_up(put_top_up("acme", "api_calls", 1, 9)), errors.RecordError),
        (lambda service: service.put_top_up(put_top_up("acme", "none", 1, 9)), errors.UnknownPool),
        (lambda service: service.put_top_up(put_top_up("nobody", POOL, 1, 9)), errors.UnknownCustomer),
        (lambda service: service.grant(make_grant("acme", POOL, 1, id="topup:auto/1")), errors.NameInvalid),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(
    any_store: Store, clock: ManualClock, call: Any, error: type[Exception]
) -> None:
    service = made(any_store, clock)
    with pytest.raises(error):
        call(service)
    assert service.list_top_ups() == []
