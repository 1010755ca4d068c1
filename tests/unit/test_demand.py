"""Which answers a host on demand may take: against a ledger that remembers every state it was ever in.

Answers race with changes. After every step the customers that are held must be exactly what the ledger said
at the host's place in the stream: nothing else makes `min_seq` true, and nobody would notice that it is
wrong."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.host.following import demand as demands
from fastcheck.host.following.demand import Demand, Taken, matched
from fastcheck.host.following.events import FoundCustomers
from fastcheck.host.following.records import split
from fastcheck.host.following.refetch import Refetch
from fastcheck.wire import frames
from fastcheck.wire.frames import Refused
from fastcheck.wire.record import CustomerRecord, pack_record
from rig.samples import examples

IDS = ("a", "b", "c")
ALIASES = ("x", "y")


def record(
    number: int, id: str, *, version: int = 1, aliases: tuple[str, ...] = (), deleted: bool = False
) -> bytes:
    return pack_record(CustomerRecord(number, id, deleted, "pro", version, aliases=aliases))


def answer(
    seq: int, keys: tuple[str, ...], records: bytes = b"", missing: tuple[str, ...] = (), id: int = 1
) -> FoundCustomers:
    return FoundCustomers(id, seq, keys, missing, records)


class Ledger:
    """Every state there ever was: by change, each customer's number, version and aliases."""

    def __init__(self) -> None:
        self.states: list[dict[str, tuple[int, int, tuple[str, ...]]]] = [{}]
        self.changes: list[bytes] = [b""]
        self._next = 1

    @property
    def seq(self) -> int:
        return len(self.states) - 1

    def change(self, id: str, aliases: tuple[str, ...] | None) -> None:
        """Makes or changes a customer, who takes aliases from others; None: removes it."""
        state = dict(self.states[-1])
        written: list[bytes] = []
        if aliases is None:
            if id in state:
                written.append(record(state.pop(id)[0], id, deleted=True))
        else:
            for other, (number, version, theirs) in list(state.items()):
                kept = tuple(one for one in theirs if one not in aliases)
                if other != id and kept != theirs:
                    state[other] = (number, version + 1, kept)
                    written.append(record(number, other, version=version + 1, aliases=kept))
            number, version, _ = state.get(id, (self._next, 0, ()))
            self._next = max(self._next, number + 1)
            state[id] = (number, version + 1, aliases)
            written.append(record(number, id, version=version + 1, aliases=aliases))
        self.states.append(state)
        self.changes.append(b"".join(written))

    def rows(self, seq: int) -> dict[int, bytes]:
        return {
            number: record(number, id, version=version, aliases=aliases)
            for id, (number, version, aliases) in self.states[seq].items()
        }

    def find(self, seq: int, key: str) -> bytes | None:
        return next((data for data in self.rows(seq).values() if key in _keys(data)), None)

    def answer(self, id: int, keys: tuple[str, ...], seq: int) -> FoundCustomers:
        found = {key: self.find(seq, key) for key in keys}
        data = b"".join(dict.fromkeys(one for one in found.values() if one is not None))
        return answer(seq, keys, data, tuple(key for key, one in found.items() if one is None), id)


def _keys(data: bytes) -> tuple[str, ...]:
    [named] = split(data)
    return named.keys


class Machine:
    """A host on demand and a hub, with whatever lies between them on the way."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.demand = Demand(passed_max=6, missing_max=2)
        self.position = 0
        self.arena: dict[int, bytes] = {}
        self.open: deque[tuple[int, tuple[str, ...]]] = deque()
        self.wire: deque[FoundCustomers] = deque()
        self.asked: set[str] = set()
        self.next_id = 1

    def ask(self, key: str) -> None:
        if self.demand.known_missing(key):
            return
        assert self.demand.ask(key)
        self.asked.add(key)

    def send(self) -> None:
        keys = self.demand.next_keys()
        if keys:
            self.open.append((self.next_id, keys))
            self.next_id += 1

    def look_up(self) -> None:
        """The hub reads the ledger for the oldest question; what it writes comes in this order."""
        if self.open:
            self.wire.append(self.ledger.answer(*self.open.popleft(), self.ledger.seq))

    def hear(self) -> None:
        if self.wire:
            self.take(self.demand.found(self.wire.popleft()))

    def follow(self, steps: int) -> None:
        """The next changes of the stream, joined."""
        end = min(self.position + steps, self.ledger.seq)
        if end == self.position:
            return
        run = list(split(b"".join(self.ledger.changes[self.position + 1 : end + 1])))
        for named in run:
            if named.number in self.arena:
                if named.deleted:
                    del self.arena[named.number]
                else:
                    self.arena[named.number] = named.data
        self.position = end
        self.take(
            self.demand.passed(end, [one.number for one in run], [key for one in run for key in one.keys])
        )

    def lose(self) -> None:
        """The connection ends, and another goes on from the same place."""
        self.open.clear()
        self.wire.clear()
        self.demand.begin(self.position)

    def take(self, taken: Taken) -> None:
        for named in split(taken.records):
            self.arena[named.number] = named.data
        for key, found in taken.keys.items():
            self.asked.discard(key)
            there = self.ledger.find(self.position, key)
            if found:
                assert there in self.arena.values(), f"{key} was found and is not here"
            elif self.demand.known_missing(key):
                assert there is None, f"{key} is said to be nobody"

    def check(self) -> None:
        truth = self.ledger.rows(self.position)
        assert self.arena == {number: truth.get(number) for number in self.arena}
        for key in (*IDS, *ALIASES):
            if self.demand.known_missing(key):
                assert self.ledger.find(self.position, key) is None

    def settle_all(self) -> None:
        """Nothing changes any more: everybody who asks is answered."""
        for _ in range(200):
            self.send()
            self.look_up()
            self.hear()
            self.follow(1_000)
            self.check()
        assert not self.asked


def some_aliases(chance: random.Random) -> tuple[str, ...] | None:
    """What becomes of a customer; None: it is removed."""
    return None if chance.random() < 0.25 else tuple(one for one in ALIASES if chance.random() < 0.3)


@examples(150)
@given(st.integers(0, 1 << 32))
def test_what_is_held_is_what_the_ledger_said_at_this_place(seed: int) -> None:
    chance = random.Random(seed)
    machine = Machine()
    for id in IDS:
        machine.ledger.change(id, ())
    actions = ["change", "ask", "follow", "evict", "send", "look_up", "hear", "hear", "rarely"]
    for _ in range(120):
        match chance.choice(actions):
            case "change":
                machine.ledger.change(chance.choice(IDS), some_aliases(chance))
            case "ask":
                machine.ask(chance.choice((*IDS, *ALIASES)))
            case "follow":
                machine.follow(chance.randint(1, 3))
            case "evict" if machine.arena:
                del machine.arena[chance.choice(list(machine.arena))]
            case "rarely" if chance.random() < 0.2:
                machine.lose()
            case "send" | "look_up" | "hear" as what:
                getattr(machine, what)()
        machine.check()
    machine.settle_all()


@examples(150)
@given(st.integers(0, 1 << 32))
def test_what_is_fetched_anew_is_one_state_of_the_ledger(seed: int) -> None:
    """Pages and changes race too; the whole comes out as of the stream's place, whatever the order."""
    chance = random.Random(seed)
    ledger = Ledger()
    for id in IDS:
        ledger.change(id, ())
    position = ledger.seq
    start = dict(ledger.states[position])
    held = [id for id in IDS if chance.random() < 0.8]
    refetch = Refetch(position, held, changes_bytes_max=chance.choice([100, 10_000]))
    open_: list[str] = []
    wire: deque[FoundCustomers] = deque()

    def follow(count: int) -> None:
        nonlocal position
        for _ in range(min(count, ledger.seq - position)):
            position += 1
            refetch.passed(position, ledger.changes[position])

    for _ in range(chance.randint(0, 30)):
        match chance.choice(["change", "send", "look_up", "hear", "follow", "also"]):
            case "change":
                ledger.change(chance.choice(IDS), some_aliases(chance))
            case "send":
                open_.extend(refetch.next_keys())
            case "look_up" if open_:
                wire.append(ledger.answer(1, (open_.pop(chance.randrange(len(open_))),), ledger.seq))
            case "hear" if wire:
                refetch.found(wire.popleft())
            case "follow":
                follow(chance.randint(1, 3))
            case "also":
                as_of = chance.randint(max(position - 3, 3), ledger.seq)
                refetch.also(ledger.answer(0, (chance.choice(IDS),), as_of))
    for _ in range(50):
        if refetch.complete:
            break
        open_.extend(refetch.next_keys())
        wire.extend(ledger.answer(1, (key,), ledger.seq) for key in open_)
        open_.clear()
        while wire:
            refetch.found(wire.popleft())
        follow(chance.randint(0, 2))
    assert refetch.complete
    loaded = {named.number: named.data for named in split(b"".join(refetch.chunks()))}
    truth = ledger.rows(position)
    assert loaded == {number: truth.get(number) for number in loaded}
    for id in held:
        if id in ledger.states[position] and ledger.states[position][id][0] == start[id][0]:
            assert start[id][0] in loaded, f"{id} was held, is still there, and was lost"


# One by one.


def test_an_answer_that_is_ahead_waits_for_the_stream() -> None:
    demand = Demand()
    demand.begin(5)
    assert demand.ask("a")
    assert demand.next_keys() == ("a",)
    assert demand.found(answer(7, ("a",), record(1, "a"))) == Taken()
    assert demand.passed(6, [], []) == Taken()
    assert demand.passed(7, [], []) == Taken(record(1, "a"), {"a": True})


def test_a_customer_who_changed_meanwhile_is_asked_for_again() -> None:
    demand = Demand()
    demand.ask("a")
    demand.next_keys()
    demand.passed(1, [1], ["a"])
    assert demand.found(answer(0, ("a",), record(1, "a"))) == Taken()
    assert demand.next_keys() == ("a",)
    assert demand.found(answer(1, ("a",), record(1, "a"))).keys == {"a": True}


def test_an_answer_from_before_the_question_is_asked_for_again() -> None:
    demand = Demand()
    demand.begin(5)
    demand.ask("a")
    demand.next_keys()
    assert demand.found(answer(4, ("a",), missing=("a",))) == Taken()
    assert demand.next_keys() == ("a",)


def test_who_changes_faster_than_he_can_be_asked_for_is_given_up() -> None:
    demand = Demand()
    demand.ask("a")
    for attempt in range(demands.ATTEMPTS_MAX):
        assert demand.next_keys() == ("a",), attempt
        demand.passed(attempt + 1, [1], ["a"])
        taken = demand.found(answer(attempt, ("a",), record(1, "a")))
    assert taken == Taken(b"", {"a": False})
    assert not demand.known_missing("a")
    assert demand.ask("a")


def test_who_is_nobody_is_remembered_until_a_change_brings_him() -> None:
    demand = Demand(missing_max=2)
    for key in ("a", "b", "c"):
        demand.ask(key)
    demand.found(answer(0, demand.next_keys(), missing=("a", "b", "c")))
    assert [demand.known_missing(key) for key in ("a", "b", "c")] == [False, True, True]
    demand.passed(1, [5], ["b"])
    assert [demand.known_missing(key) for key in ("b", "c")] == [False, True]
    demand.forget_missing()
    assert not demand.known_missing("c")


def test_the_least_recently_asked_is_forgotten_first() -> None:
    demand = Demand(missing_max=2)
    for keys in (("a", "b"), ("c",)):
        for key in keys:
            demand.ask(key)
        assert demand.next_keys() == keys
        demand.found(answer(0, keys, missing=keys))
        demand.known_missing("a")
    assert [demand.known_missing(key) for key in ("a", "b", "c")] == [True, False, True]


def test_questions_are_of_bounded_size_and_number() -> None:
    demand = Demand(waiting_max=300)
    assert all(demand.ask(f"k{n}") for n in range(300))
    assert demand.ask("k7")  # Somebody asks for it already.
    assert not demand.ask("one more")
    assert [len(demand.next_keys()) for _ in range(3)] == [frames.KEYS_PER_WANT_MAX, 300 - 256, 0]


def test_more_changes_than_are_remembered_make_older_answers_useless() -> None:
    demand = Demand(passed_max=2)
    demand.ask("a")
    demand.next_keys()
    demand.passed(1, [1, 2], ["b"])
    assert demand.found(answer(0, ("a",), missing=("a",))) == Taken()
    demand.next_keys()
    assert demand.found(answer(1, ("a",), missing=("a",))).keys == {"a": False}


def test_two_keys_of_one_customer_are_one_record() -> None:
    demand = Demand()
    demand.ask("a")
    demand.ask("x")
    data = record(1, "a", aliases=("x",))
    assert demand.found(answer(0, demand.next_keys(), data)) == Taken(data, {"a": True, "x": True})


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (answer(0, ("a",)), "not answered"),
        (answer(0, ("a",), record(1, "b")), "not answered"),
        (answer(0, ("a",), record(1, "a", deleted=True)), "found and gone"),
        (answer(0, ("a",), b"\xc1"), "not a customer record"),
        (answer(0, ("a",), b"\x93\x01\xa1a\x00"), "not a customer record"),
        (answer(0, ("a",), b"\x01"), "not a customer record"),
        (answer(0, ("a",), record(1, "a")[:-1]), "not a customer record"),
        (answer(0, ("a",), b"\x9a\x01\x02\x00\xc0\xc0\x00\x90\x90\x90\xc0"), "other types"),
        (answer(0, ("a",), b"\x91" * 5_000), "not a customer record"),
    ],
)
def test_an_answer_that_answers_nothing_is_refused(wrong: FoundCustomers, match: str) -> None:
    with pytest.raises(Refused, match=match) as caught:
        matched(wrong)
    assert caught.value.code == frames.MALFORMED


def test_a_refetch_with_too_many_changes_begins_anew() -> None:
    refetch = Refetch(5, ["a"], changes_bytes_max=10)
    assert refetch.next_keys() == ("a",)
    refetch.passed(6, record(1, "a", version=2))
    refetch.found(answer(5, ("a",), record(1, "a")))  # To a question of before: nothing that can be used.
    assert not refetch.complete
    assert refetch.next_keys() == ("a",)
    refetch.also(answer(5, ("b",), record(2, "b")))
    refetch.found(answer(5, ("a",), record(1, "a")))  # As of before it began anew.
    assert refetch.next_keys() == ("a",)
    refetch.found(answer(6, ("a",), record(1, "a", version=2)))
    assert refetch.complete
    assert refetch.chunks() == [record(1, "a", version=2)]


def test_a_large_state_is_loaded_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastcheck.host.following.refetch.LOAD_CHUNK_BYTES", 15)
    refetch = Refetch(0, ["a", "b", "c"])
    keys = refetch.next_keys()
    refetch.found(answer(0, keys, b"".join(record(n, id) for n, id in enumerate("abc", 1))))
    refetch.passed(1, record(3, "c", deleted=True))
    chunks = refetch.chunks()
    assert len(chunks) == 2
    assert b"".join(chunks) == record(1, "a") + record(2, "b")
