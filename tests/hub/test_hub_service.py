"""The use cases over a real SQLite file: customers, overrides, grants, leases, settlement, catalog
changes."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import By
from fastcheck.wire.record import unpack_record
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_override
from rig.serving import Service

MILLION = 10**6


def put(service: Service, id: str = "acme", **fields: Any) -> int:
    fields.setdefault("plan", "pro")
    return len(service.put_customers([put_customer(id, **fields)]))


def used(service: Service, terms: Any, spent: int, returned: int = 0, *, final: bool = False) -> Totals:
    return Totals(terms.number, terms.pool, terms.lease, spent, returned, final)


def test_putting_the_same_customer_again_is_no_change(service: Service) -> None:
    assert put(service, aliases=["stripe:cus_9"], addons={"seats_pack": 2}) == 1
    seq = service.seq()
    assert put(service, aliases=["stripe:cus_9"], addons={"seats_pack": 2}) == 0
    assert service.seq() == seq
    customer = service.get_customer("stripe:cus_9")
    assert (customer.id, customer.plan, customer.version) == ("acme", "pro", 1)
    assert [(addon.name, addon.quantity) for addon in customer.addons] == [("seats_pack", 2)]


def test_the_record_is_what_the_contract_says(service: Service, clock: ManualClock) -> None:
    put(service, aliases=["a1"], addons={"seats_pack": 2}, trial_plan="pro", trial_until=clock.now_ms() + 1)
    service.put_override(put_override("acme", "seats", None, reason="beta"))
    record = unpack_record(b"".join(service.records()))
    assert record.overrides == (("seats", (2,), None, None),)
    assert record.addons == (("seats_pack", 2, None),)
    assert record.trial is not None
    assert record.trial.version == 1
    assert record.aliases == ("a1",)


def test_a_customer_stays_on_the_version_they_bought(service: Service) -> None:
    put(service)
    second = copy.deepcopy(DOCUMENT)
    second["plans"]["pro"]["2"] = {"features": {"export": True}, "grants": []}
    assert service.set_catalog(FakeCatalog(second), b"{}", "two.json")
    put(service)
    put(service, "newcomer")
    assert service.get_customer("acme").version == 1
    assert service.get_customer("newcomer").version == 2
    put(service, version=2)
    assert service.get_customer("acme").version == 2


def test_several_grants_burn_in_order(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 10, id="paid"))
    service.grant(make_grant("acme", "ai_credits", 5, id="promo", kind="promotional"))
    service.grant(make_grant("acme", "ai_credits", Decimal("1.5"), id="first", priority=1))
    terms = service.lend("acme", "ai_credits")
    assert (terms.lent, terms.full) == (16_500_000, True)
    service.settle([used(service, terms, 4 * MILLION)])
    left = {grant.id: grant.remaining for grant in service.list_grants("acme", "ai_credits")}
    assert left == {"paid": 10, "promo": Decimal("2.5"), "first": 0}
    assert service.balance("acme", "ai_credits").remaining == Decimal("12.5")


def test_settling_is_absolute_and_idempotent(service: Service) -> None:
    put(service)
    terms = service.lend("acme", "ai_credits")
    for _ in range(3):
        service.settle([used(service, terms, 30 * MILLION, 10 * MILLION)])
        service.settle([used(service, terms, 25 * MILLION, 5 * MILLION)])  # late
    assert service.balance("acme", "ai_credits").remaining == 980
    for _ in range(2):
        service.settle([used(service, terms, 30 * MILLION, 10 * MILLION, final=True)])
    service.settle([used(service, terms, 30 * MILLION, 12 * MILLION, final=True)])  # a hold given back late
    assert service.balance("acme", "ai_credits").remaining == 982
    assert service.lend("acme", "ai_credits").lease == 2


def test_a_grant_raises_an_open_lease(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 10, id="a"))
    terms = service.lend("acme", "ai_credits")
    granted = service.grant(
        make_grant("acme", "ai_credits", 5, id="b"), totals=used(service, terms, 8 * MILLION)
    )
    assert granted.terms is not None
    assert not granted.reopen
    assert (granted.terms.lease, granted.terms.lent) == (1, 15 * MILLION)
    service.settle([used(service, terms, 12 * MILLION, final=True)])
    assert [grant.remaining for grant in service.list_grants("acme", "ai_credits")] == [0, 3]


def test_earlier_use_is_not_paid_from_a_later_grant(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 10, id="old"))
    terms = service.lend("acme", "ai_credits")
    service.grant(
        make_grant("acme", "ai_credits", 5, id="new", priority=1), totals=used(service, terms, 4 * MILLION)
    )
    service.settle([used(service, terms, 6 * MILLION)])
    assert {one.id: one.remaining for one in service.list_grants("acme", "ai_credits")} == {
        "old": 6,
        "new": 3,
    }


def test_a_grant_that_ends_sooner_asks_for_a_new_lease(service: Service, clock: ManualClock) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 10))
    terms = service.lend("acme", "ai_credits")
    granted = service.grant(make_grant("acme", "ai_credits", 5, expires_at=clock.now_ms() + 50))
    assert granted.terms is None
    assert granted.reopen
    (again,) = service.relend([used(service, terms, 0, final=True)], [(terms.number, "ai_credits")])
    assert (again.lease, again.lent, again.valid_until) == (2, 15 * MILLION, clock.now_ms() + 50)


def test_grants_are_idempotent_by_id(service: Service) -> None:
    put(service, plan="free")
    first = service.grant(make_grant("acme", "ai_credits", 10, id="order-1"))
    assert service.grant(make_grant("acme", "ai_credits", 10, id="order-1")).grant == first.grant
    assert service.balance("acme", "ai_credits").remaining == 10
    with pytest.raises(errors.Conflict):
        service.grant(make_grant("acme", "ai_credits", 11, id="order-1"))
    with pytest.raises(errors.NameInvalid):
        service.grant(make_grant("acme", "ai_credits", 11, id="plan:pro:0/1/ai_credits"))


def test_a_period_refills_and_the_lease_ends_there(service: Service, clock: ManualClock) -> None:
    put(service)
    terms = service.lend("acme", "api_calls")
    assert (terms.lent, terms.valid_until) == (100_000, clock.now_ms() + 31 * DAY_MS)
    service.settle([used(service, terms, 99_999)])
    clock.advance(31 * DAY_MS)
    (again,) = service.relend([used(service, terms, 99_999, final=True)], [(terms.number, "api_calls")])
    assert again.lent == 100_000
    assert service.balance("acme", "api_calls").used == 99_999


def test_a_plan_change_keeps_top_ups_and_what_was_used(service: Service) -> None:
    put(service)
    service.grant(make_grant("acme", "ai_credits", 50, id="top-up"))
    credits, calls = service.lend("acme", "ai_credits"), service.lend("acme", "api_calls")
    finals = [used(service, credits, 10 * MILLION, final=True), used(service, calls, 600, final=True)]
    service.put_customers([put_customer("acme", plan="free")], finals=finals)
    assert service.balance("acme", "ai_credits").remaining == 50
    assert service.balance("acme", "api_calls").remaining == 400
    put(service)
    assert service.balance("acme", "ai_credits").remaining == 1_040
    assert service.balance("acme", "api_calls").remaining == 99_400


def test_an_override_of_a_quota_counts_at_once_and_ends_at_its_instant(
    service: Service, clock: ManualClock
) -> None:
    put(service, plan="free")
    end = clock.now_ms() + DAY_MS
    service.put_override(put_override("acme", "api_calls", 5_000, expires_at=end))
    terms = service.lend("acme", "api_calls")
    assert (terms.lent, terms.valid_until) == (5_000, end)
    clock.set(end)
    (again,) = service.relend([used(service, terms, 1_200, final=True)], [(terms.number, "api_calls")])
    assert again.lent == 0
    assert service.list_overrides("acme")[0].value == 5_000
    assert service.remove_override("acme", "api_calls") is not None
    assert service.remove_override("acme", "api_calls") is None


def test_an_unlimited_meter_is_counted_all_the_same(service: Service) -> None:
    put(service)
    service.put_override(put_override("acme", "api_calls", None))
    terms = service.lend("acme", "api_calls")
    assert not terms.full
    assert terms.lent == (1 << 47) - 1
    service.settle([used(service, terms, 150_000)])
    balance = service.balance("acme", "api_calls")
    assert (balance.remaining, balance.used) == (None, 150_000)
    service.remove_override("acme", "api_calls", finals=[used(service, terms, 150_000, final=True)])
    assert service.balance("acme", "api_calls").remaining == 0


def test_a_soft_pool_lends_its_overdraft_and_a_top_up_pays_it_first(service: Service) -> None:
    put(service)
    terms = service.lend("acme", "soft_credits")
    assert terms.lent == 100
    service.settle([used(service, terms, 80, final=True)])
    balance = service.balance("acme", "soft_credits")
    assert (balance.remaining, balance.overage) == (0, 80)
    service.grant(make_grant("acme", "soft_credits", 50))
    assert service.balance("acme", "soft_credits").overage == 30
    assert service.lend("acme", "soft_credits").lent == 70


def test_void(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 10, id="g"))
    terms = service.lend("acme", "ai_credits")
    final = used(service, terms, 4 * MILLION, final=True)
    assert service.void("g", finals=[final], by=By(reason="refund")).remaining == 0
    assert service.void("g").voided_at is not None
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used) == (0, 4)
    service.grant(make_grant("acme", "ai_credits", 1, id="h"))
    terms = service.lend("acme", "ai_credits")
    with pytest.raises(errors.Conflict, match="used up"):
        service.void("h", finals=[used(service, terms, MILLION, final=True)])
    with pytest.raises(errors.UnknownGrant):
        service.void("nobody")


def test_a_refused_call_changes_nothing(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 1, id="h"))
    terms = service.lend("acme", "ai_credits")
    with pytest.raises(errors.Conflict):
        service.void("h", finals=[used(service, terms, MILLION, final=True)])
    assert service.open_leases()[0].open, "the settlement of a refused call is undone with it"


def test_deleting_a_customer_frees_the_keys_and_takes_the_grants(service: Service) -> None:
    put(service, aliases=["key"])
    service.grant(make_grant("acme", "ai_credits", 10, id="bought"))
    service.grant(make_grant("acme", "ai_credits", 3, id="gift", kind="promotional"))
    changed = service.delete_customer("key", by=By(reason="left"))
    record = unpack_record(changed.records)
    assert record.deleted
    assert record.aliases == ()
    with pytest.raises(errors.UnknownCustomer):
        service.get_customer("acme")
    put(service, "other", aliases=["key"])
    put(service, plan="free")
    assert service.balance("acme", "ai_credits").remaining == 10, "what was paid for comes back with the id"
    assert service.lend("acme", "ai_credits").number == record.number


def test_keys_belong_to_one_customer(service: Service) -> None:
    put(service, aliases=["key"])
    for fields in ({"aliases": ["key"]}, {"aliases": ["acme"]}):
        with pytest.raises(errors.Conflict, match="another customer"):
            put(service, "other", **fields)
    with pytest.raises(errors.Conflict, match="another customer"):
        put(service, "key")
    with pytest.raises(errors.Conflict, match="twice"):
        service.put_customers([put_customer("x"), put_customer("x")])


def test_many_customers_are_all_put_or_none(service: Service) -> None:
    changed = service.put_customers([put_customer(f"c{n:05}", plan="free") for n in range(5_000)])
    assert [len(one.ids) for one in changed] == [4_096, 904]
    assert changed[1].seq == changed[0].seq + 1
    with pytest.raises(errors.RecordError, match="no plan"):
        service.put_customers([put_customer("new"), put_customer("bad", plan="gold")])
    with pytest.raises(errors.UnknownCustomer):
        service.get_customer("new")
    page = service.list_customers(limit=1_000)
    assert len(page.items) == 1_000
    assert page.cursor == "c00999"
    seen = len(page.items)
    while page.cursor is not None:
        page = service.list_customers(page.cursor, limit=1_000)
        seen += len(page.items)
    assert seen == 5_000
    assert sum(len(chunk) for chunk in service.records()) == sum(len(one.records) for one in changed)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda doc: doc["features"]["export"].update(kind="limit"),
            "feature export changes from switch to limit",
        ),
        (lambda doc: doc["features"].pop("export"), "feature export is gone"),
        (lambda doc: doc["plans"].pop("pro"), "plan pro version 1 is gone"),
        (lambda doc: doc["addons"].pop("seats_pack"), "add-on seats_pack is gone"),
        (lambda doc: doc["pools"]["ai_credits"].update(scale=4), "pool ai_credits changes its scale"),
        (lambda doc: doc["pools"].pop("ai_credits"), "pool ai_credits is gone"),
        (lambda doc: doc["features"]["gpt-4o"].update(pool="soft_credits"), "feature gpt-4o moves from pool"),
    ],
)
def test_a_catalog_that_takes_away_what_is_in_use_is_refused(
    service: Service, change: Any, expected: str
) -> None:
    put(service, addons={"seats_pack": 1})
    service.grant(make_grant("acme", "ai_credits", 1))
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with pytest.raises(errors.CatalogError) as caught:
        service.set_catalog(FakeCatalog(document), b"{}", "next.json")
    assert any(expected in problem and "'acme'" in problem for problem in caught.value.problems)
    assert service.catalog.digest == FakeCatalog().digest


def test_a_catalog_may_change_what_nobody_uses(service: Service) -> None:
    put(service, plan="free")
    document = copy.deepcopy(DOCUMENT)
    del document["plans"]["pro"], document["features"]["export"], document["addons"]["seats_pack"]
    assert service.set_catalog(FakeCatalog(document), b"{}", "next.json")
    assert not service.set_catalog(FakeCatalog(document), b"{}", "next.json")


BAD_NAMES = ["", "a\0b", "\ud800", "x" * 1_000_000, "é" * 300, b"bytes", 7, None]


@pytest.mark.parametrize("bad", BAD_NAMES, ids=lambda bad: repr(bad)[:20])
def test_bad_names_are_refused_everywhere(service: Service, bad: Any) -> None:
    put(service)
    calls: list[Any] = [
        lambda: put_customer(bad),
        lambda: put_customer("ok", aliases=[bad]),
        lambda: make_grant(bad, "ai_credits", 1),
        lambda: put_override("acme", bad, True),
        lambda: service.get_customer(bad),
        lambda: service.delete_customer(bad),
        lambda: service.balance(bad, "ai_credits"),
        lambda: service.void(bad),
        lambda: service.lend(bad, "ai_credits"),
        lambda: service.explain("acme", bad),
    ]
    for call in calls:
        with pytest.raises((errors.NameInvalid, errors.WrongType)) as caught:
            call()
        assert isinstance(caught.value, errors.FastcheckError)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        (0, errors.AmountError),
        (-1, errors.AmountError),
        (-(10**5_000), errors.AmountError),
        (10**5_000, errors.AmountError),
        (2**63, errors.AmountError),
        (Decimal("0.0000001"), errors.AmountError),
        (Decimal("1e999999"), errors.AmountError),
        (Decimal("1e-999999"), errors.AmountError),
        (Decimal("NaN"), errors.AmountError),
        (Decimal("Infinity"), errors.AmountError),
        (1.5, errors.WrongType),
        (True, errors.WrongType),
        ("5", errors.WrongType),
        (None, errors.WrongType),
    ],
    ids=lambda value: f"{value!s:.20}" if not isinstance(value, int) or abs(value) < 2**70 else "huge",
)
def test_bad_amounts_are_refused(service: Service, amount: Any, error: type[Exception]) -> None:
    put(service)
    with pytest.raises(error):
        service.grant(make_grant("acme", "ai_credits", amount))
    assert service.balance("acme", "ai_credits").remaining == 1_000


def test_a_sum_that_would_not_fit_is_refused(service: Service) -> None:
    put(service)
    most = (2**63 - 1) // MILLION
    with pytest.raises(errors.AmountError, match="balance would pass"):
        service.grant(make_grant("acme", "ai_credits", most))
    service.grant(make_grant("acme", "ai_credits", most - 2_000))
    assert not service.lend("acme", "ai_credits").full


@pytest.mark.parametrize(
    ("feature", "value", "error"),
    [
        ("export", 1, errors.WrongType),
        ("export", None, errors.WrongType),
        ("seats", -1, errors.RecordError),
        ("seats", True, errors.WrongType),
        ("seats", 2**63, errors.RecordError),
        ("seats", 1.5, errors.WrongType),
        ("retention_days", "\ud800", errors.NameInvalid),
        ("retention_days", [1], errors.WrongType),
        ("nothing", True, errors.UnknownFeature),
    ],
)
def test_bad_overrides_are_refused(
    service: Service, feature: str, value: Any, error: type[Exception]
) -> None:
    put(service)
    with pytest.raises(error):
        service.put_override(put_override("acme", feature, value))
    assert service.list_overrides("acme") == []


def test_bad_customers_are_refused(service: Service, clock: ManualClock) -> None:
    for fields, error in [
        ({"plan": "gold"}, errors.RecordError),
        ({"plan": "pro", "version": 9}, errors.RecordError),
        ({"plan": None, "version": 1}, errors.RecordError),
        ({"addons": {"nothing": 1}}, errors.RecordError),
        ({"addons": {"seats_pack": 11}}, errors.RecordError),
        ({"addons": {"seats_pack": 0}}, errors.RecordError),
        ({"addons": {"seats_pack": 1.5}}, errors.WrongType),
        ({"plan": "free", "addons": {"seats_pack": 1}}, errors.RecordError),
        ({"trial_plan": "pro"}, errors.InstantError),
        ({"trial_until": -1}, errors.InstantError),
        ({"trial_until": "tomorrow"}, errors.WrongType),
        ({"aliases": "abc"}, errors.WrongType),
    ]:
        with pytest.raises(error):
            put(service, **fields)  # type: ignore[arg-type]
    assert service.list_customers().items == ()


def test_explain_and_audit(service: Service) -> None:
    put(service)
    text = str(service.explain("acme", "api_calls"))
    assert "api_calls (meter) for acme" in text
    assert "100000 left" in text
    service.put_override(put_override("acme", "export", False, reason="abuse"), by=By("support"))
    page = service.audit(limit=2)
    assert [entry.action for entry in page.items] == ["put_override", "put_customer"]
    assert page.items[0].author == "support"
    assert page.items[0].reason == "abuse"
    assert page.cursor is not None
    assert service.audit(page.cursor).items[0].action == "set_catalog"


def test_a_trial_lasts_as_long_as_its_plan_says(service: Service, clock: ManualClock) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["1"]["trial"] = [14, "day"]
    assert service.set_catalog(FakeCatalog(document), b"{}", "trial.json")
    put(service, plan="free", trial_plan="pro")
    found = service.get_customer("acme").trial
    assert found is not None
    assert found.until_at == clock.now_ms() + 14 * DAY_MS
    clock.advance(DAY_MS)
    put(service, plan="free", trial_plan="pro")
    assert service.get_customer("acme").trial == found, "asking again does not prolong it"


def test_usage_records_are_stored_once(service: Service) -> None:
    record = ("a/1-2-3/64", 5, "req_1", "acme", "gpt-4o", 12, [("input", 900), ("output", 300)])
    service.record_usage([record, record])
    service.record_usage([record])
    assert len(service.list_usage().items) == 1
    service.record_usage([("a/1-2-3/80", *record[1:])])  # a second burn that looks the same
    assert len(service.list_usage().items) == 2


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_restart_loses_nothing(
    tmp_path: Path, service: Service, store: SqliteStore, clock: ManualClock
) -> None:
    put(service)
    terms = service.lend("acme", "ai_credits")
    service.settle([used(service, terms, 5 * MILLION)])
    store.close()
    again = Service(SqliteStore(tmp_path / "ledger.db"), clock, parse)
    again.load_catalog()
    assert again.balance("acme", "ai_credits").remaining == 995
    assert again.lend("acme", "ai_credits") == terms


def test_use_that_the_ledger_does_not_know_of_is_booked(service: Service) -> None:
    put(service)
    number = service.number_of("acme")
    service.settle([Totals(number, "ai_credits", 7, 3 * MILLION, 0, True)])
    assert service.balance("acme", "ai_credits").used == 3
    assert service.lend("acme", "ai_credits").lease == 8
    service.settle([Totals(number, "ai_credits", 2, 3 * MILLION, 0, True)])
    assert service.balance("acme", "ai_credits").used == 3


def test_a_grant_somebody_made_comes_back_each_month_in_its_zone(
    service: Service, clock: ManualClock
) -> None:
    put(service, plan="free")
    terms: dict[str, Any] = {
        "every": "month",
        "anchor": "calendar",
        "zone": "Europe/Berlin",
        "rollover": {"max": 3},
    }
    service.grant(make_grant("acme", "ai_credits", 10, id="monthly", cost=(500, "EUR"), **terms))
    lease = service.lend("acme", "ai_credits")
    june_in_berlin = MAY_2024_MS + 31 * DAY_MS - 2 * 3_600_000
    assert lease.valid_until == june_in_berlin
    service.settle([used(service, lease, 2 * MILLION, final=True)])
    clock.set(june_in_berlin - 1)
    assert service.balance("acme", "ai_credits").remaining == 8
    clock.set(june_in_berlin)
    assert service.balance("acme", "ai_credits").remaining == 13
    [shown] = service.list_grants("acme", "ai_credits")
    assert (shown.every, shown.cost) == ("1 month", (500, "EUR"))
    again = service.grant(make_grant("acme", "ai_credits", 10, id="monthly", cost=(500, "EUR"), **terms))
    assert again.grant.id == "monthly"
    with pytest.raises(errors.Conflict, match="exists with other terms"):
        service.grant(make_grant("acme", "ai_credits", 10, id="monthly", cost=(600, "EUR"), **terms))


@pytest.mark.parametrize(
    ("terms", "error", "expected"),
    [
        ({"every": "fortnight"}, errors.RecordError, "is no span"),
        ({"every": 3}, errors.WrongType, "every must be a str"),
        ({"every": "month", "anchor": "moon"}, errors.RecordError, "anchor must be"),
        ({"every": "month", "zone": "Mars/Base"}, errors.InstantError, "Mars/Base"),
        ({"rollover": {"max": 1}}, errors.RecordError, "give every, too"),
        ({"every": "month", "rollover": {"min": 1}}, errors.RecordError, "needs max"),
        ({"every": "month", "rollover": {"max": 1, "most": 1}}, errors.RecordError, "has no 'most'"),
        ({"every": "month", "rollover": {"max": 1, "percent": 101}}, errors.RecordError, "percent"),
        ({"every": "month", "rollover": {"max": 1, "once": 1}}, errors.WrongType, "once"),
        ({"every": "month", "rollover": {"max": 1, "min": 2}}, errors.AmountError, "min is above max"),
        ({"every": "month", "rollover": {"max": 1.5}}, errors.WrongType, "rollover max"),
        ({"cost": 5}, errors.WrongType, "cost must be"),
        ({"cost": (5, "euro")}, errors.RecordError, "three capital letters"),
        ({"cost": (-5, "EUR")}, errors.RecordError, "the cost must lie between"),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(
    service: Service, terms: Any, error: type[Exception], expected: str
) -> None:
    put(service, plan="free")
    with pytest.raises(error, match=expected):
        service.grant(make_grant("acme", "ai_credits", 10, **terms))
    assert service.list_grants("acme", "ai_credits") == []
