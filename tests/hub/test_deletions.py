"""Deletions over a real ledger: undone as if they had not been, forgotten after 30 days, ids freed."""

from __future__ import annotations

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
from fastcheck.hub.background.steps import DELETIONS_MS, Steps, due_steps
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import By
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.deletions import FreeId, ListDeleted, RestoreCustomer
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


def burn(hub: Service, units: int, key: str, id: str = "D", pool: str = "c") -> None:
    hub.debit(debit(id, pool, units, id=key))


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
    st.tuples(st.just("burn"), st.sampled_from(POOLS), st.integers(1, 60)),
    st.tuples(st.just("burn"), st.sampled_from(POOLS), st.integers(1, 60)),
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
        try:
            done()
        except (Conflict, RecordError, ValueError) as error:
            assert str(error)

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
        return record, balances, grants, hub.list_overrides("D"), hub.list_moves().items

    def sound(self) -> None:
        assert self.hub.check_pools() == ()
        assert self.hub.check_accounts()[0] == ()


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
    told = [replace(one, id="", done_at=one.done_at and 1, cancelled_at=one.cancelled_at and 1) for one in moves]
    return record, balances, grants, overrides, told
