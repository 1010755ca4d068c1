"""An arena that holds some of many customers: the first touch fetches, memory follows what is held, who is
not in use goes, and what went is asked for again."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs.test_format_docs import File
from fastcheck import errors
from fastcheck._fastcheck import Catalog, Checker, Owner
from fastcheck.wire.record import CustomerRecord, pack_record

NOW_MS = 1_714_521_600_000
CATALOG = """
fastcheck: 1
pools: {credits: {scale: 0}}
features:
  export: {kind: switch}
  open: {kind: switch, default: true}
  seats: {kind: limit}
  region: {kind: value}
  spend: {kind: credit, pool: credits, rate: 1}
plans:
  pro: {features: {export: true, seats: 25, region: east, spend: true}}
  free: {}
"""


def record(number: int, plan: str = "pro", *, deleted: bool = False, aliases: tuple[str, ...] = ()) -> bytes:
    return pack_record(CustomerRecord(number, f"c{number}", deleted, plan=plan, aliases=aliases))


class Rig:
    """The owner of a host on demand, what the hub would answer it, and a checker."""

    def __init__(self, directory: Path, capacity: int = 1_000) -> None:
        self.directory = str(directory)
        self.catalog = Catalog.parse(CATALOG.encode(), "catalog.yaml")
        self.owner = Owner(self.directory, self.catalog, NOW_MS, on_demand=capacity)
        self.owner.load([], 1, NOW_MS)
        self.hub: dict[str, bytes] = {}
        self.asked: list[Any] = []
        self.pools: list[tuple[str, str]] = []
        self.checker: Any = Checker(self.directory, self.touch)

    def knows(self, number: int, plan: str = "pro", aliases: tuple[str, ...] = ()) -> None:
        packed = record(number, plan, aliases=aliases)
        for key in (f"c{number}", *aliases):
            self.hub[key] = packed

    def touch(self, customer: Any, pool: Any) -> bool:
        if pool is not None:
            self.pools.append((customer, pool))
            return self.lend(customer)
        self.asked.append(customer)
        wanted = customer if isinstance(customer, list) else [customer]
        found = {self.hub[key] for key in wanted if key in self.hub}
        self.owner.put_found(b"".join(sorted(found)), NOW_MS)
        return bool(found)

    def lend(self, customer: str) -> bool:
        [number] = self.checker.ids([customer]).tolist()
        self.owner.open_cell(number, "credits", number, 10, None, True)
        return True


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.checker._close()
    rig.owner.close()


WAYS: dict[str, tuple[Callable[[Any, str], Any], Any, Any]] = {
    "check": (lambda c, key: c.check(key, "export"), True, False),
    "default": (lambda c, key: c.check(key, "open"), True, True),
    "consume": (lambda c, key: c.consume(key, "spend", 2), True, False),
    "event": (lambda c, key: c.consume(key, "spend", 2, event="e"), True, False),
    "decide": (lambda c, key: c.decide(key, "export").reason, "allowed", "unknown_customer"),
    "decide spend": (lambda c, key: c.decide(key, "spend", 3).reason, "allowed", "unknown_customer"),
    "reserve": (lambda c, key: c.reserve(key, "spend", 3).reason, "allowed", "unknown_customer"),
    "estimate": (lambda c, key: c.estimate(key, "spend", 3).reason, "allowed", "unknown_customer"),
    "value": (lambda c, key: c.value(key, "region", default="none"), "east", "none"),
    "limit": (lambda c, key: c.limit(key, "seats"), 25, 0),
    "handle": (lambda c, key: c.handle(key, "export").check(), True, False),
    "handle consume": (lambda c, key: c.handle(key, "spend").consume(2), True, False),
    "check_many": (lambda c, key: c.check_many([key], "export").tolist(), [True], [False]),
    "consume_many": (lambda c, key: c.consume_many([key], "spend", 2).tolist(), [True], [False]),
    "ids": (lambda c, key: c.ids([key]).tolist(), [7_654_321], [2**32 - 1]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["c7654321", "an alias"])
def test_the_first_touch_of_a_customer_fetches_once(rig: Rig, way: str, key: str) -> None:
    rig.knows(7_654_321, aliases=("an alias",))
    ask, known, unknown = WAYS[way]
    for _ in range(3):
        assert ask(rig.checker, key) == known
    assert rig.asked in ([key], [[key]]), "once, and then it is here"
    assert rig.owner.held_keys(0, 10) == [(7_654_321, "c7654321")]
    rig.asked.clear()
    assert ask(rig.checker, "nobody") == unknown
    assert rig.asked in (["nobody"], [["nobody"]])
    assert ("nobody", "credits") not in rig.pools, "no lease is asked for who is nobody"


@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_nobody_can_have_is_not_asked_for(rig: Rig, way: str) -> None:
    ask, _, unknown = WAYS[way]
    for name in ("", "x" * 513):
        assert ask(rig.checker, name) == unknown
    assert rig.asked == []


def test_who_is_nobody_counts_as_unknown(rig: Rig) -> None:
    assert not rig.checker.check("nobody", "export")
    assert rig.checker._status()["unknown_names"] == 1
    rig.knows(1)
    assert rig.checker.check("c1", "export")
    assert rig.checker._status()["unknown_names"] == 1
    assert rig.checker._status()["on_demand"] is True
    assert not rig.checker.check("nobody else", "no such feature")
    assert rig.asked == ["nobody", "c1"], "an unknown feature needs no customer"


def test_a_batch_asks_once_for_all_that_are_missing(rig: Rig) -> None:
    for number in range(1, 6):
        rig.knows(number, "pro" if number % 2 else "free", aliases=(f"a{number}",))
    assert rig.checker.check("c1", "export")
    rig.asked.clear()
    names = ["c1", "c2", "c3", "nobody", "a2", "c3", "", "a4"]
    expected = [True, False, True, False, False, True, False, False]
    assert rig.checker.check_many(names, "export").tolist() == expected
    assert rig.asked == [["c2", "c3", "nobody", "a2", "a4"]]
    rig.asked.clear()
    assert rig.checker.consume_many(["c1", "c5"], "spend", [1, 2]).tolist() == [True, True]
    assert rig.asked == [["c5"]]
    assert rig.pools == [("c1", "credits"), ("c5", "credits")]
    assert rig.checker.ids(names).tolist()[:3] == [1, 2, 3]


def test_a_list_that_its_caller_shortens_while_it_is_fetched_is_answered_as_it_was(rig: Rig) -> None:
    rig.knows(1)
    rig.knows(2)
    names = ["c1", "c2", "c1"]

    def touch(customer: Any, pool: Any) -> bool:
        names.clear()
        return rig.touch(customer, pool)

    checker = Checker(rig.directory, touch)
    assert checker.check_many(names, "export").tolist() == [True, True, True]
    assert names == []


def test_an_error_of_the_fetch_is_the_callers(rig: Rig) -> None:
    def touch(customer: Any, pool: Any) -> bool:
        raise errors.HubUnavailable("the hub is away")

    checker = Checker(rig.directory, touch)
    for ask, _, _ in WAYS.values():
        with pytest.raises(errors.HubUnavailable):
            ask(checker, "c1")


def test_numbers_of_who_was_evicted_are_stale(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.knows(number)
    ids = rig.checker.ids(["c1", "c2", "nobody"])
    assert rig.checker.check_many(ids, "export").tolist() == [True, True, False]
    assert rig.owner.evict(0) == 2
    rig.asked.clear()
    for numbers in (ids, np.resize(ids, 20_001)):
        with pytest.raises(errors.StaleIds):
            rig.checker.check_many(numbers, "export")
        with pytest.raises(errors.StaleIds):
            rig.checker.consume_many(numbers, "spend", 1)
    assert rig.asked == []
    unknown = np.full(3, 2**32 - 1, np.uint32)
    assert not rig.checker.check_many(unknown, "export").any()
    assert rig.checker.check_many(rig.checker.ids(["c1", "c2"]), "export").all()


def test_a_stale_id_burns_nothing_of_its_batch(rig: Rig) -> None:
    for number in (1, 2):
        rig.knows(number)
    ids = rig.checker.ids(["c1", "c2"])
    assert rig.checker.consume("c1", "spend", 1)
    assert rig.owner.evict(0) == 1, "the other has an open lease"
    with pytest.raises(errors.StaleIds):
        rig.checker.consume_many(ids, "spend", 1)
    assert rig.checker.decide("c1", "spend").remaining == 9


def test_changes_reach_who_is_held_and_nobody_else(rig: Rig) -> None:
    rig.knows(1, aliases=("moves",))
    assert rig.checker.check("moves", "export")
    change = record(1, "free") + record(2, aliases=("moves",)) + record(3, deleted=True)
    numbers, keys = rig.owner.put_held(change, 9, NOW_MS, epoch=4)
    assert (numbers, keys) == ([1, 2, 3], ["c1", "c2", "moves", "c3"])
    assert rig.checker._seq() == (4, 9)
    assert (rig.owner.held(), rig.owner.seq) == (1, 9)
    rig.knows(2, aliases=("moves",))
    rig.asked.clear()
    assert not rig.checker.check("c1", "export")
    assert rig.checker.check("moves", "export"), "fetched as who has it now"
    assert rig.asked == ["moves"]
    rig.owner.put_held(record(1, deleted=True), 10, NOW_MS, epoch=4)
    del rig.hub["c1"]
    assert rig.checker.decide("c1", "export").reason == "unknown_customer"
    assert rig.owner.held_numbers() == [2]


def test_who_is_in_use_is_not_evicted(rig: Rig) -> None:
    """In use: looked up by a checker since the last time, also where it remembers what it found."""
    for number in range(1, 101):
        rig.knows(number)
    names = [f"c{number}" for number in range(1, 101)]
    assert rig.checker.check_many(names, "export").all()
    assert rig.owner.evict(99) == 1  # All were in use; from here on use counts anew.
    hot, held = sys.intern("c50"), rig.checker.handle("c60", "export")
    for _ in range(3):
        assert rig.checker.check(hot, "export")
        assert held.check()
    assert rig.owner.evict(8) == 91
    assert {50, 60} <= set(rig.owner.held_numbers())
    rig.asked.clear()
    for _ in range(3):
        assert rig.checker.check(hot, "export")
        assert held.check()
    assert rig.asked == []
    # What is remembered is looked up once after each time, so it stays in use.
    assert rig.owner.evict(3) == 5
    assert {50, 60} <= set(rig.owner.held_numbers())


@pytest.mark.parametrize("look", ["check", "decide", "consume", "check_many", "by number", "alias"])
def test_every_way_to_look_somebody_up_is_use(rig: Rig, look: str) -> None:
    for number in range(1, 200):
        rig.knows(number, aliases=(f"a{number}",))
    rig.checker.ids([f"c{number}" for number in range(1, 200)])
    ids = rig.checker.ids(["c7"])
    rig.owner.evict(198)
    if 7 not in rig.owner.held_numbers():
        rig.checker.ids(["c7"])
    match look:
        case "check":
            rig.checker.check("c7", "export")
        case "decide":
            rig.checker.decide("c7", "export")
        case "consume":
            rig.checker.consume("c7", "spend", 0)
            rig.owner.close_cell(7, "credits", 7)
        case "check_many":
            rig.checker.check_many(["c7"], "export")
        case "by number":
            rig.checker.check_many(ids, "export")
        case "alias":
            rig.checker.check("a7", "export")
    rig.owner.evict(30)
    assert 7 in rig.owner.held_numbers()


def test_a_hot_customer_survives_a_stream_of_others(rig: Rig) -> None:
    """Ten times the capacity passes by, and the owner makes room by itself. The first time everybody counts
    as in use, so who is asked about all the time may go once; afterwards it stays."""
    hot = [sys.intern(f"c{number}") for number in range(1, 51)]
    for number in range(1, 10_001):
        rig.knows(number)
    for number in range(51, 10_001):
        assert rig.checker.check(f"c{number}", "export")
        if number % 50 == 0:
            assert all(rig.checker.check(name, "export") for name in hot)
        assert rig.owner.held() <= 1_000
    fetched = [name for name in rig.asked if name in hot]
    assert len(fetched) <= 2 * len(hot)


def test_a_restarted_owner_holds_what_its_predecessor_held(rig: Rig) -> None:
    for number in (1, 4_000_000_000, 2**32 - 2):
        rig.knows(number, aliases=(f"a{number}",))
        assert rig.checker.check(f"a{number}", "export")
    rig.owner.put_held(record(99), 7, NOW_MS, epoch=2)
    rig.owner.close()
    rig.owner = Owner(rig.directory, rig.catalog, NOW_MS, on_demand=500)
    assert (rig.owner.adopted, rig.owner.held(), rig.owner.seq) == (True, 3, 7)
    assert rig.owner.held_numbers() == [1, 4_000_000_000, 2**32 - 2]
    assert rig.owner.held_keys(1, 1) == [(4_000_000_000, "c4000000000")]
    rig.owner.close()
    rig.owner = Owner(rig.directory, rig.catalog, NOW_MS)
    assert not rig.owner.adopted


@pytest.mark.parametrize("capacity", [0, 2**27 + 1])
def test_a_capacity_that_cannot_be_is_refused(tmp_path: Path, capacity: int) -> None:
    catalog = Catalog.parse(CATALOG.encode(), "catalog.yaml")
    with pytest.raises(errors.RecordError, match="on_demand"):
        Owner(str(tmp_path), catalog, NOW_MS, on_demand=capacity)


def test_an_owner_of_all_refuses_what_is_on_demand(tmp_path: Path) -> None:
    owner = Owner(str(tmp_path), Catalog.parse(CATALOG.encode(), "catalog.yaml"), NOW_MS)
    owner.load([], 1, NOW_MS)
    for call in (
        lambda: owner.put_found(b"", NOW_MS),
        lambda: owner.put_held(b"", 2, NOW_MS, epoch=1),
        lambda: owner.evict(0),
    ):
        with pytest.raises(errors.RecordError, match="holds all customers"):
            call()


def test_evictions_never_show_a_checker_a_wrong_answer(rig: Rig) -> None:
    """Threads check while the owner evicts and fetches: an answer is always the customer's own."""
    for number in range(1, 301):
        rig.knows(number, "pro" if number % 2 else "free")
    wrong: list[str] = []
    done = threading.Event()
    lock = threading.Lock()

    def touch(customer: Any, pool: Any) -> bool:
        with lock:
            return rig.touch(customer, pool)

    checker = Checker(rig.directory, touch)

    def ask() -> None:
        number = 0
        while not done.is_set():
            number = number % 300 + 1
            decision = checker.decide(f"c{number}", "export")
            # Evicted again before the second look: unknown is the one other answer there is.
            if decision.allowed != (number % 2 == 1) and decision.reason != "unknown_customer":
                wrong.append(f"c{number}: {decision}")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    evicted, fetched = 0, 0
    while fetched < 2_000 and not wrong:
        with lock:
            evicted += rig.owner.evict(100)
            fetched = len(rig.asked)
        time.sleep(0)  # The others' turn.
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert evicted > 1_000, "rows went while they were read"


MEMORY = """
    import sys
    from fastcheck._fastcheck import Checker
    def rss():
        fields = dict(line.split(":") for line in open("/proc/self/status").read().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024
    checker = Checker(sys.argv[1], lambda customer, pool: False)
    before = rss()
    for number in range(100, 10_000_001, 100):
        assert checker.check(f"c{number}", "export")
    assert not checker.check("c150", "export")
    print(rss() - before)
"""


def test_memory_follows_the_held_100k_and_not_the_10m(tmp_path: Path) -> None:
    """100,000 customers with numbers up to 10 million: a table with a word for each would take 80 MB."""
    owner = Owner(str(tmp_path), Catalog.parse(CATALOG.encode(), "catalog.yaml"), NOW_MS, on_demand=100_000)
    owner.load([], 1, NOW_MS)
    for start in range(100, 10_000_001, 1_000_000):
        owner.put_found(b"".join(record(n) for n in range(start, start + 1_000_000, 100)), NOW_MS)
    assert owner.held() == 100_000
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    rows = [size for name, size in sizes.items() if name.startswith("rows-")]
    assert sizes["touched"] == 64 + 100_000 * 2
    assert sum(rows) < 40 << 20, sizes
    script = textwrap.dedent(MEMORY)
    command = [sys.executable, "-c", script, str(tmp_path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout)
    assert grown < 20 << 20, f"{grown} bytes"
    owner.close()


def test_the_files_are_laid_out_as_their_pages_say(rig: Rig) -> None:
    for number in (5, 4_000_000_000):
        rig.knows(number)
        assert rig.checker.check(f"c{number}", "export")
    rig.knows(9)
    rig.checker.ids(["c9"])
    rig.owner.put_held(record(9, deleted=True), 3, NOW_MS, epoch=1)
    touched = File(Path(rig.directory) / "touched", "touched.md")
    assert touched.text("magic") == b"FCTOUCH1"
    assert (touched["layout"], touched["bits"]) == (1, 16 * 1_000)
    assert touched["arena"] == rig.checker._status()["arena"]
    marked = sum(touched.word(8 + one).bit_count() for one in range(touched["bits"] // 64))
    assert 2 <= marked <= 3
    file = File(Path(rig.directory) / f"rows-{rig.checker._status()['generation']}", "rows.md")
    assert file["flags"] == 1
    words = [file.word(file["numbers_at"] + one) for one in range(file["numbers"])]
    used = [word for word in words if word]
    assert len(used) == file["numbers_used"] == 3
    assert used.count(2**64 - 1) == 1, "vacated"
    numbers = {file.word(file["heap_at"] + word) >> 32 for word in used if word != 2**64 - 1}
    assert numbers == {5, 4_000_000_000}
