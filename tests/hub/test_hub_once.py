"""Idempotency keys: a change with a key is made once, whatever is repeated, and its answer stays the same."""

from __future__ import annotations

import pytest

from fastcheck.clock import ManualClock
from fastcheck.errors import Conflict, NameInvalid, UnknownCustomer
from fastcheck.hub.use_cases.due_accounts import ANSWERS_KEPT_MS
from fastcheck.wire.by import By
from fastcheck.wire.operations.customers import PutCustomers
from fastcheck.wire.shapes import Count
from rig.requests import make_grant, put_customer, put_override
from rig.serving import Service

ONCE = By("billing", "order 17", "order_17")


def test_a_grant_is_made_once_and_answers_the_same(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    before = service.balance("acme", "ai_credits").remaining
    first = service.grant(make_grant("acme", "ai_credits", 5), by=ONCE)
    again = service.grant(make_grant("acme", "ai_credits", 5), by=ONCE)
    assert again.grant == first.grant
    assert service.balance("acme", "ai_credits").remaining == before + 5


def test_the_same_key_with_another_body_is_a_conflict(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    service.grant(make_grant("acme", "ai_credits", 5), by=ONCE)
    for other in (
        lambda: service.grant(make_grant("acme", "ai_credits", 6), by=ONCE),
        lambda: service.put_customers([put_customer("acme", plan="free")], by=ONCE),
    ):
        with pytest.raises(Conflict, match="idempotency key 'order_17' was used for another request"):
            other()
    assert service.get_customer("acme").plan == "pro"


def test_a_repeated_call_answers_as_it_did_even_if_the_world_moved_on(service: Service) -> None:
    asked = PutCustomers((put_customer("acme", plan="pro"),))
    first = service.ask(asked, ONCE)
    service.put_customers([put_customer("acme", plan="free")])
    assert service.ask(asked, ONCE) == first == Count(1)
    assert service.get_customer("acme").plan == "free"


def test_a_refused_call_leaves_its_key_free(service: Service) -> None:
    with pytest.raises(UnknownCustomer):
        service.put_override(put_override("acme", "export", True), by=ONCE)
    service.put_customers([put_customer("acme", plan="free")])
    service.put_override(put_override("acme", "export", True), by=ONCE)
    assert [one.feature for one in service.list_overrides("acme")] == ["export"]


def test_who_asked_is_not_part_of_the_body(service: Service) -> None:
    asked = PutCustomers((put_customer("acme", plan="pro"),))
    first = service.ask(asked, ONCE)
    assert service.ask(asked, By("retry", key="order_17")) == first == Count(1)


def test_a_key_is_a_name(service: Service) -> None:
    with pytest.raises(NameInvalid, match="the idempotency key is empty"):
        service.put_customers([put_customer("acme", plan="pro")], by=By(key=""))


def test_a_key_is_remembered_for_thirty_days(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="pro")], by=ONCE)
    clock.advance(ANSWERS_KEPT_MS)
    service.turn(clock.now_ms(), 10)
    with pytest.raises(Conflict):
        service.put_customers([put_customer("acme", plan="free")], by=ONCE)
    clock.advance(1)
    service.turn(clock.now_ms(), 10)
    service.put_customers([put_customer("acme", plan="free")], by=ONCE)
    assert service.get_customer("acme").plan == "free"
