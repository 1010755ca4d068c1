"""A change that is made only where something is as its caller saw it: of several at once, one is made."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fastcheck.clock import ManualClock
from fastcheck.errors import PreconditionFailed, UnknownWebhook
from fastcheck.hub.store import Store
from fastcheck.wire.answers import Customer
from fastcheck.wire.by import By
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.webhooks import DeleteWebhook
from rig.fake_catalog import FakeCatalog, parse
from rig.preconditions import customer, segment
from rig.requests import put_customer
from rig.serving import Service

WRITERS = 8
ROUNDS = 5
BLOCKED_S = 0.5
"""Of one that must wait for another; nothing tells that it does."""


@pytest.fixture
def service(any_store: Store, clock: ManualClock) -> Service:
    service = Service(any_store, clock, parse)
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


def at_once(change: Callable[[int], object]) -> list[int]:
    """Who of several that begin together made their change; the others were refused."""
    begin = threading.Barrier(WRITERS)
    made: list[int] = []
    failed: list[BaseException] = []

    def run(number: int) -> None:
        begin.wait()
        try:
            change(number)
            made.append(number)
        except PreconditionFailed:
            pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed
    return made


def is_still(seen: object) -> Callable[[object], None]:
    def check(found: object) -> None:
        if found != seen:
            raise PreconditionFailed("it was changed")

    return check


def test_of_several_who_saw_the_same_customer_one_changes_them(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="free", aliases=["first"])])
    for round in range(ROUNDS):
        seen = service.get_customer("acme")
        provided = service.provided(customer("acme", is_still(seen)))
        [winner] = at_once(
            lambda number, round=round, provided=provided: provided.put_customers(  # type: ignore[misc]
                [put_customer("acme", plan="free", aliases=[f"{round}/{number}"])]
            )
        )
        assert service.get_customer("acme").aliases == (f"{round}/{winner}",)


def test_of_several_who_make_a_customer_one_does(service: Service) -> None:
    for round in range(ROUNDS):
        provided = service.provided(customer(f"new{round}", is_still(None)))
        [winner] = at_once(
            lambda number, round=round, provided=provided: provided.put_customers(  # type: ignore[misc]
                [put_customer(f"new{round}", plan="free", aliases=[f"{round}/{number}"])]
            )
        )
        assert service.get_customer(f"new{round}").aliases == (f"{round}/{winner}",)


def test_nobody_makes_a_customer_between_the_look_and_the_change(service: Service) -> None:
    """The other begins after the look: it comes before the change only if nothing holds it back."""
    other = threading.Thread(
        target=lambda: service.put_customers([put_customer("acme", plan="free", aliases=["second"])])
    )

    def look(found: object) -> None:
        assert found is None
        if other.ident is None:  # The transaction may be run again.
            other.start()
            other.join(BLOCKED_S)

    provided = service.provided(customer("acme", look))
    provided.put_customers([put_customer("acme", plan="free", aliases=["first"])])
    other.join()
    assert service.get_customer("acme").aliases == ("second",)


def test_a_refused_change_leaves_nothing(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="free")])
    seq, told = service.seq(), service.audit().items
    seen = Customer("acme", "pro", 1, 0, (), (), None)
    provided = service.provided(customer("acme", is_still(seen)))
    with pytest.raises(PreconditionFailed):
        provided.put_customers([put_customer("acme", plan=None)], by=By(key="k"))
    assert (service.seq(), service.audit().items) == (seq, told)
    # The key is free: the change was never made under it.
    assert len(service.put_customers([put_customer("acme", plan=None)], by=By(key="k"))) == 1


def test_the_other_things_that_have_tags(service: Service) -> None:
    for expects in (segment("beta", is_still(None)), customer("nobody", is_still(None))):
        assert service.provided(expects).put_customers([]) == []
    with pytest.raises(UnknownWebhook):
        service.run(DeleteWebhook("wh_1"), expects=is_still(None))
    made = service.put_webhook("https://one.test/hook")
    with pytest.raises(PreconditionFailed):
        service.run(DeleteWebhook(made.id), expects=is_still(None))
    same = SetCatalog(FakeCatalog().source(), "catalog.json")
    digest = FakeCatalog().digest
    assert not service.run(same, expects=lambda found: is_still(digest)(found.digest)).answer.changed
    with pytest.raises(PreconditionFailed):
        service.run(same, expects=is_still(None))


def test_the_service_itself_stays_without_conditions(service: Service) -> None:
    def never(found: object) -> None:
        raise PreconditionFailed("never")

    service.provided(customer("acme", never))
    assert len(service.put_customers([put_customer("acme", plan="free")])) == 1
