"""Accounts that were never written, or written long ago: worked through everything that changed since."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.operations.plan_changes import MoveCustomers
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.requests import put_customer
from rig.serving import Service

MILLION = 10**6
GIVEN = {"pool": "ai_credits", "amount": 100 * MILLION, "priority": 0, "kind": "plan", "every": None}
MONTHLY = {**GIVEN, "every": [1, "month"], "anchor": "calendar", "name": "monthly"}


def catalog(**grants: list[dict[str, Any]]) -> FakeCatalog:
    """The catalog with these grants of the first version of plans."""
    document = copy.deepcopy(DOCUMENT)
    for plan in document["plans"].values():
        plan["1"]["grants"] = []
    for name, lines in grants.items():
        document["plans"][name]["1"]["grants"] = lines
    return FakeCatalog(document)


def set_catalog(service: Service, given: FakeCatalog) -> None:
    service.set_catalog(given, given.source(), "catalog.json")


@pytest.fixture
def service(store: Store, clock: ManualClock) -> Service:
    service = Service(store, clock, parse)
    set_catalog(service, catalog(pro=[GIVEN], free=[MONTHLY]))
    return service


def put(service: Service, plan: str | None) -> None:
    service.put_customers([put_customer("acme", plan=plan)])


def move_customers(plan: str | None, when: str | int = "now") -> MoveCustomers:
    return MoveCustomers(("acme",), plan=plan, when=when)


def left(service: Service, at: int | None = None) -> int:
    return int(service.balance("acme", "ai_credits", at=at).remaining)


def test_every_plan_that_a_customer_had_is_worked_through(service: Service, clock: ManualClock) -> None:
    put(service, "pro")
    clock.advance(DAY_MS)
    put(service, "free")
    clock.advance(DAY_MS)
    put(service, None)
    assert left(service) == 100, "what pro gave once stays; what free gives by the month does not"
    put(service, "free")
    assert left(service) == 200


def test_every_catalog_that_was_in_force_is_worked_through(service: Service, clock: ManualClock) -> None:
    put(service, "free")
    for amount in (300, 50):
        clock.advance(DAY_MS)
        set_catalog(service, catalog(pro=[GIVEN], free=[{**MONTHLY, "amount": amount * MILLION}]))
    assert left(service) == 300, "it rose at once, and falls at the next refill"
    clock.advance(31 * DAY_MS)
    assert left(service) == 50


def test_booking_changes_no_answer_and_is_done_once(service: Service, clock: ManualClock) -> None:
    put(service, "pro")
    clock.advance(DAY_MS)
    put(service, "free")
    clock.advance(40 * DAY_MS)
    before = left(service)
    assert service.due.book(10) == 1
    assert service.due.book(10) == 0
    assert left(service) == before == 200


def test_a_due_move_is_written_now_and_counts_from_its_instant(service: Service, clock: ManualClock) -> None:
    """Use, a move that came due a moment ago, and the next move, all in one call and one millisecond."""
    put(service, "free")
    lent = service.lend("acme", "ai_credits")
    began = clock.now_ms()
    service.move(move_customers("pro", when=began + 1_000))
    clock.advance(5_000)
    final = Totals(lent.number, lent.pool, lent.lease, 30 * MILLION, 0, True)
    service.move(move_customers(None), finals=[final])
    assert left(service) == 100
    assert service.get_customer("acme").plan is None
    assert left(service, at=began + 2_000) == 100
    put(service, "free")
    assert left(service) == 170
