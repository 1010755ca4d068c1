"""What was arranged ahead happens by itself in an open directory: a plan moves at the end of its period while
bought credits stay, and a segment's exception begins next week. Needs the native module."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements
from fastcheck.clock import ManualClock
from fastcheck.ledger.periods import DAY_MS
from rig.instants import MAY_2024_MS

CATALOG = """
fastcheck: 1
pools: {ai_credits: {scale: 0}}
features:
  export: {kind: switch}
  seats: {kind: limit, default: 1}
  calls: {kind: meter, period: month, anchor: anniversary}
  gpt: {kind: credit, pool: ai_credits, rate: 1}
plans:
  free: {features: {calls: 10, gpt: true}}
  pro:
    features: {export: true, seats: 25, calls: 100, gpt: true}
    grants: [{pool: ai_credits, amount: 1000, every: month, anchor: anniversary}]
"""
BEGIN_MS = MAY_2024_MS - 20 * DAY_MS
"""11 April."""
PERIOD_END_MS = MAY_2024_MS + 10 * DAY_MS


def wait_for(what: Callable[[], Any]) -> None:
    """A round of the owner comes every 50 ms of real time."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def at(ents: Entitlements, clock: ManualClock, now_ms: int) -> None:
    clock.set(now_ms)
    ents._set_clock(now_ms)


def test_a_plan_ends_with_its_period_and_bought_credits_stay(tmp_path: Path) -> None:
    clock = ManualClock(BEGIN_MS)
    with Entitlements.open(tmp_path, catalog=CATALOG, clock=clock) as ents:
        ents.admin.put_customer("acme", plan="pro")
        at(ents, clock, MAY_2024_MS)
        ents.admin.grant("acme", "ai_credits", 50, reason="top-up")
        assert ents.consume("acme", "gpt", 400)
        ahead = ents.admin.move("acme", "free", when="period_end", reason="downgraded by mail")
        assert ahead.at == PERIOD_END_MS
        at(ents, clock, PERIOD_END_MS - 1)
        assert ents.check("acme", "export")
        assert ents.consume("acme", "gpt", 100)
        at(ents, clock, PERIOD_END_MS)
        assert not ents.consume("acme", "gpt", 51)  # Whether or not a round came in between.
        assert ents.consume("acme", "gpt", 50)
        assert not ents.consume("acme", "gpt", 1)
        wait_for(lambda: not ents.check("acme", "export"))
        assert ents.admin.balance("acme", "ai_credits").used == 550
        customer = ents.admin.get_customer("acme")
        assert (customer.plan, customer.since_at) == ("free", PERIOD_END_MS)
        assert ents.admin.list_moves("acme").items == ()
    with Entitlements.open(tmp_path, clock=clock) as ents:
        assert ents.admin.get_customer("acme").plan == "free"


def test_a_move_that_was_due_while_nothing_ran(tmp_path: Path) -> None:
    clock = ManualClock(BEGIN_MS)
    with Entitlements.open(tmp_path, catalog=CATALOG, clock=clock) as ents:
        ents.admin.put_customer("acme", plan="free")
        ents.admin.move("acme", "pro", when=MAY_2024_MS)
    clock.set(MAY_2024_MS + 40 * DAY_MS)
    with Entitlements.open(tmp_path, clock=clock) as ents:
        assert ents.check("acme", "export")
        assert ents.admin.get_customer("acme").since_at == MAY_2024_MS
        # The second month of pro began on 1 June: a full balance, and not two.
        assert ents.admin.balance("acme", "ai_credits").remaining == 1_000
        assert ents.admin.balance("acme", "calls").remaining == 100


def test_ten_customers_get_it_next_week(tmp_path: Path) -> None:
    clock = ManualClock(MAY_2024_MS)
    pilots = [f"pilot{n}" for n in range(10)]
    with Entitlements.open(tmp_path, catalog=CATALOG, clock=clock) as ents:
        ents.admin.put_customers([{"id": id, "plan": "free"} for id in [*pilots, "other"]])
        ents.admin.put_segment("pilot", pilots)
        next_week = MAY_2024_MS + 7 * DAY_MS
        ents.admin.put_segment_override("pilot", "export", True, starts_at=next_week, reason="pilot")
        ents.admin.put_override("pilot7", "export", False, reason="their own wish")
        at(ents, clock, next_week - 1)
        assert not any(ents.check(id, "export") for id in [*pilots, "other"])
        at(ents, clock, next_week)
        assert [id for id in [*pilots, "other"] if ents.check(id, "export")] == [
            id for id in pilots if id != "pilot7"
        ]
        why = ents.explain("pilot1", "export")
        assert (why.value, why.source) == (True, "override")
        assert [one.segment for one in ents.admin.list_overrides("pilot1")] == ["pilot"]


def test_another_process_asks_for_the_same(tmp_path: Path) -> None:
    """Requests and answers cross the owner's socket."""
    ids = [f"c{n:04}" for n in range(1_200)]
    with Entitlements.open(tmp_path, catalog=CATALOG) as owner, Entitlements.attach(tmp_path) as ents:
        owner.admin.put_customers([{"id": id, "plan": "free", "aliases": [f"{id}!"]} for id in ids])
        assert ents.admin.put_segment("all", [f"{id}!" for id in ids]) == 1_200
        assert ents.admin.put_segment("all", ids) == 0
        ents.admin.put_segment_override("all", "export", True)
        assert all(ents.check(id, "export") for id in ids)
        assert ents.admin.put_segment("all", remove=ids[:1_100]) == 1_100
        assert not ents.check(ids[0], "export")
        ents.admin.put_segment("all", ids)
        moved = ents.admin.once("spring").move(segment="all", plan="pro")
        assert ([one.customer for one in moved], {one.plan for one in moved}) == (ids, {"pro"})
        assert ents.admin.once("spring").move(segment="all", plan="pro") == moved
        assert len(ents.admin.move(customers=ids, plan="free", when="period_end")) == 1_200
        ahead = ents.admin.list_moves(limit=1_000)
        assert len(ahead.items) == 1_000
        assert len(ents.admin.list_moves(cursor=ahead.cursor, limit=1_000).items) == 200
        assert ents.admin.cancel_move(ahead.items[0].id).cancelled_at is not None
        ents.admin.delete_segment("all")
        assert ents.admin.list_segments().items == ()


@pytest.mark.parametrize(
    "arguments",
    [{}, {"plan": "pro"}, {"customer": "acme"}, {"customer": "acme", "segment": "s", "plan": "pro"},
     {"customers": "acme", "plan": "pro"}],
)  # fmt: skip
def test_a_move_names_whom_and_where(tmp_path: Path, arguments: Any) -> None:
    with Entitlements.open(tmp_path, catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="free")
        with pytest.raises(TypeError):
            ents.admin.move(**arguments)
