"""FAULTS 3, 4, 5, 9: owners that are killed, stopped and succeeded; holders whose pid lives on."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from rig.processes import ARENA, OWNER_PID, QUICKSTART, Child, control_word, wait_for, words_of

OWNER = """
ents = Entitlements.open(sys.argv[1], catalog=sys.argv[2])
say("owner", ents.status().role)
sys.stdin.read()
"""
SPENDER = """
ents = Entitlements.open(sys.argv[1], lease_timeout=30)
say(ents.status().role)
while (line := hear()):
    done = sum(ents.consume(f"c{n}", "gpt-4o", 1) for n in range(int(line[0]), int(line[1])))
    say(done)
"""
CUSTOMERS = 300


def made(directory: Path, customers: int = 1, credits: int = 1) -> None:
    with Entitlements.open(directory, catalog=QUICKSTART) as ents:
        ents.admin.put_customers([{"id": f"c{n}", "plan": "pro"} for n in range(customers)])
        for n in range(customers):
            ents.admin.grant(f"c{n}", "ai_credits", credits)


def owner_of(directory: Path) -> Child:
    """A process that owns the directory."""
    owner = Child(OWNER, directory, QUICKSTART)
    assert owner.hear() == ["owner", "owner"]
    return owner


def test_an_owner_killed_while_it_lends_is_succeeded(tmp_path: Path) -> None:
    """Row 3: first touches in flight at the kill are answered by the successor, from the same balance,
    once."""
    made(tmp_path, CUSTOMERS, credits=1)
    with owner_of(tmp_path) as owner, Child(SPENDER, tmp_path) as spender:
        assert spender.hear() == ["worker"]
        spender.tell(0, CUSTOMERS)
        # Killed when some leases are out and others are not.
        wait_for(lambda: leases(tmp_path) > CUSTOMERS // 10)
        owner.kill()
        assert spender.hear() == [str(CUSTOMERS)], "a first touch was lost"
        assert leases(tmp_path) >= CUSTOMERS
        assert spender.ask(0, CUSTOMERS) == ["0"], "a balance was lent twice"
    with Entitlements.open(tmp_path) as ents:
        for n in range(CUSTOMERS):
            balance = ents.admin.balance(f"c{n}", "ai_credits")
            assert (balance.used, balance.remaining) == (1, 0)


def leases(directory: Path) -> int:
    """How many cells have a lease."""
    path = directory / "cells-0"
    if not path.exists():
        return 0
    words = memoryview(path.read_bytes()).cast("Q")
    return sum(words[at + 3] != 0 for at in range(64 + words[4] * 8, 64 + words[4] * 8 + 4_000, 8))


def test_everybody_is_killed_and_the_arena_is_adopted_again(tmp_path: Path) -> None:
    """Row 4: what was spent is in the mapped files, so it needs no settlement to survive."""
    made(tmp_path, credits=100)
    with owner_of(tmp_path) as owner, Child(SPENDER, tmp_path) as spender:
        assert spender.hear() == ["worker"]
        assert spender.ask(0, 1) == ["1"]
        # The owner stands still, so nobody settles what follows.
        owner.stop()
        for _ in range(40):
            assert spender.ask(0, 1) == ["1"]
        arena, generation = control_word(tmp_path, ARENA), sorted(tmp_path.glob("rows-*"))
        spender.kill()
        owner.kill()
    with Entitlements.open(tmp_path) as ents:
        assert control_word(tmp_path, ARENA) == arena, "the arena was made anew"
        assert sorted(tmp_path.glob("rows-*")) == generation
        assert ents.status().notes == ()
        assert ents.admin.balance("c0", "ai_credits").used == 41
        assert ents.consume("c0", "gpt-4o", 59)
        assert not ents.consume("c0", "gpt-4o", 1)


def test_a_stopped_owner_keeps_its_role_and_catches_up(tmp_path: Path) -> None:
    """Row 5: burns go on with what is lent; the lag shows; nobody takes over; a resumed owner answers what
    waited."""
    made(tmp_path, customers=2, credits=100)
    with owner_of(tmp_path) as owner, Entitlements.open(tmp_path, lease_timeout=0.3) as ents:
        assert ents.consume("c0", "gpt-4o", 1)
        owner.stop()
        wait_for(lambda: ents.status().lag_ms > 1_500)
        assert ents.status().role == "worker", "a stopped owner was succeeded while it holds the lock"
        assert ents.status().owner_pid == owner.pid
        assert ents.consume("c0", "gpt-4o", 1)
        assert ents.check("c0", "export")
        # A pool that nobody has touched yet needs the owner; that is said, and waited for within bounds.
        assert not ents.consume("c1", "gpt-4o", 1)
        assert ents.decide("c1", "gpt-4o", 1).reason == "no_lease"
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.append(ents.admin.grant("c0", "ai_credits", 5, id="while stopped"))
        )
        asking.start()
        owner.send(signal.SIGCONT)
        asking.join(60)
        assert answers == ["while stopped"]
        wait_for(lambda: ents.status().lag_ms < 1_000)
        assert ents.consume("c1", "gpt-4o", 1)
        assert ents.admin.balance("c0", "ai_credits").remaining == 103


def test_a_stopped_owner_that_is_killed_is_succeeded(tmp_path: Path) -> None:
    """Row 5: the operator's way out."""
    made(tmp_path, credits=10)
    with owner_of(tmp_path) as owner, Entitlements.open(tmp_path) as ents:
        owner.stop()
        owner.kill()
        wait_for(lambda: ents.status().role == "owner")
        assert control_word(tmp_path, OWNER_PID) == os.getpid()
        assert ents.consume("c0", "gpt-4o", 10)
        assert ents.admin.balance("c0", "ai_credits").remaining == 0


def test_the_hold_of_a_dead_process_is_freed_although_its_pid_lives(tmp_path: Path) -> None:
    """Row 9: a pid that was given to another process; its start time tells them apart."""
    made(tmp_path, credits=10)
    with Entitlements.open(tmp_path) as ents:
        mine = ents.reserve("c0", "gpt-4o", 4, ttl=3_600)
        assert mine.allowed
        reused = ents.reserve("c0", "gpt-4o", 5, ttl=3_600)
        assert reused.allowed
        with words_of(tmp_path / "cells-0") as words:
            (slot,) = (
                at
                for at in range(64, 64 + words[4] * 8, 8)
                if words[at] & 15 == 3 and words[at + 3] == 5_000_000
            )
            assert words[slot] >> 4 & (1 << 22) - 1 == os.getpid()
            words[slot + 6] -= 1  # When its process started.
        wait_for(lambda: ents.decide("c0", "gpt-4o", 6).allowed)
        assert not ents.consume("c0", "gpt-4o", 7), "the hold of a living process was freed"
        # The former holder is told, and burns anew what it says it used.
        assert reused.commit(1).charged == 1
        assert mine.commit(4).charged == 4
        with pytest.raises(errors.Conflict):
            mine.release()
        assert ents.admin.balance("c0", "ai_credits").used == 5
