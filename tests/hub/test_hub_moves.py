"""Changes of plans over a real ledger: they count from their instant, and what a customer bought besides the
plan stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.catalog.product import product
from fastcheck.hub.catalog.subscription import period_end
from fastcheck.hub.service import Totals
from fastcheck.ledger.periods import DAY_MS, Span, Unit, add
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operations.customers import PutCustomer, PutCustomers
from fastcheck.wire.record import CustomerRecord
from fastcheck.wire.shapes import Changed
from rig.fake_catalog import DOCUMENT, FakeCatalog
from rig.instants import MAY_2024_MS
from rig.requests import after, destination, make_grant, migrate, move_customers, put_customer, put_override
from rig.serving import Service

JUNE_2024_MS = MAY_2024_MS + 31 * DAY_MS
HOUR_MS = DAY_MS // 24
MILLION = 10**6


def two_versions() -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["2"] = {"features": {"export": True, "seats": 30}, "grants": []}
    return document


def put(service: Service, id: str = "acme", plan: str | None = "pro", **fields: Any) -> None:
    service.put_customers([put_customer(id, plan=plan, **fields)])


def move(service: Service, plan: str | None, *customers: str, by: By = ANYBODY, **terms: Any) -> Any:
    request = move_customers(customers or ["acme"], destination(plan, **terms))
    return service.move(request, by=by).moves[0]


def do_due(service: Service, clock: ManualClock) -> int:
    due = service.due_moves(clock.now_ms(), 100)
    service.carry_out([id for id, _ in due])
    return len(due)


def offers(every: tuple[int, str], anchor: str) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["1"]["grants"] = [
        {"pool": "ai_credits", "amount": 5, "every": every, "anchor": anchor, "kind": "plan", "priority": 0}
    ]
    return document


def end_of_period(document: dict[str, Any], since: int, now: int, plan: str | None = "pro") -> int:
    record = CustomerRecord(1, "acme", plan=plan, version=1 if plan else None, since_ms=since)
    return period_end(product(document), record, now)


@given(st.integers(0, 2_000 * DAY_MS), st.integers(0, 2_000 * DAY_MS), st.sampled_from(["pro", "free", None]))
def test_a_period_ends_after_now_and_the_next_one_after_that(since: int, now: int, plan: str | None) -> None:
    first = end_of_period(DOCUMENT, since, now, plan)
    assert max(now, since) < first <= max(now, since) + 31 * DAY_MS
    assert end_of_period(DOCUMENT, since, first - 1, plan) == first or first - 1 < since
    assert end_of_period(DOCUMENT, since, first, plan) > first


def test_anniversaries_come_before_the_calendar() -> None:
    since = MAY_2024_MS - 20 * DAY_MS  # 11 April
    anniversary = offers((1, "month"), "anniversary")
    assert end_of_period(anniversary, since, MAY_2024_MS) == add(since, Span(1, Unit.MONTH))
    weekly = offers((1, "week"), "anniversary")
    assert end_of_period(weekly, since, MAY_2024_MS) == since + 21 * DAY_MS
    assert end_of_period(offers((1, "year"), "calendar"), since, MAY_2024_MS) == JUNE_2024_MS


def test_where_nothing_recurs_a_period_is_a_month_of_the_anniversary() -> None:
    since = MAY_2024_MS - DAY_MS  # 30 April
    assert end_of_period(DOCUMENT, since, MAY_2024_MS, plan=None) == add(since, Span(1, Unit.MONTH))
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["1"] = {"features": {"export": True}, "grants": []}
    assert end_of_period(document, since, MAY_2024_MS) == add(since, Span(1, Unit.MONTH))


def test_a_move_counts_at_once_and_top_ups_overrides_and_add_ons_stay(
    service: Service, clock: ManualClock
) -> None:
    put(service, plan="free", aliases=["stripe:cus_9"], since=MAY_2024_MS - DAY_MS)
    service.grant(make_grant("acme", "ai_credits", 7, id="top_up"))
    service.put_override(put_override("acme", "seats", 3))
    moved = move(service, "pro", "stripe:cus_9", by=By("jo", "bought pro"))
    assert (moved.customer, moved.version, moved.at, moved.done_at) == ("acme", 1, *[clock.now_ms()] * 2)
    assert (moved.author, moved.reason) == ("jo", "bought pro")
    customer = service.get_customer("stripe:cus_9")
    assert (customer.plan, customer.version, customer.since_at) == ("pro", 1, clock.now_ms())
    assert [one.feature for one in service.list_overrides("acme")] == ["seats"]
    assert service.balance("acme", "ai_credits").remaining == 1_007
    put(service, addons={"seats_pack": 2})
    move(service, "pro", version=1)
    assert [one.name for one in service.get_customer("acme").addons] == ["seats_pack"]


def test_a_plan_that_does_not_take_the_add_ons_is_refused_by_name(service: Service) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["addons"]["support"] = {"plans": ["pro"], "features": {}, "grants": []}
    service.set_catalog(FakeCatalog(document), b"{}", "two.json")
    put(service, addons={"seats_pack": 1, "support": 1})
    for when in ("now", "period_end"):
        with pytest.raises(errors.RecordError, match=r"plan free version 1 .* seats_pack, support"):
            move(service, "free", when=when)
    assert service.list_moves("acme").items == ()


def test_an_add_on_that_has_ended_by_then_leaves_with_the_plan(service: Service, clock: ManualClock) -> None:
    put(service, addons={"seats_pack": (1, JUNE_2024_MS)})
    with pytest.raises(errors.RecordError, match="seats_pack"):
        move(service, "free", when=JUNE_2024_MS - 1)
    move(service, "free", when="period_end")
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 1
    assert service.get_customer("acme").plan == "free"
    assert service.get_customer("acme").addons == ()


def test_a_move_at_the_end_of_the_period_waits_for_it(service: Service, clock: ManualClock) -> None:
    put(service)
    ahead = move(service, "free", when="period_end")
    assert (ahead.at, ahead.pending) == (JUNE_2024_MS, True)
    clock.set(JUNE_2024_MS - 1)
    assert do_due(service, clock) == 0
    assert service.get_customer("acme").plan == "pro"
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 1
    customer = service.get_customer("acme")
    assert (customer.plan, customer.since_at) == ("free", JUNE_2024_MS)
    [done] = service.list_moves("acme", pending=False).items
    assert done.done_at == JUNE_2024_MS
    assert do_due(service, clock) == 0


def test_what_was_due_while_nobody_was_there_counts_from_its_instant(
    service: Service, clock: ManualClock
) -> None:
    put(service)
    terms = service.lend("acme", "ai_credits")
    service.grant(make_grant("acme", "ai_credits", 7, id="top_up"))
    move(service, "free", when=MAY_2024_MS + 10 * DAY_MS)
    clock.set(JUNE_2024_MS + 5 * DAY_MS)
    due = service.due_moves(clock.now_ms(), 10)
    final = Totals(terms.number, terms.pool, terms.lease, 300 * MILLION, 0, True)
    service.carry_out([id for id, _ in due], finals=[final])
    customer = service.get_customer("acme")
    assert (customer.plan, customer.since_at) == ("free", MAY_2024_MS + 10 * DAY_MS)
    # June's 1,000 credits of pro were never granted; of May's, what was left went with the plan.
    state = {one.id.partition("/")[0]: one for one in service.list_grants("acme", "ai_credits")}
    assert (state["plan:pro:0"].remaining, state["plan:pro:0"].voided_at) == (0, customer.since_at)
    assert service.balance("acme", "ai_credits").remaining == 7
    assert service.balance("acme", "ai_credits").used == 300


def test_another_version_of_the_plan_keeps_the_anniversary(service: Service, clock: ManualClock) -> None:
    put(service)
    service.set_catalog(FakeCatalog(two_versions()), b"{}", "two.json")
    clock.advance(DAY_MS)
    assert move(service, "pro").version == 1  # They stay on what they bought.
    assert move(service, "pro", version=2).version == 2
    assert service.get_customer("acme").since_at == MAY_2024_MS
    assert move(service, "free", keep_since=True).keep_since
    assert service.get_customer("acme").since_at == MAY_2024_MS
    assert move(service, "pro").version == 2
    assert service.get_customer("acme").since_at == clock.now_ms()


def test_a_move_to_no_plan(service: Service) -> None:
    put(service)
    assert move(service, None).version is None
    assert service.get_customer("acme").plan is None


def test_moves_at_one_instant_or_in_the_wrong_order_are_a_conflict(service: Service) -> None:
    put(service)
    first = move(service, "free", when=JUNE_2024_MS)
    for when in (JUNE_2024_MS, JUNE_2024_MS - 1, "now", "period_end"):
        with pytest.raises(errors.Conflict, match=rf"cancel_move\('{first.id}'\), or pass replace=True"):
            move(service, "pro", when=when)
    move(service, "pro", when=JUNE_2024_MS + 1)
    move(service, None, when=JUNE_2024_MS, replace=True)
    assert [(one.plan, one.at) for one in service.list_moves("acme").items] == [(None, JUNE_2024_MS)]
    replaced = [one for one in service.list_moves("acme", pending=False).items if not one.pending]
    assert all(one.cancelled_why.startswith("replaced by m_") for one in replaced)
    assert len(replaced) == 2


def test_a_chain_of_moves_is_done_in_order_however_late(service: Service, clock: ManualClock) -> None:
    put(service)
    move(service, "free", when=JUNE_2024_MS)
    move(service, "pro", when=JUNE_2024_MS + DAY_MS)
    clock.set(JUNE_2024_MS + 3 * DAY_MS)
    move(service, "free", when=JUNE_2024_MS + 9 * DAY_MS)  # Does what was due before it looks ahead.
    customer = service.get_customer("acme")
    assert (customer.plan, customer.since_at) == ("pro", JUNE_2024_MS + DAY_MS)
    assert [one.plan for one in service.list_moves().items] == ["free"]


def test_cancelling(service: Service, clock: ManualClock) -> None:
    put(service)
    ahead = move(service, "free", when=JUNE_2024_MS)
    for _ in range(2):
        cancelled = service.cancel_move(ahead.id, by=By("jo", "stays"))
        assert (cancelled.cancelled_at, cancelled.cancelled_why) == (clock.now_ms(), "stays")
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 0
    with pytest.raises(errors.UnknownMove, match="see list_moves"):
        service.cancel_move("m_none")
    done = move(service, "free")
    with pytest.raises(errors.Conflict, match="was done at 2024-06-01 00:00:00 UTC"):
        service.cancel_move(done.id)
    assert [one.action for one in service.audit(subject="acme").items] == [
        "move",
        "cancel_move",
        "move",
        "put_customer",
    ]


def test_a_clock_that_goes_back_does_nothing_twice(service: Service, clock: ManualClock) -> None:
    put(service)
    move(service, "free", when=JUNE_2024_MS)
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 1
    clock.set(MAY_2024_MS)
    put(service)
    clock.set(JUNE_2024_MS + 1)
    assert do_due(service, clock) == 0
    assert service.get_customer("acme").plan == "pro"


def test_a_deleted_customer_is_not_moved_and_neither_is_who_takes_their_id(
    service: Service, clock: ManualClock
) -> None:
    put(service)
    move(service, "free", when=JUNE_2024_MS)
    service.delete_customer("acme")
    put(service)
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 0
    assert service.get_customer("acme").plan == "pro"
    [gone] = service.list_moves(pending=False).items
    assert gone.cancelled_why == "the customer was deleted"


def test_a_move_that_cannot_be_done_any_more_is_cancelled_and_says_why(
    service: Service, clock: ManualClock
) -> None:
    for one in ("acme", "bravo"):
        put(service, one)
        move(service, "free", one, when=JUNE_2024_MS)
    put(service, addons={"seats_pack": 1})
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 2
    assert service.get_customer("acme").plan == "pro"
    assert service.get_customer("bravo").plan == "free"
    [given_up] = service.list_moves("acme", pending=False).items
    assert "does not take the add-ons seats_pack" in given_up.cancelled_why
    assert service.audit(subject="acme").items[0].reason == given_up.cancelled_why


def test_a_sum_that_does_not_fit_stops_one_customers_move_and_no_other(
    service: Service, clock: ManualClock
) -> None:
    for one in ("acme", "bravo"):
        put(service, one, plan="free")
        move(service, "pro", one, when=JUNE_2024_MS)
    most = (1 << 63) // MILLION
    service.grant(make_grant("acme", "ai_credits", most - 1))
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 2
    assert service.get_customer("acme").plan == "free"
    assert service.get_customer("bravo").plan == "pro"
    [given_up] = service.list_moves("acme", pending=False).items
    assert "grant less" in given_up.cancelled_why


def test_what_was_due_is_done_before_a_customer_is_put(service: Service, clock: ManualClock) -> None:
    """Nobody did it when it was due: what is put counts after it all the same."""
    for one in ("acme", "bravo"):
        put(service, one)
        move(service, "free", one, when=JUNE_2024_MS)
    clock.set(JUNE_2024_MS + 5)
    concerned = service.concerns(PutCustomers((put_customer("acme", plan="pro"), put_customer("new"))))
    assert concerned.numbers == [service.number_of("acme")], "its leases must be closed, though pro is stored"
    done = service.run(PutCustomer("acme", plan="pro"))
    assert done.answer == Changed(True)
    assert [len(one.ids) for one in done.effects.changed] == [1, 1], "moved to free, then put on pro"
    [moved] = service.list_moves("acme", pending=False).items
    assert moved.done_at == clock.now_ms()
    assert (service.get_customer("acme").plan, service.get_customer("acme").since_at) == (
        "pro",
        clock.now_ms(),
    )
    assert service.get_customer("bravo").plan == "pro", "others are left to whoever does what is due"


def test_a_precondition_looks_at_what_is_there_after_what_was_due(
    service: Service, clock: ManualClock
) -> None:
    put(service)
    move(service, "free", when=JUNE_2024_MS)
    clock.set(JUNE_2024_MS)
    seen: list[Any] = []
    service.run(PutCustomer("acme", plan="free", aliases=("key",)), expects=seen.append)
    assert [(one.plan, one.since_at) for one in seen] == [("free", JUNE_2024_MS)]
    assert service.get_customer("key").since_at == JUNE_2024_MS


def test_a_due_move_that_cannot_be_done_does_not_keep_a_customer_from_being_put(
    service: Service, clock: ManualClock
) -> None:
    put(service, plan="free")
    move(service, "pro", when=JUNE_2024_MS)
    service.grant(make_grant("acme", "ai_credits", (1 << 63) // MILLION - 1))
    clock.set(JUNE_2024_MS)
    told = [one.kind for one in service.list_events(limit=1_000).items]
    done = service.run(PutCustomer("acme", plan="free", aliases=("key",)), By("jo"))
    assert [one.ids for one in done.effects.changed] == [("acme",)], "nothing is left of the attempt"
    [given_up] = service.list_moves("acme", pending=False).items
    assert "grant less" in given_up.cancelled_why
    after = [one.kind for one in service.list_events(limit=1_000).items]
    assert sorted(after) == sorted([*told, "customer_changed"])
    assert [(one.action, one.author) for one in service.audit(subject="acme").items[:2]] == [
        ("put_customer", "jo"),
        ("cancel_move", ""),
    ]


def test_a_catalog_must_keep_the_plans_that_customers_will_come_to(
    service: Service, clock: ManualClock
) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["team"] = {"1": {"features": {"export": True}, "grants": []}}
    service.set_catalog(FakeCatalog(document), b"{}", "team.json")
    put(service)
    ahead = move(service, "team", when=JUNE_2024_MS)
    with pytest.raises(errors.CatalogError, match=r"team version 1 is gone .* moves \(customer 'acme'\)"):
        service.set_catalog(FakeCatalog(), b"{}", "catalog.json")
    service.cancel_move(ahead.id)
    assert service.set_catalog(FakeCatalog(), b"{}", "catalog.json")


def test_a_lease_ends_where_a_move_is_ahead(service: Service) -> None:
    put(service, plan="free")
    service.grant(make_grant("acme", "ai_credits", 5))
    assert service.lend("acme", "ai_credits").valid_until is None
    move(service, "pro", when=MAY_2024_MS + DAY_MS)
    terms = service.lend("acme", "ai_credits")
    service.settle([Totals(terms.number, terms.pool, terms.lease, 0, 0, True)])
    assert service.lend("acme", "ai_credits").valid_until == MAY_2024_MS + DAY_MS


def test_a_migration_moves_everybody_on_a_version_in_parts(service: Service, clock: ManualClock) -> None:
    document = two_versions()
    ids = [f"customer {n:04}" for n in range(1_200)]
    service.put_customers([put_customer(id, plan="pro") for id in ids])
    put(service, "other", plan="free")
    service.set_catalog(FakeCatalog(document), b"{}", "two.json")
    clock.advance(HOUR_MS)
    request: Any = migrate("pro", 1, 2)
    counts = []
    while True:
        moved = service.move(request)
        counts.append(len(moved.moves))
        if moved.after is None:
            break
        request = after(request, moved.after)
    assert counts == [500, 500, 200]
    assert {service.get_customer(id).version for id in ids} == {2}
    assert {service.get_customer(id).since_at for id in ids} == {MAY_2024_MS}
    assert service.move(migrate("pro", 1, 2)).moves == ()
    assert service.audit(subject=ids[7]).items[0].action == "migrate"
    put(service, "late", version=1)
    with pytest.raises(errors.RecordError, match="plan 'pro' has no version 3"):
        service.move(migrate("pro", 1, 3))


def test_a_migration_ahead_leaves_those_alone_who_left(service: Service, clock: ManualClock) -> None:
    put(service)
    put(service, "bravo")
    service.set_catalog(FakeCatalog(two_versions()), b"{}", "two.json")
    assert len(service.move(migrate("pro", 1, 2, when=JUNE_2024_MS)).moves) == 2
    assert service.move(migrate("pro", 1, 2, when=JUNE_2024_MS)).moves == ()
    put(service, "bravo", plan="free")
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 2
    assert (service.get_customer("acme").version, service.get_customer("bravo").plan) == (2, "free")
    [left] = service.list_moves("bravo", pending=False).items
    assert left.cancelled_why == "the customer is not on pro version 1 any more"


def test_a_migration_does_not_stand_in_the_way_of_a_downgrade_ahead(
    service: Service, clock: ManualClock
) -> None:
    put(service)
    service.set_catalog(FakeCatalog(two_versions()), b"{}", "two.json")
    move(service, "free", when=JUNE_2024_MS)
    assert len(service.move(migrate("pro", 1, 2)).moves) == 1
    clock.set(JUNE_2024_MS)
    assert do_due(service, clock) == 1
    assert service.get_customer("acme").plan == "free"


def test_with_a_key_a_move_is_made_once(service: Service) -> None:
    put(service)
    once = By("billing", key="downgrade_17")
    first = move(service, "free", when=JUNE_2024_MS, by=once)
    assert move(service, "free", when=JUNE_2024_MS, by=once) == first
    with pytest.raises(errors.Conflict, match="used for another request"):
        move(service, "pro", when=JUNE_2024_MS, by=once)
    assert len(service.list_moves().items) == 1


def test_moves_are_listed_in_pages(service: Service) -> None:
    for n in range(5):
        put(service, f"c{n}")
        move(service, "free", f"c{n}", when=JUNE_2024_MS + n // 2)
    found, cursor = [], None
    while True:
        page = service.list_moves(cursor=cursor, limit=2)
        found += [one.customer for one in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == [f"c{n}" for n in range(5)]
    assert service.next_move_at() == JUNE_2024_MS
    with pytest.raises(errors.RecordError, match="cursor"):
        service.list_moves(cursor="soon")


@pytest.mark.parametrize(
    ("plan", "terms", "error"),
    [
        ("nowhere", {}, errors.RecordError),
        ("pro", {"version": 9}, errors.RecordError),
        (None, {"version": 1}, errors.RecordError),
        ("pro", {"version": "1"}, errors.WrongType),
        ("pro", {"when": "soon"}, errors.WrongType),
        ("pro", {"when": 1.5}, errors.WrongType),
        ("pro", {"when": MAY_2024_MS - 1}, errors.InstantError),
        ("pro", {"keep_since": 1}, errors.WrongType),
        ("", {}, errors.NameInvalid),
    ],
)
def test_bad_moves_are_refused(
    service: Service, plan: Any, terms: dict[str, Any], error: type[Exception]
) -> None:
    put(service, plan="free")
    with pytest.raises(error):
        move(service, plan, **terms)
    assert service.list_moves(pending=False).items == ()


def test_an_unknown_customer_stops_the_whole_request(service: Service) -> None:
    put(service)
    with pytest.raises(errors.UnknownCustomer):
        move(service, "free", "acme", "nobody")
    assert service.get_customer("acme").plan == "pro"
