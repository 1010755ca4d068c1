"""Which clock is believed when the wall clock steps: the pure machine, without clocks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.steady import LASTS_MS, SLACK_MS, STEP_MS, Seen, SteadyTime, Told, Word

DAY_MS = 86_400_000
MARCH = 1_772_323_200_000  # 2026-03-01
IN_2036 = 2_087_856_000_000


@dataclass
class Machine:
    """A machine with both clocks, and the time that is kept on it."""

    wall: int = MARCH
    boot: int = 5_000
    boot_id: str = "a"
    told: list[Word] = field(default_factory=list)

    def start(self, seen: Seen | None = None) -> SteadyTime:
        return SteadyTime(seen, self.boot_id, self.wall, self.boot, self._tell)

    def _tell(self, told: Told) -> None:
        assert told.by >= 0
        self.told.append(told.word)

    def passes(self, length_ms: int) -> None:
        self.wall += length_ms
        self.boot += length_ms


def read(time: SteadyTime, machine: Machine) -> int:
    return time.read(machine.wall, machine.boot)


def test_a_moment_of_2036_moves_nothing_and_is_told() -> None:
    machine = Machine()
    time = machine.start()
    machine.passes(1_000)
    machine.wall = IN_2036
    assert read(time, machine) == MARCH + 1_000
    machine.passes(60_000)
    assert read(time, machine) == MARCH + 61_000
    machine.wall = MARCH + 62_000
    machine.boot += 1_000
    assert read(time, machine) == MARCH + 62_000
    assert machine.told == [Word.STEPPED, Word.CAME_BACK]


def test_59_minutes_are_taken_at_once() -> None:
    machine = Machine()
    time = machine.start()
    machine.wall += 59 * 60_000
    assert read(time, machine) == MARCH + 59 * 60_000
    assert machine.told == []


@pytest.mark.parametrize(("step", "taken"), [(STEP_MS, True), (STEP_MS + 1, False)])
def test_the_bound_is_an_hour(step: int, taken: bool) -> None:
    machine = Machine()
    time = machine.start()
    machine.wall += step
    assert (read(time, machine) == machine.wall) is taken


def test_a_step_is_believed_once_it_has_lasted_ten_minutes() -> None:
    machine = Machine()
    time = machine.start()
    machine.wall += 2 * STEP_MS
    read(time, machine)
    machine.passes(LASTS_MS - 1)
    assert read(time, machine) == MARCH + LASTS_MS - 1
    machine.passes(1)
    assert read(time, machine) == machine.wall
    assert machine.told == [Word.STEPPED, Word.LASTED]


def test_another_step_begins_the_ten_minutes_anew() -> None:
    machine = Machine()
    time = machine.start()
    machine.wall += 2 * STEP_MS
    read(time, machine)
    machine.passes(LASTS_MS - 1)
    machine.wall += 10 * STEP_MS
    read(time, machine)
    machine.passes(LASTS_MS - 1)
    assert read(time, machine) == MARCH + 2 * LASTS_MS - 2
    machine.passes(1)
    assert read(time, machine) == machine.wall


def test_an_operator_confirms() -> None:
    machine = Machine()
    time = machine.start()
    assert not time.confirm(machine.wall, machine.boot)
    machine.wall += DAY_MS
    assert time.confirm(machine.wall, machine.boot)
    assert read(time, machine) == machine.wall
    assert machine.told == [Word.STEPPED, Word.CONFIRMED]


def test_a_suspended_machine_steps_nowhere() -> None:
    machine = Machine()
    time = machine.start()
    machine.passes(3 * DAY_MS)
    assert read(time, machine) == MARCH + 3 * DAY_MS
    assert machine.told == []


def test_a_step_back_is_followed_and_told() -> None:
    machine = Machine()
    time = machine.start()
    machine.wall -= SLACK_MS
    assert read(time, machine) == MARCH - SLACK_MS
    assert machine.told == []
    machine.wall -= SLACK_MS + 1
    assert read(time, machine) == machine.wall
    assert machine.told == [Word.WENT_BACK]
    assert time.newest == MARCH


def test_a_restart_within_the_step_does_not_take_it() -> None:
    machine = Machine()
    seen = machine.start().seen()
    machine.wall = IN_2036
    machine.boot += 1_000
    time = machine.start(seen)  # Nobody ran when the clock stepped.
    assert read(time, machine) == MARCH + 1_000
    machine.passes(LASTS_MS - 1)
    again = machine.start(time.seen())
    assert read(again, machine) == MARCH + LASTS_MS + 999
    machine.passes(1)
    assert read(again, machine) == machine.wall  # The ten minutes go on over restarts.


def test_after_a_boot_a_long_time_is_told_once_and_taken() -> None:
    machine = Machine()
    seen = machine.start().seen()
    machine.boot_id, machine.boot, machine.wall = "b", 100, MARCH + 3 * DAY_MS
    time = machine.start(seen)
    assert read(time, machine) == MARCH + 3 * DAY_MS
    assert machine.told == [Word.AWAY]
    machine.start(time.seen())
    assert machine.told == [Word.AWAY]


def test_after_a_boot_a_short_time_is_nothing() -> None:
    machine = Machine()
    seen = machine.start().seen()
    machine.boot_id, machine.boot, machine.wall = "b", 100, MARCH + STEP_MS
    machine.start(seen)
    assert machine.told == []


def test_an_instant_before_what_was_seen_is_told_at_every_start() -> None:
    machine = Machine(wall=IN_2036)
    seen = machine.start().seen()
    machine.boot_id, machine.boot, machine.wall = "b", 100, MARCH
    time = machine.start(seen)
    assert read(time, machine) == MARCH
    machine.start(time.seen())
    assert machine.told == [Word.BEHIND, Word.BEHIND]
    time.forget(MARCH)  # As after a repair.
    machine.start(time.seen())
    assert machine.told == [Word.BEHIND, Word.BEHIND]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("passes", "sets", "restarts", "boots", "confirms")),
        st.integers(-40 * DAY_MS, 40 * DAY_MS) | st.integers(-2 * STEP_MS, 2 * STEP_MS),
    ),
    max_size=30,
)


@given(STEPS)
def test_time_goes_ahead_by_more_than_an_hour_only_where_that_is_believed(
    steps: list[tuple[str, int]],
) -> None:
    """Against the boot clock, the time gains more than an hour only after ten minutes of it, after a
    confirmation, or over a boot; and it is the wall clock's, or the boot clock's from where they agreed."""
    machine = Machine()
    time = machine.start()
    before, boot = read(time, machine), machine.boot
    ahead_since: int | None = None
    for what, by in steps:
        free = what in ("boots", "confirms")
        if what == "passes":
            machine.passes(abs(by))
        elif what == "sets":
            machine.wall = max(0, machine.wall + by)
        elif what == "boots":
            machine.boot_id += "x"
            machine.boot, machine.wall = 0, max(0, machine.wall + by)
            time = machine.start(time.seen())
            boot = 0
        elif what == "restarts":
            time = machine.start(time.seen())
        else:
            time.confirm(machine.wall, machine.boot)
        now = read(time, machine)
        gained = (now - before) - (machine.boot - boot)
        lasted = ahead_since is not None and machine.boot - ahead_since >= LASTS_MS
        assert free or lasted or gained <= STEP_MS
        assert now == machine.wall or (time.doubt is not None and now < machine.wall - STEP_MS)
        assert time.newest >= now
        if time.doubt is None:
            ahead_since = None
        elif ahead_since is None:
            ahead_since = machine.boot
        before, boot = now, machine.boot
