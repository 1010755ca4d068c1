"""Events of the ledger on every store: stored with the change that made them so, told once.

FAULTS 20 and 21 at this level: totals that come twice, late or in another order, and a hub that dies before
or after the commit, make one event."""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import News, Terms, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.hub.use_cases.rewriting import EVENTS_PER_CHANGE_MAX
from fastcheck.hub.use_cases.upcoming_ends import NOTICE_MS
from fastcheck.ledger.periods import DAY_MS
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_override
from rig.serving import Service

MILLION = 10**6


def document() -> dict[str, Any]:
    """The catalog of the tests with marks at other percents."""
    found = copy.deepcopy(DOCUMENT)
    found["pools"]["ai_credits"]["warn_at"] = [50, 90, 100]
    found["pools"]["soft_credits"]["warn_at"] = [50, 100, 150]
    return found


@pytest.fixture
def service(any_store: Store, clock: ManualClock) -> Service:
    service = Service(any_store, clock, parse)
    catalog = FakeCatalog(document())
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")
    service.put_customers([put_customer("acme", plan="free")])
    return service


def grant(service: Service, amount: Any, pool: str = "ai_credits", **terms: Any) -> str:
    return str(service.grant(make_grant("acme", pool, amount, **terms)).grant.id)


def totals(terms: Terms, spent: int, returned: int = 0, *, final: bool = False) -> Totals:
    return Totals(terms.number, terms.pool, terms.lease, spent, returned, final)


def told(service: Service) -> list[Any]:
    """(kind, percent, remaining) of every threshold that was told."""
    return [
        (one.kind, one.data["percent"], one.data["remaining"])
        for one in service.list_events().items
        if one.kind in ("low_balance", "limit_reached", "tier_crossed")
    ]


def test_each_threshold_makes_one_event_with_what_is_left(service: Service) -> None:
    grant(service, 100)
    terms = service.lend("acme", "ai_credits")
    assert service.settle([totals(terms, 49 * MILLION)]) == ()
    [half] = service.settle([totals(terms, 50 * MILLION + 1)])
    assert (half.event.kind, half.percent, half.remaining) == ("low_balance", 50, 50 * MILLION - 1)
    assert half.event.customer == "acme"
    assert half.event.data["remaining"] == Decimal("49.999999")
    assert [one.percent for one in service.settle([totals(terms, 100 * MILLION)])] == [90, 100]
    assert told(service) == [
        ("low_balance", 50, Decimal("49.999999")),
        ("low_balance", 90, 0),
        ("limit_reached", 100, 0),
    ]


def test_above_a_hundred_percent_it_is_a_tier(service: Service) -> None:
    grant(service, 100, "soft_credits")
    terms = service.lend("acme", "soft_credits")
    service.settle([totals(terms, 160)])
    assert told(service) == [("low_balance", 50, 0), ("limit_reached", 100, 0), ("tier_crossed", 150, 0)]


@pytest.mark.parametrize("seed", range(6))
def test_totals_that_come_twice_late_or_in_another_order_tell_once(service: Service, seed: int) -> None:
    """FAULTS 20."""
    grant(service, 1_000, "soft_credits")
    terms = service.lend("acme", "soft_credits")
    chance = random.Random(seed)
    said = [totals(terms, spent) for spent in sorted(chance.choices(range(1_100), k=8))]
    said += chance.choices(said, k=8)
    last = totals(terms, 1_100, 30, final=True)
    chance.shuffle(said)
    for one in [*said, last, *said, last]:
        service.settle([one])
    assert [percent for _, percent, _ in told(service)] == [50, 100]
    # Another lease of the same account knows what was told.
    again = service.lend("acme", "soft_credits")
    service.settle([totals(again, 30)])
    assert [percent for _, percent, _ in told(service)] == [50, 100]


def test_units_given_back_and_used_again_tell_once(service: Service) -> None:
    grant(service, 100)
    terms = service.lend("acme", "ai_credits")
    service.settle([totals(terms, 95 * MILLION)])
    service.settle([totals(terms, 95 * MILLION, 90 * MILLION)])
    service.settle([totals(terms, 185 * MILLION, 90 * MILLION, final=True)])
    assert [percent for _, percent, _ in told(service)] == [50, 90]


def test_a_grant_that_lifts_the_balance_sets_the_thresholds_again(service: Service) -> None:
    grant(service, 100)
    terms = service.lend("acme", "ai_credits")
    service.settle([totals(terms, 95 * MILLION)])
    grant(service, 1)  # 96 of 101 used: still below
    service.settle([totals(terms, 95 * MILLION + 1)])
    assert [percent for _, percent, _ in told(service)] == [50, 90]
    grant(service, 99)
    service.settle([totals(terms, 101 * MILLION)])
    assert [percent for _, percent, _ in told(service)] == [50, 90, 50]


def test_a_refill_sets_the_thresholds_again(service: Service, clock: ManualClock) -> None:
    terms = service.lend("acme", "api_calls")
    service.settle([totals(terms, 1_000, final=True)])
    clock.advance(31 * DAY_MS)
    again = service.lend("acme", "api_calls")
    service.settle([totals(again, 950)])
    assert [percent for _, percent, _ in told(service)] == [90, 100, 90]


def test_the_final_totals_that_come_with_a_change_tell_too(service: Service) -> None:
    heard: list[News] = []
    grant(service, 100)
    terms = service.lend("acme", "ai_credits")
    service.listener = heard.append
    request = put_override("acme", "seats", 2)
    service.put_override(request, finals=[totals(terms, 60 * MILLION, final=True)])
    assert [one.percent for news in heard for one in news.told if one.percent] == [50]
    assert [percent for _, percent, _ in told(service)] == [50]


class Crash(Exception):
    """The hub dies."""


def test_a_hub_that_dies_before_or_after_the_commit_makes_one_event(
    service: Service, any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 21."""
    grant(service, 100)
    terms = service.lend("acme", "ai_credits")
    flush = Statements.flush_events

    def dies(self: Statements) -> None:
        flush(self)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Statements, "flush_events", dies)
        with pytest.raises(Crash):
            service.settle([totals(terms, 60 * MILLION)])
    assert told(service) == []
    # Who was not answered asks again, as does whoever was answered by a hub that died then.
    for _ in range(3):
        service.settle([totals(terms, 60 * MILLION)])
    assert told(service) == [("low_balance", 50, 40)]


def test_a_customer_that_is_deleted_is_told_nothing(service: Service, clock: ManualClock) -> None:
    grant(service, 100, expires_at=MAY_2024_MS + NOTICE_MS + 1)
    terms = service.lend("acme", "ai_credits")
    service.delete_customer("acme")
    clock.advance(1)
    assert service.settle([totals(terms, 60 * MILLION)]) == ()
    assert service.tell_due(clock.now_ms()) == ()


# What will end.

END = MAY_2024_MS + 10 * DAY_MS


def test_the_end_of_a_trial_is_told_once_three_days_before(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="free", trial_plan="pro", trial_until=END)])
    clock.set(END - NOTICE_MS - 1)
    assert service.tell_due(clock.now_ms()) == ()
    clock.advance(1)
    [one] = service.tell_due(clock.now_ms())
    assert (one.event.kind, one.event.customer) == ("trial_ending", "acme")
    assert one.event.data == {"plan": "pro", "version": 1, "ends_at": END}
    service.put_customers(
        [put_customer("acme", plan="free", trial_plan="pro", trial_until=END, aliases=["a"])]
    )
    assert service.tell_due(clock.now_ms()) == ()
    # A trial that is made longer ends anew.
    later = END + 5 * DAY_MS
    service.put_customers([put_customer("acme", plan="free", trial_plan="pro", trial_until=later)])
    clock.set(later - NOTICE_MS)
    told = [one.event for one in service.tell_due(clock.now_ms()) if one.event.kind == "trial_ending"]
    assert [one.data["ends_at"] for one in told] == [later]


def test_a_trial_that_was_ended_is_not_told(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="free", trial_plan="pro", trial_until=END)])
    service.put_customers([put_customer("acme", plan="pro")])
    clock.set(END - NOTICE_MS)
    assert service.tell_due(clock.now_ms()) == ()


def test_the_end_of_an_override_is_told(service: Service, clock: ManualClock) -> None:
    service.put_override(put_override("acme", "seats", 9, expires_at=END))
    service.put_override(put_override("acme", "export", True, expires_at=END))
    service.remove_override("acme", "export")
    clock.set(END - NOTICE_MS)
    [one] = service.tell_due(clock.now_ms())
    assert one.event.kind == "override_ending"
    assert one.event.data == {"feature": "seats", "expires_at": END}


def test_a_grant_with_something_left_is_told_before_it_expires(service: Service, clock: ManualClock) -> None:
    left = grant(service, 5, priority=9, expires_at=END)
    grant(service, 7, priority=1, expires_at=END)
    grant(service, 100, priority=50)
    terms = service.lend("acme", "ai_credits")
    service.settle([totals(terms, 8 * MILLION)])
    clock.set(END - NOTICE_MS)
    [one] = service.tell_due(clock.now_ms())
    assert one.event.data == {"pool": "ai_credits", "grant": left, "remaining": 4, "expires_at": END}
    assert service.tell_due(clock.now_ms()) == ()


def test_a_grant_that_was_voided_is_not_told_nor_what_has_ended(service: Service, clock: ManualClock) -> None:
    service.void(grant(service, 5, expires_at=END))
    grant(service, 5, expires_at=END + 1)
    clock.set(END + 1)  # Nobody looked in time.
    assert service.tell_due(clock.now_ms()) == ()


def test_the_length_of_notice_is_a_setting(any_store: Store, clock: ManualClock) -> None:
    service = Service(any_store, clock, parse, notice_ms=DAY_MS)
    service.set_catalog(FakeCatalog(), FakeCatalog().source(), "catalog.json")
    service.put_customers([put_customer("acme", trial_plan="pro", trial_until=END)])
    clock.set(END - DAY_MS - 1)
    assert service.tell_due(clock.now_ms()) == ()
    clock.advance(1)
    assert len(service.tell_due(clock.now_ms())) == 1


def test_customers_without_ends_cost_no_rows(service: Service, any_store: Store) -> None:
    service.put_customers([put_customer(f"c{place}", plan="pro") for place in range(500)])

    def count(connection: Connection) -> Any:
        return connection.exec_driver_sql("SELECT count(*) FROM notices").scalar()

    assert any_store.read(count) == 0


# Pages.


def test_events_are_listed_in_the_order_in_which_they_were_stored(service: Service) -> None:
    service.put_customers([put_customer("other", plan="free")])
    for customer in ("acme", "other"):
        terms = service.lend(customer, "api_calls")
        service.settle([totals(terms, 1_000)])
    whole = service.list_events(kind="low_balance").items
    assert [one.customer for one in whole] == ["acme", "other"]
    assert len({one.id for one in service.list_events().items}) == len(service.list_events().items)
    first = service.list_events(limit=1, customer="other", kind="low_balance")
    assert [one.customer for one in first.items] == ["other"]
    assert first.cursor is None
    page, walked = service.list_events(limit=1), list[Any]()
    while True:
        walked += page.items
        if page.cursor is None:
            break
        page = service.list_events(page.cursor, 1)
    assert tuple(walked) == service.list_events().items
    with pytest.raises(errors.NameInvalid):
        service.list_events(kind="exhausted")
    with pytest.raises(errors.UnknownCustomer):
        service.list_events(customer="nobody")


def test_changes_of_customers_and_catalogs_are_events_but_not_bulk_loads(service: Service) -> None:
    seq = service.seq()
    service.put_customers([put_customer("acme", plan="pro")])
    service.put_customers([put_customer(f"c{place}") for place in range(EVENTS_PER_CHANGE_MAX + 1)])
    service.delete_customer("acme")
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    found = [(one.kind, one.customer, one.data["seq"]) for one in service.list_events().items]
    assert found[2:] == [
        ("customer_changed", "acme", seq + 1),
        ("customer_deleted", "acme", seq + 3),
        ("catalog_changed", None, seq + 4),
    ]
