"""What the owner does of time, refunds, caps and central reservations, over an arena in plain Python."""

from __future__ import annotations

import pytest

from fastcheck import errors
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.periods import DAY_MS
from host.test_owner import MILLION, Machine, grant, machine, put
from rig.requests import make_refund

__all__ = ["machine"]


def expired(machine: Machine) -> int:
    number = machine.service.number_of("acme")
    account = machine.store.read(lambda db: Statements(db).account(number, "ai_credits"))
    return 0 if account is None else sum(one.expired for one in account.holdings)


def test_a_round_books_what_expired_though_nobody_looked(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10, expires_at=machine.clock.now_ms() + DAY_MS)
    machine.owner.tick()
    machine.clock.advance(2 * DAY_MS)
    machine.owner.tick()
    assert expired(machine) == 10 * MILLION


def test_a_lease_that_is_out_is_settled_before_what_ends_after_it(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10, expires_at=machine.clock.now_ms() + DAY_MS)
    assert machine.consume("acme", "ai_credits", 4 * MILLION)
    machine.clock.advance(2 * DAY_MS)
    machine.owner.tick()
    assert expired(machine) == 6 * MILLION
    assert machine.owner.balance("acme", "ai_credits").overage == 0


def test_a_refund_is_spendable_when_it_returns(machine: Machine) -> None:
    put(machine, plan="free")
    grant(machine, 10)
    assert machine.consume("acme", "ai_credits", 10 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)
    assert machine.owner.refund(make_refund("acme", "ai_credits", 4, id="r")).kind == "refund"
    assert machine.consume("acme", "ai_credits", 4 * MILLION)
    assert not machine.consume("acme", "ai_credits", 1)


def test_an_event_of_this_moment_can_be_refunded(machine: Machine) -> None:
    """Its record is still in the journal."""
    put(machine, plan="free")
    grant(machine, 10)
    assert machine.consume("acme", "ai_credits", 10 * MILLION)
    machine.files.journal.append(("1", machine.clock.now_ms(), "e1", "acme", "gpt-4o", 6 * MILLION, []))
    machine.owner.refund(make_refund("acme", "ai_credits", 6, id="r", event="e1"))
    with pytest.raises(errors.AmountError, match="6 was used of event e1 and 6 refunded before"):
        machine.owner.refund(make_refund("acme", "ai_credits", 1, id="r2", event="e1"))
