"""Deliveries in the ledger's tables, on SQLite and PostgreSQL, compared after every step with the slow model;
and the courier over them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection
from standardwebhooks import Webhook

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.background.stored_deliveries import StoredDeliveries
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements, Told
from fastcheck.hub.webhooks.delivery import CLAIM_MS, Courier, Endpoint
from fastcheck.hub.webhooks.retry import Outcome
from fastcheck.hub.webhooks.sign import ActiveSecret, Secret, in_force, rotated
from fastcheck.wire.by import By
from fastcheck.wire.events import FIELDS, Event, Kind
from models.slow_deliveries import SlowDeliveries
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import put_customer
from rig.samples import examples
from rig.serving import Service

NOW_MS = 1_714_521_600_000
KINDS = some.sampled_from([None, ("low_balance",), ("customer_changed", "low_balance")])


def store_event(store: Store, event: Event) -> None:
    def job(connection: Connection) -> None:
        statements = Statements(connection)
        statements.told.append(Told(event, None))
        statements.flush_events()

    store.run(job)


def empty(store: Store) -> None:
    def job(connection: Connection) -> None:
        for table in ("webhooks", "deliveries", "events"):
            connection.exec_driver_sql(f"DELETE FROM {table}")

    store.run(job)


class Compared(RuleBasedStateMachine):
    """The tables beside the model."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        empty(self.store)
        self.clock = ManualClock(NOW_MS)
        self.service = Service(self.store, self.clock, parse)
        self.tables = StoredDeliveries(self.service)
        self.model = SlowDeliveries()
        self.urls: dict[str, tuple[str, Any]] = {}
        self.count = 0
        for kinds in (None, ("low_balance",)):
            self.add(kinds)

    def place(self, data: some.DataObject) -> str:
        return data.draw(some.sampled_from(list(self.urls)), "webhook")

    def row(self, data: some.DataObject) -> str:
        return data.draw(some.sampled_from([row.id for row in self.model.rows]), "delivery")

    @precondition(lambda self: len(self.urls) < 4)
    @rule(kinds=KINDS)
    def add_one(self, kinds: Any) -> None:
        self.add(kinds)

    def add(self, kinds: Any) -> None:
        self.clock.advance(1)
        self.count += 1
        url = f"https://e{self.count}.test/"
        made = self.service.put_webhook(url, kinds)
        assert made.secret is not None
        self.urls[made.id] = (url, kinds)
        wanted = tuple(Kind) if kinds is None else [Kind(one) for one in kinds]
        self.model.add(Endpoint(made.id, url, (ActiveSecret(Secret(made.secret)),)), wanted)

    @precondition(lambda self: self.urls)
    @rule(data=some.data())
    def enable(self, data: some.DataObject) -> None:
        id = self.place(data)
        assert self.service.put_webhook(*self.urls[id]).secret is None
        self.model.enable(id)

    @precondition(lambda self: self.urls)
    @rule(data=some.data())
    def rotate(self, data: some.DataObject) -> None:
        id = self.place(data)
        made = self.service.rotate_webhook_secret(id, 1_000)
        assert made.secret is not None
        old = self.model._place(id).endpoint
        secrets = rotated(old.secrets, Secret(made.secret), self.clock.now_ms(), 1_000)
        self.model.rotate(Endpoint(id, old.url, secrets))

    @precondition(lambda self: self.urls)
    @rule(data=some.data())
    def delete(self, data: some.DataObject) -> None:
        id = self.place(data)
        self.service.delete_webhook(id)
        del self.urls[id]
        self.model.places = [one for one in self.model.places if one.endpoint.id != id]
        self.model.rows = [one for one in self.model.rows if one.place.endpoint.id != id]

    @rule(kinds=some.lists(some.sampled_from([Kind.LOW_BALANCE, Kind.CUSTOMER_CHANGED]), min_size=1))
    def put(self, kinds: list[Kind]) -> None:
        for kind in kinds:
            self.count += 1
            event = Event(f"e{self.count}", kind, self.clock.now_ms(), "acme", dict.fromkeys(FIELDS[kind]))
            store_event(self.store, event)
            self.model.put(event)

    @rule(step=some.sampled_from([0, 1, 500, 5_000, CLAIM_MS]))
    def wait(self, step: int) -> None:
        self.clock.advance(step)

    @rule(limit=some.integers(1, 4))
    def due(self, limit: int) -> None:
        now = self.clock.now_ms()
        assert list(self.tables.due(now, limit)) == list(self.model.due(now, limit))

    @precondition(lambda self: self.model.rows)
    @rule(data=some.data(), what=some.sampled_from(["delivered", "failed", "dead", "replay"]))
    def end(self, data: some.DataObject, what: str) -> None:
        id = self.row(data)
        if what == "delivered":
            self.tables.delivered(id)
            self.model.delivered(id)
        elif what == "failed":
            at = self.clock.now_ms() + data.draw(some.integers(0, 2_000))
            self.tables.failed(id, at, "busy")
            self.model.failed(id, at, "busy")
        elif what == "dead":
            self.tables.dead(id, "no")
            self.model.dead(id, "no")
        else:
            try:
                done = self.service.replay_delivery(id).state == "waiting"
            except errors.Conflict:
                done = False
            assert done == self.model.replay(id, self.clock.now_ms())

    @precondition(lambda self: self.urls)
    @rule(data=some.data())
    def disable(self, data: some.DataObject) -> None:
        id = self.place(data)
        self.tables.disabled(id)
        self.model.disabled(id)

    @invariant()
    def same(self) -> None:
        found = {one.id: one for one in self.service.list_deliveries(limit=1_000).items}
        assert {id: (one.state, one.attempts, one.next_at, one.why) for id, one in found.items()} == {
            row.id: (row.state, row.attempts, row.due_at, row.why) for row in self.model.rows
        }
        assert {one.id: one.enabled for one in self.service.list_webhooks()} == {
            one.endpoint.id: one.on for one in self.model.places
        }


def test_the_tables_do_what_the_model_does(any_store: Store) -> None:
    made = type("Here", (Compared,), {"store": any_store})
    run_state_machine_as_test(made, settings=examples(8, stateful_step_count=40))


# The courier over them.


class Post:
    """A sender that answers as it is told and keeps what it sent."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        self.sent.append((url, headers, body))
        return Outcome(self.statuses.pop(0) if self.statuses else 200)

    async def close(self) -> None:
        pass


@pytest.fixture
def service(any_store: Store, clock: ManualClock) -> Service:
    service = Service(any_store, clock, parse)
    service.set_catalog(FakeCatalog(), FakeCatalog().source(), "catalog.json")
    return service


def drain(service: Service, clock: ManualClock, post: Post) -> None:
    asyncio.run(Courier(StoredDeliveries(service), post, clock, Random(1)).drain())


def test_an_event_reaches_who_wants_it_signed_with_the_secret_shown(
    service: Service, clock: ManualClock
) -> None:
    one = service.put_webhook("https://one.test/hook?token=hidden", ("customer_changed",))
    service.put_webhook("https://two.test/hook", ("low_balance",))
    service.put_customers([put_customer("acme", plan="free")])
    post = Post(500)
    drain(service, clock, post)
    clock.advance(10_000)
    drain(service, clock, post)
    assert [url for url, _, _ in post.sent] == [one.url, one.url]
    [known] = service.list_events(kind="customer_changed").items
    assert {headers["webhook-id"] for _, headers, _ in post.sent} == {known.id}
    # The library knows only the machine's clock: signed anew for it, the same body must give the same.
    _, headers, body = post.sent[0]
    assert one.secret is not None
    stamp = int(headers["webhook-timestamp"])
    again = Webhook(one.secret).sign(known.id, datetime.fromtimestamp(stamp, timezone.utc), body.decode())
    assert headers["webhook-signature"] == again
    assert [(row.state, row.attempts) for row in service.list_deliveries().items] == [("delivered", 1)]


def test_who_is_gone_gets_nothing_more_until_turned_on_again(service: Service, clock: ManualClock) -> None:
    made = service.put_webhook("https://one.test/hook", None)
    for plan in ("free", "pro", "free"):
        service.put_customers([put_customer("acme", plan=plan)])
    drain(service, clock, Post(410))
    assert [one.enabled for one in service.list_webhooks()] == [False]
    assert {row.state for row in service.list_deliveries(state="dead", webhook=made.id).items} == {"dead"}
    assert not service.any_webhook()
    with pytest.raises(errors.Conflict):
        service.replay_dead(made.id)
    assert service.put_webhook("https://one.test/hook", None).id == made.id
    assert service.replay_dead(made.id) == 3
    post = Post()
    drain(service, clock, post)
    assert len(post.sent) == 3


def test_a_secret_is_shown_once(service: Service) -> None:
    made = service.put_webhook("https://one.test/hook", None, by=By("jo", key="k1"))
    assert made.secret is not None
    assert made.secret.startswith(made.secret_begins)
    assert made.secret not in repr(made)
    [listed] = service.list_webhooks()
    assert (listed.secret, listed.secret_begins, listed.author) == (None, made.secret[:8], "jo")
    rotated_once = service.rotate_webhook_secret(made.id)
    assert rotated_once.secret not in (None, made.secret)
    assert all(made.secret not in str(entry) for entry in service.audit().items)


def test_what_a_predecessor_took_is_handed_out_again(service: Service, clock: ManualClock) -> None:
    service.put_webhook("https://one.test/hook", None)
    service.put_customers([put_customer("acme")])
    deliveries = StoredDeliveries(service)
    [taken] = deliveries.due(clock.now_ms(), 5)
    assert list(deliveries.due(clock.now_ms(), 5)) == []
    service.release_claims()
    assert list(deliveries.due(clock.now_ms(), 5)) == [taken]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda service: service.put_webhook("ftp://one.test/", None), errors.NameInvalid),
        (lambda service: service.put_webhook("http://one.test/", None), errors.NameInvalid),
        (lambda service: service.put_webhook(5, None), errors.WrongType),
        (lambda service: service.put_webhook("https://one.test/", ("nothing",)), errors.NameInvalid),
        (lambda service: service.put_webhook("https://one.test/", ()), errors.NameInvalid),
        (lambda service: service.put_webhook("https://one.test/", "low_balance"), errors.WrongType),
        (lambda service: service.delete_webhook("wh_0"), errors.UnknownWebhook),
        (lambda service: service.rotate_webhook_secret("wh_0"), errors.UnknownWebhook),
        (lambda service: service.rotate_webhook_secret("wh_0", -1), errors.InstantError),
        (lambda service: service.rotate_webhook_secret("wh_0", 1.5), errors.WrongType),
        (lambda service: service.replay_delivery("e/wh_0"), errors.UnknownDelivery),
        (lambda service: service.replay_dead("wh_0"), errors.UnknownWebhook),
        (lambda service: service.list_deliveries(state="lost"), errors.NameInvalid),
    ],
)
def test_a_bad_request_is_refused(service: Service, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(service)
    assert service.list_webhooks() == []


def test_without_the_extra_it_is_said_what_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'fastcheck\[webhooks\]'"):
        service.put_webhook("https://one.test/", None)


def test_an_old_secret_signs_until_its_overlap_has_passed(service: Service, clock: ManualClock) -> None:
    made = service.put_webhook("https://one.test/hook", None)
    service.rotate_webhook_secret(made.id, 1_000)
    service.put_customers([put_customer("acme")])
    [taken] = StoredDeliveries(service).due(clock.now_ms(), 1)
    assert len(in_force(taken.endpoint.secrets, clock.now_ms())) == 2
    assert len(in_force(taken.endpoint.secrets, clock.now_ms() + 1_000)) == 1
