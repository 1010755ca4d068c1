"""SIGKILL at the n-th instruction of an operation on the arena, for n over the whole operation (FAULTS 1, 2).

One process is the machine's survivor: it holds a checker that attached long ago, forks a victim for each n,
and examines what the victim left: totals to the unit, rows old or new, the next spend, the successor.

    python -m proofs.kill_sweep [DIRECTORY] [--every K] [--operation NAME] [--seed N]

prints one line per operation and a JSON object of all."""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fastcheck._fastcheck import Catalog, Checker, Owner
from fastcheck.wire.record import CustomerRecord, pack_record
from rig.single_step import HAS_BREAKPOINTS, Stepped, Trail, share_one_cpu

CREDIT = 10**6
LENT = 10**14
REPEATS_MAX = 64
"""How often one instruction is killed at: the sweep looks at 16,384 places for holds, one like the other."""
CellTotals = tuple[int, str, int, int, int, int, bool]
NOW_MS = 1_714_521_600_000
CATALOG = """
fastcheck: 1
pools: {ai_credits: {scale: 6}}
features:
  export: {kind: switch}
  seats: {kind: limit}
  region: {kind: value}
  gpt-4o: {kind: credit, pool: ai_credits, rate: 1}
plans:
  old: {features: {export: true, seats: 25, region: east, gpt-4o: true}}
  new: {features: {export: false, seats: 7, region: west, gpt-4o: true}}
"""
OLD, NEW = (True, 25, "east"), (False, 7, "west")


def record(plan: str, number: int = 1, id: str = "acme", aliases: tuple[str, ...] = ("key",)) -> bytes:
    return pack_record(CustomerRecord(number, id, plan=plan, aliases=aliases))


class Machine:
    """A directory, its survivor, and what must be true of them."""

    def __init__(self, directory: Path, on_demand: int | None = None) -> None:
        directory.mkdir(mode=0o700, parents=True)
        self.directory = str(directory)
        self.catalog = Catalog.parse(CATALOG.encode(), "catalog.yaml")
        self.on_demand = on_demand
        self.owner = Owner(self.directory, self.catalog, NOW_MS, on_demand=on_demand)
        self.seq = 1
        self.lease = 1
        self.owner.load([record("old")], self.seq, NOW_MS)
        self.owner.open_cell(1, "ai_credits", self.lease, LENT, None, True)
        self.checker = Checker(self.directory, lambda customer, pool: False)

    def totals(self) -> tuple[int, int]:
        """(spent, returned) of the open lease, as any process sees them."""
        found = self.checker._pool_totals("acme", "ai_credits")
        assert found is not None, "the lease is gone from the row"
        return found[0], found[1]

    def used(self) -> int:
        spent, returned = self.totals()
        return spent - returned

    def row(self) -> tuple[bool, int | None, Any]:
        checker = self.checker
        whole, alias = (
            (checker.check(key, "export"), checker.limit(key, "seats"), checker.value(key, "region"))
            for key in ("acme", "key")
        )
        assert whole in (OLD, NEW), f"a mixed row: {whole}"
        # The alias leads to the customer by number, and the number's word is published first.
        assert alias in (whole, NEW), f"the alias says {alias}, the id {whole}"
        return whole

    def spends_at_once(self) -> None:
        """The next burn works and moves the totals by what it took, whoever died before it."""
        before = self.used()
        assert self.checker.consume("acme", "gpt-4o", 1), "the next spend was denied"
        assert self.used() == before + CREDIT, "the next spend was not exact"

    def new_owner(self) -> Owner:
        """What a successor does first: adopt, and fill the rows if they are not whole."""
        self.owner = Owner(self.directory, self.catalog, NOW_MS, on_demand=self.on_demand)
        assert not self.owner.previous_boot
        return self.owner


@dataclass
class Swept:
    """What came of one operation."""

    operation: str
    instructions: int = 0
    kills: int = 0
    before: int = 0
    """Kills after which the operation had not happened."""
    after: int = 0
    """Kills after which it had."""
    seconds: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)

    def book(self, happened: bool) -> None:
        self.kills += 1
        self.before += not happened
        self.after += happened

    def note(self, what: str) -> None:
        self.notes[what] = self.notes.get(what, 0) + 1


Judge = Callable[[], bool]
"""Examines what a victim left; whether its operation had happened."""


class Operation:
    """One operation: what is set up for each victim, what it does, how its remains are judged."""

    on_demand: int | None = None
    """How many customers the machine holds of many; None: all."""

    def __init__(self, machine: Machine, swept: Swept) -> None:
        self.machine = machine
        self.swept = swept

    def begin(self) -> None:
        """Before each victim, in the survivor."""

    def victim(self) -> Callable[[], object]:
        """In the victim: everything before the operation; gives the operation."""
        raise NotImplementedError

    def judge(self) -> bool:
        """After the kill, in the survivor. Leaves the machine as `begin` wants it."""
        raise NotImplementedError


class Consume(Operation):
    """A burn is recorded whole or not at all."""

    def begin(self) -> None:
        self.had = self.machine.totals()

    def victim(self) -> Callable[[], object]:
        consume = self.machine.checker.consume
        return lambda: consume("acme", "gpt-4o", 3)

    def judge(self) -> bool:
        spent, returned = self.machine.totals()
        assert returned == self.had[1]
        assert spent - self.had[0] in (0, 3 * CREDIT), "half a burn"
        self.machine.spends_at_once()
        return spent != self.had[0]


class ConsumeWithEvent(Consume):
    """The burn comes first, its usage record second: never a record without its burn."""

    def begin(self) -> None:
        super().begin()
        self.machine.checker.consume("acme", "gpt-4o", 1, event="open the journal")
        self.machine.owner.drain_journal(10_000)
        self.machine.owner.ack_journal()
        self.had = self.machine.totals()

    def victim(self) -> Callable[[], object]:
        consume = self.machine.checker.consume
        consume("acme", "gpt-4o", 0, event="this process's own file")
        return lambda: consume("acme", "gpt-4o", 3, event="req")

    def judge(self) -> bool:
        burned = super().judge()
        # (…, event, customer, feature, units, quantities)
        records = [one[-5:-1] for one in self.machine.owner.drain_journal(10_000) if one[-5] == "req"]
        self.machine.owner.ack_journal()
        assert len(records) <= burned, "a usage record of a burn that did not happen"
        assert all(one == ("req", "acme", "gpt-4o", 3 * CREDIT) for one in records), records
        if burned:
            self.swept.note("burned and recorded" if records else "burned, and its record lost")
        return burned


class Holding(Operation):
    """Whatever a killed holder left, the sweep frees to the unit."""

    costs: tuple[int, ...] = (0,)
    """What may be used once the sweep has been: credits."""

    def begin(self) -> None:
        self.had = self.machine.used()

    def judge(self) -> bool:
        held = self.machine.used() - self.had
        assert held in {*(cost * CREDIT for cost in self.costs), 5 * CREDIT, 0}, f"{held} units are held"
        self.machine.spends_at_once()
        with self.machine.checker.reserve("acme", "gpt-4o", 1) as other:
            assert other.allowed, "the next reservation was denied"
            other.commit(1)
        self.had += 2 * CREDIT
        self.machine.owner.sweep()
        used = self.machine.used() - self.had
        assert used in [cost * CREDIT for cost in self.costs], f"{used} units are used after the sweep"
        assert self.machine.owner.sweep() == 0, "a hold outlived the sweep"
        assert self.machine.owner.late_returns() == []
        return self.happened(held, used)

    def happened(self, held: int, used: int) -> bool:
        return held != 0


class Reserve(Holding):
    def victim(self) -> Callable[[], object]:
        reserve = self.machine.checker.reserve
        return lambda: reserve("acme", "gpt-4o", 5)


class Commit(Holding):
    costs = (0, 2)

    def victim(self) -> Callable[[], object]:
        held = self.machine.checker.reserve("acme", "gpt-4o", 5)
        return lambda: held.commit(2)

    def happened(self, held: int, used: int) -> bool:
        return used != 0


class CommitAll(Holding):
    costs = (0, 5)

    def victim(self) -> Callable[[], object]:
        held = self.machine.checker.reserve("acme", "gpt-4o", 5)
        return lambda: held.commit()

    def happened(self, held: int, used: int) -> bool:
        return used != 0


class Release(Holding):
    def victim(self) -> Callable[[], object]:
        held = self.machine.checker.reserve("acme", "gpt-4o", 5)
        return lambda: held.release()

    def happened(self, held: int, used: int) -> bool:
        return held == 0


class Sweep(Holding):
    """The owner itself is killed while it frees what another one left."""

    def begin(self) -> None:
        super().begin()
        with Stepped(Reserve(self.machine, self.swept).victim) as dead:
            dead.run()

    def victim(self) -> Callable[[], object]:
        owner = self.machine.owner
        return lambda: owner.sweep()

    def judge(self) -> bool:
        self.machine.new_owner()
        return super().judge()

    def happened(self, held: int, used: int) -> bool:
        return held == 0


class Publishing(Operation):
    """Rows are old or new, never mixed; spending goes on; a successor adopts and publishes at once."""

    def begin(self) -> None:
        self.had = self.machine.used()

    def judge(self) -> bool:
        machine = self.machine
        row = machine.row()
        assert machine.used() == self.had, "a publication moved a total"
        machine.spends_at_once()
        successor = machine.new_owner()
        adopted = successor.adopted
        self.swept.note("rows adopted" if adopted else "rows made anew")
        if adopted:
            # The number is written last: it never promises what the rows do not have.
            assert row == NEW or successor.seq <= machine.seq
            assert machine.row() == row
        machine.seq += 10
        if adopted:
            successor.put(record("old"), machine.seq, NOW_MS)
        else:
            successor.load([record("old")], machine.seq, NOW_MS)
        assert machine.row() == OLD
        machine.spends_at_once()
        return row == NEW


class Put(Publishing):
    def victim(self) -> Callable[[], object]:
        owner, data, seq = self.machine.owner, record("new"), self.machine.seq + 1
        return lambda: owner.put(data, seq, NOW_MS)


class Load(Publishing):
    """A new generation: a file of its own, then one word."""

    def victim(self) -> Callable[[], object]:
        owner, data, seq = self.machine.owner, [record("new")], self.machine.seq + 1
        return lambda: owner.load(data, seq, NOW_MS)


class PutHeld(Publishing):
    """As `Put`, on a host that holds some of many customers."""

    on_demand = 100

    def victim(self) -> Callable[[], object]:
        owner, seq = self.machine.owner, self.machine.seq + 1
        data = record("new", 3, "not held", ()) + record("new")
        return lambda: owner.put_held(data, seq, NOW_MS, epoch=1)


class PutFound(Publishing):
    on_demand = 100

    def victim(self) -> Callable[[], object]:
        owner, data = self.machine.owner, record("new")
        return lambda: owner.put_found(data, NOW_MS)


class Evict(Publishing):
    """Who has an open lease stays and spends on; the other one is there or gone."""

    on_demand = 100

    def begin(self) -> None:
        super().begin()
        self.machine.owner.put_found(record("old", 2, "idle", ()), NOW_MS)
        assert self.machine.checker.check("idle", "export")

    def victim(self) -> Callable[[], object]:
        owner = self.machine.owner
        return lambda: owner.evict(1)

    def judge(self) -> bool:
        gone = not self.machine.checker.check("idle", "export")
        assert not super().judge(), "eviction changed a row"
        return gone


class Lending(Operation):
    """A lease is open or it is not; what was spent on it before is never lost."""

    def begin(self) -> None:
        self.had = self.machine.used()

    def judge(self) -> bool:
        machine = self.machine
        assert machine.row() == OLD
        spent_now = machine.checker.consume("acme", "gpt-4o", 1)
        successor = machine.new_owner()
        if not successor.adopted:
            self.swept.note("rows made anew")
            machine.seq += 10
            successor.load([record("old")], machine.seq, NOW_MS)
        cells = [one for one in successor.cells() if one[:2] == (1, "ai_credits")]
        assert len(cells) <= 1, f"the pool has {len(cells)} cells"
        happened = self.examine(cells[0] if cells else None, spent_now * CREDIT)
        for cell in cells:
            final = successor.close_cell(1, "ai_credits", cell[2])
            assert final is not None
            assert final[3:5] == cell[3:5], "closing moved a total"
        machine.lease += 2
        successor.open_cell(1, "ai_credits", machine.lease, LENT, None, True)
        machine.spends_at_once()
        return happened

    def examine(self, cell: CellTotals | None, spent_now: int) -> bool:
        """Judges the one cell; whether the operation had happened."""
        raise NotImplementedError


class OpenCell(Lending):
    def begin(self) -> None:
        super().begin()
        self.machine.owner.close_cell(1, "ai_credits", self.machine.lease)

    def victim(self) -> Callable[[], object]:
        owner, lease = self.machine.owner, self.machine.lease + 1
        return lambda: owner.open_cell(1, "ai_credits", lease, LENT, None, True)

    def examine(self, cell: CellTotals | None, spent_now: int) -> bool:
        if cell is None:
            assert spent_now == 0, "spent on a cell without a lease"
            self.swept.note("the cell had no lease in between")
            return False
        _, _, lease, spent, returned, granted, closed = cell
        if closed:
            assert spent_now == 0, "spent on a closed lease"
            assert lease == self.machine.lease or (spent, returned) == (0, 0), "a new lease has old totals"
            return False
        assert (lease, granted) == (self.machine.lease + 1, LENT)
        assert spent - returned == spent_now
        if not spent_now:
            self.swept.note("open, and not in the row yet")
        return bool(spent_now)


class CloseCell(Lending):
    def victim(self) -> Callable[[], object]:
        owner, lease = self.machine.owner, self.machine.lease
        return lambda: owner.close_cell(1, "ai_credits", lease)

    def examine(self, cell: CellTotals | None, spent_now: int) -> bool:
        assert cell is not None
        _, _, lease, spent, returned, granted, closed = cell
        assert (lease, granted) == (self.machine.lease, LENT)
        assert spent - returned == self.had + spent_now
        assert closed == (spent_now == 0)
        return closed


class RaiseCell(Lending):
    def victim(self) -> Callable[[], object]:
        owner, lease = self.machine.owner, self.machine.lease
        return lambda: owner.raise_cell(1, "ai_credits", lease, LENT + CREDIT, True)

    def examine(self, cell: CellTotals | None, spent_now: int) -> bool:
        assert cell is not None
        _, _, lease, spent, returned, granted, closed = cell
        assert lease == self.machine.lease
        assert not closed
        assert spent_now == CREDIT
        assert spent - returned == self.had + spent_now
        assert granted in (LENT, LENT + CREDIT)
        return granted != LENT


OPERATIONS: dict[str, type[Operation]] = {
    "consume": Consume,
    "consume-event": ConsumeWithEvent,
    "reserve": Reserve,
    "commit": Commit,
    "commit-all": CommitAll,
    "release": Release,
    "sweep": Sweep,
    "put": Put,
    "load": Load,
    "put-held": PutHeld,
    "put-found": PutFound,
    "evict": Evict,
    "open-cell": OpenCell,
    "close-cell": CloseCell,
    "raise-cell": RaiseCell,
}


def points(trail: Trail, every: int, kills_max: int | None, seed: int) -> list[int]:
    """The instructions to kill at: each k-th, from a start that the seed chooses, thinned to a maximum. Of an
    instruction that runs more than `REPEATS_MAX` times in a loop, the first ones."""
    chosen = [n for n, (_, times) in enumerate(trail.places) if times <= REPEATS_MAX]
    if kills_max is not None:
        every = max(every, math.ceil(len(chosen) / kills_max))
    return chosen[random.Random(seed).randrange(every) :: every]


def sweep(
    name: str, directory: Path, *, every: int = 1, kills_max: int | None = None, seed: int = 1
) -> Swept:
    """Kills one operation at its instructions, one victim for each."""
    began = time.monotonic()
    swept = Swept(name)
    machine = Machine(directory, OPERATIONS[name].on_demand)
    operation = OPERATIONS[name](machine, swept)
    for warm in (False, True):  # The first run meets pages and caches that the later ones find warm.
        operation.begin()
        with Stepped(operation.victim) as child:
            if warm:
                trail = Trail(child)
            else:
                child.run()
        assert operation.judge(), f"{name} did not happen although it ran to its end"
    swept.instructions = len(trail)
    for n in points(trail, every, kills_max, seed):
        try:
            # Breakpoints get there at once, but a run that differs from the first may miss them: step, then.
            if not (HAS_BREAKPOINTS and _killed_at(operation, partial(trail.bring, n=n))):
                _killed_at(operation, partial(Stepped.step, count=n))
        except AssertionError as error:
            raise AssertionError(f"{name}, killed at instruction {n} of {len(trail)}: {error}") from error
    swept.seconds = round(time.monotonic() - began, 1)
    return swept


def _killed_at(operation: Operation, bring: Callable[[Stepped], bool]) -> bool:
    """One victim, killed where `bring` brings it, and judged; whether it got there."""
    operation.begin()
    with Stepped(operation.victim) as child:
        reached = bring(child)
    happened = operation.judge()
    if reached:
        operation.swept.book(happened)
    else:
        operation.swept.note("ran to its end")
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, nargs="?", help="default: a temporary one")
    parser.add_argument("--operation", action="append", choices=list(OPERATIONS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--kills-max", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return swept_all(given, given.directory or Path(scratch))


def swept_all(given: argparse.Namespace, directory: Path) -> int:
    share_one_cpu()
    gc.disable()  # A collection in the middle of a victim would be a different run each time.
    all_swept = []
    for name in given.operation or OPERATIONS:
        place = next(path for n in itertools.count() if not (path := directory / f"{name}-{n}").exists())
        one = sweep(name, place, every=given.every, kills_max=given.kills_max, seed=given.seed)
        print(
            f"{name:14} {one.instructions:7} instructions, {one.kills:6} kills: {one.before} before, "
            f"{one.after} after, {one.seconds} s {one.notes or ''}",
            flush=True,
        )
        all_swept.append(vars(one))
    print(json.dumps(all_swept))
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
