"""The guarded clock of a directory, over a pair of clocks that stand still."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fastcheck.clock import ManualClock, ManualPair, PairClock, SystemClock
from fastcheck.directory.clock import FILE, KEEP_MS, SteadyClock, guarded, length, reading
from fastcheck.steady import LASTS_MS, STEP_MS, Told, Word

MARCH = 1_772_323_200_000
IN_2036 = 2_087_856_000_000


def make(pair: ManualPair, directory: Path) -> SteadyClock:
    made = guarded(pair, directory)
    assert isinstance(made, SteadyClock)
    return made


def test_a_clock_alone_is_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock(MARCH)
    assert guarded(clock, tmp_path) is clock
    clock.set(IN_2036)
    assert reading(clock).now == IN_2036
    assert not reading(clock).guarded
    assert list(tmp_path.iterdir()) == []


def test_the_machine_has_both_clocks(tmp_path: Path) -> None:
    machine = SystemClock()
    assert isinstance(machine, PairClock)
    assert machine.boot_id() == machine.boot_id() != ""
    clock = guarded(machine, tmp_path)
    assert abs(clock.now_ms() - machine.now_ms()) < 1_000


def test_the_file_is_private_and_has_what_a_successor_needs(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    make(pair, tmp_path)
    assert os.stat(tmp_path / FILE).st_mode & 0o777 == 0o600
    pair.set(IN_2036)
    clock = make(pair, tmp_path)
    assert clock.now_ms() == MARCH
    assert reading(clock).doubted
    assert reading(clock).taken_at == MARCH + LASTS_MS
    pair.advance(LASTS_MS - 1)
    assert make(pair, tmp_path).now_ms() == MARCH + LASTS_MS - 1
    pair.advance(1)
    assert make(pair, tmp_path).now_ms() == IN_2036 + LASTS_MS


def test_a_confirmation_is_kept_at_once(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    clock = make(pair, tmp_path)
    pair.set(IN_2036)
    assert clock.confirm()
    assert not clock.confirm()
    assert make(pair, tmp_path).now_ms() == IN_2036


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"boot": 1}', b'{"boot": "x", "offset_ms": "1"}', b"\xff"]
)
def test_a_damaged_file_is_as_if_nothing_had_been_seen(tmp_path: Path, damage: bytes) -> None:
    pair = ManualPair(MARCH)
    make(pair, tmp_path)
    (tmp_path / FILE).write_bytes(damage)
    pair.set(IN_2036)
    assert make(pair, tmp_path).now_ms() == IN_2036


def test_a_disk_that_takes_nothing_stops_no_clock(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    (tmp_path / FILE).mkdir()
    clock = make(pair, tmp_path)
    pair.advance(KEEP_MS)
    clock.keep()
    assert clock.now_ms() == MARCH + KEEP_MS


def test_the_file_follows_now_and_then(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    clock = make(pair, tmp_path)
    first = (tmp_path / FILE).read_bytes()
    pair.advance(KEEP_MS - 2)
    pair.set(pair.now_ms() + 1)  # As two readings of the machine's clocks differ.
    clock.keep()
    assert (tmp_path / FILE).read_bytes() == first
    pair.advance(1)
    clock.keep()
    assert (tmp_path / FILE).read_bytes() != first


def test_what_happened_before_somebody_listens_is_told(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    make(pair, tmp_path)
    pair.restart(MARCH + 2 * STEP_MS)
    clock = make(pair, tmp_path)
    told: list[tuple[Told, str]] = []
    clock.listen(lambda one, words: told.append((one, words)))
    assert [one.word for one, _ in told] == [Word.AWAY]
    assert "2 hours after the last instant" in told[0][1]
    pair.set(IN_2036)
    clock.now_ms()
    pair.set(MARCH)
    clock.now_ms()
    assert [one.word for one, _ in told[1:]] == [Word.STEPPED, Word.CAME_BACK, Word.WENT_BACK]
    assert "2036-02-29 00:00:00 UTC" in told[1][1]


def test_who_listens_may_ask_for_the_time(tmp_path: Path) -> None:
    pair = ManualPair(MARCH)
    clock = make(pair, tmp_path)
    asked: list[int] = []
    clock.listen(lambda one, words: asked.append(clock.now_ms()))
    pair.set(IN_2036)
    other = threading.Thread(target=clock.now_ms)
    other.start()
    other.join()
    assert asked == [MARCH]


@pytest.mark.parametrize(
    ("ms", "said"),
    [(2_500, "2.5 s"), (3 * STEP_MS, "3 hours"), (40 * 86_400_000, "40 days"), (30 * 60_000, "30 minutes")],
)
def test_lengths_are_said_in_words(ms: int, said: str) -> None:
    assert length(ms) == said
