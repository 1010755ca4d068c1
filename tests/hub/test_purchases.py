"""Purchases: each has grants of its own, from its payment on, and nothing else touches them. What was paid is
earned, left, ended, paid back or charged back, to the minor unit."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.finance.export import book, rows, sums
from fastcheck.finance.reconcile import reconcile
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.model import AMOUNT_MAX, Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.postings import conserved
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operation import Answer, Request
from fastcheck.wire.operations.finance import BeginExport
from fastcheck.wire.purchase_answers import PurchaseRefund, PurchaseState
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, reserve
from rig.samples import examples
from rig.serving import Service

MILLION = 10**6
YEAR_MS = 365 * DAY_MS


def line(pool: str = "ai_credits", credits: int = 2_000, **terms: Any) -> dict[str, Any]:
    scale = MILLION if pool == "ai_credits" else 1
    usual = {"priority": 100, "kind": "top_up", "cost": {"amount": 1_999, "currency": "USD"}}
    return {"pool": pool, "amount": credits * scale, **usual, **terms}


SHOP: dict[str, Any] = copy.deepcopy(DOCUMENT)
SHOP["addons"] |= {
    "pack": {"plans": ["free", "pro"], "max_quantity": 10, "sold": "once", "features": {},
             "grants": [line(expires_after=[1, "year"])]},
    "mixed": {"plans": [], "sold": "once", "features": {}, "grants": [
        line(credits=100, cost={"amount": 500, "currency": "EUR"}),
        line(credits=10, kind="promotional", cost=None, expires_after=[30, "day"]),
        line("soft_credits", 50, cost={"amount": 250, "currency": "EUR"}),
    ]},
    "gift": {"plans": [], "sold": "once", "features": {}, "grants": [line(kind="plan", cost=None)]},
    "odd": {"plans": [], "sold": "once", "features": {}, "grants": [
        line(), line(cost={"amount": 1, "currency": "EUR"})]},
    "monthly": {"plans": [], "sold": "once", "features": {},
                "grants": [line(every=[1, "month"], anchor="anniversary")]},
    "much": {"plans": [], "sold": "once", "features": {}, "grants": [line(credits=10**10)]},
    "switch": {"plans": [], "sold": "once", "features": {"export": True}, "grants": []},
}  # fmt: skip


@pytest.fixture(params=["memory", "file", "postgres"])
def shop(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[Service]:
    store: Store
    if request.param == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_ledger_url"), connections=8)
    else:
        store = SqliteStore(tmp_path / "ledger.db") if request.param == "file" else SqliteStore.in_memory()
    yield open_shop(store, clock)
    store.close()


def open_shop(store: Store, clock: ManualClock, document: dict[str, Any] = SHOP) -> Service:
    service = Service(store, clock, parse)
    sell(service, document)
    service.put_customers([put_customer("acme", plan="free")])
    return service


def sell(service: Service, document: dict[str, Any]) -> None:
    catalog = FakeCatalog(document)
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")


def buy(service: Service, addon: str = "pack", quantity: int = 1, *, id: str, **more: Any) -> PurchaseState:
    found: PurchaseState = service.buy_addon(more.pop("customer", "acme"), addon, quantity, id, **more)
    return found


def refund(service: Service, id: str, amount: Any = None, pool: str | None = None) -> PurchaseRefund:
    found: PurchaseRefund = service.refund_purchase(id, amount, pool)
    return found


def use(service: Service, credits: int, pool: str = "ai_credits") -> None:
    """Uses through a lease that is closed after it, however much there is."""
    terms = service.lending.lend("acme", pool)
    scale = MILLION if pool == "ai_credits" else 1
    service.settle([Totals(terms.number, pool, terms.lease, credits * scale, 0, True)])


def left(service: Service, pool: str = "ai_credits") -> tuple[Any, Any, Any]:
    """(remaining, owed, used)."""
    balance = service.balance("acme", pool)
    return balance.remaining, balance.overage, balance.used


def whole(service: Service, pool: str = "ai_credits") -> bool:
    number = service.number_of("acme")

    def check(db: Any) -> list[str]:
        statements = Statements(db)
        account = statements.account(number, pool) or Account()
        return conserved(account, statements.postings(number, pool))

    return service.store.read(check) == [] and not service.check_pools()


def revenue(service: Service, since: int | None = None, until: int | None = None) -> dict[str, Counter[str]]:
    """Currency -> column -> minor units of bought credits in a period; the rows agree with the ledger."""

    def ask(request: Request[Answer], by: By = ANYBODY) -> Answer:
        return service.ask(request, by)

    book(ask)
    moment = ask(BeginExport(since, until))
    found: dict[str, Counter[str]] = {}

    def write(table: str, row: tuple[Any, ...]) -> None:
        if table == "revenue" and row[1] == "top_up":
            names = ("start", "sold", "burned", "breakage", "voided", "refunded", "charged_back", "end")
            found.setdefault(row[2], Counter()).update(dict(zip(names, row[3:], strict=True)))

    totals = rows(ask, moment, write)
    reconcile(totals, sums(ask, moment))
    return found


# Buying.


def test_each_purchase_has_its_own_amount_year_and_price(shop: Service, clock: ManualClock) -> None:
    first = buy(shop, id="one")
    clock.advance(100 * DAY_MS)
    second = buy(shop, "pack", 3, id="two", reason="web shop")
    assert left(shop) == (8_000, 0, 0)
    assert (first.state, first.price, first.refunded) == ("paid", (1_999, "USD"), (0, "USD"))
    assert (second.quantity, second.price, second.reason) == (3, (5_997, "USD"), "web shop")
    [grant] = second.grants
    assert (grant.id, grant.source, grant.kind) == ("purchase:two/0", "purchase:two", "top_up")
    assert (grant.amount, grant.cost, grant.reason) == (6_000, (5_997, "USD"), "web shop")
    ends = [one.grants[0].expires_at for one in (first, second)]
    assert ends == [MAY_2024_MS + YEAR_MS, MAY_2024_MS + 100 * DAY_MS + YEAR_MS]
    clock.set(MAY_2024_MS + YEAR_MS)
    assert left(shop) == (6_000, 0, 0)
    assert whole(shop)


def test_what_is_used_up_is_bought_again_and_so_is_what_expired(shop: Service, clock: ManualClock) -> None:
    buy(shop, id="one")
    use(shop, 2_000)
    assert left(shop)[0] == 0
    buy(shop, id="two")
    assert left(shop)[0] == 2_000
    clock.advance(2 * YEAR_MS)
    assert left(shop)[0] == 0
    buy(shop, id="three")
    assert left(shop) == (2_000, 0, 2_000)
    assert [one.id for one in shop.list_purchases("acme").items] == ["one", "two", "three"]


def test_nothing_that_happens_to_the_plan_touches_a_purchase(shop: Service, clock: ManualClock) -> None:
    bought = buy(shop, id="one")
    for terms in ({"plan": None}, {"plan": "pro", "addons": {"seats_pack": 2}}, {"plan": "free"}):
        shop.put_customers([put_customer("acme", **terms)])
        clock.advance(DAY_MS)
    assert shop.get_purchase("one") == bought
    assert shop.list_purchases("acme").items == (bought,)


def test_the_same_id_again_changes_nothing_and_with_other_terms_is_refused(
    shop: Service, clock: ManualClock
) -> None:
    first = buy(shop, "pack", 2, id="one")
    clock.advance(DAY_MS)
    assert buy(shop, "pack", 2, id="one") == first
    assert buy(shop, "pack", 2, id="one", price=(3_998, "USD"), reason="twice") == first
    shop.put_customers([put_customer("bravo", plan="free")])
    others: list[dict[str, Any]] = [
        {"quantity": 1},
        {"addon": "gift"},
        {"customer": "bravo"},
        {"price": (3_997, "USD")},
        {"price": (3_998, "EUR")},
    ]
    for terms in others:
        with pytest.raises(errors.Conflict, match="other terms"):
            buy(shop, **{"addon": "pack", "quantity": 2, "id": "one", **terms})
    assert left(shop)[0] == 4_000


def test_the_same_id_again_is_the_same_under_another_catalog(shop: Service, clock: ManualClock) -> None:
    first = buy(shop, id="one")
    clock.advance(DAY_MS)
    dearer = copy.deepcopy(SHOP)
    dearer["addons"]["pack"]["grants"][0] |= {"amount": 1, "cost": {"amount": 9_999, "currency": "EUR"}}
    sell(shop, dearer)
    assert buy(shop, id="one") == first
    assert buy(shop, id="two").price == (9_999, "EUR")


def test_an_id_is_one_customers_however_many_ask_at_once(shop: Service) -> None:
    customers = [f"c{n}" for n in range(6)]
    shop.put_customers([put_customer(one, plan="free") for one in customers])

    def ask(customer: str) -> str:
        try:
            return buy(shop, id="one", customer=customer).customer
        except errors.Conflict:
            return "refused"

    with ThreadPoolExecutor(len(customers)) as threads:
        told = list(threads.map(ask, customers * 2))
    [winner] = {*told} - {"refused"}
    assert told.count(winner) == 2
    assert shop.get_purchase("one").customer == winner
    assert [shop.balance(one, "ai_credits").remaining for one in customers].count(2_000) == 1


def test_an_idempotency_key_buys_once(shop: Service) -> None:
    once = By("web", key="cart 7")
    first = shop.buy_addon("acme", "pack", by=once)
    assert shop.buy_addon("acme", "pack", by=once) == first
    assert first.id.startswith("p_")
    assert shop.buy_addon("acme", "pack").id != first.id
    assert left(shop)[0] == 4_000


@pytest.mark.parametrize(
    ("addon", "quantity", "why"),
    [
        ("nope", 1, "no add-on 'nope'; it has: "),
        ("seats_pack", 1, "is not sold once: give it to the customer with put_customer"),
        ("pack", 11, "up to quantity 10 at once, not 11"),
        ("monthly", 1, "recurs"),
        ("switch", 1, "grants nothing"),
        ("odd", 1, "several currencies: give a price"),
    ],
)
def test_what_is_not_sold_so_is_refused(shop: Service, addon: str, quantity: int, why: str) -> None:
    with pytest.raises(errors.RecordError, match=why):
        buy(shop, addon, quantity, id="one")
    assert shop.list_purchases("acme").items == ()


def test_an_add_on_of_other_plans_is_not_sold(shop: Service) -> None:
    shop.put_customers([put_customer("acme")])
    with pytest.raises(errors.RecordError, match="belongs to plans free, pro, not None"):
        buy(shop, id="one")
    with pytest.raises(errors.UnknownCustomer):
        buy(shop, id="one", customer="nobody")


def test_more_than_a_pool_holds_is_not_sold(shop: Service) -> None:
    with pytest.raises(errors.AmountError, match="buy less"):
        buy(shop, "much", 1_000, id="one")
    shop.grant(make_grant("acme", "ai_credits", (AMOUNT_MAX // MILLION) - 100))
    with pytest.raises(errors.AmountError, match="would pass"):
        buy(shop, "gift", id="one")
    assert shop.list_purchases("acme").items == ()


@pytest.mark.parametrize("id", ["", "x" * 257, "a\0b"])
def test_an_id_that_cannot_be_a_grants_is_refused(shop: Service, id: str) -> None:
    with pytest.raises(errors.NameInvalid):
        buy(shop, id=id)


def test_a_grant_may_not_look_bought(shop: Service) -> None:
    with pytest.raises(errors.NameInvalid, match="purchase:"):
        shop.grant(make_grant("acme", "ai_credits", 1, id="purchase:one/0"))


def test_every_line_of_an_add_on_is_granted_in_its_pool(shop: Service, clock: ManualClock) -> None:
    bought = buy(shop, "mixed", 2, id="one")
    assert bought.price == (1_500, "EUR")
    assert [(one.pool, one.amount, one.kind, one.cost) for one in bought.grants] == [
        ("ai_credits", 200, "top_up", (1_000, "EUR")),
        ("ai_credits", 20, "promotional", None),
        ("soft_credits", 100, "top_up", (500, "EUR")),
    ]
    assert [one.expires_at for one in bought.grants] == [None, MAY_2024_MS + 30 * DAY_MS, None]
    assert (left(shop)[0], left(shop, "soft_credits")[0]) == (220, 100)


def test_what_a_plan_would_give_is_a_top_up_once_it_is_bought(shop: Service) -> None:
    bought = buy(shop, "gift", id="one")
    assert (bought.grants[0].kind, bought.price, bought.refunded) == ("top_up", None, None)


@pytest.mark.parametrize(
    ("addon", "price", "parts"),
    [
        ("pack", (1_000, "GBP"), [(1_000, "GBP")]),
        ("gift", (0, "GBP"), [(0, "GBP")]),
        ("mixed", (1_000, "GBP"), [(666, "GBP"), None, (334, "GBP")]),
        ("odd", (999, "GBP"), [(499, "GBP"), (500, "GBP")]),
    ],
)
def test_a_price_that_was_agreed_on_is_divided_among_the_lines(
    shop: Service, addon: str, price: tuple[int, str], parts: list[Any]
) -> None:
    bought = buy(shop, addon, id="one", price=price)
    assert bought.price == price
    assert [one.cost for one in bought.grants] == parts


# Paying.


def test_what_is_pending_grants_nothing_until_it_is_paid(shop: Service, clock: ManualClock) -> None:
    ordered = buy(shop, id="one", pending=True)
    assert (ordered.state, ordered.paid_at, ordered.grants) == ("pending", None, ())
    assert left(shop)[0] == 0
    assert buy(shop, id="one", pending=True) == ordered
    with pytest.raises(errors.Conflict, match="pending: pay_purchase"):
        buy(shop, id="one")
    for ask in (shop.refund_purchase, shop.charge_back):
        with pytest.raises(errors.Conflict, match="is not paid"):
            ask("one")
    clock.advance(10 * DAY_MS)
    paid = shop.pay_purchase("one")
    assert (paid.state, paid.paid_at, paid.created_at) == ("paid", clock.now_ms(), MAY_2024_MS)
    assert paid.grants[0].expires_at == MAY_2024_MS + 10 * DAY_MS + YEAR_MS
    clock.advance(DAY_MS)
    assert shop.pay_purchase("one") == paid == buy(shop, id="one", pending=True) == buy(shop, id="one")
    assert left(shop)[0] == 2_000


def test_what_was_ordered_is_granted_whatever_the_catalog_says_since(
    shop: Service, clock: ManualClock
) -> None:
    buy(shop, id="one", pending=True)
    clock.advance(DAY_MS)
    sell(shop, DOCUMENT)
    paid = shop.pay_purchase("one")
    assert (paid.price, paid.grants[0].amount) == ((1_999, "USD"), 2_000)


def test_an_unknown_purchase_is_told(shop: Service) -> None:
    for ask in (shop.pay_purchase, shop.refund_purchase, shop.charge_back, shop.get_purchase):
        with pytest.raises(errors.UnknownPurchase, match="no purchase 'one'"):
            ask("one")
    with pytest.raises(errors.UnknownCustomer):
        shop.list_purchases("nobody")


def test_what_a_deleted_customer_ordered_is_not_granted(shop: Service) -> None:
    buy(shop, id="one", pending=True)
    shop.delete_customer("acme")
    with pytest.raises(errors.Conflict, match="was deleted"):
        shop.pay_purchase("one")
    assert shop.get_purchase("one").state == "pending"


# Refunding.


def test_what_is_not_used_is_refunded_in_parts_and_never_more(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 500)
    part = refund(shop, "one", Decimal("999.5"))
    assert part.money == (999, "USD")
    assert [(one.pool, one.amount) for one in part.taken] == [("ai_credits", Decimal("999.5"))]
    assert (part.purchase.state, part.purchase.refunded) == ("refunded", (999, "USD"))
    assert left(shop) == (Decimal("500.5"), 0, 500)
    with pytest.raises(errors.AmountError, match=r"500\.5 of purchase 'one' is not used: .* not 501"):
        refund(shop, "one", 501)
    rest = refund(shop, "one")
    assert rest.money == (501, "USD")
    assert rest.purchase.refunded == (1_500, "USD")  # A quarter of 19.99 was used: 4.99.
    assert left(shop) == (0, 0, 500)
    with pytest.raises(errors.Conflict, match="used up or over"):
        refund(shop, "one")
    assert whole(shop)


def test_what_is_used_up_or_over_is_not_refunded(shop: Service, clock: ManualClock) -> None:
    buy(shop, id="one")
    use(shop, 2_000)
    buy(shop, id="two")
    clock.advance(YEAR_MS)
    for id in ("one", "two"):
        with pytest.raises(errors.Conflict, match="used up or over"):
            refund(shop, id)
        with pytest.raises(errors.AmountError, match="0 of purchase"):
            refund(shop, id, 1)


def test_a_refund_of_several_pools_says_which(shop: Service) -> None:
    buy(shop, "mixed", id="one")
    with pytest.raises(errors.RecordError, match="has grants in ai_credits, soft_credits: say of which"):
        refund(shop, "one", 1)
    with pytest.raises(errors.UnknownPool):
        refund(shop, "one", 1, "nope")
    with pytest.raises(errors.AmountError, match="0 of purchase"):
        refund(shop, "one", 1, "api_calls")
    part = refund(shop, "one", 104, "ai_credits")  # The paid line first, then what came for nothing.
    assert (part.money, part.taken[0].amount) == ((500, "EUR"), 104)
    assert [one.remaining for one in part.purchase.grants] == [0, 6, 50]
    rest = refund(shop, "one")
    assert rest.money == (250, "EUR")
    assert [(one.pool, one.amount) for one in rest.taken] == [("ai_credits", 6), ("soft_credits", 50)]


@pytest.mark.parametrize("amount", [0, -1, Decimal("0.0000001"), Decimal("NaN")])
def test_a_refund_of_an_amount_that_cannot_be_meant_is_refused(shop: Service, amount: Any) -> None:
    buy(shop, id="one")
    with pytest.raises(errors.AmountError):
        refund(shop, "one", amount)
    assert left(shop)[0] == 2_000


def test_a_refund_under_a_key_is_made_once(shop: Service) -> None:
    buy(shop, id="one")
    once = By("support", key="ticket 7")
    first = shop.refund_purchase("one", 500, by=once)
    assert shop.refund_purchase("one", 500, by=once) == first
    assert left(shop)[0] == 1_500


def test_a_gift_is_refunded_without_money(shop: Service) -> None:
    buy(shop, "gift", id="one")
    assert refund(shop, "one").money is None
    assert left(shop)[0] == 0


def test_use_that_is_given_back_after_a_refund_is_spendable(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 500)
    refund(shop, "one")
    terms = shop.lending.lend("acme", "ai_credits")
    used = Totals(terms.number, "ai_credits", terms.lease, 0, 0, True)
    shop.lending.give_back("late", *used[:3], 200 * MILLION, totals=used)
    assert left(shop) == (200, 0, 300)
    assert whole(shop)


def test_a_bought_grant_is_not_voided(shop: Service) -> None:
    buy(shop, id="one")
    with pytest.raises(errors.Conflict, match="was bought: use refund_purchase or charge_back of 'one'"):
        shop.void("purchase:one/0")


# Charging back.


def test_what_was_used_of_a_payment_taken_back_is_owed_and_the_next_grant_pays(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 2_000)
    back = shop.charge_back("one", reason="disputed")
    assert (back.state, back.charged_back_at, back.grants[0].voided) == ("charged_back", MAY_2024_MS, 2_000)
    assert left(shop) == (0, 2_000, 2_000)
    buy(shop, "pack", 2, id="two")
    assert left(shop) == (2_000, 0, 2_000)
    assert whole(shop)


def test_what_was_not_used_is_only_taken(shop: Service) -> None:
    buy(shop, id="one")
    assert shop.charge_back("one").grants[0].remaining == 0
    assert left(shop) == (0, 0, 0)
    assert whole(shop)


def test_what_was_used_in_part_is_owed_in_part_and_other_grants_pay_at_once(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 300)
    shop.grant(make_grant("acme", "ai_credits", 100))
    shop.charge_back("one")
    assert left(shop) == (0, 200, 300)
    assert whole(shop)


def test_one_line_does_not_pay_for_another_that_is_taken_back_too(shop: Service) -> None:
    buy(shop, "mixed", id="one")
    use(shop, 105)
    use(shop, 10, "soft_credits")
    shop.charge_back("one")
    assert left(shop) == (0, 105, 105)
    assert left(shop, "soft_credits")[1:] == (10, 10)
    assert whole(shop)
    assert whole(shop, "soft_credits")


def test_a_charge_back_is_made_once(shop: Service, clock: ManualClock) -> None:
    buy(shop, id="one")
    use(shop, 300)
    first = shop.charge_back("one")
    clock.advance(DAY_MS)
    assert shop.charge_back("one") == first
    assert buy(shop, id="one") == first
    assert left(shop)[1] == 300
    with pytest.raises(errors.Conflict, match="charged back"):
        shop.pay_purchase("one")
    with pytest.raises(errors.Conflict, match="charged back"):
        refund(shop, "one")


def test_what_was_refunded_before_stays_refunded(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 500)
    refund(shop, "one", 1_000)
    back = shop.charge_back("one")
    assert back.refunded == (1_000, "USD")
    assert left(shop) == (0, 500, 500)
    assert whole(shop)


def test_a_purchase_that_ended_unused_can_be_charged_back(shop: Service, clock: ManualClock) -> None:
    buy(shop, id="one")
    use(shop, 500)
    clock.advance(2 * YEAR_MS)
    back = shop.charge_back("one")
    [grant] = back.grants
    assert (grant.burned, grant.expired, grant.voided) == (0, 0, 2_000)
    assert left(shop) == (0, 500, 500)
    assert whole(shop)


def test_a_deleted_customers_purchase_can_be_charged_back(shop: Service) -> None:
    buy(shop, id="one")
    use(shop, 500)
    shop.delete_customer("acme")
    assert shop.charge_back("one").state == "charged_back"
    assert not shop.check_pools()


def test_the_id_put_again_has_what_it_bought(shop: Service, clock: ManualClock) -> None:
    bought = buy(shop, id="one")
    use(shop, 500)
    shop.delete_customer("acme")
    clock.advance(40 * DAY_MS)
    shop.put_customers([put_customer("acme", plan="pro")])
    [grant] = shop.get_purchase("one").grants
    assert (grant.remaining, grant.burned, grant.expires_at) == (1_500, 500, bought.grants[0].expires_at)
    assert refund(shop, "one").money == (1_500, "USD")
    assert whole(shop)


# What is told.


def test_events_and_the_audit_log_tell_of_purchases(shop: Service) -> None:
    buy(shop, "pack", 2, id="one", pending=True)
    shop.pay_purchase("one")
    refund(shop, "one", 1_000)
    shop.charge_back("one", reason="disputed")
    buy(shop, "gift", id="two")
    told = [one for one in shop.list_events(limit=1_000).items if one.kind.startswith("purchase_")]
    assert [(one.kind.removeprefix("purchase_"), one.data["minor_units"]) for one in told] == [
        ("paid", 3_998),
        ("refunded", 999),
        ("charged_back", 2_999),
        ("paid", None),
    ]
    assert told[0].customer == "acme"
    assert told[0].data == {
        "purchase": "one", "addon": "pack", "quantity": 2, "minor_units": 3_998, "currency": "USD"
    }  # fmt: skip
    noted = [one.action for one in shop.audit(subject="acme").items]
    assert noted[:5] == ["buy", "charge_back", "refund_purchase", "pay_purchase", "buy"]
    assert shop.audit(subject="acme").items[1].reason == "disputed"


def test_purchases_are_listed_in_pages(shop: Service) -> None:
    for n in range(5):
        buy(shop, id=f"p{n}")
    found, cursor = [], None
    while True:
        page = shop.list_purchases("acme", cursor, 2)
        found += [one.id for one in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [f"p{n}" for n in range(5)]
    with pytest.raises(errors.RecordError, match="cursor"):
        shop.list_purchases("acme", "nonsense", 2)


# Money.


def test_the_export_has_each_sale_in_its_month_with_refunds_and_charge_backs(
    shop: Service, clock: ManualClock
) -> None:
    june, july = MAY_2024_MS + 31 * DAY_MS, MAY_2024_MS + 61 * DAY_MS
    buy(shop, id="one")
    use(shop, 500)
    clock.set(june)
    buy(shop, id="two")
    refund(shop, "one", 1_000)
    clock.set(july)
    shop.charge_back("one")
    names = ("sold", "burned", "refunded", "charged_back", "voided", "end")
    months = [
        tuple(revenue(shop, since, until)["USD"][name] for name in names)
        for since, until in ((MAY_2024_MS, june), (june, july), (july, None))
    ]
    assert months == [
        (1_999, 499, 0, 0, 0, 1_500),
        (1_999, 0, 1_000, 0, 0, 2_499),
        (0, 0, 0, 999, 0, 1_500),  # What was owed for the first, the second paid at once.
    ]


def test_each_purchase_is_worth_its_own_price(shop: Service) -> None:
    buy(shop, id="one", price=(1_000, "USD"))
    buy(shop, id="two", price=(4_000, "USD"))
    use(shop, 3_000)
    assert revenue(shop)["USD"]["burned"] == 1_000 + 2_000


def test_breakage_of_a_payment_that_was_taken_back_is_not_earned(shop: Service, clock: ManualClock) -> None:
    buy(shop, id="one")
    use(shop, 500)
    clock.advance(2 * YEAR_MS)
    assert revenue(shop)["USD"]["breakage"] == 1_500
    shop.charge_back("one")
    now = revenue(shop)["USD"]
    assert (now["burned"], now["breakage"], now["charged_back"], now["end"]) == (0, 0, 1_999, 0)


steps = st.one_of(
    st.tuples(st.just("buy"), st.sampled_from(("pack", "mixed")), st.integers(1, 3)),
    st.tuples(st.just("order"), st.sampled_from(("pack", "mixed"))),
    st.tuples(st.just("pay"), st.integers(0, 5)),
    st.tuples(st.just("use"), st.integers(1, 2_500)),
    st.tuples(st.just("refund"), st.integers(0, 5), st.none() | st.integers(1, 2_000)),
    st.tuples(st.just("charge back"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 200)),
)


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=2, max_size=14))
def test_what_was_paid_is_earned_left_over_paid_back_or_charged_back(story: list[Any]) -> None:
    clock, store = ManualClock(MAY_2024_MS), SqliteStore.in_memory()
    service = open_shop(store, clock)
    ids: list[str] = []
    used = 0
    for place, (what, *args) in enumerate(story):
        try:
            if what in ("buy", "order"):
                ids.append(f"p{place}")
                buy(service, args[0], *args[1:], id=ids[-1], pending=what == "order")
            elif what == "use":
                use(service, args[0])
                used += args[0]
            elif what == "wait":
                clock.advance(args[0] * DAY_MS)
            elif ids:
                id = ids[args[0] % len(ids)]
                if what == "pay":
                    service.pay_purchase(id)
                elif what == "charge back":
                    service.charge_back(id)
                else:
                    refund(service, id, args[1], "ai_credits" if args[1] else None)
        except (errors.Conflict, errors.AmountError):
            pass
    bought = [one for one in service.list_purchases("acme", None, 1_000).items if one.state != "pending"]
    assert left(service)[2] == used
    assert whole(service)
    assert whole(service, "soft_credits")
    expected: dict[str, Counter[str]] = {}
    for one in bought:
        assert one.price is not None
        assert one.refunded is not None
        sums_of = expected.setdefault(one.price[1], Counter())
        sums_of["sold"] += one.price[0]
        sums_of["refunded"] += one.refunded[0]
        sums_of["charged_back"] += (one.price[0] - one.refunded[0]) * (one.state == "charged_back")
    for currency, found in revenue(service).items():
        assert {name: found[name] for name in ("sold", "refunded", "charged_back")} == expected[currency]
        kept = found["burned"] + found["breakage"] + found["end"]
        assert found["sold"] == kept + found["refunded"] + found["charged_back"]
        assert min(found.values()) >= 0
    store.close()


def test_a_reservation_that_a_refund_leaves_without_credits_commits_what_is_there(shop: Service) -> None:
    buy(shop, id="one")
    shop.reserve(reserve("acme", "ai_credits", 1_500, id="h", ttl_ms=60_000))
    refund(shop, "one", 1_000)
    with pytest.raises(errors.Conflict):
        shop.commit("h", 1_500)
    assert shop.commit("h", 1_000).spent == 1_000
