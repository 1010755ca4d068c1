"""Lending and settling over a real ledger and an arena in plain Python: admin changes are exact at once, and
a kill between any two steps loses nothing."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.host.embedded.owner import SPENT_MAX
from fastcheck.host.given_catalog import GivenCatalog
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from rig.fake_arena import FakeArena, Files
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.owning import Owner
from rig.requests import make_grant, put_customer, put_override, put_top_up
from rig.samples import sample
from rig.serving import Service

MILLION = 10**6


def given(document: dict[str, Any] = DOCUMENT) -> GivenCatalog:
    catalog = FakeCatalog(document)
    return GivenCatalog(catalog, catalog.source(), "catalog.json")


@dataclass
class Machine:
    """One directory, its processes one after the other."""

    path: Path
    clock: ManualClock
    files: Files
    store: SqliteStore
    owner: Owner
    service: Service
    step: Callable[[], None] | None = None
    """Called before and after whatever the owner asks of ledger and arena."""

    def begin(self, *, previous_boot: bool = False) -> None:
        """A process takes over."""
        self.step = None
        self.store = SqliteStore(self.path / "ledger.db")
        self.service = Service(self.store, self.clock, parse)
        ledger: Any = Dying(self.service, self._stepped)

        def arena(catalog: Any) -> Any:
            return Dying(FakeArena(self.files, catalog, previous_boot=previous_boot), self._stepped)

        self.owner = Owner(ledger, arena, self.clock)
        self.owner.start(given())

    def _stepped(self) -> None:
        if self.step is not None:
            self.step()

    def end(self) -> None:
        """The process is gone; only files remain."""
        self.store.close()

    def consume(self, customer: str, pool: str, units: int) -> bool:
        """What a checker does with the owner's help."""
        number = self.service.number_of(customer)
        for _ in range(2):
            if self.files.spend(number, pool, units, self.clock.now_ms()):
                return True
            cell = self.files.open_cell(number, pool)
            if (
                cell is not None
                and cell.full
                and (cell.valid_until is None or self.clock.now_ms() < cell.valid_until)
            ):
                return False
            if not self.owner.touch(customer, pool):
                return False
        return self.files.spend(number, pool, units, self.clock.now_ms())


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    made = Machine(tmp_path, ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    made.begin()
    yield made
    made.end()


def put(machine: Machine, id: str = "acme", plan: str | None = "pro", **fields: Any) -> int:
    changed: int = machine.owner.put_customers([put_customer(id, plan=plan, **fields)])
    return changed


def grant(machine: Machine, amount: Any, **terms: Any) -> str:
    return str(machine.owner.grant(make_grant("acme", "ai_credits", amount, **terms)).id)


def test_a_grant_is_spendable_when_it_returns(machine: Machine) -> None:
    put(machine, plan="free")
    assert not machine.consume("acme", "ai_credits", 1)
    grant(machine, 2)
    assert machine.consume("acme", "ai_credits", 2 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)
    assert machine.owner.balance("acme", "ai_credits").remaining == 0


def test_an_owner_that_closes_renews_a_lease_that_is_nearly_used_up(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 100 * MILLION)
    spent = SPENT_MAX + 1
    assert machine.consume("acme", "ai_credits", spent)
    machine.owner.close()
    machine.end()
    machine.begin()
    assert (
        machine.service.balance("acme", "ai_credits").remaining
        == Decimal(100 * MILLION * MILLION - spent) / MILLION
    )
    assert machine.consume("acme", "ai_credits", MILLION)


def test_a_void_is_not_spendable_when_it_returns(machine: Machine) -> None:
    put(machine, plan="free")
    id = grant(machine, 10)
    assert machine.consume("acme", "ai_credits", MILLION)
    machine.owner.void(id)
    assert not machine.consume("acme", "ai_credits", 1)
    assert machine.owner.balance("acme", "ai_credits").used == 1


def test_a_refused_void_leaves_everything_spendable(machine: Machine) -> None:
    put(machine, plan="free")
    used_up = grant(machine, 1, priority=1)
    grant(machine, 5)
    assert machine.consume("acme", "ai_credits", MILLION)
    with pytest.raises(errors.Conflict):
        machine.owner.void(used_up)
    assert machine.consume("acme", "ai_credits", 5 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)


def test_use_before_a_grant_is_paid_by_what_was_there(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10, id="old")
    assert machine.consume("acme", "ai_credits", 4 * MILLION)
    grant(machine, 5, id="new", priority=1)
    assert machine.consume("acme", "ai_credits", MILLION)
    left = {one.id: one.remaining for one in machine.owner.list_grants("acme", "ai_credits")}
    assert left == {"old": 6, "new": 4}


def test_a_plan_change_moves_the_quota_and_keeps_what_was_used(machine: Machine) -> None:
    put(machine, plan="free")
    assert machine.consume("acme", "api_calls", 900)
    assert put(machine) == 1
    assert put(machine) == 0
    assert machine.consume("acme", "api_calls", 99_100)
    assert not machine.consume("acme", "api_calls", 1)
    put(machine, plan="free")
    assert not machine.consume("acme", "api_calls", 1)


def test_the_month_turns(machine: Machine) -> None:
    put(machine, plan="free")
    assert machine.consume("acme", "api_calls", 1_000)
    machine.clock.advance(31 * DAY_MS)
    machine.owner.tick()
    assert machine.files.spend(machine.service.number_of("acme"), "api_calls", 1_000, machine.clock.now_ms())
    assert machine.owner.next_end() == machine.clock.now_ms() + 30 * DAY_MS


def test_an_override_ends_at_its_instant(machine: Machine) -> None:
    put(machine, plan="free")
    end = machine.clock.now_ms() + 1_000
    machine.owner.put_override(put_override("acme", "api_calls", None, expires_at=end))
    assert machine.consume("acme", "api_calls", 5_000)
    machine.clock.set(end)
    assert not machine.consume("acme", "api_calls", 1)


def test_an_amount_larger_than_a_lease_is_lent_piece_by_piece(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10**9)
    step = 1 << 46
    total = 0
    for _ in range(12):
        assert machine.consume("acme", "ai_credits", step)
        total += step
        machine.owner.tick()
    assert machine.owner.balance("acme", "ai_credits").used == Decimal(total) / MILLION


def test_a_deleted_customer_cannot_spend(machine: Machine) -> None:
    put(machine)
    number = machine.service.number_of("acme")
    assert machine.consume("acme", "api_calls", 1)
    machine.owner.delete_customer("acme")
    assert not machine.files.spend(number, "api_calls", 1, machine.clock.now_ms())
    assert not machine.owner.touch("acme", "api_calls")
    assert machine.files.records == {}


def test_a_catalog_change_reaches_every_row_and_lease(machine: Machine) -> None:
    put(machine, plan="free")
    assert machine.consume("acme", "api_calls", 400)
    document = copy.deepcopy(DOCUMENT)
    document["plans"]["free"]["1"]["features"]["api_calls"] = 500
    assert machine.owner.set_catalog(given(document))
    assert not machine.owner.set_catalog(given(document))
    assert machine.files.digest == FakeCatalog(document).digest
    assert machine.consume("acme", "api_calls", 100)
    assert not machine.consume("acme", "api_calls", 1)
    document["features"]["api_calls"]["kind"] = "limit"
    with pytest.raises(errors.CatalogError, match="changes from meter to limit"):
        machine.owner.set_catalog(given(document))
    assert machine.owner.balance("acme", "api_calls").used == 500


def test_prewarm_opens_what_is_missing(machine: Machine) -> None:
    put(machine)
    put(machine, "other")
    assert machine.owner.prewarm([("acme", None), ("other", "api_calls")]) == 3
    assert machine.owner.prewarm([("acme", None), ("other", "api_calls")]) == 0
    with pytest.raises(errors.UnknownFeature):
        machine.owner.prewarm([("acme", "nothing")])


def test_events_are_told_once(machine: Machine) -> None:
    put(machine, plan="free")
    _, last = machine.owner.ring.read(None, 0)
    for units in (100, 850, 10, 40):
        assert machine.consume("acme", "api_calls", units)
        machine.owner.tick()
        machine.owner.tick()
    changes, _ = machine.owner.ring.read(last, 0)
    assert [(one.kind, one.customer, one.remaining) for one in changes] == [
        ("low_balance", "acme", 50),
        ("limit_reached", "acme", 0),
    ]


def test_usage_records_reach_the_ledger(machine: Machine) -> None:
    machine.files.journal.append(("a/1-2-3/64", 5, "req_1", "acme", "gpt-4o", 12, [("input", 900)]))
    machine.owner.tick()
    assert machine.files.journal == []
    assert machine.service.list_usage().items == ((5, "req_1", "acme", "gpt-4o", 12, (("input", 900),)),)


def test_what_a_hold_gives_back_late_is_spendable_and_booked_once(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10)
    assert machine.consume("acme", "ai_credits", 8 * MILLION)
    grant(machine, 1, expires_at=machine.clock.now_ms() + 10)  # closes the lease
    number = machine.service.number_of("acme")
    machine.files.late.append(("hold-1", number, "ai_credits", 1, 5 * MILLION))
    for _ in range(2):
        machine.clock.advance(2_000)
        late = list(machine.files.late)
        machine.owner.tick()
        machine.files.late.extend(late)  # as if the process had died before the arena heard of it
    assert machine.owner.balance("acme", "ai_credits").used == 3
    assert machine.consume("acme", "ai_credits", 7 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)


def test_deleted_files_are_settled_and_replaced(machine: Machine) -> None:
    put(machine)
    assert machine.consume("acme", "ai_credits", 7 * MILLION)
    old = machine.files
    old.deleted = True
    machine.files = Files()
    machine.owner.tick()
    assert machine.files.records
    assert not old.open_cell(1, "ai_credits")
    assert machine.owner.balance("acme", "ai_credits").used == 7
    assert machine.consume("acme", "ai_credits", 993 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)
    assert "nothing was lost" in machine.owner.notes[0]


def test_a_successor_settles_what_was_never_settled(machine: Machine) -> None:
    number = 1
    put(machine)
    assert machine.consume("acme", "ai_credits", 7 * MILLION)
    machine.end()
    assert machine.files.spend(number, "ai_credits", MILLION, machine.clock.now_ms())
    machine.begin()
    assert machine.owner.balance("acme", "ai_credits").used == 8
    assert machine.consume("acme", "ai_credits", 992 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)


def test_cells_of_an_earlier_boot_are_settled_and_closed(machine: Machine) -> None:
    put(machine)
    assert machine.consume("acme", "ai_credits", 7 * MILLION)
    machine.end()
    machine.begin(previous_boot=True)
    assert machine.files.open_cell(machine.service.number_of("acme"), "ai_credits") is None
    assert machine.owner.balance("acme", "ai_credits").used == 7
    assert machine.consume("acme", "ai_credits", 993 * MILLION)


def test_a_lost_arena_keeps_what_was_settled_and_says_so(machine: Machine) -> None:
    put(machine)
    assert machine.consume("acme", "ai_credits", 7 * MILLION)
    machine.owner.tick()
    assert machine.consume("acme", "ai_credits", MILLION)
    machine.end()
    machine.files = Files()
    machine.begin()
    assert machine.owner.balance("acme", "ai_credits").used == 7
    assert "1 leases were out when the arena was lost" in machine.owner.notes[0]


def test_rows_that_lag_are_caught_up(machine: Machine) -> None:
    put(machine)
    for n in range(10):
        put(machine, f"c{n}")
    behind = copy.deepcopy(machine.files)
    put(machine, "late")
    machine.owner.delete_customer("c3")
    machine.end()
    machine.files = behind
    machine.begin()
    assert len(machine.files.records) == 11
    assert machine.files.seq == machine.service.seq()


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """Stands in front of an object and kills the process at a given step; dead processes do nothing more."""

    def __init__(self, inner: object, step: Callable[[], None]) -> None:
        vars(self).update(_inner=inner, _step=step)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._inner, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._step()
            answer = found(*args, **kwargs)
            self._step()
            return answer

        return call


@pytest.mark.parametrize("seed", range(sample(15, 600)))
def test_a_kill_between_any_two_steps_loses_nothing(machine: Machine, seed: int) -> None:
    """Spends, changes and dies at random; a sequential oracle of one hard pool must agree after each
    successor."""
    random_ = random.Random(seed)
    kills = 0
    put(machine, plan=None)
    number = machine.service.number_of("acme")
    spent = 0
    granted: dict[str, int] = {}
    voided: set[str] = set()
    for round_ in range(12):
        fuse = random_.randrange(1, 25)

        def step() -> None:
            nonlocal fuse
            fuse -= 1
            if fuse <= 0:
                raise Killed

        machine.step = step
        try:
            for n in range(8):
                action = random_.choice(
                    ["spend", "spend", "grant", "void", "tick", "touch", "expiring", "plan"]
                )
                if action == "spend":
                    units = random_.randrange(1, 6) * MILLION
                    spent += units * machine.files.spend(number, "ai_credits", units, machine.clock.now_ms())
                elif action == "grant":
                    id = f"g{round_}-{n}"
                    granted[id] = random_.randrange(1, 9)
                    grant(machine, granted[id], id=id, priority=random_.randrange(3))
                elif action == "expiring":
                    grant(machine, 3, id=f"e{round_}-{n}", expires_at=machine.clock.now_ms() + 5)
                    granted[f"e{round_}-{n}"] = 3
                elif action == "void" and granted:
                    id = random_.choice(sorted(granted))
                    voided.add(id)
                    with contextlib.suppress(errors.Conflict, errors.UnknownGrant):
                        machine.owner.void(id)
                elif action == "plan":
                    put(machine, plan=random_.choice([None, "free", "pro"]), aliases=[f"k{n}"])
                elif action == "tick":
                    machine.clock.advance(random_.randrange(4))
                    machine.owner.tick()
                elif action == "touch":
                    machine.owner.touch("acme", "ai_credits")
        except Killed:
            kills += 1
        machine.end()
        # Others go on spending while nobody owns the directory.
        spent += MILLION * machine.files.spend(number, "ai_credits", MILLION, machine.clock.now_ms())
        machine.begin()
        balance = machine.owner.balance("acme", "ai_credits")
        assert balance.used == spent / MILLION, "nothing spent is lost, nothing is booked twice"
        grants = machine.owner.list_grants("acme", "ai_credits")
        stored = {one.id: one for one in grants}
        assert len(grants) == len(stored)
        assert sum(int(one.amount) for one in grants) * MILLION >= spent, "no overspend"
        assert balance.overage == 0
        assert machine.files.records == {number: b"".join(machine.service.records())}
        account = machine.store.run(
            lambda db: db.exec_driver_sql(
                "SELECT SUM(granted), SUM(remaining + burned + expired + voided) FROM grants"
            ).one()
        )
        assert account[0] == account[1]
        assert len(machine.service.open_leases()) <= 1
        cell = machine.files.open_cell(number, "ai_credits")
        if cell is not None and (cell.valid_until is None or machine.clock.now_ms() < cell.valid_until):
            left = cell.granted - cell.spent + cell.returned
            assert left <= int((balance.remaining or 0) * MILLION), "what is lent is there"
    assert kills > 0, "the race did not happen"


def test_a_balance_that_runs_low_is_topped_up_by_the_owner(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 100)
    _, last = machine.owner.ring.read(None, 0)
    machine.owner.put_top_up(put_top_up("acme", "ai_credits", 20, 100))
    assert machine.consume("acme", "ai_credits", 85 * MILLION)
    machine.owner.tick()
    assert machine.owner.balance("acme", "ai_credits").remaining == 100
    assert machine.consume("acme", "ai_credits", 100 * MILLION)
    changes, _ = machine.owner.ring.read(last, 0)
    assert [(one.kind, one.remaining) for one in changes] == [("topped_up", 100 * MILLION)]


def test_a_successor_tops_up_what_its_predecessor_left_due(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 100)
    machine.owner.put_top_up(put_top_up("acme", "ai_credits", 20, 100))
    assert machine.consume("acme", "ai_credits", 85 * MILLION)
    machine.owner.settling.settle()  # and dies
    machine.end()
    machine.begin()
    machine.owner.tick()
    machine.owner.tick()
    assert machine.owner.balance("acme", "ai_credits").remaining == 100


def test_what_will_end_is_told_by_the_owner(machine: Machine) -> None:
    end = MAY_2024_MS + 10 * DAY_MS
    put(machine, plan="free", trial_plan="pro", trial_until=end)
    _, last = machine.owner.ring.read(None, 0)
    machine.clock.set(end - 2 * DAY_MS)
    machine.owner.tick()
    machine.owner.tick()
    changes, _ = machine.owner.ring.read(last, 0)
    assert sorted((one.kind, one.customer) for one in changes) == [
        ("grant_expiring", "acme"),
        ("trial_ending", "acme"),
    ]
