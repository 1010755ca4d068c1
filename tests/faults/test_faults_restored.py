"""FAULTS 23: an older backup of the ledger is put in its place; the mapped files know what came after."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Beyond
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.postings import conserved
from fastcheck.wire.operations.epochs import BeginEpoch, GetPosition
from host.test_owner import MILLION, Machine, grant, put
from rig.fake_arena import Files
from rig.instants import MAY_2024_MS
from rig.processes import QUICKSTART, Child, wait_for
from rig.requests import make_grant, put_customer
from rig.serving import Service
from store.test_store_suite import service_over

WORKER = """
ents = Entitlements.attach(sys.argv[1])
say(ents.check("acme", "export"), ents.consume("acme", "gpt-4o", 1))
while hear():
    say(ents.check("acme", "export"), ents.consume("acme", "gpt-4o", 1))
"""


def back_up(ledger: Path, copy: Path) -> None:
    """A copy of a ledger in use, as SQLite makes them."""
    source, target = sqlite3.connect(ledger), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def put_back(copy: Path, ledger: Path) -> None:
    """As an operator does who read the manual: the write-ahead log of the other file goes."""
    for end in ("-wal", "-shm"):
        ledger.with_name(ledger.name + end).unlink(missing_ok=True)
    shutil.copyfile(copy, ledger)


def unbalanced(store: Store) -> list[str]:
    """What is wrong with the double entry of any account."""

    def job(connection: Any) -> list[str]:
        statements = Statements(connection)
        keys = connection.exec_driver_sql("SELECT number, pool FROM accounts").all()
        found = []
        for number, pool in keys:
            account = statements.account(number, pool)
            assert account is not None
            found += conserved(account, statements.postings(number, pool))
            assert account.remaining() >= 0
        return found

    return store.read(job)


def epoch_of(ents: Entitlements) -> int:
    return int(ents.admin._ask(GetPosition()).epoch)


def ledger_of(ents: Entitlements) -> Store:
    part: Any = ents._host._part
    store: Store = part.store
    assert store is not None
    return store


def test_a_restored_ledger_is_noticed_and_forgets_no_use_that_the_host_knows(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "backup.db"
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.put_customer("tiny", plan="free")
        ents.admin.grant("acme", "ai_credits", 1_000)
        assert ents.consume("acme", "gpt-4o", 100)
        assert ents.admin.balance("acme", "ai_credits").used == 100
        epoch = epoch_of(ents)
        back_up(state / "ledger.db", copy)

        assert ents.consume("acme", "gpt-4o", 40)
        # Several leases come and go; the arena keeps the last of an account.
        for seats in range(3):
            ents.admin.put_override("acme", "gpt-4o", True, reason=str(seats))
            assert ents.consume("acme", "gpt-4o", 7)
        last = 7
        ents.admin.grant("acme", "ai_credits", 500)
        ents.admin.put_customer("late", plan="pro")
        ents.admin.grant("late", "ai_credits", 10)
        assert ents.consume("late", "gpt-4o", 3)
        assert ents.consume("tiny", "api_calls", 5)
        with Child(WORKER, state) as worker:
            assert worker.hear() == ["True", "True"]
            last += 1
            ents.close()
            put_back(copy, state / "ledger.db")
            assert worker.ask("again") == ["True", "True"], "checks and burns go on without an owner"
            last += 1

            with Entitlements.open(state) as after:
                assert epoch_of(after) != epoch
                assert any("restored from an older backup" in note for note in after.status().notes)
                entry = after.admin.audit(limit=1).items[0]
                assert entry.action == "ledger_restored"
                assert entry.before is not None
                assert entry.after is not None
                assert entry.before["epoch"] == epoch
                beyond = entry.after["known_beyond"]
                assert beyond["leases"] == 3
                assert beyond["booked"] == {"ai_credits": last * MILLION, "api_calls": 5}
                assert beyond["lost"] == {"ai_credits": 3 * MILLION}
                assert after.admin.balance("acme", "ai_credits").used == 100 + last
                assert after.admin.balance("acme", "ai_credits").remaining == 1_000 - 100 - last
                assert after.admin.balance("tiny", "api_calls").used == 5
                assert unbalanced(ledger_of(after)) == []
                assert not after.check("late", "export"), "rows are the ledger's again"
                assert after.decide("late", "gpt-4o").reason == "unknown_customer"
                assert worker.ask("again") == ["True", "True"]
                wait_for(lambda: after.admin.balance("acme", "ai_credits").used == 101 + last)
                # A number that was somebody else's is not given again.
                assert after.admin.put_customer("next", plan="free")
                assert after.admin.balance("next", "ai_credits").used == 0
                assert after.ids(["next"]).tolist() == [4]
                settled = epoch_of(after)
    with Entitlements.open(state) as again:
        assert epoch_of(again) == settled
        assert again.status().notes == (), "it is noticed once"
        assert again.admin.balance("acme", "ai_credits").used == 101 + last


@pytest.mark.parametrize("seed", range(40))
def test_whatever_came_after_the_backup_each_burn_is_booked_once(tmp_path: Path, seed: int) -> None:
    """Here the arena keeps every lease, so that what is booked must be exact."""
    chance = random.Random(seed)
    (tmp_path / "state").mkdir()
    machine = Machine(tmp_path / "state", ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    machine.begin()
    epochs = [machine.service.epoch()]
    spent = {"a": 0, "b": 0, "c": 0}
    for id in spent:
        put(machine, id, plan=None)
        machine.owner.grant(make_grant(id, "ai_credits", 1_000))
    for round_ in range(3):
        ledger, copy = machine.path / "ledger.db", tmp_path / f"{round_}.db"
        back_up(ledger, copy)
        leases = rows = 0
        for step in range(chance.randrange(14)):
            id = chance.choice(sorted(spent))
            had = machine.files.open_cell(machine.service.number_of(id), "ai_credits")
            match chance.choice(["burn", "burn", "burn", "reopen", "grant", "tick"]):
                case "burn":
                    units = chance.randrange(1, 4) * MILLION
                    assert machine.consume(id, "ai_credits", units)
                    spent[id] += units
                    leases += had is None
                case "reopen":
                    rows += put(machine, id, plan=None, aliases=[f"{id}{round_}{step}"])
                    leases += had is not None
                case "grant":
                    machine.owner.grant(make_grant(id, "ai_credits", 1))
                    leases += had is not None
                case _:
                    machine.owner.tick()
        machine.end()
        put_back(copy, ledger)
        previous_boot = chance.random() < 0.3
        machine.begin(previous_boot=previous_boot)
        # Rows of an earlier boot are not read, so only leases tell.
        noticed = leases > 0 or (rows > 0 and not previous_boot)
        assert bool(machine.owner.notes) == noticed
        epochs += [machine.service.epoch()] * noticed
        for id, units in spent.items():
            assert machine.owner.balance(id, "ai_credits").used == units / MILLION
        assert unbalanced(machine.store) == []
        assert machine.files.records.keys() == {1, 2, 3}
        assert machine.files.seq == machine.service.seq()
    assert len(set(epochs)) == len(epochs)
    machine.end()


def test_use_beyond_what_the_backup_granted_leaves_nothing_and_no_debt_in_a_hard_pool(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    machine.begin()
    put(machine, plan="free")
    grant(machine, 10)
    assert machine.consume("acme", "ai_credits", 2 * MILLION)
    back_up(tmp_path / "ledger.db", tmp_path / "copy")
    grant(machine, 90)
    assert machine.consume("acme", "ai_credits", 70 * MILLION)
    machine.end()
    put_back(tmp_path / "copy", tmp_path / "ledger.db")
    machine.begin()
    balance = machine.owner.balance("acme", "ai_credits")
    assert (balance.used, balance.remaining) == (72, 0)
    assert not machine.consume("acme", "ai_credits", 1)
    assert unbalanced(machine.store) == []
    machine.end()


def test_what_comes_back_to_a_lease_that_the_backup_does_not_know_gives_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ManualClock(MAY_2024_MS), Files(), None, None, None)  # type: ignore[arg-type]
    machine.begin()
    put(machine, plan="free")
    grant(machine, 10)
    back_up(tmp_path / "ledger.db", tmp_path / "copy")
    put(machine, "late", plan="free")
    machine.end()
    put_back(tmp_path / "copy", tmp_path / "ledger.db")
    number = 1
    machine.files.late = [("k1", number, "ai_credits", 3, MILLION), ("k2", 2, "ai_credits", 1, MILLION)]
    machine.begin()
    machine.clock.advance(2_000)
    machine.owner.tick()
    assert machine.files.late == []
    assert machine.owner.balance("acme", "ai_credits").remaining == 10
    machine.end()


def test_an_operator_says_that_it_was_restored_when_nobody_can_notice(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 10)
        back_up(state / "ledger.db", copy)
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    shutil.copyfile(copy, state / "ledger.db")
    with Entitlements.open(state) as ents:
        assert ents.consume("acme", "gpt-4o", 4)
        assert ents.status().notes == ()
        before = epoch_of(ents)
        epoch = ents.admin.by("jo").restored(reason="the machine is new")
        assert epoch == epoch_of(ents) != before
        entry = ents.admin.audit(limit=1).items[0]
        assert (entry.action, entry.author, entry.reason) == ("ledger_restored", "jo", "the machine is new")
        assert any("operator" in note for note in ents.status().notes)
        assert ents.admin.balance("acme", "ai_credits").used == 4
        assert ents.consume("acme", "gpt-4o", 6)
        assert not ents.consume("acme", "gpt-4o", 1)


def test_an_empty_ledger_beside_mapped_files_is_told_as_well(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 10)
        assert ents.consume("acme", "gpt-4o", 4)
    (state / "ledger.db").unlink()
    with pytest.raises(errors.CatalogError, match="no catalog yet"):
        Entitlements.open(state)
    with Entitlements.open(state, catalog=QUICKSTART) as ents:
        assert "4000000 units of ai_credits" in ents.status().notes[0]
        assert not ents.check("acme", "export")


def test_an_epoch_stays_and_a_new_one_goes_on_counting(any_store: Store) -> None:
    service = service_over(any_store)
    first = service.epoch()
    assert first == service.epoch()
    assert 0 < first < 1 << 62
    service.put_customers([put_customer("acme", plan="free")])
    second = service.new_epoch(Beyond(seq=40, number=7))
    assert second not in (0, first)
    assert service.seq() == 41
    service.put_customers([put_customer("next", plan="free")])
    assert service.number_of("next") == 8
    third = service.new_epoch(Beyond(seq=3, number=(1 << 32) - 2))
    assert third not in (first, second)
    assert service.seq() == 43
    service.put_customers([put_customer("last", plan="free")])
    assert service.number_of("last") < 1 << 22, "a number nobody can have is not believed"


def test_two_who_ask_for_the_first_epoch_at_once_hear_the_same(any_store: Store) -> None:
    from store.test_store_suite import at_once

    services = [service_over(any_store) for _ in range(1)]
    assert len(set(at_once(lambda place: services[0].epoch()))) == 1


def test_a_key_makes_one_epoch(any_store: Store) -> None:
    from fastcheck.wire.by import By

    service: Service = service_over(any_store)
    asked = [int(service.ask(BeginEpoch("a backup"), By(key="k")).epoch) for _ in range(2)]
    assert asked[0] == asked[1] == service.epoch()
