"""What a hub does by itself, alone and beside another; and which of several does it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck import Entitlements, errors
from fastcheck.clock import ManualClock
from fastcheck.directory.lock import HUB, OwnerLock
from fastcheck.hub.background.rounds import PRUNE_MS, Rounds
from fastcheck.hub.background.steps import DUE_MS
from fastcheck.hub.service import Totals
from fastcheck.hub.store import Store
from fastcheck.hub.store.digests import summed
from fastcheck.hub.store.directory import DirectoryStore
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.use_cases import segments as segments_module
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.postgres import PrivatePostgres
from rig.requests import (
    destination,
    make_grant,
    move_customers,
    put_cap,
    put_customer,
    put_members,
    put_override,
    put_segment_override,
    put_top_up,
)
from rig.serving import Service
from store.test_store_suite import at_once

MILLION = 10**6
DAY_MS = 86_400_000


def hub_over(store: Store, clock: ManualClock) -> Service:
    service = Service(store, clock, parse, streams=True)
    service.begin_streaming()
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


@pytest.fixture
def hub(any_store: Store, clock: ManualClock) -> Service:
    return hub_over(any_store, clock)


@pytest.fixture
def rounds(hub: Service, clock: ManualClock) -> Rounds:
    return Rounds(hub, clock)


def kinds(hub: Service) -> list[str]:
    return [one.kind for one in hub.list_events().items]


# One hub.


def test_nothing_is_due_before_there_is_a_catalog(any_store: Store, clock: ManualClock) -> None:
    service = Service(any_store, clock, parse, streams=True)
    assert Rounds(service, clock).once() == MAY_2024_MS + DUE_MS


def test_a_move_is_done_when_it_is_due_and_the_next_round_is_then(
    hub: Service, rounds: Rounds, clock: ManualClock
) -> None:
    hub.put_customers([put_customer("acme", plan="pro"), put_customer("late", plan="pro")])
    hub.move(move_customers(["acme"], destination("free", when=MAY_2024_MS + 400)))
    hub.move(move_customers(["late"], destination("free", when=MAY_2024_MS + 9_000)))
    assert rounds.once() == MAY_2024_MS + 400
    assert hub.get_customer("acme").plan == "pro"
    clock.advance(400)
    assert rounds.once() == clock.now_ms(), "there may be a second of the same customer"
    assert hub.get_customer("acme").plan == "free"
    assert rounds.once() == clock.now_ms() + DUE_MS
    assert hub.get_customer("late").plan == "pro"


def test_parts_of_a_segment_are_brought_on_one_a_round(
    hub: Service, rounds: Rounds, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "MEMBERS_PER_REQUEST", 2)
    ids = [f"c{one}" for one in range(5)]
    hub.put_customers([put_customer(id, plan="pro") for id in ids])
    for start in range(0, 5, 2):
        hub.put_members(put_members("beta", add=ids[start : start + 2]))
    hub.put_segment_override(put_segment_override("beta", "seats", 99))
    done = [rounds.once() - clock.now_ms() for _ in range(3)]
    assert done[0] == 0, "parts were left"
    assert done[-1] == DUE_MS
    assert [hub.explain(id, "seats").value for id in ids] == [99] * 5
    assert hub.segments_behind() == []


def test_notices_are_told_and_low_balances_topped_up(
    hub: Service, rounds: Rounds, clock: ManualClock
) -> None:
    hub.put_customers([put_customer("acme", plan="free")])
    hub.grant(make_grant("acme", "ai_credits", 5, expires_at=MAY_2024_MS + 30 * DAY_MS))
    hub.put_top_up(put_top_up("acme", "ai_credits", 10, 100))
    rounds.once()
    assert kinds(hub).count("topped_up") == 1
    clock.advance(29 * DAY_MS)
    rounds.once()
    rounds.once()
    assert kinds(hub).count("grant_expiring") == 1
    clock.advance(2 * DAY_MS)
    rounds.once()
    assert [one.expired for one in hub.list_grants("acme", "ai_credits")] == [5, 0]


def test_old_changes_go_now_and_then(hub: Service, rounds: Rounds, clock: ManualClock) -> None:
    rounds.once()
    clock.advance(2 * DAY_MS)
    rounds.once()
    assert hub.changes(0, 1 << 30).first_kept == 2
    hub.put_customers([put_customer("acme", plan="pro")])
    clock.advance(2 * DAY_MS)
    rounds.once()
    assert hub.changes(0, 1 << 30).first_kept == 3
    calls: list[int] = []
    hub.prune_changes = lambda: calls.append(1) or 0  # type: ignore[method-assign,assignment,misc]
    for _ in range(20):
        rounds.once()
        clock.advance(PRUNE_MS // 10)
    assert len(calls) == 1


def test_whoever_runs_the_rounds_knows_whether_to_send(hub: Service, rounds: Rounds) -> None:
    rounds.once()
    assert not rounds.webhooks_wanted
    made = hub.put_webhook("https://example.com/hook")
    rounds.once()
    assert rounds.webhooks_wanted
    hub.delete_webhook(made.id)
    rounds.once()
    assert not rounds.webhooks_wanted


def test_a_step_that_fails_keeps_no_other_from_going_on_and_is_said_once(
    hub: Service,
    rounds: Rounds,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub.put_customers([put_customer("acme", plan="free")])
    hub.move(move_customers(["acme"], destination("pro", when=MAY_2024_MS + 1)))
    clock.advance(1)

    def fails(*_: object) -> None:
        raise errors.AmountError("too much")

    with monkeypatch.context() as patched:
        patched.setattr(hub, "carry_out", fails)
        hub.grant(make_grant("acme", "ai_credits", 5))
        hub.put_top_up(put_top_up("acme", "ai_credits", 50, 100))
        for _ in range(2):
            rounds.once()
    assert kinds(hub).count("topped_up") == 1
    assert [one.getMessage() for one in caplog.records if "trying again" in one.getMessage()] == [
        "moves that are due were not all done; trying again: too much"
    ]
    rounds.once()
    assert hub.get_customer("acme").plan == "pro"


def test_a_ledger_that_cannot_be_used_ends_the_round(
    hub: Service, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise errors.StoreError("here", "gone", "wait")

    monkeypatch.setattr(hub, "due_moves", fails)
    with pytest.raises(errors.StoreError):
        rounds.once()


# Two hubs.


def test_two_hubs_at_once_do_everything_once(any_store: Store, clock: ManualClock) -> None:
    hubs = [hub_over(any_store, clock), Service(any_store, clock, parse, streams=True)]
    ids = [f"c{one}" for one in range(8)]
    hubs[0].put_customers([put_customer(id, plan="free") for id in ids])
    hubs[0].put_members(put_members("beta", add=ids))
    for id in ids:
        hubs[0].grant(make_grant(id, "ai_credits", 5, expires_at=MAY_2024_MS + DAY_MS))
        hubs[0].put_top_up(put_top_up(id, "ai_credits", 10, 100))
        hubs[0].put_override(put_override(id, "seats", 3, expires_at=MAY_2024_MS + 4 * DAY_MS))
        hubs[0].move(move_customers([id], destination(None, when=MAY_2024_MS + DAY_MS)))
    clock.advance(2 * DAY_MS)
    both = [Rounds(hub, clock) for hub in hubs]

    def works(thread: int) -> None:
        for _ in range(4):
            both[thread % 2].once()

    at_once(works, 4)
    told = kinds(hubs[0])
    assert told.count("topped_up") == told.count("override_ending") == len(ids)
    audit = [(one.action, one.subject) for one in hubs[0].audit(limit=1_000).items]
    assert sorted(subject for action, subject in audit if action == "top_up") == ids
    moved = [one for one in hubs[0].list_moves(pending=False).items if one.done_at is not None]
    assert sorted(one.customer for one in moved) == ids
    assert {hubs[0].get_customer(id).plan for id in ids} == {None}
    for id in ids:
        assert [one.expired for one in hubs[0].list_grants(id, "ai_credits")] == [5, 0]
    assert hubs[0].position().digest == summed(b"".join(hubs[0].records()))
    assert hubs[0].changes(0, 1 << 30).first_kept > 1, "those of two days ago are gone"


# What an embedded owner left.


def test_leases_of_a_former_owner_end_and_every_change_goes_on_without_them(
    any_store: Store, clock: ManualClock
) -> None:
    owner = Service(any_store, clock, parse)
    catalog = FakeCatalog()
    owner.set_catalog(catalog, catalog.source(), "catalog.json")
    ids = ("put", "void", "cap", "move", "gone", "segment")
    owner.put_customers([put_customer(id, plan="free") for id in ids])
    for id in ids:
        owner.grant(make_grant(id, "ai_credits", 100, id=f"g-{id}"))
        terms = owner.lend(id, "ai_credits")
        owner.settle([Totals(terms.number, terms.pool, terms.lease, 30 * MILLION, 10 * MILLION, False)])
    hub = Service(any_store, clock, parse, streams=True)
    hub.begin_streaming()
    rounds = Rounds(hub, clock)
    rounds.once()
    assert hub.open_leases() == []
    assert hub.end_embedded_leases() == 0
    for id in ids:
        balance = hub.balance(id, "ai_credits")
        assert (balance.used, balance.remaining) == (20, 80), id
    hub.put_customers([put_customer("put", plan="pro")])
    assert hub.void("g-void").remaining == 0
    hub.put_cap(put_cap("cap", "ai_credits", 50, per="day"))
    hub.move(move_customers(["move"], destination("pro")))
    hub.delete_customer("gone")
    hub.put_members(put_members("beta", add=["segment"]))
    hub.put_segment_override(put_segment_override("beta", "gpt-4o", True))
    rounds.once()
    assert hub.balance("put", "ai_credits").remaining == 1_080
    assert hub.balance("void", "ai_credits").remaining == 0
    assert hub.balance("move", "ai_credits").remaining == 1_080
    assert hub.balance("segment", "ai_credits").remaining == 80
    # What came late, from cells that an owner finds again, is booked all the same.
    hub.settle([Totals(1, "ai_credits", 1, 35 * MILLION, 10 * MILLION, True)])
    assert hub.balance("put", "ai_credits").used == 25


# Elections.


def test_one_of_a_file_is_elected(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    with store.elect("rounds") as elected:
        assert elected.held()
    assert not elected.held()
    store.close()


@pytest.fixture
def hubs(postgres_ledger_url: str) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    first, second = PostgresStore(postgres_ledger_url), PostgresStore(postgres_ledger_url)
    yield first, second
    first.close()
    second.close()


def test_one_of_several_hubs_is_elected_and_another_takes_its_place(
    hubs: tuple[PostgresStore, PostgresStore],
) -> None:
    one, two = hubs[0].elect("rounds"), hubs[1].elect("rounds")
    assert one.held()
    assert one.held()
    assert not two.held()
    with hubs[1].elect("something else") as other:
        assert other.held()
    one.close()
    one.close()
    assert not one.held()
    assert two.held()
    two.close()


def test_who_lost_its_connection_is_not_elected_until_it_wins_again(
    hubs: tuple[PostgresStore, PostgresStore], postgres: PrivatePostgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fastcheck.store")
    one, two = hubs[0].elect("rounds"), hubs[1].elect("rounds")
    assert one.held()
    kill = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
    postgres.execute(kill)
    assert two.held()
    assert not one.held()
    assert not one.held()
    postgres.execute(kill)
    assert not two.held(), "it hears of it when it asks"
    assert one.held()
    one.close()
    two.close()
    said = [one.getMessage() for one in caplog.records if "elected" in one.getMessage()]
    assert [("not elected" in one) for one in said] == [False, False, True, True, False]


def test_a_ledger_of_another_schema_elects_its_own(
    postgres: PrivatePostgres, postgres_ledger_url: str
) -> None:
    postgres.execute("CREATE SCHEMA other_hub")
    other_url = f"{postgres.url()}?options=-csearch_path%3Dother_hub"
    one, two = PostgresStore(postgres_ledger_url), PostgresStore(other_url)
    with one.elect("rounds") as first, two.elect("rounds") as second:
        assert first.held()
        assert second.held()
    one.close()
    two.close()
    postgres.execute("DROP SCHEMA other_hub CASCADE")


def test_a_server_that_is_away_elects_nobody() -> None:
    with PrivatePostgres(durable=False) as server:
        store = PostgresStore(server.url())
        elected = store.elect("rounds")
        assert elected.held()
    assert not elected.held()
    assert not elected.held()
    store.close()
    with pytest.raises(errors.Closed):
        store.elect("rounds")


# A directory has an owner or a hub.

CATALOG = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"


def test_a_directory_that_is_open_is_refused_to_a_hub_and_the_other_way_round(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with Entitlements.open(directory, catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        with pytest.raises(errors.DirectoryError, match="in use by a process that opened it"):
            DirectoryStore(directory)
    store = DirectoryStore(directory)
    with pytest.raises(errors.DirectoryError, match="in use by another hub"):
        DirectoryStore(directory)
    for open_it in (
        lambda: Entitlements.open(directory, catalog=CATALOG),
        lambda: Entitlements.attach(directory),
    ):
        with pytest.raises(errors.DirectoryError, match=r"is a hub's.*Entitlements\.connect"):
            open_it()
    with store.elect("rounds") as elected:
        assert elected.held()
    store.close()
    with Entitlements.open(directory, catalog=CATALOG) as ents:
        assert ents.check("acme", "export")


def test_a_hub_that_was_killed_leaves_the_directory_free(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from fastcheck.hub.store.directory import DirectoryStore
store = DirectoryStore(sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60)
    assert killed.returncode == -9
    assert (tmp_path / "owner.lock").read_text() == HUB
    assert OwnerLock(str(tmp_path / "owner.lock")).holder() == ""
    with pytest.raises(errors.OwnerUnavailable):
        Entitlements.attach(tmp_path)
    DirectoryStore(tmp_path).close()
    with Entitlements.open(tmp_path, catalog=CATALOG):
        assert (tmp_path / "owner.lock").read_text() == ""


def test_a_ledger_that_cannot_be_opened_leaves_the_directory_free(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all, but long enough to be one" * 200)
    for _ in range(2):
        with pytest.raises(errors.DirectoryError, match=r"not a database|damaged"):
            DirectoryStore(tmp_path)


def test_who_holds_a_lock_is_told_only_while_it_is_held(tmp_path: Path) -> None:
    path = str(tmp_path / "owner.lock")
    asks = OwnerLock(path)
    assert asks.holder() == "", "there is no such file"
    hub = OwnerLock(path, holder=HUB)
    assert hub.acquire()
    assert asks.holder() == HUB
    hub.release()
    assert asks.holder() == ""
    owner = OwnerLock(path)
    assert owner.acquire()
    assert asks.holder() == ""
    owner.release()
