"""Caps, reservations and debits at the hub: the law first (nothing is ever spent beyond grants and overdraft,
nor in a window beyond its cap), then the cases a person can follow."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Terms, Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import Statements, StoredCap
from fastcheck.hub.use_cases.claims import Claims
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.postings import conserved
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import debit, make_grant, make_refund, put_cap, put_customer, put_override, reserve
from rig.samples import examples
from rig.serving import Service

MILLION = 10**6
HOUR_MS = DAY_MS // 24
POOLS = {"ai_credits": (MILLION, 0), "soft_credits": (1, 100)}
"""Pool -> (units of a credit, overdraft)."""


class Host:
    """One customer, one pool, one host with its lease, and a count of all that was spent."""

    def __init__(self, service: Service, store: Store, clock: ManualClock, pool: str, id: str) -> None:
        self.service, self.store, self.clock, self.pool, self.id = service, store, clock, pool, id
        self.scale, self.overdraft = POOLS[pool]
        service.put_customers([put_customer(id, plan="free")])
        self.number = service.number_of(id)
        self.lease: Terms | None = None
        self.spent = 0
        self.used = 0
        self.windows: dict[int, int] = {}
        self.latest = 0
        self.window = 0
        self.made = 0
        self.lowered = False
        """Whether something held may have been taken away since: by a void, or an expiry."""

    def finals(self, *, final: bool = True) -> list[Totals]:
        lease = self.lease
        if lease is None:
            return []
        if final:
            self.lease = None
        return [Totals(self.number, self.pool, lease.lease, self.spent, 0, final)]

    def lend(self) -> None:
        if self.lease is None:
            self.lease, self.spent = self.service.lend(self.id, self.pool), 0
            self.window = max(self.latest, self.clock.now_ms()) // DAY_MS

    def count(self, units: int, window: int) -> None:
        self.used += units
        self.windows[window] = self.windows.get(window, 0) + units

    def spend(self, units: int) -> None:
        lease = self.lease
        if lease is not None and (lease.valid_until is None or self.clock.now_ms() < lease.valid_until):
            units = min(units * self.scale, lease.lent - self.spent)
            self.spent += units
            self.count(units, self.window)

    def over(self) -> bool:
        until = None if self.lease is None else self.lease.valid_until
        return until is not None and until <= max(self.latest, self.clock.now_ms())

    def step(self, what: str, n: int) -> None:
        service, clock = self.service, self.clock
        if what == "time":
            clock.set(max(MAY_2024_MS, clock.now_ms() + (n - 10) * 3 * HOUR_MS))
            return
        if what == "spend":
            self.spend(n)
            return
        if what == "lend":
            self.lend()
        elif what == "settle":
            service.settle(self.finals(final=n % 2 == 0))
        else:
            # As the owner does: a lease at its end is closed first; half of the others are left open.
            keep = what in ("grant", "refund", "reserve", "debit", "commit", "release") and n % 2
            finals = [] if keep and not self.over() else self.finals()
            open_before = self.lease
            try:
                self.change(what, n, finals)
            except (errors.Conflict, errors.AmountError):
                service.settle(finals)
            assert self.lease is None or self.lease.lease == (open_before or self.lease).lease
            if not keep:
                self.lend()
        self.latest = max(self.latest, clock.now_ms())

    def change(self, what: str, n: int, finals: list[Totals]) -> None:
        service, now = self.service, self.clock.now_ms()
        self.made += 1
        id, window = f"{self.id}/{self.made}", max(self.latest, now) // DAY_MS
        if what in ("grant", "refund"):
            service.settle(finals)
            self.lowered |= n % 3 == 0
            ends = None if n % 3 else max(self.latest, now) + n * HOUR_MS
            totals = (self.finals(final=False) or [None])[0]  # type: ignore[list-item]
            if what == "grant":
                done = service.grant(make_grant(self.id, self.pool, n, id=id, expires_at=ends), totals=totals)
            else:
                done = service.refund(make_refund(self.id, self.pool, n, id=id), totals=totals)
            if done.terms is not None:
                self.lease = done.terms
            elif done.reopen:
                service.settle(self.finals())
        elif what == "void":
            ids = [one.id for one in service.list_grants(self.id, self.pool)]
            self.lowered = True
            if ids:
                service.void(ids[n % len(ids)], finals=finals)
            else:
                service.settle(finals)
        elif what == "reserve":
            request = reserve(self.id, self.pool, n, id=f"{self.id}/r{n}", ttl_ms=n * HOUR_MS)
            service.reserve(request, finals=finals)
        elif what == "debit":
            if service.reserve(debit(self.id, self.pool, n, id=id), finals=finals):
                self.count(n * self.scale, window)
        elif what in ("commit", "release"):
            held = self.store.read(lambda db: Statements(db).reservation(f"{self.id}/r{n}"))
            if held is None:
                service.settle(finals)
            elif what == "release":
                service.release(held.id, finals=finals)
            else:
                asked = n - 3 if n > 3 and n % 4 == 0 else n + n % 3
                committed = service.commit(held.id, asked, finals=finals)
                if held.state != "committed":
                    units, kept = int(committed.spent * self.scale), 0
                    if held.state == "open" and held.expires_at > max(self.latest, now):
                        kept = min(units, held.units)
                    self.count(kept, held.created_at // DAY_MS)
                    self.count(units - kept, window)

    def check(self) -> None:
        account = self.account()
        postings = self.store.read(lambda db: Statements(db).postings(self.number, self.pool))
        assert conserved(account, postings) == []
        assert account.overage <= self.overdraft, "spent beyond grants and overdraft"
        now = max(self.latest, self.clock.now_ms())
        held = self.store.read(lambda db: Statements(db).held(self.number, self.pool, now))
        if not self.over():
            unsettled = self.store.read(lambda db: Statements(db).unfolded(self.number, self.pool))
            unspent = self.store.read(lambda db: Statements(db).unspent(self.number, self.pool))
            left = account.remaining() - account.overage + self.overdraft - unsettled - unspent
            assert left >= 0, "more is lent than there is"
            if not self.lowered:
                assert left >= sum(one.units for one in held), "what is held is lent or burned by others"

    def account(self) -> Account:
        return self.store.read(lambda db: Statements(db).account(self.number, self.pool)) or Account()

    def close(self) -> None:
        self.service.settle(self.finals())
        self.check()
        assert self.account().used() == self.used, "what was spent is what is booked"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "lend",
                "spend",
                "settle",
                "grant",
                "void",
                "refund",
                "reserve",
                "commit",
                "commit",
                "release",
                "debit",
                "time",
            ]
        ),
        st.integers(1, 20),
    ),
    max_size=30,
)


def ledger(store: Store, clock: ManualClock) -> Service:
    service, catalog = Service(store, clock, parse), FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


@examples(30)
@given(st.sampled_from(sorted(POOLS)), STEPS)
def test_nothing_is_ever_spent_beyond_grants_and_overdraft(pool: str, steps: list[tuple[str, int]]) -> None:
    clock, store = ManualClock(MAY_2024_MS), SqliteStore.in_memory()
    try:
        host = Host(ledger(store, clock), store, clock, pool, "acme")
        host.step("grant", 20)
        for what, n in steps:
            host.step(what, n)
            host.check()
        host.close()
    finally:
        store.close()


@examples(25)
@given(st.integers(0, 30), STEPS)
def test_no_window_is_ever_over_its_cap(cap: int, steps: list[tuple[str, int]]) -> None:
    """Time goes back on the way, too: what was counted in a later window stays counted there."""
    clock, store = ManualClock(MAY_2024_MS), SqliteStore.in_memory()
    try:
        host = Host(ledger(store, clock), store, clock, "soft_credits", "acme")
        host.service.put_cap(put_cap("acme", "soft_credits", cap, per="day"))
        for what, n in [("grant", 20), ("lend", 1), *steps]:
            host.step(what, n)
            host.check()
            assert all(units <= cap for units in host.windows.values())
        host.close()
    finally:
        store.close()


def customer(service: Service, credits: int = 100, id: str = "acme", pool: str = "ai_credits") -> None:
    service.put_customers([put_customer(id, plan="free")])
    service.grant(make_grant(id, pool, credits))


def hold(service: Service, amount: Any, id: str = "r", ttl_ms: int = HOUR_MS, **terms: Any) -> Any:
    return service.reserve(reserve("acme", "ai_credits", amount, id=id, ttl_ms=ttl_ms, **terms))


def burn(service: Service, amount: Any, id: str = "d", **terms: Any) -> Any:
    return service.reserve(debit("acme", "ai_credits", amount, id=id, **terms))


def test_what_is_reserved_is_not_lent_until_it_expires(service: Service, clock: ManualClock) -> None:
    customer(service)
    assert hold(service, 30)
    terms = service.lend("acme", "ai_credits")
    assert (terms.lent, terms.full, terms.valid_until) == (70 * MILLION, True, clock.now_ms() + HOUR_MS)
    clock.advance(HOUR_MS)
    (again,) = service.relend([Totals(1, "ai_credits", 1, 0, 0, True)], [(1, "ai_credits")])
    assert again.lent == 100 * MILLION


def test_what_is_lent_is_not_reserved(service: Service) -> None:
    customer(service)
    service.lend("acme", "ai_credits")
    denied = hold(service, 1)
    assert not denied
    assert (denied.state, denied.left) == ("denied", 0)
    finals = [Totals(1, "ai_credits", 1, 90 * MILLION, 0, True)]
    request = reserve("acme", "ai_credits", 10, id="r", ttl_ms=1)
    assert service.reserve(request, finals=finals)


@pytest.mark.parametrize("asked", [0, 30, 50, 100])
def test_a_commit_burns_what_was_used_and_gives_up_the_rest(service: Service, asked: int) -> None:
    customer(service)
    hold(service, 50)
    assert service.commit("r", asked).state == "committed"
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.used) == (100 - asked, asked)
    assert service.lend("acme", "ai_credits").lent == (100 - asked) * MILLION


def test_a_commit_of_more_than_is_there_is_refused_and_the_hold_stays(service: Service) -> None:
    customer(service)
    hold(service, 50)
    hold(service, 45, "other")
    with pytest.raises(errors.Conflict, match="holds 50, and at most 55 can be burned now"):
        service.commit("r", 56)
    assert service.commit("r", 55).spent == 55
    assert service.commit("other", 45).spent == 45


def test_a_soft_pool_commits_more_as_overage_up_to_its_overdraft(service: Service) -> None:
    customer(service, 10, pool="soft_credits")
    service.reserve(reserve("acme", "soft_credits", 10, id="r", ttl_ms=1_000))
    with pytest.raises(errors.Conflict, match="at most 110"):
        service.commit("r", 111)
    service.commit("r", 110)
    assert service.balance("acme", "soft_credits").overage == 100


def test_the_first_of_commit_and_release_wins(service: Service) -> None:
    customer(service)
    hold(service, 10, "a")
    hold(service, 10, "b")
    assert service.commit("a", 7) == service.commit("a", 7)
    with pytest.raises(errors.Conflict, match="was committed before"):
        service.commit("a", 8)
    with pytest.raises(errors.Conflict, match="was committed before"):
        service.release("a")
    assert service.release("b") == service.release("b")
    with pytest.raises(errors.Conflict, match="was released before"):
        service.commit("b", 1)
    assert service.balance("acme", "ai_credits").used == 7
    with pytest.raises(errors.UnknownReservation):
        service.commit("nobody's", 1)


@pytest.mark.parametrize("tidied", [False, True])
def test_a_commit_after_the_expiry_burns_anew_what_is_there(
    service: Service, clock: ManualClock, tidied: bool
) -> None:
    customer(service)
    hold(service, 60)
    clock.advance(HOUR_MS)
    if tidied:
        service.turn(clock.now_ms(), 1)
    assert service.release("r").state == "expired"
    assert hold(service, 70, "later")
    with pytest.raises(errors.Conflict, match="holds 0, and at most 30 can be burned now"):
        service.commit("r", 60)
    assert service.commit("r", 30).spent == 30
    assert service.commit("later", 70).spent == 70


def test_a_reservation_asked_for_twice_is_made_once(service: Service) -> None:
    customer(service)
    assert hold(service, 60) == hold(service, 60)
    with pytest.raises(errors.Conflict, match="other terms"):
        hold(service, 61)
    assert burn(service, 40) == burn(service, 40)
    assert service.balance("acme", "ai_credits").used == 40


def test_a_debit_is_all_or_nothing(service: Service) -> None:
    customer(service)
    assert not burn(service, 101)
    assert burn(service, 100, "d2")
    assert service.balance("acme", "ai_credits").used == 100


def test_a_debit_with_an_event_can_be_refunded(service: Service) -> None:
    customer(service)
    burn(service, 12, event="batch_7")
    with pytest.raises(errors.AmountError, match="at most 12"):
        service.refund(make_refund("acme", "ai_credits", 13, id="r", event="batch_7"))
    service.refund(make_refund("acme", "ai_credits", 12, id="r", event="batch_7"))


def test_a_cap_ends_the_lease_with_its_window(service: Service, clock: ManualClock) -> None:
    customer(service)
    clock.advance(HOUR_MS)
    cap = service.put_cap(put_cap("acme", "ai_credits", Decimal("7.5"), per="day", reason="pilot"))
    assert (cap.amount, cap.spent, cap.resets_at) == (Decimal("7.5"), 0, MAY_2024_MS + DAY_MS)
    terms = service.lend("acme", "ai_credits")
    assert (terms.lent, terms.valid_until, terms.full) == (7_500_000, MAY_2024_MS + DAY_MS, True)
    used = Totals(1, "ai_credits", 1, 5 * MILLION, 0, True)
    service.settle([Totals(1, "ai_credits", 1, 4 * MILLION, 0, False)])
    assert service.list_caps("acme")[0].spent == 4
    (again,) = service.relend([used], [(1, "ai_credits")])
    assert again.lent == 2_500_000
    clock.set(MAY_2024_MS + DAY_MS)
    (again,) = service.relend([Totals(1, "ai_credits", 2, 0, 0, True)], [(1, "ai_credits")])
    assert again.lent == 7_500_000


def test_what_comes_in_late_counts_to_its_own_window(service: Service, clock: ManualClock) -> None:
    customer(service)
    service.put_cap(put_cap("acme", "ai_credits", 10, per="day"))
    service.lend("acme", "ai_credits")
    clock.advance(DAY_MS)
    service.settle([Totals(1, "ai_credits", 1, 10 * MILLION, 0, True)])
    assert service.list_caps("acme")[0].spent == 0
    assert service.lend("acme", "ai_credits").lent == 10 * MILLION


def test_a_hold_given_back_late_is_room_again_in_its_window(service: Service) -> None:
    customer(service)
    service.put_cap(put_cap("acme", "ai_credits", 10, per="day"))
    service.lend("acme", "ai_credits")
    service.settle([Totals(1, "ai_credits", 1, 10 * MILLION, 0, True)])
    service.give_back("h1", 1, "ai_credits", 1, 4 * MILLION)
    assert service.list_caps("acme")[0].spent == 6


def test_a_changed_cap_keeps_what_was_counted_and_a_removed_one_forgets(service: Service) -> None:
    customer(service)
    service.put_cap(put_cap("acme", "ai_credits", 10, per="day"))
    burn(service, 8)
    assert service.put_cap(put_cap("acme", "ai_credits", 5, per="day")).spent == 8
    denied = burn(service, 1, "d2")
    assert (denied.left, denied.resets_at) == (0, MAY_2024_MS + DAY_MS)
    assert service.remove_cap("acme", "ai_credits", None, None)
    assert not service.remove_cap("acme", "ai_credits", None, None)
    assert burn(service, 1, "d2")
    assert [one.action for one in service.audit(subject="acme", limit=3).items] == [
        "remove_cap",
        "put_cap",
        "put_cap",
    ]


def test_a_sub_keys_cap_bounds_only_who_names_the_key(service: Service) -> None:
    customer(service)
    service.put_cap(put_cap("acme", "ai_credits", 10, per="hour", key="key_1"))
    service.put_cap(put_cap("acme", "ai_credits", 50, per="month"))
    assert not burn(service, 11, "a", key="key_1")
    assert hold(service, 10, "b", key="key_1")
    assert not burn(service, 1, "c", key="key_1")
    assert burn(service, 40, "d", key="key_2")
    assert not burn(service, 1, "e"), "the customer's own cap counts them all"
    assert service.lend("acme", "ai_credits").lent == 0


def test_an_unlimited_meter_is_capped(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    service.put_override(put_override("acme", "api_calls", None))
    service.put_cap(put_cap("acme", "api_calls", 1_000, per="hour"))
    terms = service.lend("acme", "api_calls")
    assert (terms.lent, terms.full) == (1_000, True)


def test_balance_and_explain_know_what_is_held_and_capped(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    hold(service, 1_000)
    balance = service.balance("acme", "ai_credits")
    assert (balance.remaining, balance.reserved, balance.used) == (0, 1_000, 0)
    assert service.explain("acme", "gpt-4o").reason == "exhausted"
    service.release("r")
    assert service.explain("acme", "gpt-4o").reason == "allowed"
    service.put_cap(put_cap("acme", "ai_credits", 0, per="day"))
    assert service.explain("acme", "gpt-4o").reason == "exhausted"


def test_a_deleted_customer_holds_nothing(service: Service) -> None:
    customer(service)
    hold(service, 10)
    service.put_cap(put_cap("acme", "ai_credits", 5, per="day"))
    service.delete_customer("acme")
    with pytest.raises(errors.Conflict, match="released"):
        service.commit("r", 1)
    service.put_customers([put_customer("acme", plan="free")])
    assert service.list_caps("acme") == []


def test_two_hubs_at_once_never_burn_more_than_there_is(any_store: Store) -> None:
    clock = ManualClock(MAY_2024_MS)
    hubs = [ledger(any_store, clock), Service(any_store, clock, parse)]
    customer(hubs[0], 40)
    barrier, burned, lock = threading.Barrier(4), [0], threading.Lock()

    def works(thread: int) -> None:
        hub = hubs[thread % 2]
        barrier.wait(30)
        for step in range(15):
            id = f"t{thread}-{step}"
            if step % 3 == 0:
                done = int(bool(burn(hub, 1, id)))
            elif hold(hub, 2, id):
                done = 2 if step % 2 else 0
                hub.commit(id, done) if done else hub.release(id)
            else:
                done = 0
            with lock:
                burned[0] += done

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(works, range(4)))
    balance = hubs[0].balance("acme", "ai_credits")
    assert balance.used == burned[0]
    assert (balance.overage, balance.remaining) == (0, 40 - burned[0])
    assert 0 < burned[0] <= 40
    if burned[0] < 40:
        assert burn(hubs[1], 40 - burned[0], "the rest"), "nothing is held any more"
    assert not burn(hubs[1], 1, "one more")
    number = hubs[0].number_of("acme")
    account = any_store.read(lambda db: Statements(db).account(number, "ai_credits")) or Account()
    assert conserved(account, any_store.read(lambda db: Statements(db).postings(number, "ai_credits"))) == []


def test_what_a_cap_leaves_is_less_what_was_spent_held_and_lent() -> None:
    cap = StoredCap(1, "ai_credits", "", "day", 1, 100, MAY_2024_MS, 10, "", "", 0)
    of_key = replace(cap, key="key_1")
    at = MAY_2024_MS + 1
    assert Claims(at, (), 0, (cap,)).room().units == 90
    assert Claims(at, (), 25, (cap,)).room().units == 65
    assert Claims(at, (), 25, (of_key,)).room("key_1").units == 90, "hosts know no keys"
    assert Claims(at + DAY_MS, (), 25, (cap,)).room().units == 75, "a new day"
