"""Purchases in a directory: what is bought is spendable when `buy` returns, what is taken back is not, in
every process, and what was used before is paid from what there was. A hub answers as a directory does."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from fastcheck.admin import Admin
from fastcheck.clock import ManualClock
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub_client import HubClient
from rig.hub_api import URL, asgi, http, make_app, make_service
from rig.instants import MAY_2024_MS

CATALOG = b"""\
fastcheck: 1
pools:
  chat: {scale: 2}
  images: {policy: soft, overdraft: 5}
features:
  ask: {kind: credit, pool: chat, rate: 1}
  draw: {kind: credit, pool: images, rate: 1}
plans:
  pro: {features: {ask: true, draw: true}}
addons:
  pack:
    sold: once
    plans: [pro]
    max_quantity: 5
    grants: {credits: {pool: chat, amount: 100, expires_after: 30 days, cost: {amount: 10, currency: EUR}}}
  bundle:
    sold: once
    grants:
      - {pool: chat, amount: 40, cost: {amount: 4, currency: EUR}}
      - {pool: images, amount: 6, cost: {amount: 3, currency: EUR}}
"""


WITHIN_S = 30.0


@pytest.fixture
def ents(tmp_path: Path) -> Iterator[Entitlements]:
    with Entitlements.open(tmp_path / "state", catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        yield ents


@pytest.fixture
def worker(ents: Entitlements, tmp_path: Path) -> Iterator[Entitlements]:
    """Another process's view of the directory."""
    with Entitlements.attach(tmp_path / "state") as worker:
        yield worker


def burn(ents: Entitlements, feature: str = "ask") -> int:
    """Burns all there is; how much it was."""
    burned = 0
    while ents.consume("acme", feature, 1):
        burned += 1
    return burned


def test_what_is_bought_is_spendable_when_it_returns_and_what_is_taken_is_not(
    ents: Entitlements, worker: Entitlements
) -> None:
    assert burn(ents) == 0
    worker.admin.buy("acme", "pack", id="one")
    assert ents.consume("acme", "ask", 30)
    assert worker.consume("acme", "ask", 10)
    ents.admin.buy("acme", "pack", id="two")
    assert worker.admin.refund_purchase("one", 20).money == (200, "EUR")
    assert burn(worker) == 140
    assert burn(ents) == 0
    assert ents.admin.balance("acme", "chat").used == 180
    ents.admin.charge_back("two")
    owed = ents.admin.balance("acme", "chat").overage
    assert owed == 100
    worker.admin.buy("acme", "pack", 2, id="three")
    assert burn(ents) == 100
    assert not ents.admin.check_ledger()


def test_use_before_a_purchase_is_paid_by_what_was_there(ents: Entitlements) -> None:
    ents.admin.grant("acme", "chat", 50)
    assert ents.consume("acme", "ask", 50)
    assert ents.admin.buy("acme", "pack", id="one").grants[0].remaining == 100
    assert ents.admin.list_purchases("acme").items[0].grants[0].burned == 0
    assert ents.consume("acme", "ask", 7)
    assert ents.admin.get_purchase("one").grants[0].burned == 7


def test_lines_in_several_pools_are_spendable_at_once(ents: Entitlements, worker: Entitlements) -> None:
    assert ents.consume("acme", "draw", 2)  # On the overdraft.
    assert burn(ents) == 0
    ents.admin.buy("acme", "bundle", 2, id="one")
    assert (burn(worker), burn(worker, "draw")) == (80, 15)
    ents.admin.charge_back("one")
    owed = {pool: ents.admin.balance("acme", pool).overage for pool in ("chat", "images")}
    assert owed == {"chat": 80, "images": 17}
    assert not ents.admin.check_ledger()


def test_a_reservation_outlives_a_purchase_and_its_refund(ents: Entitlements) -> None:
    ents.admin.buy("acme", "pack", id="one")
    with ents.reserve("acme", "ask", 60) as held:
        ents.admin.buy("acme", "pack", id="two")
        ents.admin.refund_purchase("two")
        assert burn(ents) == 40
        held.commit(50)
    ends_at = time.monotonic() + WITHIN_S  # What a hold gives back across a lease comes with the next round.
    while ents.admin.balance("acme", "chat").used != 90:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    assert burn(ents) == 10


def test_what_is_refused_leaves_everything_spendable(ents: Entitlements) -> None:
    ents.admin.buy("acme", "pack", id="one")
    assert ents.consume("acme", "ask", 10)
    for refused in (
        lambda: ents.admin.buy("acme", "pack", 6, id="two"),
        lambda: ents.admin.buy("acme", "pack", 2, id="one"),
        lambda: ents.admin.refund_purchase("one", 91),
        lambda: ents.admin.void("purchase:one/credits"),
    ):
        with pytest.raises(errors.FastcheckError):
            refused()
    assert burn(ents) == 90


def test_what_is_bought_survives_the_owner(tmp_path: Path) -> None:
    clock = ManualClock(MAY_2024_MS)
    with Entitlements.open(tmp_path / "state", catalog=CATALOG, clock=clock) as ents:
        ents.admin.put_customer("acme", plan="pro")
        first = ents.admin.buy("acme", "pack", id="one")
        ordered = ents.admin.buy("acme", "bundle", id="two", pending=True)
    with Entitlements.open(tmp_path / "state", clock=clock) as ents:
        assert ents.admin.list_purchases("acme").items == (first, ordered)
        assert burn(ents) == 100
        ents.admin.pay_purchase("two")
        assert burn(ents) == 40
        clock.advance(31 * 86_400_000)
        ents.admin.buy("acme", "pack", id="three")
        assert burn(ents) == 100


def test_every_process_hears_of_purchases(ents: Entitlements, worker: Entitlements) -> None:
    heard: queue.Queue[tuple[str, str | None]] = queue.Queue()
    ends = [
        side.on(kind, lambda change: heard.put((change.kind, change.customer)))
        for side in (ents, worker)
        for kind in ("purchase_paid", "purchase_refunded", "purchase_charged_back")
    ]
    ents.admin.buy("acme", "pack", id="one")
    worker.admin.refund_purchase("one", 5)
    worker.admin.charge_back("one")
    told = sorted(heard.get(timeout=WITHIN_S) for _ in range(6))
    kinds = ["purchase_charged_back", "purchase_paid", "purchase_refunded"]
    assert told == [(kind, "acme") for kind in kinds for _ in range(2)]
    for end in ends:
        end()


def told(admin: Admin) -> list[Any]:
    """What one side answers to a story."""
    answers: list[Any] = []

    def ask(method: str, *args: Any, **more: Any) -> None:
        try:
            answers.append(getattr(admin, method)(*args, **more))
        except errors.FastcheckError as error:
            answers.append((type(error).__name__, str(error)))

    admin.put_customer("acme", plan="pro")
    ask("buy", "acme", "pack", 2, id="one", reason="web shop")
    ask("buy", "acme", "pack", 2, id="one")
    ask("buy", "acme", "pack", 1, id="one")
    ask("buy", "acme", "bundle", id="two", pending=True, price=(5, "USD"))
    ask("pay_purchase", "two", reason="wire")
    ask("pay_purchase", "three")
    ask("debit", "acme", "chat", Decimal("12.5"))
    answers.pop()  # Its id is made by chance.
    ask("refund_purchase", "one", Decimal("0.01"))
    ask("refund_purchase", "two", 1)
    ask("refund_purchase", "two", 1, pool="images")
    ask("refund_purchase", "one", 1_000)
    ask("charge_back", "one", reason="disputed")
    ask("get_purchase", "one")
    ask("list_purchases", "acme", None, 1)
    ask("balance", "acme", "chat")
    ask("void", "purchase:two/0")
    return answers


def test_a_hub_answers_as_a_directory_and_an_attached_process_do(tmp_path: Path) -> None:
    sides = []
    for place in range(2):
        with Entitlements.open(
            tmp_path / str(place), catalog=CATALOG, clock=ManualClock(MAY_2024_MS)
        ) as owner:
            if place == 0:
                sides.append(told(owner.admin))
                continue
            with Entitlements.attach(tmp_path / str(place)) as worker:
                sides.append(told(worker.admin))
    store = SqliteStore(tmp_path / "hub.db")
    service = make_service(store, ManualClock(MAY_2024_MS))
    service.set_catalog(service.parse(CATALOG, "<catalog>"), CATALOG, "<catalog>")
    app = make_app(service)
    with asgi(app) as transport, HubClient(URL, "admin", transport=transport, timeout_s=60) as client:
        sides.append(told(client))
    # Authors are told with the token's name at a hub.
    assert len({str(side).replace("'console'", "''") for side in sides}) == 1
    with http(app, "support") as client:
        assert client.get("/v1/purchases/one").json()["state"] == "charged_back"
        assert client.post("/v1/purchases/one/charge_back", json={}).status_code == 403
    with http(app) as client:
        made = client.post(
            "/v1/customers/acme/purchases",
            json={"addon": "pack", "price": {"minor_units": 7, "currency": "EUR"}},
        ).json()
        assert (made["state"], made["price"]) == ("paid", {"minor_units": 7, "currency": "EUR"})
        assert made["id"].startswith("p_")
        assert client.get("/v1/purchases/nope").status_code == 404
        assert (
            client.post("/v1/customers/acme/purchases", json={"addon": "pack", "quantity": 0}).status_code
            == 422
        )
    store.close()
