"""Two customers made one over a real ledger: what moves, what counts, and that nothing is lost or doubled."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.clock import ManualClock
from fastcheck.errors import Conflict, FastcheckError, RecordError, UnknownCustomer
from fastcheck.finance.export import book, rows, sums
from fastcheck.finance.reconcile import reconcile
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.finance import CLASSES, Class, GrantBooks, Price, movement
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import By
from fastcheck.wire.operations.deletions import ListDeleted, RestoreCustomer
from fastcheck.wire.operations.finance import BeginExport
from fastcheck.wire.operations.merging import MergeCustomers
from fastcheck.wire.operations.purchases import BuyAddon, GetPurchase, ListPurchases, RefundPurchase
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.top_ups import ListTopUps, PutTopUp
from fastcheck.wire.record import ALIASES_MAX
from hub.test_deletions import CATALOG, MARCH, POOLS, burn, left, make, put
from rig.requests import destination, make_grant, move_customers, put_cap, put_members, put_override
from rig.samples import examples
from rig.serving import Service


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MARCH)


@pytest.fixture
def hub(any_store: Store, clock: ManualClock) -> Service:
    return make(any_store, clock)


def merge(hub: Service, customer: str = "A", into: str = "B", **more: Any) -> bool:
    changed: bool = hub.ask(MergeCustomers(customer, into), **more).changed
    return changed


def sound(hub: Service) -> None:
    assert hub.check_pools() == ()
    assert hub.check_accounts()[0] == ()


def grants(hub: Service, id: str = "B", pool: str = "c") -> dict[str, Any]:
    return {one.id: one for one in hub.list_grants(id, pool)}


def test_what_was_granted_by_hand_and_bought_moves(hub: Service, clock: ManualClock) -> None:
    put(hub, "A", aliases=["a1"], addons={"pack": 1})
    put(hub, "B", plan="free", aliases=["b1"])
    hub.grant(make_grant("A", "c", 40, id="sold", cost=(1_000, "EUR"), priority=-1, reason="by phone",
                         expires_at=MARCH + 50 * DAY_MS, kind="paid"))  # fmt: skip
    hub.grant(make_grant("A", "c", 10, id="gift", kind="promotional", effective_at=MARCH + DAY_MS))
    hub.grant(make_grant("A", "c", 6, id="used", priority=-2))
    hub.ask(BuyAddon("A", "bundle", id="o1"))
    clock.advance(1)
    burn(hub, 6 + 15, "b1", "A")
    clock.advance(1)
    assert merge(hub)
    found = grants(hub)
    assert {id: one.remaining for id, one in found.items()} == {
        "plan:free:daily/2/c": 3,
        "merge:A/sold": 25,
        "merge:A/gift": 10,
        "merge:A/addon:pack:paid/1/c": 50,
        "merge:A/purchase:o1/credits": 40,
    }
    sold = found["merge:A/sold"]
    assert (sold.amount, sold.cost, sold.priority, sold.kind, sold.reason, sold.source) == (
        25, (625, "EUR"), -1, "paid", "by phone", None,
    )  # fmt: skip
    assert (sold.effective_at, sold.expires_at, sold.created_at) == (MARCH, MARCH + 50 * DAY_MS, MARCH)
    assert found["merge:A/gift"].effective_at == MARCH + DAY_MS
    customer = hub.get_customer("B")
    assert (customer.plan, customer.addons, customer.aliases) == ("free", (), ("A", "a1", "b1"))
    assert hub.get_customer("a1") == hub.get_customer("A") == customer
    [bought] = hub.ask(ListPurchases("B")).items
    assert bought == hub.ask(GetPurchase("o1"))
    assert (bought.customer, [one.id for one in bought.grants]) == ("B", ["merge:A/purchase:o1/credits"])
    assert hub.ask(RefundPurchase("o1")).money == (40_000, "EUR")
    with pytest.raises(FastcheckError, match="our own"):
        hub.grant(make_grant("B", "c", 1, id="merge:A/another"))
    sound(hub)


def test_a_grant_that_recurs_goes_on(hub: Service, clock: ManualClock) -> None:
    for id in ("A", "B"):
        put(hub, id, plan=None)
    hub.grant(make_grant("A", "c", 30, id="m", every="month", anchor="anniversary", cost=(1_001, "EUR"),
                         rollover={"max": 8}))  # fmt: skip
    clock.advance(40 * DAY_MS)
    burn(hub, 11, "b", "A")
    before = [hub.balance("A", "c", clock.now_ms() + day * DAY_MS).remaining for day in (0, 20, 30, 60)]
    assert merge(hub)
    assert [
        hub.balance("B", "c", clock.now_ms() + day * DAY_MS).remaining for day in (0, 20, 30, 60)
    ] == before
    one = grants(hub)["merge:A/m"]
    assert (one.amount, one.cost, one.every) == (30, (1_001, "EUR"), "1 month")
    sound(hub)


def test_what_was_used_of_a_plan_counts_against_the_survivors(hub: Service, clock: ManualClock) -> None:
    put(hub, "A", plan="pro")
    put(hub, "B", plan="team", since=MARCH)
    burn(hub, 20, "a", "A")
    burn(hub, 15, "b", "B")
    assert merge(hub)
    assert left(hub, "B") == 90 - 15 - 20
    assert hub.balance("B", "c").used == 15, "what A used stays in the books of A"
    clock.set(MARCH + 31 * DAY_MS)
    assert left(hub, "B") == 90
    sound(hub)


def test_a_meter_counts_what_both_used(hub: Service, clock: ManualClock) -> None:
    put(hub, "A")
    put(hub, "B")
    burn(hub, 60, "a", "A", "m")
    burn(hub, 25, "b", "B", "m")
    put(hub, "C")
    burn(hub, 40, "c", "C", "m")
    assert merge(hub)
    assert (left(hub, "B", "m"), hub.balance("B", "m").overage) == (15, 0)
    assert merge(hub, "C")
    assert (left(hub, "B", "m"), hub.balance("B", "m").overage) == (0, 25)
    hub.put_override(put_override("B", "m", 130))
    assert (left(hub, "B", "m"), hub.balance("B", "m").overage) == (5, 0)
    clock.set(MARCH + 31 * DAY_MS)
    assert left(hub, "B", "m") == 130
    sound(hub)


def test_a_meter_that_falls_after_the_merge(hub: Service) -> None:
    put(hub, "A")
    put(hub, "B")
    burn(hub, 14, "a", "A", "m")
    assert merge(hub)
    hub.put_override(put_override("B", "m", 0))
    assert left(hub, "B", "m") == 0
    hub.put_override(put_override("B", "m", 50))
    assert left(hub, "B", "m") == 36
    sound(hub)


def test_what_was_carried_is_carried_on(hub: Service) -> None:
    for id in ("A", "B", "C"):
        put(hub, id)
    burn(hub, 60, "a", "A", "m")
    burn(hub, 30, "b", "A")
    assert merge(hub, "A", "B")
    assert merge(hub, "B", "C")
    assert (left(hub, "C", "m"), left(hub, "C")) == (40, 100)
    sound(hub)


def test_what_is_owed_is_owed_by_the_survivor(hub: Service) -> None:
    catalog = CATALOG.replace("x: {scale: 0, policy: soft}", "x: {scale: 0, policy: soft, overdraft: 100}")
    assert catalog != CATALOG
    hub.set_catalog(None, catalog.encode(), "catalog.yaml")
    for id in ("A", "B"):
        put(hub, id, plan=None)
    hub.grant(make_grant("A", "x", 5, id="a"))
    hub.grant(make_grant("B", "x", 50, id="b"))
    assert burn(hub, 25, "b1", "A", "x") == "committed"
    before = hub.balance("A", "x").used + hub.balance("B", "x").used
    assert merge(hub)
    assert (left(hub, "B", "x"), hub.balance("B", "x").overage) == (30, 0)
    assert before == 25
    assert hub.balance("B", "x").used == 20
    sound(hub)


def test_what_ends_with_the_other(hub: Service, clock: ManualClock) -> None:
    put(hub, "A")
    put(hub, "B")
    hub.put_members(put_members("beta", add=["A"]))
    hub.put_override(put_override("A", "m", 1_000))
    hub.put_cap(put_cap("A", "c", 5, per="day"))
    hub.ask(PutTopUp("A", "c", 1, 5))
    hub.move(move_customers(["A"], destination("free", when=MARCH + DAY_MS)))
    assert merge(hub)
    assert hub.get_segment("beta").members == 0
    assert (hub.list_overrides("B"), hub.list_caps("B"), hub.ask(ListTopUps("B")).items) == ([], [], ())
    assert "merged into B" in hub.list_moves(pending=False).items[0].cancelled_why
    assert hub.ask(ListDeleted()).items == ()
    with pytest.raises(Conflict, match="alias of customer 'B'"):
        hub.ask(RestoreCustomer("A"))
    sound(hub)


def test_trials_of_both_were_had(hub: Service, clock: ManualClock) -> None:
    put(hub, "A", plan="free", trial_plan="pro", trial_until=MARCH + DAY_MS)
    put(hub, "B", plan="free")
    assert merge(hub)
    clock.advance(2 * DAY_MS)
    put(hub, "B", plan="free", trial_plan="pro", trial_until=MARCH + 9 * DAY_MS, aliases=["A"])
    assert hub.get_customer("B").trial.number == 2


def test_merged_once(hub: Service) -> None:
    put(hub, "A", aliases=["a1"])
    put(hub, "B")
    with pytest.raises(Conflict, match="into itself"):
        merge(hub, "A", "A")
    with pytest.raises(UnknownCustomer):
        merge(hub, "A", "nobody")
    with pytest.raises(UnknownCustomer):
        merge(hub, "nobody", "A")
    assert merge(hub, "A", "B", by=By(key="k"))
    assert merge(hub, "A", "B", by=By(key="k")), "the answer of then"
    assert not merge(hub, "A", "B")
    assert not merge(hub, "a1", "A")
    with pytest.raises(Conflict, match="into itself"):
        merge(hub, "B", "A")


def test_more_aliases_than_one_customer_has(hub: Service) -> None:
    put(hub, "A", aliases=[f"a{n}" for n in range(ALIASES_MAX // 2)])
    put(hub, "B", aliases=[f"b{n}" for n in range(ALIASES_MAX // 2)])
    with pytest.raises(RecordError, match=f"would have {ALIASES_MAX + 1} aliases"):
        merge(hub)
    assert hub.get_customer("A").id == "A"
    put(hub, "A", aliases=["a"])
    assert merge(hub)
    assert hub.get_customer("a").id == "B"


def test_leases_of_both_are_settled(hub: Service) -> None:
    for id in ("A", "B"):
        put(hub, id, plan=None)
        hub.grant(make_grant(id, "c", 50, id=f"of {id}"))
    terms = [hub.lend(id, "c") for id in ("A", "B")]
    finals = [
        Totals(one.number, "c", one.lease, spent, 0, True) for one, spent in zip(terms, (20, 5), strict=True)
    ]
    hub.run(MergeCustomers("A", "B"), By(), finals)
    assert left(hub, "B") == 75
    hub.give_back("hold", terms[0].number, "c", terms[0].lease, 5)  # It was A's, who is gone.
    assert left(hub, "B") == 75
    sound(hub)


def test_refunds_look_at_what_the_survivor_used(hub: Service) -> None:
    for id in ("A", "B"):
        put(hub, id, plan=None)
        hub.grant(make_grant(id, "c", 50, id=f"of {id}"))
        burn(hub, 10, f"burn {id}", id)
    hub.ask(Refund("A", "c", 10, id="r1"))
    assert merge(hub)
    hub.ask(Refund("B", "c", 10, id="r2"))
    with pytest.raises(FastcheckError, match="at most 0"):
        hub.ask(Refund("B", "c", 1, id="r3"))


def test_a_long_name_is_shortened(hub: Service) -> None:
    id = "long" * 128
    put(hub, id, plan=None)
    put(hub, "B", plan=None)
    hub.grant(make_grant(id, "c", 5, id="g" * 512))
    assert merge(hub, id)
    [one] = grants(hub).values()
    assert (len(one.id.encode()) <= 512, one.remaining) == (True, 5)
    assert hub.void(one.id).remaining == 0


# Nothing is lost or doubled.

grant_terms = st.fixed_dictionaries(
    {"amount": st.integers(1, 60)},
    optional={
        "expires": st.integers(1, 90),
        "starts": st.integers(1, 40),
        "every": st.sampled_from(["week", "month"]),
        "keeps": st.integers(1, 30),
        "kind": st.sampled_from(["paid", "promotional"]),
        "cost": st.integers(1, 10_000),
    },
)
who = st.sampled_from(["A", "B"])
pools = st.sampled_from(POOLS)
steps = st.one_of(
    st.tuples(st.just("put"), who, st.sampled_from([None, "free", "pro", "team"]), st.integers(0, 3)),
    st.tuples(st.just("grant"), who, st.sampled_from(["c", "x", "m"]), grant_terms),
    st.tuples(st.just("grant"), who, st.sampled_from(["c", "x"]), grant_terms),
    st.tuples(st.just("burn"), who, pools, st.integers(1, 40)),
    st.tuples(st.just("burn"), who, pools, st.integers(1, 40)),
    st.tuples(st.just("buy"), who, st.integers(1, 3)),
    st.tuples(st.just("override"), who, st.integers(0, 200)),
)
lives = st.lists(st.tuples(st.integers(0, 20 * 24), steps), min_size=1, max_size=12)


class Two:
    """Two customers at a hub of their own."""

    def __init__(self) -> None:
        self.clock = ManualClock(MARCH)
        self.hub = make(SqliteStore.in_memory(), self.clock, SOFT)
        for id in ("A", "B"):
            put(self.hub, id)
        self.numbers = [self.hub.number_of(id) for id in ("A", "B")]
        self._count = 0

    def take(self, life: list[tuple[int, tuple[Any, ...]]]) -> None:
        for hours, (what, *rest) in life:
            self.clock.advance(hours * DAY_MS // 24 + 1)
            self._count += 1
            getattr(self, f"_{what}")(*rest)

    def _tried(self, done: Callable[[], object]) -> None:
        with contextlib.suppress(FastcheckError):
            done()

    def _put(self, id: str, plan: str | None, packs: int) -> None:
        self._tried(lambda: put(self.hub, id, plan=plan, addons={"pack": packs} if packs else None))

    def _grant(self, id: str, pool: str, terms: dict[str, Any]) -> None:
        now = self.clock.now_ms()
        more: dict[str, Any] = {"kind": terms.get("kind", "paid"), "priority": -1}  # They burn first.
        if "starts" in terms:
            more["effective_at"] = now + terms["starts"] * DAY_MS
        if "expires" in terms:
            more["expires_at"] = now + (terms["expires"] + 40) * DAY_MS
        if "every" in terms:
            more["every"] = terms["every"]
            if "keeps" in terms:
                more["rollover"] = {"max": terms["keeps"]}
        if "cost" in terms:
            more["cost"] = (terms["cost"], "EUR")
        self.hub.grant(make_grant(id, pool, terms["amount"], id=f"g{self._count}", **more))

    def _burn(self, id: str, pool: str, units: int) -> None:
        burn(self.hub, units, f"d{self._count}", id, pool)

    def _buy(self, id: str, quantity: int) -> None:
        self.hub.ask(BuyAddon(id, "bundle", quantity, f"o{self._count}"))

    def _override(self, id: str, quota: int) -> None:
        self.hub.put_override(put_override(id, "m", quota))

    def used(self) -> dict[str, int]:
        """Pool -> units that both used, by what was posted."""
        found: Counter[str] = Counter()

        def read(call: Any) -> None:
            for number in self.numbers:
                for pool in POOLS:
                    for one in call.statements.postings(number, pool):
                        found[pool] += one.units * (
                            (one.target.value == "used") - (one.source.value == "used")
                        )

        self.hub.read(read)
        return dict(found)

    def money(self) -> Counter[Class | str]:
        """What was sold, less what was taken back, and what of that is earned and deferred; of what moves."""
        total: Counter[Class | str] = Counter()

        def read(call: Any) -> None:
            for number in self.numbers:
                for pool in POOLS:
                    books: dict[str, GrantBooks] = {}
                    for one in call.statements.postings(number, pool):
                        grant = one.grant and call.statements.grant(one.grant).holding.grant
                        if not grant or grant.cost is None or (grant.source or "").startswith("plan"):
                            continue
                        kind, units = movement(one.source.value, one.target.value, one.units)
                        price = Price(grant.amount, grant.cost.amount, grant.cost.currency)
                        worth = books.setdefault(grant.id, GrantBooks()).take(kind, units, price)
                        total[CLASSES[kind]] += worth
                    total["deferred"] += sum(one.sold - one.recognised for one in books.values())

        self.hub.read(read)
        total["net"] = total.pop(Class.SOLD, 0) - total.pop(Class.VOIDED, 0)
        return total

    def handed(self, id: str, days: int) -> dict[tuple[str, str], Any]:
        """What there will be of the grants that move, by pool and id, in some days."""
        at = self.clock.now_ms() + days * DAY_MS
        return {
            (pool, one.id.removeprefix("merge:A/")): one.remaining
            for pool in POOLS
            for one in self.hub.list_grants(id, pool, at=at)
            if one.remaining
            and (one.source or "purchase:").startswith(("purchase:", "addon:pack:paid"))
            and not one.voided_at
        }


SOFT = CATALOG.replace("x: {scale: 0, policy: soft}", "x: {scale: 0, policy: soft, overdraft: 100}")


@examples(40)
@given(lives, lives)
def test_units_and_money_are_conserved(
    before: list[tuple[int, tuple[Any, ...]]], after: list[tuple[int, tuple[Any, ...]]]
) -> None:
    two = Two()
    two.take(before)
    two.clock.advance(1)
    for id in ("A", "B"):
        for pool in POOLS:
            two.hub.balance(id, pool)
    book(two.hub.ask)
    used, money = two.used(), two.money()
    owed = any(two.hub.balance(id, pool).overage for id in ("A", "B") for pool in POOLS)
    ahead = {days: {**two.handed("A", days), **two.handed("B", days)} for days in (0, 8, 33)}
    assert merge(two.hub)
    assert two.used() == used
    assert two.money()["net"] == money["net"], "what was sold, less what was taken back"
    if not owed:
        assert two.money() == money
    if not owed and not any(two.hub.balance("B", pool).overage for pool in POOLS):
        assert {days: two.handed("B", days) for days in ahead} == ahead
    sound(two.hub)
    two.take([(hours, step) for hours, step in after if step[1] == "B"])
    sound(two.hub)
    book(two.hub.ask)
    moment = two.hub.ask(BeginExport(None, None))
    reconcile(rows(two.hub.ask, moment, lambda table, row: None), sums(two.hub.ask, moment))
