"""Exceptions for many customers as the owner brings them: cells closed, in parts, and finished by whoever
comes next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fastcheck.clock import ManualClock
from fastcheck.ledger.periods import DAY_MS
from host.test_owner import MILLION, Machine
from rig.fake_arena import Files
from rig.fake_catalog import FakeCatalog
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_members, put_segment_override

NEXT_WEEK_MS = MAY_2024_MS + 7 * DAY_MS
MANY = [f"c{n:04}" for n in range(2_100)]


@pytest.fixture
def machine(tmp_path: Any) -> Iterator[Machine]:
    made = Machine(tmp_path, ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    made.begin()
    yield made
    made.end()


def put(machine: Machine, *ids: str, plan: str = "pro") -> None:
    machine.owner.put_customers([put_customer(id, plan=plan) for id in ids])


def join(machine: Machine, *ids: str) -> None:
    for start in range(0, len(ids), 1_000):
        machine.owner.put_members(put_members("pilot", add=ids[start : start + 1_000]))


def has(machine: Machine, id: str, feature: str) -> Any:
    """What checks on this host see now."""
    row = machine.files.records[machine.service.number_of(id)]
    return FakeCatalog().resolve(row, machine.clock.now_ms())[feature][0]


def test_the_exception_is_seen_by_checks_when_the_call_returns_and_begins_at_its_instant(
    machine: Machine,
) -> None:
    put(machine, "acme", "bravo", "other", plan="free")
    join(machine, "acme", "bravo")
    left = machine.owner.put_segment_override(
        put_segment_override("pilot", "export", True, starts_at=NEXT_WEEK_MS)
    )
    assert not left
    assert not has(machine, "acme", "export")
    machine.clock.set(NEXT_WEEK_MS)
    assert [has(machine, one, "export") for one in ("acme", "bravo", "other")] == [True, True, False]
    assert machine.owner.remove_segment_override("pilot", "export") == (True, False)
    assert not has(machine, "acme", "export")
    assert machine.owner.remove_segment_override("pilot", "export") == (False, False)


def test_a_quota_raised_for_a_segment_is_exact_and_leaves_other_cells_open(machine: Machine) -> None:
    put(machine, "acme", plan="free")
    machine.owner.grant(make_grant("acme", "ai_credits", 5))
    assert machine.consume("acme", "api_calls", 1_000)
    assert not machine.consume("acme", "api_calls", 1)
    assert machine.consume("acme", "ai_credits", MILLION)
    credits = machine.files.open_cell(machine.service.number_of("acme"), "ai_credits")
    join(machine, "acme")
    machine.owner.put_segment_override(put_segment_override("pilot", "api_calls", 1_500))
    assert machine.consume("acme", "api_calls", 500)
    assert not machine.consume("acme", "api_calls", 1)
    machine.owner.put_members(put_members("pilot", remove=["acme"]))
    assert not machine.consume("acme", "api_calls", 1)
    assert machine.files.open_cell(machine.service.number_of("acme"), "ai_credits") is credits


def test_an_exception_that_begins_later_raises_the_quota_then(machine: Machine) -> None:
    put(machine, "acme", plan="free")
    assert machine.consume("acme", "api_calls", 1_000)
    join(machine, "acme")
    machine.owner.put_segment_override(
        put_segment_override("pilot", "api_calls", 1_500, starts_at=NEXT_WEEK_MS)
    )
    assert not machine.consume("acme", "api_calls", 1)
    machine.clock.set(NEXT_WEEK_MS)
    assert machine.consume("acme", "api_calls", 500)
    assert not machine.consume("acme", "api_calls", 1)


def test_the_owners_rounds_finish_what_nobody_asks_to_go_on_with(machine: Machine) -> None:
    put(machine, *MANY, plan="free")
    join(machine, *MANY)
    assert machine.owner.put_segment_override(put_segment_override("pilot", "export", True))
    assert [has(machine, one, "export") for one in (MANY[0], MANY[-1])] == [True, False]
    machine.owner.tick()
    machine.owner.tick()
    assert all(has(machine, one, "export") for one in MANY)
    assert not machine.owner.go_on_segment("pilot")


def test_a_process_that_takes_over_finishes_what_was_begun(machine: Machine) -> None:
    put(machine, *MANY, plan="free")
    join(machine, *MANY)
    assert machine.owner.put_segment_override(put_segment_override("pilot", "export", True))
    machine.end()
    machine.begin()
    while machine.owner.go_on_segment("pilot"):
        pass
    assert all(has(machine, one, "export") for one in MANY)
    assert machine.owner.delete_segment("pilot")
    machine.end()
    machine.begin()
    while machine.owner.go_on_segment("pilot"):
        pass
    assert not any(has(machine, one, "export") for one in MANY)
    assert machine.service.list_segments().items == ()


def test_an_account_that_cannot_take_a_quota_stops_no_other(machine: Machine) -> None:
    """A grant fills the meter's pool nearly to the bound; the exception would pass it."""
    put(machine, *MANY, plan="free")
    stuck = MANY[1_500]
    machine.owner.grant(make_grant(stuck, "api_calls", (1 << 63) - 3_000))
    join(machine, *MANY)
    left = machine.owner.put_segment_override(put_segment_override("pilot", "api_calls", 1_000_000))
    while left:
        left = machine.owner.go_on_segment("pilot")
    found = [has(machine, one, "api_calls") for one in (MANY[0], stuck, MANY[-1])]
    assert found == [1_000_000, 1_000, 1_000_000]
    assert any(stuck in note for note in machine.owner.notes)
