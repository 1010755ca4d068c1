"""The past, asked of the ledger later, is what was answered then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.use_cases.accounts import RECORD_MS
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.answers import Explanation
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import make_grant, put_customer, put_override
from rig.samples import examples
from rig.serving import Service

MAY_2024_MS = 1_714_521_600_000
MILLION = 10**6
FEATURES = ("export", "seats", "api_calls", "gpt-4o")


def service_over(store: Store, clock: ManualClock) -> Service:
    service = Service(store, clock, parse)
    catalog = FakeCatalog()
    assert service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


class Recorder:
    """Does things to a ledger, and notes what it answers at each instant."""

    def __init__(self) -> None:
        self.clock = ManualClock(MAY_2024_MS)
        self.service = service_over(SqliteStore.in_memory(), self.clock)
        self.service.put_customers([put_customer("acme", plan="pro")])
        self.answers: dict[int, dict[str, Any]] = {}
        self.spent = {"ai_credits": 0, "api_calls": 0}

    def note(self) -> None:
        """What a check of each feature answers now, and the balance."""
        self.answers[self.clock.now_ms()] = {
            one: plain(self.service.explain("acme", one)) for one in FEATURES
        }

    def burn(self, pool: str, units: int) -> None:
        """Spends under the open lease what it allows, as a host does, and settles."""
        terms = self.service.lend("acme", pool)
        self.spent[pool] = min(terms.lent, units)
        final = terms.valid_until is not None and terms.valid_until <= self.clock.now_ms()
        self.service.settle([Totals(terms.number, pool, terms.lease, self.spent[pool], 0, final)])

    def close(self) -> None:
        """Ends every lease, as an owner does before a change."""
        out = self.service.open_leases()
        self.service.settle([Totals(one.number, one.pool, one.lease, one.spent, 0, True) for one in out])


def plain(found: Explanation) -> Any:
    balance = found.balance
    return (
        found.value,
        found.source,
        found.allowed,
        found.reason,
        None if balance is None else (balance.remaining, balance.used, balance.overage),
    )


ACTIONS = some.one_of(
    some.tuples(some.just("plan"), some.sampled_from(["free", "pro"])),
    some.tuples(some.just("override"), some.sampled_from([True, False])),
    some.tuples(some.just("grant"), some.integers(1, 5)),
    some.tuples(some.just("burn"), some.sampled_from([1, 999, 10**9 - 1, 10**9, 10**12])),
    some.tuples(some.just("calls"), some.sampled_from([1, 999, 1_000, 99_999, 100_000])),
    some.tuples(some.just("close"), some.none()),
    some.tuples(some.just("wait"), some.sampled_from([1, RECORD_MS, DAY_MS, 31 * DAY_MS])),
)


@examples(20)
@given(some.lists(ACTIONS, max_size=25))
def test_explaining_any_instant_gives_what_was_answered_then(actions: list[tuple[str, Any]]) -> None:
    world = Recorder()
    for kind, what in actions:
        world.clock.advance(RECORD_MS)
        if kind in ("plan", "override", "grant"):
            world.close()
        if kind == "plan":
            world.service.put_customers([put_customer("acme", plan=what)])
        elif kind == "override":
            world.service.put_override(put_override("acme", "export", what))
        elif kind == "grant":
            world.service.grant(make_grant("acme", "ai_credits", what))
        elif kind == "burn":
            world.burn("ai_credits", what)
        elif kind == "calls":
            world.burn("api_calls", what)
        elif kind == "close":
            world.close()
        else:
            world.close()
            world.clock.advance(what)
        world.note()
    world.clock.advance(DAY_MS)
    for at, then in world.answers.items():
        for feature, answer in then.items():
            assert plain(world.service.explain("acme", feature, at)) == answer, (feature, at)


def test_between_two_stored_totals_the_answer_is_right_and_the_balance_a_minute_old(
    service: Service, clock: ManualClock
) -> None:
    service.put_customers([put_customer("acme", plan="free")])
    terms = service.lend("acme", "api_calls")
    for second in range(1, 100):
        clock.advance(1_000)
        service.settle([Totals(terms.number, "api_calls", terms.lease, second * 10, 0, False)])
    clock.advance(1_000)
    service.settle([Totals(terms.number, "api_calls", terms.lease, 1_000, 0, False)])
    ended = clock.now_ms()
    clock.advance(10_000)
    service.settle([Totals(terms.number, "api_calls", terms.lease, 1_000, 0, True)])
    clock.advance(DAY_MS)
    for second in range(1, 100):
        found = service.explain("acme", "api_calls", MAY_2024_MS + second * 1_000)
        assert found.allowed
        assert found.balance is not None
        assert second * 10 - 600 <= found.balance.used <= second * 10
    assert not service.explain("acme", "api_calls", ended).allowed
    assert service.explain("acme", "api_calls", ended - 1).allowed


def test_a_catalog_of_the_past_speaks_for_its_time(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    before = clock.now_ms()
    clock.advance(DAY_MS)
    document = FakeCatalog().document()
    pro = document["plans"]["pro"]["1"]
    changed = {
        **document,
        "plans": {**document["plans"], "pro": {"1": {**pro, "features": {**pro["features"], "seats": 99}}}},
    }
    service.set_catalog(FakeCatalog(changed), FakeCatalog(changed).source(), "next.json")
    assert service.explain("acme", "seats").value == 99
    assert service.explain("acme", "seats", before).value == 25
    assert service.explain("acme", "seats", clock.now_ms()).value == 99


def test_who_was_not_there_yet_is_unknown_then(service: Service, clock: ManualClock) -> None:
    clock.advance(DAY_MS)
    service.put_customers([put_customer("acme", plan="pro")])
    with pytest.raises(errors.UnknownCustomer, match="there was no such customer"):
        service.explain("acme", "export", clock.now_ms() - 1)
    with pytest.raises(errors.CatalogError, match="there was no catalog"):
        service.explain("acme", "export", 1)


def test_who_was_deleted_can_still_be_explained(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    before = clock.now_ms()
    clock.advance(DAY_MS)
    service.delete_customer("acme")
    assert service.explain("acme", "export", before).allowed
    assert service.get_customer("acme", before).plan == "pro"
    with pytest.raises(errors.UnknownCustomer):
        service.explain("acme", "export")


def test_the_future_is_what_will_be_if_nobody_does_anything(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="free")])
    service.grant(make_grant("acme", "ai_credits", 5, expires_at=clock.now_ms() + 2 * DAY_MS))
    assert service.balance("acme", "ai_credits", clock.now_ms() + DAY_MS).remaining == 5
    assert service.balance("acme", "ai_credits", clock.now_ms() + 2 * DAY_MS).remaining == 0
    assert service.balance("acme", "ai_credits").remaining == 5


def test_a_balance_window_by_window(service: Service, clock: ManualClock) -> None:
    service.put_customers([put_customer("acme", plan="free")])
    ends = clock.now_ms() + 3 * DAY_MS
    service.grant(make_grant("acme", "ai_credits", 10, expires_at=ends))
    terms = service.lend("acme", "ai_credits")
    clock.advance(DAY_MS + 1)
    service.settle([Totals(terms.number, "ai_credits", terms.lease, 4 * MILLION, 0, False)])
    clock.advance(4 * DAY_MS)
    days = service.balance_history("acme", "ai_credits", MAY_2024_MS - DAY_MS, MAY_2024_MS + 5 * DAY_MS)
    assert [(one.opening, one.granted, one.used, one.expired, one.closing) for one in days] == [
        (0, 0, 0, 0, 0),
        (0, 10, 0, 0, 10),
        (10, 0, 4, 0, 6),
        (6, 0, 0, 0, 6),
        (6, 0, 0, 6, 0),
        (0, 0, 0, 0, 0),
    ]
    with pytest.raises(errors.InstantError, match="at most 1000"):
        service.balance_history("acme", "ai_credits", 0, MAY_2024_MS, "minute")
    with pytest.raises(errors.RecordError, match="is no span"):
        service.balance_history("acme", "ai_credits", 0, MAY_2024_MS, "fortnight")
    assert Decimal(str(days[2].used)) == 4
