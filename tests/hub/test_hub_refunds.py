"""Refunds give used credits back, never more than were used; a void takes back what was not used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Terms, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.postings import conserved
from fastcheck.wire.by import By
from rig.requests import make_grant, make_refund, put_customer
from rig.samples import examples
from rig.serving import Service

MILLION = 10**6


def customer(service: Service, id: str = "acme", credits: int = 100, pool: str = "ai_credits") -> None:
    service.put_customers([put_customer(id, plan="free")])
    if credits:
        own = f"first of {id}" if pool == "ai_credits" else f"first of {id}: {pool}"
        service.grant(make_grant(id, pool, credits, id=own))


def use(service: Service, credits: int, id: str = "acme", pool: str = "ai_credits") -> Terms:
    """Uses through a lease that is closed after it."""
    terms = service.lending.lend(id, pool)
    scale = MILLION if pool == "ai_credits" else 1
    service.settle([Totals(terms.number, pool, terms.lease, credits * scale, 0, True)])
    return terms


def refund(service: Service, amount: Any, id: str = "r", **terms: Any) -> Any:
    pool = terms.pop("pool", "ai_credits")
    return service.refund(make_refund(terms.pop("customer", "acme"), pool, amount, id=id, **terms)).grant


def record(service: Service, event: str, units: int, customer: str = "acme") -> None:
    service.record_usage([(f"{event}/{units}", 1, event, customer, "gpt-4o", units, ())])


def remaining(service: Service, pool: str = "ai_credits") -> Any:
    return service.balance("acme", pool).remaining


def whole(service: Service, store: Store, pool: str = "ai_credits") -> bool:
    number = service.number_of("acme")
    account = store.read(lambda db: Statements(db).account(number, pool)) or Account()
    return conserved(account, store.read(lambda db: Statements(db).postings(number, pool))) == []


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["use", "refund", "void"]), st.integers(1, 40)), max_size=12))
def test_never_more_is_refunded_than_was_used(
    service: Service, store: Store, steps: list[tuple[str, int]]
) -> None:
    name = f"c{store.read(lambda db: Statements(db).seq())}"
    customer(service, name, 100)
    used, left = 0, 100
    given_back, voided = dict[str, int](), set[str]()
    for place, (what, credits) in enumerate(steps):
        id = f"{name}/{place}"
        if what == "use":
            credits = min(credits, left)
            use(service, credits, name)
            used, left = used + credits, left - credits
        elif what == "void" and given_back:
            taken_back = list(given_back)[credits % len(given_back)]
            before = {one.id: one.remaining for one in service.list_grants(name, "ai_credits")}[taken_back]
            if before == 0 and taken_back not in voided:
                with pytest.raises(errors.Conflict, match="used up"):
                    service.void(taken_back)
            else:  # What of it was spent stays refunded. Again, there is nothing more to take back.
                assert before == 0 or taken_back not in voided
                service.void(taken_back)
                voided.add(taken_back)
                given_back[taken_back] -= int(before)
                left -= int(before)
        elif what == "refund":
            most = used - sum(given_back.values())
            if credits > most:
                with pytest.raises(errors.AmountError, match=f"at most {most} can be refunded"):
                    refund(service, credits, id, customer=name)
            else:
                refund(service, credits, id, customer=name)
                given_back[id] = credits
                left += credits
    balance = service.balance(name, "ai_credits")
    assert (balance.remaining, balance.used) == (left, used)


def test_a_refund_is_a_grant_of_its_own(service: Service, store: Store, clock: ManualClock) -> None:
    customer(service)
    use(service, 30)
    made = refund(service, Decimal("12.5"), reason="outage", expires_at=clock.now_ms() + DAY_MS)
    assert (made.kind, made.amount, made.reason) == ("refund", Decimal("12.5"), "outage")
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used) == (Decimal("82.5"), 30)
    assert service.audit(subject="acme").items[0].action == "refund"
    clock.advance(DAY_MS)
    assert remaining(service) == 70
    assert whole(service, store)


def test_a_refund_of_more_says_how_much_can_be_refunded_and_leaves_no_trace(service: Service) -> None:
    customer(service)
    use(service, 30)
    refund(service, 20)
    with pytest.raises(errors.AmountError, match="30 was used and 20 refunded before: at most 10 can be"):
        refund(service, 11, "r2")
    assert [one.id for one in service.list_grants("acme", "ai_credits")] == ["first of acme", "r"]
    refund(service, 10, "r2")


@pytest.mark.parametrize("amount", [0, -1, 1 << 63, Decimal("NaN"), Decimal("0.0000001")])
def test_a_refund_of_an_amount_that_cannot_be_meant_is_refused(service: Service, amount: Any) -> None:
    customer(service)
    use(service, 30)
    with pytest.raises(errors.AmountError):
        refund(service, amount)
    assert remaining(service) == 70


def test_a_refund_asked_for_twice_is_made_once(service: Service) -> None:
    customer(service)
    use(service, 30)
    assert refund(service, 30) == refund(service, 30)
    assert remaining(service) == 100
    for other in ({"amount": 29}, {"amount": 30, "event": "e"}, {"amount": 30, "expires_at": 1 << 42}):
        with pytest.raises(errors.Conflict):
            refund(service, **other)
    with pytest.raises(errors.Conflict, match="other terms"):
        service.grant(make_grant("acme", "ai_credits", 30, id="r"))
    with pytest.raises(errors.NameInvalid):
        refund(service, 1, "plan:pro:0")


def test_an_event_is_refunded_up_to_what_it_burned(service: Service) -> None:
    customer(service)
    use(service, 50)
    record(service, "e1", 10 * MILLION)
    record(service, "e1", 2 * MILLION)  # A second burn under the same event.
    assert refund(service, 5, "a", event="e1").source == "event:e1"
    with pytest.raises(errors.AmountError, match="12 was used of event e1 and 5 refunded before: at most 7"):
        refund(service, 8, "b", event="e1")
    refund(service, 7, "b", event="e1")
    refund(service, 30, "c")  # No event in particular: what is left of all use.
    with pytest.raises(errors.AmountError, match="at most 8 can be"):
        refund(service, 9, "d")


def test_an_event_is_not_refunded_once_all_use_is(service: Service) -> None:
    customer(service)
    use(service, 10)
    record(service, "e1", 10 * MILLION)
    refund(service, 6, "a")
    with pytest.raises(errors.AmountError, match="10 was used and 6 refunded before: at most 4"):
        refund(service, 10, "b", event="e1")


def test_an_event_of_somebody_else_or_of_another_pool_is_not_refunded(service: Service) -> None:
    customer(service)
    customer(service, "bravo")
    customer(service, "acme", 10, "soft_credits")
    use(service, 50)
    use(service, 5, pool="soft_credits")
    record(service, "theirs", 10 * MILLION, "bravo")
    record(service, "e1", 10 * MILLION)
    for terms in ({"event": "theirs"}, {"event": "nobody's"}, {"event": "e1", "pool": "soft_credits"}):
        with pytest.raises(errors.Conflict, match="no use of pool"):
            refund(service, 1, **terms)


def test_an_alias_in_a_usage_record_is_the_customer(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="free", aliases=["key"])])
    service.grant(make_grant("acme", "ai_credits", 10))
    use(service, 5)
    record(service, "e1", 5 * MILLION, "key")
    assert refund(service, 5, event="e1").amount == 5


def test_a_refund_pays_what_is_owed_first(service: Service, store: Store) -> None:
    customer(service, credits=10, pool="soft_credits")
    use(service, 80, pool="soft_credits")
    assert service.balance("acme", "soft_credits").overage == 70
    refund(service, 50, pool="soft_credits")
    balance = service.balance("acme", "soft_credits")
    assert (balance.overage, balance.remaining, balance.used) == (20, 0, 80)
    assert whole(service, store, "soft_credits")


def test_a_refund_raises_the_open_lease(service: Service) -> None:
    customer(service)
    terms = service.lend("acme", "ai_credits")
    used = Totals(terms.number, "ai_credits", terms.lease, 100 * MILLION, 0, False)
    done = service.refund(make_refund("acme", "ai_credits", 40, id="r"), totals=used)
    assert done.terms is not None
    assert (done.terms.lease, done.terms.lent) == (terms.lease, 140 * MILLION)


def test_a_refund_under_an_idempotency_key_is_made_once(service: Service) -> None:
    customer(service)
    use(service, 30)
    once = By("support", key="ticket 7")
    request = make_refund("acme", "ai_credits", 30, id="r")
    assert service.refund(request, by=once).grant == service.refund(request, by=once).grant
    assert remaining(service) == 100


def test_an_unused_grant_is_voided_whole(service: Service) -> None:
    customer(service)
    assert service.void("first of acme").remaining == 0
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used) == (0, 0)


def test_of_a_partly_used_grant_the_rest_is_voided(service: Service, store: Store) -> None:
    customer(service)
    use(service, 30)
    service.void("first of acme")
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used, balance.overage) == (0, 30, 0)
    number = service.number_of("acme")
    account = store.read(lambda db: Statements(db).account(number, "ai_credits"))
    assert account is not None
    assert (account.holdings[0].voided, account.holdings[0].burned) == (70 * MILLION, 30 * MILLION)
    assert whole(service, store)


def test_a_used_up_grant_is_not_voided(service: Service) -> None:
    customer(service)
    use(service, 100)
    with pytest.raises(errors.Conflict, match="used up"):
        service.void("first of acme")


def test_a_grant_voided_twice_is_voided_once(service: Service, clock: ManualClock) -> None:
    customer(service)
    use(service, 30)
    first = service.void("first of acme")
    clock.advance(DAY_MS)
    assert service.void("first of acme") == first
    assert sum(one.action == "void" for one in service.audit(subject="acme").items) == 1


def test_a_refund_of_an_event_is_made_once(service: Service) -> None:
    customer(service)
    use(service, 20)
    record(service, "e1", 12 * MILLION)
    first = refund(service, 5, "a", event="e1")
    assert refund(service, 5, "a", event="e1") == first
    with pytest.raises(errors.Conflict, match="another event"):
        refund(service, 5, "a", event="e2")
    with pytest.raises(errors.Conflict):
        refund(service, 6, "a", event="e1")
