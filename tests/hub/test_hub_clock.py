"""A clock that was wrong, and what it did to accounts undone: cases a person can follow, then the law, by two
ledgers of which one never had a wrong clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.admin import Admin
from fastcheck.clock import ManualClock, ManualPair
from fastcheck.directory.clock import guarded
from fastcheck.finance.export import export
from fastcheck.hub.background.clock_gauges import gauges
from fastcheck.hub.background.clock_watch import ClockWatch
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import Statements
from fastcheck.hub.use_cases import clock as clock_cases
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.steady import LASTS_MS
from hub.test_purchases import buy, open_shop, refund
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.postgres_ledgers import PostgresLedgers
from rig.requests import (
    debit,
    destination,
    make_grant,
    move_customers,
    put_cap,
    put_customer,
    put_override,
    reserve,
)
from rig.samples import examples
from rig.serving import Service

MILLION = 10**6
YEARS_MS = 3_653 * DAY_MS
"""How far the clock is ahead for a moment."""
MINUTE_MS = 60_000
CREDITS, METER = "ai_credits", "api_calls"


def admin(service: Service) -> Admin:
    return Admin(service.ask, lambda: False)


def account(store: Store, number: int, pool: str = CREDITS) -> Account:
    return store.read(lambda db: Statements(db).account(number, pool)) or Account()


def use(
    service: Service, number: int, units: int, pool: str = CREDITS, id: str = "acme", back: int = 0
) -> None:
    """What a host used, whatever the ledger says is there."""
    lease = service.lending.lend(id, pool)
    service.lending.settle([Totals(number, pool, lease.lease, units + back, back, True)])


def turn(service: Service, clock: ManualClock) -> None:
    while service.turn(clock.now_ms(), 100):
        pass


def in_order(service: Service) -> None:
    """Every law of conservation holds; hosts of these tests use more than they were lent."""
    assert [one for one in admin(service).check_ledger() if " lent" not in one.law] == []


def repaired(service: Service, at: int) -> int:
    return admin(service).repair_clock(at, reason="the clock said 2034").accounts


@pytest.fixture
def number(service: Service) -> int:
    service.put_customers([put_customer("acme", plan="pro")])
    return int(service.customers.number_of("acme"))


def test_a_moment_of_another_year_is_undone(
    service: Service, store: Store, clock: ManualClock, number: int
) -> None:
    service.grant(make_grant("acme", CREDITS, 1_000, id="paid", expires_at=MAY_2024_MS + 300 * DAY_MS))
    use(service, number, 5 * MILLION)
    use(service, number, 90_000, METER)
    clock.advance(YEARS_MS)
    turn(service, clock)
    assert service.balance("acme", CREDITS).remaining == 1_000  # The plan's alone: what was paid expired.
    use(service, number, 1, METER)
    clock.set(MAY_2024_MS + MINUTE_MS)
    assert repaired(service, clock.now_ms()) == 2
    assert service.balance("acme", CREDITS).remaining == 1_995
    assert service.balance("acme", METER).remaining == 9_999
    assert account(store, number).as_of == clock.now_ms()
    in_order(service)
    clock.set(MAY_2024_MS + 300 * DAY_MS)
    turn(service, clock)
    assert [one.expired for one in service.list_grants("acme", CREDITS) if one.id == "paid"] == [1_000]
    in_order(service)


def test_again_changes_nothing(service: Service, store: Store, clock: ManualClock, number: int) -> None:
    use(service, number, 5 * MILLION)
    clock.advance(YEARS_MS)
    use(service, number, 2 * MILLION)
    clock.set(MAY_2024_MS)
    assert repaired(service, clock.now_ms()) == 1
    before = account(store, number)
    noted = len(admin(service).audit(limit=1_000).items)
    assert repaired(service, clock.now_ms()) == 0
    assert account(store, number) == before
    assert len(admin(service).audit(limit=1_000).items) == noted


def test_it_is_noted_with_its_reason(service: Service, clock: ManualClock, number: int) -> None:
    use(service, number, 1)
    clock.advance(YEARS_MS)
    use(service, number, 1)
    clock.set(MAY_2024_MS)
    admin(service).by("jo").repair_clock(clock.now_ms(), reason="a dead battery")
    [of_account] = [one for one in admin(service).audit(subject="acme").items if one.action == "repair_clock"]
    assert (of_account.author, of_account.reason) == ("jo", "a dead battery")
    assert of_account.before is not None
    assert of_account.after is not None
    assert of_account.before["as_of"] == MAY_2024_MS + YEARS_MS
    assert of_account.after["as_of"] == MAY_2024_MS
    [of_all] = [one for one in admin(service).audit(subject="").items if one.action == "repair_clock"]
    assert of_all.after is not None
    assert of_all.after["at"] == MAY_2024_MS


def test_grants_and_voids_of_meanwhile_stay(
    service: Service, store: Store, clock: ManualClock, number: int
) -> None:
    service.grant(make_grant("acme", CREDITS, 100, id="old"))
    clock.advance(YEARS_MS)
    service.grant(make_grant("acme", CREDITS, 40, id="ahead"))
    service.void("old")
    use(service, number, 3 * MILLION)
    clock.set(MAY_2024_MS + MINUTE_MS)
    service.grant(make_grant("acme", CREDITS, 7, id="after", expires_at=MAY_2024_MS + DAY_MS))
    clock.advance(MINUTE_MS)
    repaired(service, clock.now_ms())
    found = {one.id: one for one in service.list_grants("acme", CREDITS)}
    assert (found["old"].voided, found["old"].remaining) == (100, 0)
    assert (found["ahead"].remaining, found["ahead"].effective_at) == (40, MAY_2024_MS + MINUTE_MS)
    assert found["after"].remaining == 7
    assert service.balance("acme", CREDITS).remaining == 1_000 - 3 + 40 + 7
    in_order(service)
    # The requests may be repeated.
    service.grant(make_grant("acme", CREDITS, 40, id="ahead"))
    assert service.balance("acme", CREDITS).remaining == 1_000 - 3 + 40 + 7


def test_the_clock_must_be_right_first(service: Service, clock: ManualClock, number: int) -> None:
    use(service, number, 1)
    clock.advance(YEARS_MS)
    use(service, number, 1)
    for at in (MAY_2024_MS, clock.now_ms() + 1):
        with pytest.raises(errors.Conflict, match="set the clock right"):
            repaired(service, at)
    with pytest.raises(errors.NameInvalid, match="say why"):
        admin(service).repair_clock(MAY_2024_MS, reason="")


def test_what_was_booked_until_then_is_left_as_it_is(
    service: Service, store: Store, clock: ManualClock, number: int
) -> None:
    """An account that stands at the present is none of it."""
    use(service, number, 5 * MILLION)
    before = account(store, number)
    assert repaired(service, clock.now_ms()) == 0
    assert account(store, number) == before


def test_an_account_first_written_ahead_begins_anew(
    service: Service, store: Store, clock: ManualClock, number: int
) -> None:
    clock.advance(YEARS_MS)
    use(service, number, 5 * MILLION)
    clock.set(MAY_2024_MS + MINUTE_MS)
    assert repaired(service, clock.now_ms()) == 1
    assert service.balance("acme", CREDITS).remaining == 995
    in_order(service)


def test_a_pool_that_the_catalog_lost_is_brought_back(
    service: Service, store: Store, clock: ManualClock, number: int
) -> None:
    service.grant(make_grant("acme", "soft_credits", 9, id="g", expires_at=MAY_2024_MS + DAY_MS))
    clock.advance(YEARS_MS)
    use(service, number, 2, "soft_credits")
    clock.set(MAY_2024_MS)
    repaired(service, clock.now_ms())
    assert service.balance("acme", "soft_credits").remaining == 7


def test_caps_count_again(service: Service, clock: ManualClock, number: int) -> None:
    service.put_cap(put_cap("acme", CREDITS, 10, per="month"))
    service.put_cap(put_cap("acme", CREDITS, 6, per="month", key="bot"))
    service.debit(debit("acme", CREDITS, 2, key="bot", id="a"))
    clock.advance(YEARS_MS)
    service.debit(debit("acme", CREDITS, 3, key="bot", id="b"))
    clock.set(MAY_2024_MS + MINUTE_MS)
    repaired(service, clock.now_ms())
    spent = {one.key: one.spent for one in service.list_caps("acme")}
    assert spent == {None: 5, "bot": 5}
    assert service.debit(debit("acme", CREDITS, 2, key="bot", id="c")).state == "denied"
    clock.advance(40 * DAY_MS)
    assert service.debit(debit("acme", CREDITS, 2, key="bot", id="d")).state == "committed"


def test_what_is_held_ends_when_it_should(service: Service, clock: ManualClock, number: int) -> None:
    use(service, number, 1)
    clock.advance(YEARS_MS)
    service.reserve(reserve("acme", CREDITS, 400, id="r", ttl_ms=60_000))
    clock.set(MAY_2024_MS)
    repaired(service, clock.now_ms())
    clock.advance(60_000)
    turn(service, clock)
    assert service.reserve(reserve("acme", CREDITS, 999, id="s", ttl_ms=1_000)).state == "open"


def test_moves_and_records_of_the_wrong_time_are_named(
    service: Service, clock: ManualClock, number: int
) -> None:
    ahead = MAY_2024_MS + 90 * DAY_MS
    [move] = service.move(move_customers(["acme"], destination("free", when=ahead))).moves
    service.put_customers([put_customer("other", plan="pro")])
    use(service, number, 1)
    clock.advance(YEARS_MS)
    service.due.carry_out([move.id])
    service.put_override(put_override("other", "seats", 3))
    clock.set(MAY_2024_MS + MINUTE_MS)
    found = admin(service).repair_clock(clock.now_ms(), reason="x")
    assert found.moves == (move.id,)
    assert set(found.customers) == {"acme", "other"}
    # What the record says is in force from now on, and in the past from before.
    assert service.explain("other", "seats").value == 3
    assert service.explain("other", "seats", at=MAY_2024_MS).value == 25


def test_the_past_says_nothing_of_the_future(service: Service, clock: ManualClock, number: int) -> None:
    service.grant(make_grant("acme", CREDITS, 100, id="g", expires_at=MAY_2024_MS + 200 * DAY_MS))
    clock.advance(YEARS_MS)
    use(service, number, MILLION)
    clock.set(MAY_2024_MS + MINUTE_MS)
    use(service, number, MILLION)
    clock.advance(MINUTE_MS)
    repaired(service, clock.now_ms())
    at = clock.now_ms()
    clock.advance(DAY_MS)
    use(service, number, MILLION)
    assert service.balance("acme", CREDITS, MAY_2024_MS).remaining == 1_100
    assert service.balance("acme", CREDITS, at).remaining == 1_098
    assert service.balance("acme", CREDITS, clock.now_ms()).remaining == 1_097


def test_finance_reads_it(service: Service, clock: ManualClock, number: int, tmp_path: Path) -> None:
    """What the wrong clock did and its reverse are of one period, and nothing of them is left."""
    service.grant(
        make_grant("acme", CREDITS, 100, id="g", expires_at=MAY_2024_MS + DAY_MS, cost=(700, "EUR"))
    )
    use(service, number, 30 * MILLION)
    clock.advance(YEARS_MS)
    use(service, number, 5 * MILLION)
    clock.set(MAY_2024_MS + MINUTE_MS)
    use(service, number, 5 * MILLION)
    repaired(service, clock.now_ms())
    in_order(service)
    export(service.ask, tmp_path)
    clock.advance(YEARS_MS + DAY_MS)
    done = export(service.ask, tmp_path, since=MAY_2024_MS)
    worth = done.sums["worth"]["EUR"]
    assert worth["sold"] == 700
    assert worth.get("burned", 0) + worth.get("breakage", 0) == 700


def test_killed_within_it_goes_on(
    service: Service, store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done of a part is undone with it, and the next run does the rest."""
    monkeypatch.setattr(clock_cases, "ACCOUNTS_PER_PART", 2)
    ids = [f"c{n}" for n in range(5)]
    service.put_customers([put_customer(id, plan="pro") for id in ids])
    numbers = {id: service.customers.number_of(id) for id in ids}
    for id, number in numbers.items():
        use(service, number, MILLION, id=id)
    clock.advance(YEARS_MS)
    for id, number in numbers.items():
        use(service, number, MILLION, id=id)
    clock.set(MAY_2024_MS + MINUTE_MS)
    real, calls = clock_cases._count_anew, 0

    def dies(*args: Any) -> None:
        nonlocal calls
        real(*args)
        calls += 1
        if calls in (1, 4, 7):  # In the first part, and in the second, and then in what was the third.
            raise RuntimeError("killed")

    monkeypatch.setattr(clock_cases, "_count_anew", dies)
    for left in (5, 3, 1):
        with pytest.raises(RuntimeError, match="killed"):
            repaired(service, clock.now_ms())
        beyond = [one for one in numbers.values() if account(store, one).as_of > clock.now_ms()]
        assert len(beyond) == left
        in_order(service)
    repaired(service, clock.now_ms())
    for number in numbers.values():
        assert account(store, number).as_of == clock.now_ms()
    assert [service.balance(id, CREDITS).remaining for id in ids] == [998] * 5
    in_order(service)


def test_on_both_databases(any_store: Store, clock: ManualClock) -> None:
    service = Service(any_store, clock, parse)
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    service.put_customers([put_customer("acme", plan="pro")])
    number = service.customers.number_of("acme")
    service.grant(make_grant("acme", CREDITS, 100, id="g", expires_at=MAY_2024_MS + 200 * DAY_MS))
    service.put_cap(put_cap("acme", CREDITS, 50, per="month"))
    use(service, number, MILLION)
    clock.advance(YEARS_MS)
    use(service, number, MILLION)
    service.grant(make_grant("acme", CREDITS, 10, id="ahead"))
    service.reserve(reserve("acme", CREDITS, 5, id="r", ttl_ms=60_000))
    service.void("ahead")
    clock.set(MAY_2024_MS + MINUTE_MS)
    use(service, number, MILLION)
    clock.advance(MINUTE_MS)
    assert repaired(service, clock.now_ms()) == 1
    assert service.balance("acme", CREDITS).remaining == 1_092
    assert [one.spent for one in service.list_caps("acme")] == [8]
    clock.advance(MINUTE_MS)  # What was held ends.
    assert service.balance("acme", CREDITS).remaining == 1_097
    assert [one.spent for one in service.list_caps("acme")] == [3]
    assert service.balance("acme", CREDITS, MAY_2024_MS).remaining == 1_099
    in_order(service)


# the guard


@pytest.fixture
def pair() -> ManualPair:
    return ManualPair(MAY_2024_MS)


def guarded_service(store: Store, pair: ManualPair, directory: Path) -> Service:
    """A hub's service, as a process that begins has it."""
    service = Service(store, guarded(pair, directory), parse)
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


def test_a_doubted_step_moves_no_account(store: Store, pair: ManualPair, tmp_path: Path) -> None:
    service = guarded_service(store, pair, tmp_path)
    service.put_customers([put_customer("acme", plan="pro")])
    service.grant(make_grant("acme", CREDITS, 1_000, id="paid", expires_at=MAY_2024_MS + DAY_MS))
    pair.set(MAY_2024_MS + YEARS_MS)
    while service.turn(service.clock.now_ms(), 100):
        pass
    assert service.balance("acme", CREDITS).remaining == 2_000
    state = admin(service).clock()
    assert (state.doubted, state.now, state.wall) == (True, MAY_2024_MS, MAY_2024_MS + YEARS_MS)
    assert state.taken_at == MAY_2024_MS + LASTS_MS
    # Another process on this machine does not take it either.
    assert guarded_service(store, pair, tmp_path).clock.now_ms() == MAY_2024_MS
    pair.advance(LASTS_MS)
    assert service.balance("acme", CREDITS).remaining == 1_000


def test_a_confirmed_step_counts_at_once_and_is_noted(store: Store, pair: ManualPair, tmp_path: Path) -> None:
    service = guarded_service(store, pair, tmp_path)
    assert admin(service).confirm_clock().now == MAY_2024_MS
    assert admin(service).audit(limit=1).items[0].action == "set_catalog"
    pair.set(MAY_2024_MS + YEARS_MS)
    state = admin(service).by("jo").confirm_clock(reason="set right")
    assert (state.doubted, state.now) == (False, pair.now_ms())
    assert service.clock.now_ms() == pair.now_ms()
    [noted] = admin(service).audit(limit=1).items
    assert (noted.action, noted.author, noted.reason) == ("confirm_clock", "jo", "set right")


def test_after_a_repair_nothing_was_seen_beyond(store: Store, pair: ManualPair, tmp_path: Path) -> None:
    service = guarded_service(store, pair, tmp_path)
    pair.set(MAY_2024_MS + YEARS_MS)
    admin(service).confirm_clock()
    pair.set(MAY_2024_MS)
    service.clock.now_ms()
    told: list[str] = []
    watch = ClockWatch(service, guarded(pair, tmp_path), lambda words, grave: told.append(words))
    watch.begin()
    assert [one for one in told if "behind what the ledger has seen" in one]
    admin(service).repair_clock(MAY_2024_MS, reason="x")
    told.clear()
    ClockWatch(service, guarded(pair, tmp_path), lambda words, grave: told.append(words)).begin()
    assert told == []


def watched(service: Service) -> tuple[ClockWatch, list[tuple[str, bool]]]:
    told: list[tuple[str, bool]] = []
    watch = ClockWatch(service, service.clock, lambda words, grave: told.append((words, grave)))
    watch.begin()
    return watch, told


def test_of_two_hubs_one_with_a_wrong_clock_doubts_itself(
    postgres_ledgers: PostgresLedgers, tmp_path: Path
) -> None:
    """Each guards itself by its own clocks; one that comes to believe a wrong one is seen by the other."""
    with postgres_ledgers.new() as url:
        stores = PostgresStore(url), PostgresStore(url)
        pairs = ManualPair(MAY_2024_MS), ManualPair(MAY_2024_MS)
        for name in "ab":
            (tmp_path / name).mkdir()
        one, other = (
            guarded_service(store, pair, tmp_path / name)
            for store, pair, name in zip(stores, pairs, "ab", strict=True)
        )
        one.put_customers([put_customer("acme", plan="pro")])
        one.grant(make_grant("acme", CREDITS, 1_000, id="paid", expires_at=MAY_2024_MS + DAY_MS))
        watch, told = watched(other)
        pairs[0].set(MAY_2024_MS + YEARS_MS)
        one.turn(one.clock.now_ms(), 100)
        assert other.balance("acme", CREDITS).remaining == 2_000
        watch.look()
        assert told == []
        pairs[0].advance(LASTS_MS)
        pairs[1].advance(LASTS_MS)
        one.turn(one.clock.now_ms(), 100)
        assert other.balance("acme", CREDITS).remaining == 1_000
        watch.look()
        [(words, grave)] = told
        assert grave
        assert "behind the ledger" in words
        watch.look()
        pairs[1].advance(MINUTE_MS)
        watch.look()
        assert len(told) == 1
        # The clock that was right repairs.
        pairs[0].set(pairs[1].now_ms())
        assert admin(other).repair_clock(pairs[1].now_ms(), reason="hub a was ahead").accounts == 1
        assert one.balance("acme", CREDITS).remaining == 2_000
        in_order(one)
        for store in stores:
            store.close()


def test_what_the_metrics_say(pair: ManualPair, tmp_path: Path) -> None:
    clock = guarded(pair, tmp_path)

    def said() -> dict[str, float]:
        return {one.name: one.samples[0].value for one in gauges(clock)}

    assert said() == {"fastcheck_hub_clock_doubted": 0, "fastcheck_hub_clock_ahead_seconds": 0}
    pair.set(MAY_2024_MS + DAY_MS)
    assert said() == {"fastcheck_hub_clock_doubted": 1, "fastcheck_hub_clock_ahead_seconds": 86_400}


# the law

ACTS = st.one_of(
    st.tuples(st.just("use"), st.integers(1, 60), st.sampled_from((CREDITS, METER))),
    st.tuples(st.just("back"), st.integers(1, 30), st.sampled_from((CREDITS, METER))),
    st.tuples(st.just("grant"), st.integers(1, 50), st.sampled_from((None, 1, 40, 9_000))),
    st.tuples(st.just("monthly"), st.integers(1, 50), st.just(None)),
    st.tuples(st.just("void"), st.integers(0, 3), st.just(None)),
)
PASSING = st.tuples(st.just("wait"), st.integers(0, 45), st.just(None))
QUOTA = st.tuples(st.just("quota"), st.integers(0, 100), st.just(None))


class World:
    """A ledger and its clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(MAY_2024_MS)
        self.store = SqliteStore.in_memory()
        self.service = Service(self.store, self.clock, parse)
        catalog = FakeCatalog()
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")
        self.service.put_customers([put_customer("acme", plan="pro")])
        self.number = self.service.customers.number_of("acme")
        self.made: list[str] = []

    def later(self, what: str, n: int, more: Any) -> bool:
        """`do`, a moment later."""
        self.clock.advance(1)
        return self.do(what, n, more)

    def do(self, what: str, n: int, more: Any) -> bool:
        """Does something; whether it was done."""
        if what == "wait":
            self.clock.advance(n * DAY_MS)
        elif what == "use":
            use(self.service, self.number, n * self.scale(more), more)
        elif what == "back":
            use(self.service, self.number, 0, more, back=n * self.scale(more))
        elif what == "quota":
            self.service.put_override(put_override("acme", METER, n))
        elif what == "void":
            if n >= len(self.made):
                return False
            try:
                self.service.void(self.made[n])
            except errors.Conflict:
                return False
        else:
            id = f"g{len(self.made)}"
            terms: dict[str, Any] = {"every": "1 month"} if what == "monthly" else {}
            if more is not None:
                terms["expires_at"] = MAY_2024_MS + more * DAY_MS
            try:
                self.service.grant(make_grant("acme", CREDITS, n, id=id, **terms))
            except errors.AmountError:
                return False
            self.made.append(id)
        return True

    @staticmethod
    def scale(pool: str) -> int:
        return MILLION if pool == CREDITS else 1

    def touch(self) -> None:
        """Uses a unit of each pool, whatever is there: an instant that is known."""
        for pool in (CREDITS, METER):
            use(self.service, self.number, 1, pool)

    def now(self) -> dict[str, Account]:
        """Every account brought to now."""
        for pool in (CREDITS, METER):
            use(self.service, self.number, 0, pool)
        return {pool: account(self.store, self.number, pool) for pool in (CREDITS, METER)}


def shape(one: Account) -> object:
    """What must be the same of an account, however it came to be so."""

    return sorted(one.holdings, key=lambda held: held.id), one.overage, one.written_off


@examples(60)
@given(
    st.lists(ACTS | PASSING | QUOTA, max_size=6),
    st.booleans(),
    st.lists(ACTS, max_size=6),
    st.integers(300, 5_000),
    st.lists(ACTS | PASSING | QUOTA, max_size=6),
)
def test_the_law(before: Any, looked: bool, ahead: Any, days: int, after: Any) -> None:
    """After a repair each account is as on a ledger whose clock was never wrong, where what was asked for
    meanwhile was asked for when the clock came back."""
    wrong, right = World(), World()
    for act in before:
        assert wrong.later(*act) == right.later(*act)
    if looked:
        wrong.touch(), right.touch()
    back = wrong.clock.now_ms()
    wrong.clock.advance(days * DAY_MS)
    turn(wrong.service, wrong.clock)
    for act in ahead:
        if wrong.do(*act):
            assert right.do(*act)
    wrong.clock.set(back)
    wrong.touch(), right.touch()
    for act in after:
        if wrong.later(*act):
            # The wrong ledger has grants left to void that have truly ended.
            assume(right.later(*act) or act[0] != "void")
        right.clock.set(wrong.clock.now_ms())
    wrong.service.repair_clock(wrong.clock.now_ms(), "x")
    in_order(wrong.service)
    found, expected = wrong.now(), right.now()
    for pool in (CREDITS, METER):
        assert shape(found[pool]) == shape(expected[pool])
    in_order(wrong.service)


def test_a_second_wrong_clock_is_undone_as_well() -> None:
    """What an earlier repair set right is not undone again, nor what time truly did since."""
    wrong, right = World(), World()
    for days in (3_000, 1_000, 2_000):
        for world in (wrong, right):
            world.do("grant", 30, 200)
            world.touch()
        back = wrong.clock.now_ms()
        wrong.clock.advance(days * DAY_MS)
        turn(wrong.service, wrong.clock)
        wrong.touch(), right.touch()
        wrong.clock.set(back + MINUTE_MS)
        right.clock.set(back + MINUTE_MS)
        wrong.touch(), right.touch()
        assert repaired(wrong.service, wrong.clock.now_ms()) == 2
        in_order(wrong.service)
        for world in (wrong, right):
            world.do("wait", 40, None)
            world.touch()
    found, expected = wrong.now(), right.now()
    for pool in (CREDITS, METER):
        assert shape(found[pool]) == shape(expected[pool])


def test_purchases_of_meanwhile_stay_with_what_became_of_them(clock: ManualClock, tmp_path: Path) -> None:
    store = SqliteStore.in_memory()
    service = open_shop(store, clock)
    number = service.customers.number_of("acme")
    for id in ("kept", "paid_back", "taken_back"):
        buy(service, id=id)
    use(service, number, 100 * MILLION)
    clock.advance(YEARS_MS)
    turn(service, clock)  # All three ended.
    buy(service, id="ahead")
    use(service, number, 50 * MILLION)
    service.charge_back("taken_back")
    clock.set(MAY_2024_MS + MINUTE_MS)
    refund(service, "ahead", 500)
    clock.advance(MINUTE_MS)
    assert repaired(service, clock.now_ms()) == 1
    in_order(service)
    assert service.balance("acme", CREDITS).remaining == 3 * 2_000 - 150 - 500
    export(service.ask, tmp_path)
    refund(service, "kept")
    service.charge_back("paid_back")
    in_order(service)
    clock.advance(YEARS_MS + 400 * DAY_MS)  # "ahead" ends a year after it was bought, by the wrong clock.
    turn(service, clock)
    done = export(service.ask, tmp_path, since=MAY_2024_MS)
    worth = done.sums["worth"]["USD"]
    assert worth["sold"] == sum(units for what, units in worth.items() if what != "sold")
    in_order(service)
    store.close()
