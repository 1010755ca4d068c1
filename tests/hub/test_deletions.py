"""Deletions over a real ledger: undone as if they had not been, forgotten after 30 days, ids freed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import _fastcheck
from fastcheck.clock import ManualClock
from fastcheck.errors import Conflict, NameInvalid, RecordError, UnknownCustomer
from fastcheck.finance.export import book
from fastcheck.hub.background.steps import DELETIONS_MS, Steps, due_steps
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import By
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.deletions import FreeId, ListDeleted, RestoreCustomer
from fastcheck.wire.operations.purchases import BuyAddon, RefundPurchase
from fastcheck.wire.operations.top_ups import ListTopUps, PutTopUp
from rig.requests import (
    debit,
    destination,
    make_grant,
    move_customers,
    put_cap,
    put_customer,
    put_members,
    put_override,
    put_segment_override,
)
from rig.samples import examples
from rig.serving import Service

HOUR_MS = DAY_MS // 24
POOLS = ("c", "x", "m", "y")


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1_000)


MARCH = instant("2026-03-01")

CATALOG = """
fastcheck: 1
pools: {c: {scale: 0}, x: {scale: 0, policy: soft}}
features:
  call: {kind: credit, pool: c, rate: 1}
  other: {kind: credit, pool: x, rate: 1}
  seats: {kind: limit}
  m: {kind: meter, period: month}
  y: {kind: meter, period: month, anchor: anniversary}
plans:
  free:
    features: {m: 10, call: true}
    grants: {daily: {pool: c, amount: 3, every: day}}
  pro:
    features: {m: 100, y: 50, call: true}
    trial: 14 days
    grants:
      monthly: {pool: c, amount: 30, every: month, rollover: {max: 10}}
      welcome: {pool: c, amount: 100}
      weekly: {pool: x, amount: 7, every: week, anchor: anniversary}
  team:
    features: {m: 1000, y: 500, call: true}
    grants:
      monthly: {pool: c, amount: 90, every: month, anchor: anniversary, proration: prorated}
addons:
  pack:
    features: {m: 5}
    grants:
      paid: {pool: c, amount: 50, kind: paid, cost: {amount: 500, currency: EUR}}
      more: {pool: x, amount: 11, every: month}
  bundle:
    sold: once
    grants: {credits: {pool: c, amount: 40, kind: paid, cost: {amount: 400, currency: EUR}}}
"""
LATER = (
    CATALOG,
    CATALOG.replace("amount: 30,", "amount: 40,").replace("m: 100,", "m: 70,"),
    CATALOG.replace("      weekly: {pool: x, amount: 7, every: week, anchor: anniversary}\n", "").replace(
        "amount: 30,", "amount: 20,"
    ),
    CATALOG.replace("monthly: {pool: c, amount: 30,", "bonus: {pool: c, amount: 9, existing: give}\n"
                    "      fresh: {pool: x, amount: 4, every: day}\n      monthly: {pool: c, amount: 30,"),
)  # fmt: skip


def make(store: Store, clock: ManualClock, catalog: str = CATALOG) -> Service:
    service = Service(store, clock, _fastcheck.Catalog.parse)
    service.ask(SetCatalog(catalog.encode(), "catalog.yaml"))
    return service


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MARCH)


@pytest.fixture
def hub(any_store: Store, clock: ManualClock) -> Service:
    return make(any_store, clock)


def put(hub: Service, id: str = "D", **terms: Any) -> None:
    hub.put_customers([put_customer(id, **{"plan": "pro", **terms})])


def restore(hub: Service, id: str = "D", **terms: Any) -> Any:
    return hub.ask(RestoreCustomer(id, **terms))


def left(hub: Service, id: str = "D", pool: str = "c", at: int | None = None) -> int:
    return int(hub.balance(id, pool, at).remaining)


def burn(hub: Service, units: int, key: str, id: str = "D", pool: str = "c") -> str:
    return str(hub.debit(debit(id, pool, units, id=key)).state)


def moves(hub: Service) -> Any:
    return hub.list_moves(pending=False).items


# As if the deletion had not been.

Step = tuple[Any, ...]

plans = st.sampled_from([None, "free", "pro", "team"])
days = st.integers(1, 40)
customers = st.fixed_dictionaries(
    {"plan": plans},
    optional={
        "addons": st.one_of(
            st.just({"pack": 1}),
            st.just({"pack": 3}),
            days.map(lambda day: {"pack": (2, MARCH + day * DAY_MS)}),
        ),
        "trial": days,
    },
)
grants = st.fixed_dictionaries(
    {"pool": st.sampled_from(["c", "x", "m"]), "amount": st.integers(1, 60)},
    optional={
        "expires": days,
        "starts": days,
        "every": st.sampled_from(["week", "month"]),
        "keeps": st.integers(1, 30),
        "kind": st.sampled_from(["paid", "promotional"]),
    },
)
changes = st.one_of(
    st.tuples(st.just("put"), customers),
    st.tuples(st.just("grant"), grants),
    st.tuples(st.just("burn"), st.sampled_from(POOLS), st.integers(1, 40)),
    st.tuples(st.just("burn"), st.sampled_from(POOLS), st.integers(1, 40)),
    st.tuples(st.just("move"), plans, days),
    st.tuples(st.just("override"), st.sampled_from(["m", "y"]), st.integers(0, 200), days),
    st.tuples(st.just("look"), st.sampled_from(POOLS)),
)
meanwhile = st.one_of(
    st.tuples(st.just("catalog"), st.integers(0, len(LATER) - 1)),
    st.tuples(st.just("segment"), st.integers(0, 200)),
    st.tuples(st.just("nothing")),
)


def timed(steps: st.SearchStrategy[Step], most: int) -> st.SearchStrategy[list[tuple[int, Step]]]:
    return st.lists(st.tuples(st.integers(0, 15 * 24), steps), max_size=most)


class Life:
    """One customer at a hub of their own; the same steps have the same effect wherever they are taken."""

    def __init__(self) -> None:
        self.clock = ManualClock(MARCH)
        self.hub = make(SqliteStore.in_memory(), self.clock)
        self.hub.put_customers([put_customer("D", plan="pro")])
        self.hub.put_members(put_members("beta", add=["D"]))
        self._count = 0

    def take(self, steps: list[tuple[int, Step]]) -> None:
        for hours, (what, *rest) in steps:
            self.wait(hours * HOUR_MS + 1)
            self._count += 1
            getattr(self, f"_{what}")(*rest)

    def wait(self, ms: int) -> None:
        self.clock.advance(ms)
        while due := self.hub.due_moves(self.clock.now_ms(), 100):
            self.hub.carry_out([id for id, _ in due])

    def _refused(self, done: Callable[[], object]) -> None:
        with contextlib.suppress(Conflict, RecordError, ValueError):
            done()

    def _put(self, terms: dict[str, Any]) -> None:
        found = dict(terms)
        trial = found.pop("trial", None)
        if trial is not None:
            found |= {"trial_plan": "pro", "trial_until": MARCH + trial * DAY_MS}
        self._refused(lambda: self.hub.put_customers([put_customer("D", **found)]))

    def _grant(self, terms: dict[str, Any]) -> None:
        now = self.clock.now_ms()
        more: dict[str, Any] = {"kind": terms.get("kind", "paid")}
        if "starts" in terms:
            more["effective_at"] = now + terms["starts"] * HOUR_MS
        if "expires" in terms:
            more["expires_at"] = now + (terms["expires"] + 40) * DAY_MS
        if "every" in terms:
            more["every"] = terms["every"]
        if "every" in terms and "keeps" in terms:
            more["rollover"] = {"max": terms["keeps"]}
        self.hub.grant(make_grant("D", terms["pool"], terms["amount"], id=f"g{self._count}", **more))

    def _burn(self, pool: str, units: int) -> None:
        self._refused(lambda: burn(self.hub, units, f"d{self._count}", pool=pool))

    def _move(self, plan: str | None, day: int) -> None:
        to = destination(plan, when=self.clock.now_ms() + day * DAY_MS)
        self._refused(lambda: self.hub.move(move_customers(["D"], to)))

    def _override(self, feature: str, quota: int, day: int) -> None:
        end = self.clock.now_ms() + day * DAY_MS
        self.hub.put_override(put_override("D", feature, quota, expires_at=end))

    def _look(self, pool: str) -> None:
        self.hub.balance("D", pool)

    def _catalog(self, place: int) -> None:
        self._refused(lambda: self.hub.ask(SetCatalog(LATER[place].encode(), "catalog.yaml")))

    def _segment(self, quota: int) -> None:
        self.hub.put_segment_override(put_segment_override("beta", "y", quota))

    def _nothing(self) -> None:
        """Only time passes."""

    def shown(self) -> Any:
        now, hub = self.clock.now_ms(), self.hub
        record = hub.get_customer("D")
        balances = {}
        for pool in POOLS:
            for at in (None, *(now + days * DAY_MS for days in (1, 9, 45))):
                one = hub.balance("D", pool, at)
                balances[pool, at] = (one.remaining, one.overage, one.used, one.next_change_at)
        grants = {
            one.id: replace(one, voided=0, voided_at=None, expired=0, burned=0)
            for one in hub.list_grants("D")
            if one.remaining
        }
        return record, balances, grants, hub.list_overrides("D"), moves(hub)

    def sound(self) -> None:
        assert self.hub.check_pools() == ()
        assert self.hub.check_accounts()[0] == ()


@examples(30)
@given(timed(changes, 7), st.integers(0, 29 * 24), timed(meanwhile, 2), timed(changes, 4))
def test_restored_is_as_if_never_deleted(
    before: list[tuple[int, Step]], away: int, during: list[tuple[int, Step]], after: list[tuple[int, Step]]
) -> None:
    life, twin = Life(), Life()
    for one in (life, twin):
        one.take(before)
        one.wait(1)
    life.hub.delete_customer("D")
    during = [(min(hours, (29 * 24) // 3), step) for hours, step in during]
    for one in (life, twin):
        one.take(during)
        if not during:
            one.wait(away * HOUR_MS)
    book(life.hub.ask)  # An export is made meanwhile.
    life.wait(1)
    twin.wait(1)
    restore(life.hub)
    assert _plainly(life.shown()) == _plainly(twin.shown())
    for one in (life, twin):
        one.wait(1)
        one.take(after)
    assert _plainly(life.shown()) == _plainly(twin.shown())
    life.sound()


def _plainly(shown: Any) -> Any:
    """But for what is made by chance, and when a move that was due was done."""
    record, balances, grants, overrides, moves = shown
    told = [
        replace(one, id="", done_at=one.done_at and 1, cancelled_at=one.cancelled_at and 1) for one in moves
    ]
    return record, balances, grants, overrides, told


def test_everything_comes_back(hub: Service, clock: ManualClock) -> None:
    put(hub, aliases=["k1", "k2"], addons={"pack": 2})
    hub.put_members(put_members("beta", add=["D"]))
    hub.put_segment_override(put_segment_override("beta", "seats", 7))
    hub.put_override(put_override("D", "m", 150, reason="as agreed"))
    hub.put_cap(put_cap("D", "c", 60, per="month", reason="budget"))
    hub.ask(PutTopUp("D", "c", 1, 5))
    hub.top_up(1, "c")
    hub.move(move_customers(["D"], destination("team", when=MARCH + 40 * DAY_MS)))
    hub.grant(make_grant("D", "c", 25, id="gift", kind="promotional"))
    burn(hub, 20, "b1")
    burn(hub, 30, "b2", pool="m")
    before = (
        hub.get_customer("D"), hub.list_overrides("D"), hub.list_caps("D"), hub.ask(ListTopUps("D")),
        moves(hub), hub.get_segment("beta").members, left(hub), left(hub, pool="m"),
        hub.list_grants("D"),
    )  # fmt: skip
    hub.delete_customer("D", by=By("jo", "by mistake"))
    assert hub.get_segment("beta").members == 0
    clock.advance(3 * DAY_MS)
    assert restore(hub) == before[0]
    after = (
        hub.get_customer("k2"), hub.list_overrides("D"), hub.list_caps("D"), hub.ask(ListTopUps("D")),
        moves(hub), hub.get_segment("beta").members, left(hub), left(hub, pool="m"),
        hub.list_grants("D"),
    )  # fmt: skip
    assert after == before
    assert burn(hub, 41, "b3") == "denied", "what was counted towards the cap is"
    assert burn(hub, 40, "b4") == "committed"
    assert hub.check_pools() == ()
    assert hub.check_accounts()[0] == ()


def test_a_purchase_comes_back_and_can_be_refunded(hub: Service, clock: ManualClock) -> None:
    put(hub, plan="free")
    hub.ask(BuyAddon("D", "bundle", id="o1"))
    burn(hub, 13, "b")  # The three of the day, and ten that were bought.
    hub.delete_customer("D")
    clock.advance(DAY_MS)
    restore(hub)
    assert left(hub) == 33
    assert hub.ask(RefundPurchase("o1")).money == (30_000, "EUR")
    assert hub.check_accounts()[0] == ()


def test_the_present_exceptions_of_a_segment_count(hub: Service, clock: ManualClock) -> None:
    put(hub)
    hub.put_members(put_members("beta", add=["D"]))
    hub.put_segment_override(put_segment_override("beta", "m", 200))
    hub.delete_customer("D")
    hub.put_segment_override(put_segment_override("beta", "m", 300))
    restore(hub)
    assert left(hub, pool="m") == 300
    hub.delete_customer("D")
    hub.delete_segment("beta")
    restore(hub)
    assert left(hub, pool="m") == 100


def test_a_move_that_was_due_meanwhile_is_done_from_its_instant(hub: Service, clock: ManualClock) -> None:
    put(hub)
    burn(hub, 110, "b1")
    hub.move(move_customers(["D"], destination("free", when=MARCH + 5 * DAY_MS)))
    hub.move(move_customers(["D"], destination("team", when=MARCH + 60 * DAY_MS)))
    hub.delete_customer("D")
    assert all(move.cancelled_at for move in moves(hub))
    clock.advance(8 * DAY_MS)
    found = restore(hub)
    assert (found.plan, found.since_at) == ("free", MARCH + 5 * DAY_MS)
    done, ahead = moves(hub)
    assert (done.done_at, ahead.done_at, ahead.cancelled_at) == (clock.now_ms(), None, None)
    clock.set(MARCH + 60 * DAY_MS)
    hub.carry_out([id for id, _ in hub.due_moves(clock.now_ms(), 9)])
    assert hub.get_customer("D").plan == "team"


def test_at_the_instant_of_the_return_nothing_counts_twice(hub: Service, clock: ManualClock) -> None:
    put(hub)
    hub.move(move_customers(["D"], destination("free", when=MARCH + 5 * DAY_MS)))
    hub.delete_customer("D")
    clock.advance(8 * DAY_MS)
    restore(hub)
    assert left(hub) == 100 + 3, "the plan that was left meanwhile does not come back"
    clock.advance(1)
    hub.delete_customer("D")
    clock.advance(1)
    hub.ask(SetCatalog(CATALOG.replace("amount: 3,", "amount: 4,").encode(), "catalog.yaml"))
    restore(hub)
    assert left(hub) == 100 + 4
    clock.advance(1)
    assert left(hub) == 100 + 4


def test_a_move_that_was_due_before_counts_before_the_deletion(hub: Service, clock: ManualClock) -> None:
    put(hub)
    hub.move(move_customers(["D"], destination("free", when=MARCH + DAY_MS)))
    clock.advance(2 * DAY_MS)
    hub.delete_customer("D")
    assert restore(hub).plan == "free"


def test_aliases_that_went_to_another(hub: Service) -> None:
    put(hub, aliases=["k1", "k2", "k3"])
    hub.delete_customer("D")
    put(hub, "E", aliases=["k3", "k1"])
    with pytest.raises(Conflict, match="k1, k3"):
        restore(hub)
    assert restore(hub, without_aliases=True).aliases == ("k2",)
    assert hub.get_customer("k1").id == "E"


def test_who_cannot_be_restored(hub: Service, clock: ManualClock) -> None:
    put(hub, aliases=["key"])
    with pytest.raises(Conflict, match="not deleted"):
        restore(hub)
    with pytest.raises(Conflict, match="alias of customer 'D'"):
        restore(hub, "key")
    with pytest.raises(UnknownCustomer, match="ever had"):
        restore(hub, "nobody")
    hub.delete_customer("D")
    clock.advance(30 * DAY_MS)
    with pytest.raises(UnknownCustomer, match="30 days"):
        restore(hub)
    put(hub)
    with pytest.raises(Conflict, match="not deleted"):
        restore(hub)
    hub.delete_customer("D")
    clock.advance(30 * DAY_MS - 1)
    assert restore(hub).id == "D"


def test_a_deletion_is_undone_once_per_key(hub: Service) -> None:
    put(hub)
    hub.delete_customer("D")
    first = hub.ask(RestoreCustomer("D"), By(key="k"))
    assert hub.ask(RestoreCustomer("D"), By(key="k")) == first
    with pytest.raises(Conflict):
        hub.ask(RestoreCustomer("D"), By(key="another"))


def test_what_the_catalog_lost_is_said(hub: Service) -> None:
    put(hub, plan="team")
    hub.delete_customer("D")
    a, b = CATALOG.index("  team:"), CATALOG.index("addons:")
    hub.ask(SetCatalog((CATALOG[:a] + CATALOG[b:]).encode(), "catalog.yaml"))
    with pytest.raises(RecordError, match="team"):
        restore(hub)
    hub.ask(SetCatalog(CATALOG.encode(), "catalog.yaml"))
    assert restore(hub).plan == "team"


def test_deleted_customers_are_listed_until_they_are_forgotten(hub: Service, clock: ManualClock) -> None:
    for n in range(5):
        put(hub, f"c{n}")
        clock.advance(1)
        hub.delete_customer(f"c{n}", by=By("jo", f"reason {n}"))
    put(hub, "c1")
    restore(hub, "c2")
    first = hub.ask(ListDeleted(limit=2))
    rest = hub.ask(ListDeleted(first.cursor, 2))
    assert rest.cursor is None
    found = [*first.items, *rest.items]
    assert [(one.id, one.plan, one.reason, one.author) for one in found] == [
        (f"c{n}", "pro", f"reason {n}", "jo") for n in (0, 3, 4)
    ]
    assert [one.until_at - one.deleted_at for one in found] == [30 * DAY_MS] * 3
    clock.set(found[0].until_at)
    assert [one.id for one in hub.ask(ListDeleted()).items] == ["c3", "c4"]


def test_the_background_forgets_deletions(service_steps: tuple[Service, Steps, ManualClock]) -> None:
    hub, steps, clock = service_steps
    put(hub)
    clock.advance(1)
    hub.delete_customer("D")
    steps.once(clock.now_ms())
    assert hub.read(lambda call: call.statements.deletion(1)) is not None
    clock.advance(30 * DAY_MS + DELETIONS_MS)
    steps.once(clock.now_ms())
    assert hub.read(lambda call: call.statements.deletion(1)) is None
    assert hub.get_customer("D", at=MARCH).plan == "pro", "the history stays"


@pytest.fixture
def service_steps(hub: Service, clock: ManualClock) -> tuple[Service, Steps, ManualClock]:
    return hub, Steps(due_steps(hub, lambda now: None, lambda now: None)), clock


# What comes late for a customer who is gone.


def test_use_that_is_settled_while_deleted_counts_after_the_return(hub: Service, clock: ManualClock) -> None:
    put(hub, plan="free")
    hub.grant(make_grant("D", "c", 50, id="g"))
    terms = hub.lend("D", "c")
    hub.settle([Totals(terms.number, "c", terms.lease, 10, 0, False)])
    hub.delete_customer("D")
    hub.settle([Totals(terms.number, "c", terms.lease, 20, 0, True)])
    restore(hub)
    assert left(hub) == 33
    assert hub.check_accounts()[0] == ()


def test_what_is_given_back_while_deleted_is_there_after_the_return(hub: Service, clock: ManualClock) -> None:
    put(hub, plan="free")
    hub.grant(make_grant("D", "c", 50, id="g"))
    terms = hub.lend("D", "c")
    final = Totals(terms.number, "c", terms.lease, 20, 0, True)
    hub.delete_customer("D", finals=[final])
    clock.advance(1_000)
    hub.give_back("hold", terms.number, "c", terms.lease, 5)
    restore(hub)
    assert left(hub) == 38
    assert hub.check_accounts()[0] == ()
    assert hub.check_pools() == ()


# The id is put again.


def test_put_again_is_the_row_of_the_law(hub: Service, clock: ManualClock) -> None:
    put(hub, addons={"pack": 1})
    hub.ask(BuyAddon("D", "bundle", id="o1"))
    hub.grant(make_grant("D", "c", 5, id="gift", kind="promotional"))
    hub.grant(make_grant("D", "c", 6, id="sold", expires_at=MARCH + 20 * DAY_MS))
    burn(hub, 10, "b1")
    burn(hub, 30, "b2", pool="m")
    hub.delete_customer("D")
    clock.advance(DAY_MS)
    put(hub)
    # 30 a month less 10, the welcome, the pack that was given once, what was bought; the gift is gone.
    assert left(hub) == 20 + 100 + 50 + 40 + 6
    assert left(hub, pool="m") == 70
    assert left(hub, at=MARCH + 20 * DAY_MS) == 20 + 100 + 50 + 40
    hub.delete_customer("D")
    clock.set(MARCH + 35 * DAY_MS)
    put(hub)
    # The month is another: it begins anew, and what was given once is not given again.
    assert left(hub) == 30 + 100 + 50 + 40
    assert left(hub, pool="m") == 100
    assert hub.check_accounts()[0] == ()


# Freed ids.


def test_a_freed_id_is_a_strangers(hub: Service, clock: ManualClock) -> None:
    put(hub, aliases=["key"])
    hub.ask(BuyAddon("D", "bundle", id="o1"))
    hub.grant(make_grant("D", "c", 50, id="g"))
    burn(hub, 30, "b")
    number = hub.number_of("D")
    with pytest.raises(Conflict, match="delete_customer comes first"):
        hub.ask(FreeId("D"))
    clock.advance(1)
    hub.delete_customer("D")
    hub.ask(FreeId("D"))
    for again in (lambda: hub.ask(FreeId("D")), lambda: restore(hub)):
        with pytest.raises(UnknownCustomer):
            again()
    assert hub.ask(ListDeleted()).items == ()
    with pytest.raises(UnknownCustomer):
        hub.get_customer("D", at=MARCH)
    freed = f"freed:D:{number}"
    assert hub.get_customer(freed, at=MARCH).plan == "pro"
    assert hub.balance(freed, "c", MARCH).remaining == 30 + 100 + 40 + 50 - 30
    clock.advance(1)
    put(hub, aliases=["key"])
    assert hub.number_of("D") != number
    assert left(hub) == 130
    assert [one.id for one in hub.list_grants("D", "c")] == [
        f"plan:pro:{name}/{number + 1}/c" for name in ("monthly", "welcome")
    ]
    for name in (lambda: put(hub, freed), lambda: put(hub, "E", aliases=[freed])):
        with pytest.raises((NameInvalid, Conflict)):
            name()
    with pytest.raises(UnknownCustomer):
        hub.get_customer(freed)
    hub.delete_customer("D")
    hub.ask(FreeId("D"))
    put(hub)
    assert hub.number_of("D") == number + 2
    assert hub.check_pools() == ()
    assert hub.check_accounts()[0] == ()


def test_what_comes_late_for_a_freed_id(hub: Service, clock: ManualClock) -> None:
    put(hub, plan="free")
    hub.grant(make_grant("D", "c", 50, id="g"))
    terms = hub.lend("D", "c")
    hub.record_usage([("p1", MARCH, "e1", "D", "call", 3, [("", 3)])])
    hub.delete_customer("D", finals=[Totals(terms.number, "c", terms.lease, 20, 0, True)])
    hub.ask(FreeId("D"))
    put(hub, "other", plan="free")
    hub.give_back("hold", terms.number, "c", terms.lease, 5)
    hub.settle([Totals(terms.number, "c", terms.lease, 25, 0, True)])
    hub.record_usage([("p2", MARCH, "e2", "D", "call", 4, [("", 4)])])
    found = hub.list_usage(customer=f"freed:D:{terms.number}").items
    assert [(one.event, one.customer) for one in found] == [("e1", "freed:D:1"), ("e2", "freed:D:1")]
    put(hub, plan="free")
    assert hub.list_usage(customer="D").items == ()
    hub.record_usage([("p3", MARCH, "e3", "D", "call", 1, [("", 1)])])
    assert [one.event for one in hub.list_usage(customer="D").items] == ["e3"]
    assert hub.check_accounts()[0] == ()
