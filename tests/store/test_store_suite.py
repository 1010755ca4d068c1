"""What every store does, one suite: in memory, in a SQLite file, in PostgreSQL."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import Connection

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.catalog.registry import Registry
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import LEASES_KEPT, ChangedAccount, Lease, Statements, StoredOverride
from fastcheck.hub.store.statements.customers import StoredCustomer
from fastcheck.ledger.burn import put as put_grant
from fastcheck.ledger.model import Account, Cost, Grant, GrantKind, Holding, Rollover, Rules, full
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.ledger.postings import conserved
from fastcheck.wire.events import Kind
from fastcheck.wire.record import CustomerRecord, pack_record
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import make_grant, put_customer, put_override
from rig.samples import examples
from rig.serving import Service

Answer = TypeVar("Answer")
THREADS = 8
NOW_MS = 1_714_521_600_000


def run(store: Store, job: Callable[[Statements], Answer]) -> Answer:
    return store.run(lambda connection: job(Statements(connection)))


def read(store: Store, job: Callable[[Statements], Answer]) -> Answer:
    return store.read(lambda connection: job(Statements(connection)))


def put(statements: Statements, *ids: str, seq: int = 1, **fields: Any) -> list[CustomerRecord]:
    last = statements.take_numbers(len(ids)) - len(ids)
    made = [CustomerRecord(last + place, id, **fields) for place, id in enumerate(ids, 1)]
    statements.put_customers([StoredCustomer(one, pack_record(one), Since(), 0) for one in made], seq, 0)
    return made


def put_account(account: Account, connection: Connection) -> None:
    Statements(connection).put_accounts([ChangedAccount(1, "p", None, account)], "", 0)


def lease(number: int, lease: int = 1, pool: str = "p", **fields: Any) -> Lease:
    return replace(Lease(number, pool, lease, True, 100, 0, 0, 0, None, False, 0, 0, 0), **fields)


def service_over(store: Store) -> Service:
    service = Service(store, ManualClock(NOW_MS), parse)
    catalog = FakeCatalog()
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


def at_once(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Runs work(0), work(1)… at the same time; raises the first that fails."""
    barrier = threading.Barrier(threads)

    def begin(place: int) -> Any:
        barrier.wait(30)
        return work(place)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


# Jobs.


def test_a_job_that_fails_is_undone_alone(any_store: Store) -> None:
    def fails(statements: Statements) -> None:
        statements.next_seq()
        put(statements, "lost")
        raise errors.Conflict("no")

    run(any_store, lambda statements: statements.next_seq())
    with pytest.raises(errors.Conflict):
        run(any_store, fails)
    assert run(any_store, lambda statements: statements.next_seq()) == 2
    assert read(any_store, lambda statements: statements.number_of("lost")) is None


def test_an_attempt_that_fails_is_undone_alone_and_the_job_goes_on(any_store: Store) -> None:
    def fails(statements: Statements, id: str, error: type[errors.FastcheckError]) -> None:
        with statements.attempt():
            statements.next_seq()
            put(statements, id)
            statements.tell(Kind.CUSTOMER_CHANGED, 0, None, id, {"seq": 1})
            statements.top_up_is_due(1, "p", 0)
            with statements.attempt():
                put(statements, f"{id} within")
            raise error("no")

    def attempts(statements: Statements) -> tuple[int, list[str | None]]:
        put(statements, "before")
        statements.tell(Kind.CUSTOMER_CHANGED, 0, None, "before", {"seq": 1})
        for id, error in (("lost", errors.AmountError), ("lost again", errors.Conflict)):
            with pytest.raises(error):
                fails(statements, id, error)
            assert not statements.top_ups_due
        with statements.attempt():
            put(statements, "after")
        statements.flush_events()
        return statements.next_seq(), [one.event.customer for one in statements.told]

    assert run(any_store, attempts) == (1, ["before"])
    found = read(any_store, lambda statements: statements.customers_after("", 10))
    assert [one.record.id for one in found] == ["after", "before"]


def test_what_was_written_is_read_by_the_same_job_and_the_next(any_store: Store) -> None:
    def writes(statements: Statements) -> int | None:
        put(statements, "acme")
        return statements.number_of("acme")

    assert run(any_store, writes) == read(any_store, lambda statements: statements.number_of("acme")) == 1


def test_submitted_jobs_are_answered_when_they_are_stored(any_store: Store) -> None:
    pending = [any_store.submit(lambda connection: Statements(connection).next_seq()) for _ in range(20)]
    failing = any_store.submit(lambda connection: 1 // 0)
    assert sorted(one.result(30) for one in pending) == list(range(1, 21))
    with pytest.raises(ZeroDivisionError):
        failing.result(30)
    assert read(any_store, lambda statements: statements.seq()) == 20


def test_a_closed_store_says_so(any_store: Store) -> None:
    any_store.close()
    any_store.close()
    with pytest.raises(errors.Closed):
        run(any_store, lambda statements: statements.seq())
    with pytest.raises(errors.Closed):
        read(any_store, lambda statements: statements.seq())
    with pytest.raises(errors.Closed):
        any_store.submit(lambda connection: None)


# Customers.


def test_pages_of_records_are_all_records_in_the_order_of_their_numbers(any_store: Store) -> None:
    def writes(statements: Statements) -> None:
        put(statements, *(f"c{place}" for place in range(5)), seq=1)
        [gone] = put(statements, "gone", seq=2, deleted=True)
        put(statements, "new", seq=3)
        assert gone.number == 6

    run(any_store, writes)

    def pages(size: int, since_seq: int) -> list[int]:
        found: list[int] = []

        def page(statements: Statements) -> list[tuple[int, bytes]]:
            return statements.records_after(max(found, default=0), size, since_seq=since_seq)

        while rows := read(any_store, page):
            assert len(rows) <= size
            found += [number for number, _ in rows]
        return found

    for size in (1, 2, 3, 100):
        assert pages(size, -1) == [1, 2, 3, 4, 5, 7]
        assert pages(size, 1) == [6, 7]
        assert pages(size, 0) == [1, 2, 3, 4, 5, 6, 7]


def test_ids_are_in_the_order_of_their_code_points(any_store: Store) -> None:
    ids = ["b", "B", "a", "ä", "Z", "_", "é", "漢", "\U0001f600", "aa", "A a", "a-b", "ab"]
    run(any_store, lambda statements: put(statements, *ids))
    found = read(any_store, lambda statements: [one.record.id for one in statements.customers_after("", 100)])
    assert found == sorted(ids)
    after = read(any_store, lambda statements: [one.record.id for one in statements.customers_after("a", 3)])
    assert after == sorted(one for one in ids if one > "a")[:3]


def test_an_alias_belongs_to_one(any_store: Store) -> None:
    run(any_store, lambda statements: put(statements, "one", aliases=("x",)))
    with pytest.raises(errors.FastcheckError):
        run(any_store, lambda statements: put(statements, "two", aliases=("x",)))
    assert read(any_store, lambda statements: (statements.number_of("x"), statements.number_of("two"))) == (
        1,
        None,
    )


def test_who_uses_what_of_the_catalog(any_store: Store) -> None:
    def writes(statements: Statements) -> None:
        put(statements, "b", "a", plan="pro", version=1, addons=(("pack", 1, None),))
        put(statements, "c", plan="pro", version=2)
        put(statements, "none")
        put(statements, "gone", deleted=True)
        statements.put_override(1, StoredOverride("seats", (3, 5), None, None, "", "", 0))
        statements.put_override(1, StoredOverride("seats", (3, 6), 1, 2, "later", "me", 0))
        statements.put_accounts([ChangedAccount(2, "p", None, Account(as_of=1))], "", 0)

    run(any_store, writes)
    assert read(any_store, lambda statements: statements.plans_in_use()) == {
        ("pro", 1): (2, "a"),
        ("pro", 2): (1, "c"),
    }
    assert read(any_store, lambda statements: statements.addons_in_use()) == {"pack": (2, "a")}
    assert read(any_store, lambda statements: statements.overridden()) == {"seats": (1, "b")}
    assert read(any_store, lambda statements: statements.pools_in_use()) == {"p": (1, "a")}
    [one] = read(any_store, lambda statements: statements.overrides(1))
    assert one == StoredOverride("seats", (3, 6), 1, 2, "later", "me", 0)


# Catalogs, usage, audit.


def test_the_newest_catalog_is_in_force_and_its_number_known(any_store: Store) -> None:
    assert read(any_store, lambda statements: statements.catalog()) is None
    for number, name in enumerate(("first", "second"), 1):
        run(
            any_store,
            lambda statements, name=name: statements.put_catalog(  # type: ignore[misc]
                5, b"\0source", name, "digest", {"a": 1}, Registry()
            ),
        )
        assert run(any_store, lambda statements: statements.lock_catalog(exclusive=False)) == number
        assert run(any_store, lambda statements: statements.lock_catalog(exclusive=True)) == number
    stored = read(any_store, lambda statements: statements.catalog())
    assert stored is not None
    assert (stored.filename, stored.source, stored.document) == ("second", b"\0source", {"a": 1})


def test_a_usage_record_is_stored_once(any_store: Store) -> None:
    rows = [(f"p{place}", place, "event", "acme", "gpt-4o", 2**62, b"\x80") for place in range(4)]
    run(any_store, lambda statements: statements.put_usage(rows[:3]))
    run(any_store, lambda statements: statements.put_usage(rows[1:]))
    run(any_store, lambda statements: statements.put_usage([]))
    found = read(any_store, lambda statements: statements.usage_after(0, 100))
    assert [row[1:] for row in found] == [row[1:] for row in rows]
    assert read(any_store, lambda statements: statements.usage_after(found[1][0], 1)) == found[2:3]


def test_the_audit_log_is_read_backwards(any_store: Store) -> None:
    def writes(statements: Statements) -> None:
        for place in range(6):
            statements.put_audit(
                place, "me", "act", "even" if place % 2 == 0 else "odd", "", None, {"n": place}
            )

    run(any_store, writes)
    found = read(any_store, lambda statements: statements.audit_before(2**63 - 1, None, 4))
    assert [row[1] for row in found] == [5, 4, 3, 2]
    rest = read(any_store, lambda statements: statements.audit_before(found[-1][0], None, 4))
    assert [row[1] for row in rest] == [1, 0]
    even = read(any_store, lambda statements: statements.audit_before(2**63 - 1, "even", 2))
    assert [(row[1], row[6], row[7]) for row in even] == [
        (4, None, b"\x81\xa1n\x04"),
        (2, None, b"\x81\xa1n\x02"),
    ]


# Accounts and leases.


def test_accounts_come_back_as_they_were_written_one_or_many(any_store: Store) -> None:
    every = Recurrence(Span(1, Unit.MONTH), Anchor.CALENDAR, 7, "Europe/Berlin")
    plain = Grant("g1", 2**62, created_at=5, reason="top-up", expires_at=9, cost=Cost(1999, "EUR"))
    planned = Grant(
        "g2",
        10,
        created_at=4,
        priority=0,
        kind=GrantKind.PLAN,
        source="plan:pro",
        recurrence=every,
        rollover=Rollover(1, 5, 50, True),
        lasts=Span(2, Unit.DAY),
    )
    first = Account((full(planned), full(plain)), 3, -4, 8)
    second = Account((full(Grant("g3", 1)),), 0, 0, 1)
    changed = [ChangedAccount(1, "p", None, first), ChangedAccount(2, "p", None, second)]
    run(any_store, lambda statements: statements.put_accounts(changed, "me", 10))
    assert read(any_store, lambda statements: statements.account(1, "p")) == first
    assert read(
        any_store, lambda statements: statements.accounts([(1, "p"), (2, "p"), (1, "q"), (3, "p")])
    ) == {(1, "p"): first, (2, "p"): second}
    burned = replace(full(plain), remaining=2**62 - 1, burned=1)
    after = replace(first, holdings=(full(planned), burned), overage=0)
    put = [ChangedAccount(1, "p", first, after)]
    run(any_store, lambda statements: statements.put_accounts(put, "somebody else", 20))
    assert read(any_store, lambda statements: statements.account(1, "p")) == after
    found = read(any_store, lambda statements: statements.grant("g1"))
    assert found is not None
    assert (found.customer, found.pool, found.holding) == (1, "p", burned)
    assert read(any_store, lambda statements: statements.pools_of(1)) == ["p"]


def test_an_account_is_found_as_it_was_at_any_instant(any_store: Store) -> None:
    grant = Grant("g", 100, effective_at=10, created_at=10)
    states = {10: put_grant(Account(as_of=10), Rules(), grant)}
    for at in (20, 21, 40):
        last = states[max(states)]
        held = last.holdings[0]
        left = replace(held, remaining=held.remaining - 1, burned=held.burned + 1)
        states[at] = replace(last, holdings=(left,), overage=at, as_of=at)
    before = None
    for at, after in states.items():
        changed = [ChangedAccount(1, "p", before, after)]
        run(any_store, lambda statements, changed=changed, at=at: statements.put_accounts(changed, "", at))  # type: ignore[misc]
        before = after
    for at in range(5, 50):
        then = max((one for one in states if one <= at), default=None)
        found = read(any_store, lambda statements, at=at: statements.account_at(1, "p", at))  # type: ignore[misc]
        assert found == (None if then is None else states[then]), at


def test_a_new_grant_is_never_written_over_another_of_the_same_id(any_store: Store) -> None:
    first = Account((full(Grant("g", 5)),))
    second = Account((full(Grant("g", 7)),))
    run(any_store, lambda statements: statements.put_accounts([ChangedAccount(1, "p", None, first)], "", 0))
    with pytest.raises(errors.FastcheckError):
        run(
            any_store,
            lambda statements: statements.put_accounts([ChangedAccount(2, "p", None, second)], "", 0),
        )
    assert read(any_store, lambda statements: (statements.account(1, "p"), statements.account(2, "p"))) == (
        first,
        None,
    )


def test_a_grant_out_of_balance_is_refused_by_the_tables(any_store: Store) -> None:
    grant = full(Grant("g", 5))
    wrong = [replace(grant, remaining=4), replace(grant, remaining=-1, burned=6)]
    for account in (Account((one,)) for one in wrong):
        with pytest.raises(errors.FastcheckError):
            any_store.run(partial(put_account, account))
    assert read(any_store, lambda statements: statements.grant("g")) is None


def test_a_lease_is_of_one_account_at_one_host(any_store: Store) -> None:
    def writes(statements: Statements) -> None:
        statements.put_leases([lease(1), lease(1, host="h"), lease(1, pool="q"), lease(2, open=False)])
        statements.put_lease(lease(1, spent=7, returned=2, valid_until=9, whole=True))

    run(any_store, writes)
    here = read(any_store, lambda statements: statements.lease(1, "p", 1))
    assert here == lease(1, spent=7, returned=2, valid_until=9, whole=True)
    assert here.net == 5
    assert read(any_store, lambda statements: statements.lease(1, "p", 1, "h")) == lease(1, host="h")
    assert read(any_store, lambda statements: statements.last_lease(1, "p", "other")) is None
    opened = read(
        any_store, lambda statements: [(one.number, one.pool, one.host) for one in statements.open_leases()]
    )
    assert opened == [(1, "p", ""), (1, "p", "h"), (1, "q", "")]
    assert read(any_store, lambda statements: len(statements.leases_of([1, 2]))) == 3
    assert read(any_store, lambda statements: len(statements.leases_of([1, 2], only_open=True))) == 2
    with pytest.raises(errors.FastcheckError):
        run(any_store, lambda statements: statements.put_lease(lease(1, 2)))


def test_closed_leases_are_forgotten_after_some_later_ones(any_store: Store) -> None:
    last = LEASES_KEPT + 3

    def writes(statements: Statements) -> None:
        statements.put_leases([lease(1, one, open=one == last) for one in range(1, last + 1)])
        statements.put_lease(lease(1, 1, host="h", open=False))
        statements.forget_leases(1, "p", last)

    run(any_store, writes)
    kept = read(any_store, lambda statements: sorted(one.lease for one in statements.leases_of([1])))
    assert kept == list(range(4, last + 1))
    assert read(any_store, lambda statements: statements.last_lease(1, "p")) == lease(1, last)
    assert read(any_store, lambda statements: statements.lease(1, "p", 1, "h")) is not None


def test_a_late_return_is_noted_once(any_store: Store) -> None:
    noted = [
        run(any_store, lambda statements: statements.put_late_return("hold", 1, "p", 1, 5, 0))
        for _ in range(2)
    ]
    assert noted == [True, False]


def everything(statements: Statements) -> Any:
    """Leases and accounts of the first customers."""
    numbers, pools = (1, 2, 3), ("ai_credits", "soft_credits")
    leases = {(one.number, one.pool, one.lease): one for one in statements.leases_of(numbers)}
    return leases, statements.accounts((number, pool) for number in numbers for pool in pools)


totals = some.builds(
    Totals,
    some.integers(1, 3),
    some.sampled_from(["ai_credits", "soft_credits", "gone"]),
    some.integers(1, 3),
    some.integers(0, 50),
    some.integers(0, 5),
    some.booleans(),
)


@examples(20)
@given(some.lists(totals, max_size=12))
def test_a_batch_of_totals_is_as_good_as_one_after_the_other(batch: list[Totals]) -> None:
    found = []
    for parts in ([batch], [[totals] for totals in batch]):
        store = SqliteStore.in_memory()
        service = service_over(store)
        service.put_customers([put_customer(f"c{place}", plan="free") for place in range(3)])
        for place in range(3):
            service.grant(make_grant(f"c{place}", "ai_credits", 20, id=f"g{place}"))
            service.lend(f"c{place}", "ai_credits")
        for part in parts:
            service.settle(part)
        found.append(read(store, everything))
        store.close()
    assert found[0] == found[1]


def test_a_host_gives_back_no_more_than_it_spent(any_store: Store) -> None:
    service = service_over(any_store)
    service.put_customers([put_customer("acme", plan="free")])
    service.grant(make_grant("acme", "ai_credits", 20))
    lent = service.lend("acme", "ai_credits")
    service.settle([Totals(lent.number, lent.pool, lent.lease, spent=3, returned=5, final=True)])
    [kept] = read(any_store, lambda statements: statements.leases_of([lent.number]))
    assert (kept.spent, kept.returned, kept.folded) == (3, 3, 0)


# Several at once.


def test_two_who_make_one_customer_at_once_make_one(any_store: Store) -> None:
    service = service_over(any_store)
    for place in range(5):
        id = f"c{place}"
        at_once(lambda thread, id=id: service.put_customers([put_customer(id, plan="pro")]))  # type: ignore[misc]
    assert [one.id for one in service.list_customers().items] == [f"c{place}" for place in range(5)]
    assert [service.number_of(f"c{place}") for place in range(5)] == [1, 2, 3, 4, 5], "no number is lost"


def test_two_who_want_one_alias_at_once_are_one_and_a_conflict(any_store: Store) -> None:
    service = service_over(any_store)

    def wants(thread: int) -> str:
        try:
            service.put_customers([put_customer(f"c{thread}", plan="pro", aliases=["x"])])
        except errors.Conflict:
            return "conflict"
        return "made"

    assert sorted(at_once(wants)) == ["conflict"] * (THREADS - 1) + ["made"]


def test_one_grant_id_asked_for_at_once_is_one_grant(any_store: Store) -> None:
    service = service_over(any_store)
    service.put_customers([put_customer(f"c{place}", plan="free") for place in range(THREADS)])

    def asks(thread: int) -> str:
        try:
            service.grant(make_grant(f"c{thread % 2}", "ai_credits", 5, id="one"))
        except errors.Conflict:
            return "conflict"
        return "granted"

    assert sorted(at_once(asks)) == ["conflict"] * (THREADS // 2) + ["granted"] * (THREADS // 2)
    held = [len(service.list_grants(f"c{place}", "ai_credits")) for place in (0, 1)]
    assert sorted(held) == [0, 1]


def test_changes_are_numbered_without_a_gap(any_store: Store) -> None:
    def writes(thread: int) -> list[int]:
        return [run(any_store, lambda statements: statements.next_seq()) for _ in range(10)]

    taken = [seq for one in at_once(writes) for seq in one]
    assert sorted(taken) == list(range(1, THREADS * 10 + 1))


def test_customers_held_in_any_order_are_held_by_one_at_a_time(any_store: Store) -> None:
    """The counters are read and written in two steps: without the lock some would be lost. No job runs
    twice."""
    run(any_store, lambda statements: put(statements, *(f"c{place}" for place in range(6))))
    ran: list[int] = []

    def bump(numbers: list[int], statements: Statements) -> None:
        ran.append(1)
        statements.lock(numbers)
        for number in numbers:
            last = statements.last_lease(number, "p") or lease(number)
            statements.put_lease(replace(last, spent=last.spent + 1))

    def works(thread: int) -> None:
        chance = random.Random(thread)
        for _ in range(10):
            run(any_store, partial(bump, chance.sample(range(1, 7), 3)))

    at_once(works)
    spent = read(any_store, lambda statements: sum(one.spent for one in statements.leases_of(range(1, 7))))
    assert spent == THREADS * 10 * 3
    assert len(ran) == THREADS * 10


def test_a_catalog_waits_for_those_who_work_under_the_old_one(any_store: Store) -> None:
    entered, go_on, order = threading.Event(), threading.Event(), []

    def works(statements: Statements) -> None:
        statements.lock_catalog(exclusive=False)
        entered.set()
        go_on.wait(30)
        order.append("work")

    def replaces(statements: Statements) -> None:
        statements.lock_catalog(exclusive=True)
        order.append("catalog")

    with ThreadPoolExecutor(2) as pool:
        working = pool.submit(run, any_store, works)
        assert entered.wait(30)
        replacing = pool.submit(run, any_store, replaces)
        with pytest.raises(TimeoutError):
            replacing.result(0.2)
        go_on.set()
        working.result(30)
        replacing.result(30)
    assert order == ["work", "catalog"]


def test_one_customer_granted_and_settled_from_all_sides_has_exact_sums(any_store: Store) -> None:
    service = service_over(any_store)
    service.put_customers([put_customer("acme", plan="free")])
    service.grant(make_grant("acme", "ai_credits", 1_000))
    terms = service.lend("acme", "ai_credits")
    rounds = 12

    def works(thread: int) -> None:
        for step in range(1, rounds + 1):
            if thread % 2:
                service.grant(make_grant("acme", "ai_credits", 1, id=f"t{thread}-{step}"))
            else:
                # Each says the highest it has seen; the highest of all is what counts.
                spent = step * 1_000_000 + thread
                service.settle([Totals(terms.number, terms.pool, terms.lease, spent, 0, False)])

    at_once(works)
    service.settle([Totals(terms.number, terms.pool, terms.lease, rounds * 1_000_000 + 6, 0, True)])
    balance = service.balance("acme", "ai_credits")
    granted = 1_000 + THREADS // 2 * rounds
    assert balance.used * 1_000_000 == rounds * 1_000_000 + 6
    assert balance.remaining is not None
    assert balance.remaining + balance.used == granted
    assert len(service.list_grants("acme", "ai_credits")) == 1 + THREADS // 2 * rounds


def test_a_hub_takes_the_catalog_that_another_puts_in_force(any_store: Store) -> None:
    first, second = service_over(any_store), Service(any_store, ManualClock(NOW_MS), parse)
    first.put_customers([put_customer("acme", plan="pro")])
    assert second.explain("acme", "seats").value == 25
    document = copy.deepcopy(FakeCatalog().document())
    document["plans"]["pro"]["1"]["features"]["seats"] = 99
    document["plans"]["new"] = {"1": {"features": {}, "grants": []}}
    changed = FakeCatalog(document)
    assert first.set_catalog(changed, changed.source(), "next.json")
    assert second.explain("acme", "seats").value == 99
    second.put_customers([put_customer("bravo", plan="new")])
    assert second.product.newest("new") == 1
    assert second.catalog.digest == changed.digest


def test_every_kind_of_change_at_once_keeps_the_books(any_store: Store) -> None:
    """Two hubs over one ledger: what each call answers is stored, nothing else fails than what may, and every
    account's sums hold."""
    hubs = [service_over(any_store), Service(any_store, ManualClock(NOW_MS), parse)]
    for place in range(4):
        hubs[0].put_customers([put_customer(f"c{place}", plan="pro")])
    granted: list[int] = []

    def works(thread: int) -> None:
        chance, service = random.Random(thread), hubs[thread % 2]
        for step in range(15):
            id, key = f"c{chance.randrange(4)}", f"t{thread}-{step}"
            try:
                kind = chance.randrange(7)
                if kind == 0:
                    service.put_customers(
                        [put_customer(id, plan=chance.choice(["free", "pro"]), aliases=[key])]
                    )
                elif kind == 1:
                    service.put_override(put_override(id, "seats", step))
                elif kind == 2:
                    service.remove_override(id, "seats")
                elif kind == 3:
                    service.delete_customer(id)
                elif kind == 4:
                    number = service.number_of(id)
                    terms = service.lend(id, "ai_credits")
                    service.relend(
                        [Totals(number, "ai_credits", terms.lease, step, 0, True)],
                        [(number, "ai_credits"), (1 + step % 4, "ai_credits")],
                    )
                elif kind == 5:
                    others = [put_customer(f"c{one}", plan="pro") for one in chance.sample(range(6), 3)]
                    service.put_customers(others)
                else:
                    service.grant(make_grant(id, "ai_credits", 1, id=key))
                    granted.append(1)
            except errors.UnknownCustomer:
                pass

    at_once(works)
    held = [one for number in range(1, 7) for one in _held(any_store, number)]
    ids = {one.id for one in held if one.grant.source is None}
    assert len(ids) == len(granted)
    records = read(any_store, lambda statements: statements.records_after(0, 100, since_seq=0))
    assert [number for number, _ in records] == list(range(1, len(records) + 1)), "numbers have no gap"


def _held(store: Store, number: int) -> tuple[Holding, ...]:
    account = read(store, lambda statements: statements.account(number, "ai_credits")) or Account()
    postings = read(store, lambda statements: statements.postings(number, "ai_credits"))
    assert conserved(account, postings) == []
    return account.holdings
