"""Faults 29 to 33 at the ledger, a customer deleted while a lease is out, and clocks that go backwards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.postings import LedgerAccount, conserved
from rig.instants import MAY_2024_MS
from rig.requests import debit, make_grant, make_refund, put_cap, put_customer, put_override, reserve
from rig.serving import Service

MILLION = 10**6
POOL = "ai_credits"


def customer(service: Service, credits: int = 10, **terms: Any) -> None:
    service.put_customers([put_customer("acme", plan="free")])
    service.grant(make_grant("acme", POOL, credits, id="g", **terms))


def final(credits: int, lease: int = 1, *, closed: bool = True) -> Totals:
    return Totals(1, POOL, lease, credits * MILLION, 0, closed)


def booked(store: Store, pool: str = POOL) -> tuple[Account, list[Any]]:
    account = store.read(lambda db: Statements(db).account(1, pool)) or Account()
    postings = store.read(lambda db: Statements(db).postings(1, pool))
    assert conserved(account, postings) == []
    return account, postings


@pytest.mark.parametrize("bad", [0, -1, 1 << 63, Decimal("NaN"), Decimal("-0.5"), 0.5, True, "1"])
@pytest.mark.parametrize("what", ["grant", "refund", "reserve", "debit", "cap", "commit"])
def test_an_amount_that_cannot_be_meant_is_refused_without_a_trace(
    service: Service, store: Store, what: str, bad: Any
) -> None:
    """Row 29. Only a cap and a commit may be 0."""
    if bad == 0 and bad is not True and what in ("cap", "commit"):
        bad = -1
    customer(service)
    service.reserve(debit("acme", POOL, 2, id="d"))
    service.reserve(reserve("acme", POOL, 1, id="held", ttl_ms=1_000))
    before = booked(store)
    calls: dict[str, Any] = {
        "grant": lambda: service.grant(make_grant("acme", POOL, bad, id="x")),
        "refund": lambda: service.refund(make_refund("acme", POOL, bad, id="x")),
        "reserve": lambda: service.reserve(reserve("acme", POOL, bad, id="x", ttl_ms=1_000)),
        "debit": lambda: service.reserve(debit("acme", POOL, bad, id="x")),
        "cap": lambda: service.put_cap(put_cap("acme", POOL, bad, per="day")),
        "commit": lambda: service.commit("held", bad),
    }
    with pytest.raises((errors.AmountError, errors.WrongType)):
        calls[what]()
    assert booked(store) == before
    assert service.list_caps("acme") == []


@pytest.mark.parametrize("ttl_ms", [None, 1_000])
def test_more_than_there_is_is_denied_without_a_trace(
    service: Service, store: Store, ttl_ms: int | None
) -> None:
    """Row 29."""
    customer(service)
    before = booked(store)
    made = (
        debit("acme", POOL, 11, id="x")
        if ttl_ms is None
        else reserve("acme", POOL, 11, id="x", ttl_ms=ttl_ms)
    )
    assert not service.reserve(made)
    assert booked(store) == before
    with pytest.raises(errors.UnknownReservation):
        service.release("x")


@pytest.mark.parametrize("credits", [9, 10])
def test_a_top_up_that_races_exhaustion_is_spendable_under_the_same_lease(
    service: Service, store: Store, credits: int
) -> None:
    """Row 30."""
    customer(service)
    service.lend("acme", POOL)
    done = service.grant(make_grant("acme", POOL, 5, id="top-up"), totals=final(credits, closed=False))
    assert done.terms is not None
    assert (done.terms.lease, done.terms.lent) == (1, 15 * MILLION)
    service.settle([final(15)])
    account, _ = booked(store)
    assert (account.remaining(), account.overage) == (0, 0)


def test_a_void_below_what_is_lent_calls_it_back_first(service: Service, store: Store) -> None:
    """Row 31."""
    customer(service)
    service.lend("acme", POOL)
    service.void("g", finals=[final(4)])
    assert service.lend("acme", POOL).lent == 0
    account, _ = booked(store)
    assert (account.remaining(), account.overage, account.used()) == (0, 0, 4 * MILLION)


def test_a_downgrade_below_what_was_used_shows_what_is_owed(service: Service, store: Store) -> None:
    """Row 31."""
    service.put_customers([put_customer("acme", plan="pro")])
    terms = service.lend("acme", "api_calls")
    used = Totals(1, "api_calls", terms.lease, 1_600, 0, True)
    service.put_customers([put_customer("acme", plan="free")], finals=[used])
    assert service.lend("acme", "api_calls").lent == 0
    account, _ = booked(store, "api_calls")
    assert (account.remaining(), account.overage) == (0, 600)


@pytest.mark.parametrize("late_ms", [0, 1, 40 * DAY_MS])
def test_a_block_that_expires_under_a_lease_is_not_spent_after_it(
    service: Service, store: Store, clock: ManualClock, late_ms: int
) -> None:
    """Row 32."""
    end = MAY_2024_MS + DAY_MS
    customer(service, expires_at=end)
    assert service.lend("acme", POOL).valid_until == end
    clock.set(end + late_ms)
    assert service.turn(clock.now_ms(), 100) == 0
    service.settle([final(4)])
    service.turn(clock.now_ms(), 100)
    account, postings = booked(store)
    assert (account.used(), account.overage) == (4 * MILLION, 0)
    assert [one.at < end for one in postings if one.target is LedgerAccount.USED] == [True]
    assert service.lend("acme", POOL).lent == 0


def test_a_hold_that_nobody_commits_frees_its_units_by_time_alone(
    service: Service, clock: ManualClock
) -> None:
    """Row 33."""
    customer(service)
    service.reserve(reserve("acme", POOL, 10, id="r", ttl_ms=1_000))
    assert not service.reserve(debit("acme", POOL, 1, id="d"))
    clock.advance(1_000)
    assert service.reserve(debit("acme", POOL, 10, id="d"))


@pytest.mark.parametrize("first", ["commit", "release"])
def test_of_commit_and_release_one_wins(service: Service, store: Store, first: str) -> None:
    """Row 33."""
    customer(service)
    service.reserve(reserve("acme", POOL, 10, id="r", ttl_ms=1_000))
    ways = {"commit": lambda: service.commit("r", 6), "release": lambda: service.release("r")}
    won = ways.pop(first)()
    with pytest.raises(errors.Conflict):
        ways.popitem()[1]()
    assert won.spent == (6 if first == "commit" else 0)
    assert booked(store)[0].used() == won.spent * MILLION


def test_what_a_lease_of_a_deleted_customer_used_is_booked(service: Service, store: Store) -> None:
    customer(service)
    service.lend("acme", POOL)
    service.delete_customer("acme", finals=[final(4)])
    service.settle([final(4)])
    account, _ = booked(store)
    assert (account.used(), account.remaining(), account.overage) == (4 * MILLION, 0, 0)


def test_the_final_totals_of_a_customer_deleted_meanwhile_are_booked_too(
    service: Service, store: Store
) -> None:
    customer(service)
    service.lend("acme", POOL)
    service.delete_customer("acme")
    service.settle([final(4)])
    account, _ = booked(store)
    assert (account.used(), account.overage) == (4 * MILLION, 4 * MILLION)


def test_a_clock_that_goes_back_revives_nothing(service: Service, store: Store, clock: ManualClock) -> None:
    customer(service, expires_at=MAY_2024_MS + DAY_MS)
    service.put_override(put_override("acme", "seats", 3))
    service.reserve(reserve("acme", POOL, 10, id="r", ttl_ms=1_000))
    clock.advance(2 * DAY_MS)
    service.turn(clock.now_ms(), 100)
    clock.set(MAY_2024_MS)
    assert service.lend("acme", POOL).lent == 0
    with pytest.raises(errors.Conflict, match="holds 0"):
        service.commit("r", 1)
    assert booked(store)[0].used() == 0
