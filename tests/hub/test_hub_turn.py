"""Accounts that nobody looks at: what time changes is booked at its own instant all the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS, Span, Unit, add
from fastcheck.ledger.postings import LedgerAccount, Posting, conserved
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_override
from rig.samples import examples
from rig.serving import Service

MILLION = 10**6
MONTH = Span(1, Unit.MONTH)


def postings(store: Store, number: int, pool: str = "ai_credits") -> list[Posting]:
    return store.read(lambda db: Statements(db).postings(number, pool))


def account(store: Store, number: int, pool: str = "ai_credits") -> Account:
    return store.read(lambda db: Statements(db).account(number, pool)) or Account()


def expired(store: Store, number: int) -> list[tuple[int, int]]:
    """(instant, units) of what expired."""
    return [(one.at, one.units) for one in postings(store, number) if one.target is LedgerAccount.EXPIRED]


def put(service: Service, id: str = "acme", plan: str | None = "free") -> int:
    service.put_customers([put_customer(id, plan=plan)])
    return service.customers.number_of(id)


def grant(service: Service, amount: int, id: str = "acme", **terms: Any) -> str:
    return str(service.grant(make_grant(id, "ai_credits", amount, **terms)).grant.id)


def test_an_expiry_is_booked_at_its_instant_though_nobody_looks(
    service: Service, store: Store, clock: ManualClock
) -> None:
    number = put(service)
    grant(service, 10, expires_at=MAY_2024_MS + DAY_MS)
    clock.advance(DAY_MS - 1)
    assert service.turn(clock.now_ms(), 100) == 0
    clock.advance(40 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 1
    assert expired(store, number) == [(MAY_2024_MS + DAY_MS, 10 * MILLION)]
    assert service.turn(clock.now_ms(), 100) == 0


def test_an_expiry_is_due_at_its_very_instant(service: Service, store: Store, clock: ManualClock) -> None:
    number = put(service)
    grant(service, 10, expires_at=MAY_2024_MS + DAY_MS)
    clock.advance(DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 1
    assert expired(store, number) == [(MAY_2024_MS + DAY_MS, 10 * MILLION)]


def test_every_month_is_booked_where_it_began(service: Service, store: Store, clock: ManualClock) -> None:
    number = put(service, plan="pro")
    service.balance("acme", "ai_credits")
    grant(service, 1)
    for _ in range(3):
        clock.advance(45 * DAY_MS)
        while service.turn(clock.now_ms(), 1):
            pass
    starts = [add(MAY_2024_MS, MONTH, k) for k in range(1, 5)]
    assert expired(store, number) == [(at, 1_000 * MILLION) for at in starts]
    assert conserved(account(store, number), postings(store, number)) == []


def test_a_round_is_bounded_and_the_longest_waiting_come_first(
    service: Service, store: Store, clock: ManualClock
) -> None:
    numbers = [put(service, f"c{place}") for place in range(5)]
    for place in range(5):
        grant(service, 10, f"c{place}", expires_at=MAY_2024_MS + DAY_MS * (5 - place))
    clock.advance(10 * DAY_MS)
    assert service.turn(clock.now_ms(), 3) == 3
    assert [bool(expired(store, one)) for one in numbers] == [False, False, True, True, True]
    assert service.turn(clock.now_ms(), 3) == 2


def test_an_account_with_an_open_lease_is_turned_by_its_end(
    service: Service, store: Store, clock: ManualClock
) -> None:
    number = put(service)
    grant(service, 10, expires_at=MAY_2024_MS + DAY_MS)
    lease = service.lend("acme", "ai_credits")
    clock.advance(2 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 0
    service.settle([Totals(number, "ai_credits", lease.lease, 4 * MILLION, 0, True)])
    assert service.turn(clock.now_ms(), 100) == 1
    assert expired(store, number) == [(MAY_2024_MS + DAY_MS, 6 * MILLION)]


def test_a_clock_that_goes_back_undoes_nothing(service: Service, store: Store, clock: ManualClock) -> None:
    number = put(service)
    for place in (1, 2):
        grant(service, place, expires_at=MAY_2024_MS + place * DAY_MS)
    clock.advance(DAY_MS + 1)
    assert service.turn(clock.now_ms(), 100) == 1
    clock.set(MAY_2024_MS - DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 0
    assert service.balance("acme", "ai_credits").remaining == 2
    clock.set(MAY_2024_MS + 2 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 1
    days = [MAY_2024_MS + place * DAY_MS for place in (1, 2)]
    assert expired(store, number) == [(days[0], MILLION), (days[1], 2 * MILLION)]


def test_an_instant_ahead_of_the_clock_turns_nothing_early(
    service: Service, store: Store, clock: ManualClock
) -> None:
    number = put(service)
    grant(service, 1, expires_at=MAY_2024_MS + DAY_MS)
    assert service.turn(MAY_2024_MS + 2 * DAY_MS, 100) == 0
    assert expired(store, number) == []


def test_meters_are_left_to_who_looks(service: Service, store: Store, clock: ManualClock) -> None:
    put(service, plan="pro")
    clock.advance(1)
    service.put_override(put_override("acme", "api_calls", 5))
    assert service.lend("acme", "api_calls").lent == 5
    service.settle([Totals(1, "api_calls", 1, 0, 0, True)])
    clock.advance(40 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 0


def test_a_grant_and_a_void_move_the_next_change(service: Service, clock: ManualClock) -> None:
    """Within one millisecond, where nothing of the account's own row changes."""
    put(service)
    grant(service, 1)
    late = grant(service, 1, expires_at=MAY_2024_MS + 3 * DAY_MS)
    soon = grant(service, 1, expires_at=MAY_2024_MS + DAY_MS)
    service.void(soon)
    clock.advance(2 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 0
    clock.advance(DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 1
    assert {one.id: one.remaining for one in service.list_grants("acme", "ai_credits")}[late] == 0


def test_a_deleted_customer_has_nothing_that_turns(service: Service, clock: ManualClock) -> None:
    put(service, plan="pro")
    grant(service, 1, expires_at=MAY_2024_MS + DAY_MS)
    service.delete_customer("acme")
    clock.advance(60 * DAY_MS)
    assert service.turn(clock.now_ms(), 100) == 0


ROLLED = copy.deepcopy(DOCUMENT)
ROLLED["plans"]["pro"]["1"]["grants"][0] |= {
    "every": [1, "day"],
    "rollover": {"min": 0, "max": 700 * MILLION, "percent": 100, "once": False},
}


@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-3 * DAY_MS, 9 * DAY_MS), min_size=1, max_size=8))
@pytest.mark.parametrize("document", [DOCUMENT, ROLLED], ids=["monthly", "daily, rolled over"])
def test_turning_now_and_then_is_looking_once_at_the_end(
    store: Store, clock: ManualClock, document: dict[str, Any], steps: list[int]
) -> None:
    """What was booked, and when it moved, does not hang on how often anybody turned, nor on a clock that
    goes back on the way."""
    clock.set(MAY_2024_MS)
    service, catalog = Service(store, clock, parse), FakeCatalog(document)
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    names = []
    for _ in range(2):
        names.append(f"c{store.read(lambda db: Statements(db).seq())}")
        put(service, names[-1], plan="pro")
        for days in (1, 5):
            grant(service, days, names[-1], expires_at=MAY_2024_MS + days * DAY_MS)
    watched, left_alone = (service.number_of(one) for one in names)
    lease = service.lend(names[1], "ai_credits")  # An open lease keeps `turn` away.
    for step in steps:
        clock.advance(step)
        service.turn(clock.now_ms(), 1_000)
    clock.set(max(clock.now_ms(), MAY_2024_MS) + 10 * DAY_MS)
    service.turn(clock.now_ms(), 1_000)
    service.settle([Totals(left_alone, "ai_credits", lease.lease, 0, 0, True)])
    service.turn(clock.now_ms(), 1_000)

    def told(number: int) -> list[tuple[int, str, str, int]]:
        found = [(one.at, one.source.value, one.target.value, one.units) for one in postings(store, number)]
        return sorted(found)

    assert told(watched) == told(left_alone)
    for number in (watched, left_alone):
        assert conserved(account(store, number), postings(store, number)) == []


def test_lines_of_an_account_that_is_lent_are_left_to_the_lease(service: Service, clock: ManualClock) -> None:
    """Use that the host tells later was paid by what there was when it was used."""
    put(service)
    grant(service, 10, expires_at=MAY_2024_MS + DAY_MS, priority=-1)
    service.put_customers([put_customer("acme", plan="pro")])
    terms = service.lend("acme", "ai_credits")
    clock.advance(2 * DAY_MS)
    service.due.book(10)
    service.settle([Totals(terms.number, terms.pool, terms.lease, 7 * MILLION, 0, True)])
    balance = service.balance("acme", "ai_credits")
    assert (balance.used, balance.overage) == (7, 0)
    [paying] = [one for one in service.list_grants("acme", "ai_credits") if one.burned]
    assert (paying.source, paying.expired) == (None, 3)
