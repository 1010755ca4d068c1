"""A machine's clock that steps under an open directory: told, and no account moves; and what to do where one
did. Needs the native module."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, cli, errors
from fastcheck.clock import ManualClock, ManualPair
from fastcheck.ledger.periods import DAY_MS
from fastcheck.steady import LASTS_MS, STEP_MS

CATALOG = """
fastcheck: 1
pools: {ai_credits: {scale: 0}}
features:
  calls: {kind: meter, period: day}
  gpt: {kind: credit, pool: ai_credits, rate: 1}
plans:
  pro: {features: {calls: 5, gpt: true}}
"""
MARCH_MS = int(datetime(2026, 3, 1, 12, tzinfo=timezone.utc).timestamp()) * 1_000
MARCH_2027_MS = int(datetime(2027, 3, 1, tzinfo=timezone.utc).timestamp()) * 1_000
IN_2036_MS = int(datetime(2036, 3, 1, tzinfo=timezone.utc).timestamp()) * 1_000


def wait_for(what: Callable[[], Any]) -> None:
    """A round of the owner comes every 50 ms of real time."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def at(ents: Entitlements, clock: ManualClock, now_ms: int) -> None:
    clock.set(now_ms)
    ents._set_clock(now_ms)


@pytest.fixture
def pair() -> ManualPair:
    return ManualPair(MARCH_MS)


def begun(directory: Path, clock: ManualClock) -> Entitlements:
    """The case as it was reported: a daily quota of 5, and 1,000 paid credits until March 2027."""
    ents = Entitlements.open(directory, catalog=CATALOG, clock=clock)
    ents.admin.put_customer("acme", plan="pro")
    ents.admin.grant("acme", "ai_credits", 1_000, id="paid", expires_at=MARCH_2027_MS)
    assert ents.consume("acme", "calls", 2)
    assert ents.consume("acme", "gpt", 100)
    return ents


def looked_at(ents: Entitlements) -> None:
    """Everything that looks at accounts, by somebody or by itself."""
    ents.admin.balance("acme", "ai_credits")
    ents.admin.balance("acme", "calls")
    ents.consume("acme", "gpt", 1)
    ents.consume("acme", "calls", 1)
    time.sleep(0.2)


def sound(ents: Entitlements, used: int) -> None:
    """The credits are live, and the meter is."""
    left = ents.admin.balance("acme", "ai_credits").remaining
    assert left == 1_000 - used
    assert ents.consume("acme", "gpt", 1)
    assert ents.admin.balance("acme", "ai_credits").remaining == left - 1
    assert ents.consume("acme", "calls", 1)
    assert ents.admin.check_ledger() == []


def test_a_moment_of_2036_moves_nothing_and_is_told(
    tmp_path: Path, pair: ManualPair, caplog: pytest.LogCaptureFixture
) -> None:
    with begun(tmp_path, pair) as ents:
        assert ents.status().notes == ()
        with caplog.at_level(logging.WARNING, "fastcheck.owner"):
            pair.set(IN_2036_MS)  # Checks read the machine's clock; this process's stands.
            looked_at(ents)
        assert "stepped" in caplog.text
        assert ents.admin.clock().doubted
        pair.set(MARCH_MS)
        sound(ents, 101)
        stepped, came_back = ents.status().notes
        assert "stepped 3,652 days ahead, to 2036-03-01" in stepped
        assert "fastcheck clock confirm" in stepped
        assert "moved no account" in came_back


def test_a_clock_of_the_application_is_not_guarded_and_can_be_repaired(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    with begun(tmp_path, clock) as ents:
        assert not ents.admin.clock().guarded
        at(ents, clock, IN_2036_MS)
        wait_for(lambda: ents.admin.list_grants("acme", "ai_credits")[0].expired)
        assert not ents.consume("acme", "gpt", 1)
        ents.consume("acme", "calls", 3)
        at(ents, clock, MARCH_MS + 60_000)
        assert not ents.consume("acme", "calls", 3)
        wait_for(lambda: any("behind the ledger" in one for one in ents.status().notes))
        done = ents.admin.repair_clock(clock.now_ms(), reason="it said 2036")
        assert done.accounts == 2
        assert ents.admin.balance("acme", "ai_credits").remaining == 900
        assert ents.consume("acme", "gpt", 900)
        assert not ents.consume("acme", "gpt", 1)
        assert ents.admin.check_ledger() == []
    with Entitlements.open(tmp_path, clock=clock) as ents:
        at(ents, clock, MARCH_MS + DAY_MS)
        assert ents.consume("acme", "calls", 5)
        assert not ents.consume("acme", "calls", 1)


def test_a_step_that_lasts_is_believed_and_can_be_repaired(tmp_path: Path, pair: ManualPair) -> None:
    with begun(tmp_path, pair) as ents:
        pair.set(IN_2036_MS)
        wait_for(lambda: ents.status().notes)
        pair.advance(LASTS_MS - 1)
        looked_at(ents)
        assert ents.admin.balance("acme", "ai_credits").remaining == 899
        pair.advance(1)
        wait_for(lambda: ents.admin.list_grants("acme", "ai_credits")[0].expired == 899)
        ents.admin.grant("acme", "ai_credits", 5, id="meanwhile")
        pair.set(MARCH_MS + LASTS_MS)
        wait_for(lambda: any("went back" in one for one in ents.status().notes))
        assert ents.admin.repair_clock(pair.now_ms(), reason="a dead battery").accounts >= 1
        sound(ents, 101 - 5)


def test_a_step_is_confirmed(tmp_path: Path, pair: ManualPair) -> None:
    with begun(tmp_path, pair) as ents:
        pair.set(MARCH_MS + 2 * STEP_MS)
        assert ents.admin.clock().now == MARCH_MS
        assert ents.admin.by("jo").confirm_clock().now == MARCH_MS + 2 * STEP_MS
        assert ents.admin.clock().now == MARCH_MS + 2 * STEP_MS
        assert ents.admin.audit(limit=1).items[0].author == "jo"


def test_a_restart_within_the_step_does_not_take_it(tmp_path: Path, pair: ManualPair) -> None:
    begun(tmp_path, pair).close()
    pair.set(IN_2036_MS)
    with Entitlements.open(tmp_path, clock=pair) as ents:
        looked_at(ents)
        assert "stepped" in ents.status().notes[0]
        assert not ents.admin.list_grants("acme", "ai_credits")[0].expired
    pair.set(MARCH_MS + 60_000)
    with Entitlements.open(tmp_path, clock=pair) as ents:
        assert ents.consume("acme", "calls", 2)


def test_a_suspended_machine_is_none_of_it(tmp_path: Path, pair: ManualPair) -> None:
    with begun(tmp_path, pair) as ents:
        pair.advance(3 * DAY_MS)
        assert ents.admin.clock().now == MARCH_MS + 3 * DAY_MS
        assert ents.status().notes == ()


def test_after_a_boot_a_long_time_is_told_once(tmp_path: Path, pair: ManualPair) -> None:
    begun(tmp_path, pair).close()
    pair.restart(MARCH_MS + 3 * DAY_MS)
    with Entitlements.open(tmp_path, clock=pair) as ents:
        [note] = ents.status().notes
        assert "3 days after the last instant" in note
        assert ents.admin.balance("acme", "calls").remaining == 5
    with Entitlements.open(tmp_path, clock=pair) as ents:
        assert ents.status().notes == ()


def test_workers_confirm_and_ask_at_the_owner(tmp_path: Path, pair: ManualPair) -> None:
    with begun(tmp_path, pair) as ents, Entitlements.attach(tmp_path) as worker:
        pair.set(IN_2036_MS)
        assert worker.admin.clock().doubted
        assert worker.admin.confirm_clock().now == IN_2036_MS
        assert ents.admin.clock().now == IN_2036_MS
        pair.set(MARCH_MS)
        worker.admin.repair_clock(MARCH_MS, reason="x")
        with pytest.raises(errors.NameInvalid):
            worker.admin.repair_clock(MARCH_MS, reason=" " * 0)


def test_from_a_terminal(tmp_path: Path, pair: ManualPair, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path)
    with begun(tmp_path, pair) as ents:
        assert cli.main(["clock", "status", state]) == 0
        assert "as it should be" in capsys.readouterr().out
        pair.set(IN_2036_MS)
        assert cli.main(["clock", "status", state]) == 1
        told = capsys.readouterr().out
        assert "2026-03-01 12:00:00" in told
        assert "2036-03-01" in told
        assert "a step ahead is doubted; believed at 2026-03-01 12:10:00" in told
        assert cli.main(["clock", "confirm", state, "--reason", "so it is"]) == 0
        assert "2036-03-01" in capsys.readouterr().out
        wait_for(lambda: ents.admin.list_grants("acme", "ai_credits")[0].expired == 900)
        ents.admin.grant("acme", "ai_credits", 5, id="meanwhile")
        pair.set(MARCH_MS)
        repair = ["clock", "repair", state, "--reason", "it was not", "--at", "2026-03-01T12:00:00Z"]
        assert cli.main(repair) == 2  # There is no terminal to ask at.
        assert cli.main([*repair, "--yes"]) == 0
        assert "accounts were brought back to 2026-03-01 12:00:00 UTC" in capsys.readouterr().out
        assert cli.main([*repair, "--yes", "--json"]) == 0
        assert '"accounts": 0' in capsys.readouterr().out
        assert ents.admin.balance("acme", "ai_credits").remaining == 905
        wrong = ["clock", "repair", state, "--yes", "--reason", "x", "--at", "2020-01-01"]
        assert cli.main(wrong) == 1
        assert "set the clock right" in capsys.readouterr().err
