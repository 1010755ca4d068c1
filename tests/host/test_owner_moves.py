"""Moves as the owner does them: with cells closed, at their instant, in whatever order things are asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.host.given_catalog import GivenCatalog
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import By
from fastcheck.wire.record import unpack_record
from host.test_owner import MILLION, Machine, parse
from rig.fake_arena import FakeArena, Files
from rig.fake_catalog import DOCUMENT, FakeCatalog
from rig.instants import MAY_2024_MS
from rig.owning import Owner
from rig.requests import destination, make_grant, migrate, move_customers, put_customer
from rig.samples import examples
from rig.serving import Service

JUNE_2024_MS = MAY_2024_MS + 31 * DAY_MS


@pytest.fixture
def machine(tmp_path: Any) -> Iterator[Machine]:
    made = Machine(tmp_path, ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    made.begin()
    yield made
    made.end()


def put(machine: Machine, id: str = "acme", plan: str | None = "pro") -> None:
    machine.owner.put_customers([put_customer(id, plan=plan)])


def move(machine: Machine, plan: str | None, *customers: str, **terms: Any) -> Any:
    request = move_customers(customers or ["acme"], destination(plan, **terms))
    return machine.owner.move(request)[0][0]


def row(machine: Machine, id: str = "acme") -> Any:
    return unpack_record(machine.files.records[machine.service.number_of(id)])


def test_a_move_is_seen_by_checks_when_it_returns(machine: Machine) -> None:
    put(machine, plan="free")
    assert not machine.consume("acme", "ai_credits", 1)
    move(machine, "pro")
    assert row(machine).plan == "pro"
    assert machine.consume("acme", "ai_credits", MILLION)
    move(machine, "free")
    assert not machine.consume("acme", "ai_credits", 1)
    assert machine.owner.balance("acme", "ai_credits").used == 1


def test_the_round_does_what_is_due_and_what_was_bought_stays(machine: Machine) -> None:
    put(machine)
    machine.owner.grant(make_grant("acme", "ai_credits", 5))
    assert machine.consume("acme", "ai_credits", 10 * MILLION)
    move(machine, "free", when="period_end")
    assert machine.owner.next_end() == JUNE_2024_MS
    machine.clock.set(JUNE_2024_MS - 1)
    machine.owner.tick()
    assert row(machine).plan == "pro"
    machine.clock.set(JUNE_2024_MS)
    machine.owner.tick()
    assert row(machine).plan == "free"
    assert machine.owner.balance("acme", "ai_credits").remaining == 5
    assert machine.consume("acme", "ai_credits", 5 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)


def test_nobody_spends_at_a_moves_instant_what_the_old_plan_gave(machine: Machine) -> None:
    """Also before any round of the owner."""
    put(machine)
    assert machine.consume("acme", "ai_credits", MILLION)
    move(machine, "free", when=MAY_2024_MS + DAY_MS)
    machine.clock.set(MAY_2024_MS + DAY_MS - 1)
    assert machine.consume("acme", "ai_credits", MILLION)
    machine.clock.advance(1)
    assert not machine.consume("acme", "ai_credits", 1)
    assert row(machine).plan == "free"


def test_a_move_that_was_due_while_no_process_was_there_is_done_by_the_next(machine: Machine) -> None:
    put(machine)
    assert machine.consume("acme", "ai_credits", 300 * MILLION)
    move(machine, "free", when=MAY_2024_MS + DAY_MS)
    machine.end()
    machine.clock.set(JUNE_2024_MS + DAY_MS)
    machine.begin()
    assert (row(machine).plan, row(machine).since_ms) == ("free", MAY_2024_MS + DAY_MS)
    balance = machine.owner.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used) == (0, 300)


def test_a_change_asked_for_after_a_moves_instant_comes_after_it(machine: Machine) -> None:
    put(machine)
    for n in range(300):
        put(machine, f"c{n}")
    everybody = [f"c{n}" for n in range(300)]
    machine.owner.move(move_customers(everybody, destination("free", when=JUNE_2024_MS - DAY_MS)))
    move(machine, "free", when=JUNE_2024_MS)
    machine.clock.set(JUNE_2024_MS + 1)
    put(machine)  # More are due than one round does.
    for _ in range(3):
        machine.owner.tick()
    assert row(machine).plan == "pro"
    assert row(machine, "c299").plan == "free"
    assert machine.owner.next_end() is None


def test_a_deleted_customers_moves_are_not_waited_for(machine: Machine) -> None:
    put(machine)
    move(machine, "free", when=JUNE_2024_MS)
    machine.owner.delete_customer("acme")
    assert machine.owner.next_end() is None


def test_a_migration_reaches_the_rows(machine: Machine) -> None:
    put(machine)
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["2"] = {"features": {"export": True}, "grants": []}
    catalog = FakeCatalog(document)
    machine.owner.set_catalog(GivenCatalog(catalog, catalog.source(), "two.json"))
    moved, after = machine.owner.move(migrate("pro", 1, 2))
    assert (len(moved), after, row(machine).version) == (1, None, 2)


def test_a_repeated_call_does_not_bring_back_rows_of_then(machine: Machine) -> None:
    once = By("billing", key="order_17")
    machine.owner.put_customers([put_customer("acme", plan="pro")], by=once)
    put(machine, plan="free")
    machine.owner.put_customers([put_customer("acme", plan="pro")], by=once)
    assert row(machine).plan == machine.service.get_customer("acme").plan == "free"


# Any order of changes, moves, cancellations and steps of time ends as the obvious model says.

PLANS = st.sampled_from([("free", None), ("pro", None), ("pro", 1), ("pro", 2), (None, None)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PLANS),
        st.tuples(st.just("move"), PLANS, st.integers(0, 3), st.booleans(), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("time"), st.integers(-2, 4)),
        st.tuples(st.just("tick")),
        st.tuples(st.just("restart")),
    ),
    max_size=20,
)


@dataclass
class Model:
    """One customer: what they have, and what is ahead of them."""

    now: int = MAY_2024_MS
    plan: str | None = "free"
    version: int | None = 1
    since: int = MAY_2024_MS
    ahead: list[tuple[int, int, str | None, int | None, bool]] = field(default_factory=list)

    def do_due(self) -> None:
        while self.ahead and min(self.ahead)[0] <= self.now:
            first = min(self.ahead)
            self.ahead.remove(first)
            self.go(first[0], *first[2:])

    def go(self, at: int, plan: str | None, version: int | None, keep_since: bool) -> None:
        if plan != self.plan and not keep_since:
            self.since = at
        self.plan, self.version = plan, version

    def bought(self, plan: str | None, version: int | None, at: int) -> int | None:
        """The version they come to at an instant."""
        earlier = [one for one in self.ahead if one[0] < at]
        had = max(earlier)[2:4] if earlier else (self.plan, self.version)
        newest = {"free": 1, "pro": 2, None: None}[plan]
        return version or (had[1] if had[0] == plan else newest)


@examples(20)
@given(STEPS)
def test_any_order_ends_as_the_model_says(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["pro"]["2"] = {"features": {"export": True}, "grants": []}
    machine = Machine(
        tmp_path_factory.mktemp("ledger"),
        ManualClock(MAY_2024_MS),
        Files(),
        *[None] * 3,  # type: ignore[arg-type]
    )
    catalog = FakeCatalog(document)

    def begin() -> None:
        machine.store = SqliteStore(machine.path / "ledger.db")
        machine.service = Service(machine.store, machine.clock, parse)
        arena = lambda catalog: FakeArena(machine.files, catalog)  # noqa: E731
        machine.owner = Owner(machine.service, arena, machine.clock)
        machine.owner.start(GivenCatalog(catalog, catalog.source(), "two.json"))

    begin()
    model, ids = Model(), dict[int, str]()
    put(machine, plan="free")
    machine.owner.grant(make_grant("acme", "ai_credits", 5, id="top_up", priority=-1))
    try:
        for number, step in enumerate(steps):
            if step[0] == "put":
                model.do_due()
                plan, version = step[1]
                version = model.version if plan == model.plan and version is None else version
                model.go(model.now, plan, model.bought(plan, version, -1), False)
                machine.owner.put_customers([put_customer("acme", plan=plan, version=step[1][1])])
            elif step[0] == "move":
                (plan, version), days, keep_since, replace = step[1:]
                at = model.now + days * DAY_MS
                request = move_customers(
                    ["acme"],
                    destination(plan, version=version, when=at, keep_since=keep_since, replace=replace),
                )
                was = copy.deepcopy(model)
                model.do_due()
                if any(one[0] >= at for one in model.ahead) and not replace:
                    model = was  # Nothing of a refused call is done.
                    with pytest.raises(errors.Conflict):
                        machine.owner.move(request)
                else:
                    model.ahead = [one for one in model.ahead if one[0] < at]
                    to = (plan, model.bought(plan, version, at), keep_since)
                    [moved], _ = machine.owner.move(request)
                    if days == 0:
                        model.go(at, *to)
                    else:
                        model.ahead.append((at, number, *to))
                        ids[number] = moved.id
            elif step[0] == "cancel":
                if model.ahead:
                    one = sorted(model.ahead)[step[1] % len(model.ahead)]
                    if one[0] <= model.now:
                        with pytest.raises(errors.Conflict):
                            machine.owner.cancel_move(ids[one[1]])
                    else:
                        model.ahead.remove(one)
                        machine.owner.cancel_move(ids[one[1]])
            elif step[0] == "time":
                model.now += step[1] * DAY_MS
                machine.clock.set(model.now)
            else:
                model.do_due()
                if step[0] == "restart":
                    machine.end()
                    begin()
                for _ in range(len(ids) + 1):
                    machine.owner.tick()
            customer = machine.service.get_customer("acme")
            assert (customer.plan, customer.version, customer.since_at) == (
                model.plan,
                model.version,
                model.since,
            )
            assert (row(machine).plan, row(machine).since_ms) == (model.plan, model.since)
            ahead = machine.service.list_moves("acme").items
            assert [(one.at, one.plan, one.version) for one in ahead] == [
                (at, plan, version) for at, _, plan, version, _ in sorted(model.ahead)
            ]
        [top_up] = [one for one in machine.owner.list_grants("acme", "ai_credits") if one.id == "top_up"]
        assert top_up.remaining == 5
    finally:
        machine.end()
