"""The ledger of the world, which remembers every state it was ever in: the oracle."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from fastcheck._fastcheck import digest
from fastcheck.hub.stream.ring import CatalogText
from fastcheck.wire.packing import pack
from fastcheck.wire.record import CustomerRecord, pack_record

MODULUS = 1 << 64
CUSTOMERS = 12
"""Numbers that customers of the world may have: few, so that changes meet."""


@dataclass(frozen=True)
class State:
    """The ledger after one change."""

    customers: dict[int, bytes]
    keys: dict[str, int]
    """Id or alias -> number."""
    digest: int
    catalog: int


@dataclass(frozen=True)
class Logged:
    """A row of the change log."""

    seq: int
    at: int
    kind: str
    body: bytes
    digest: int
    count: int = 0


@dataclass(frozen=True)
class Answer:
    """What a hub reads of the log."""

    epoch: int
    first_kept: int
    items: tuple[Logged, ...]


@dataclass(frozen=True)
class Found:
    """What a hub reads of customers."""

    epoch: int
    seq: int
    missing: tuple[str, ...]
    records: bytes


def catalog_text(version: int) -> CatalogText:
    """The catalog of a version: its text names it."""
    return CatalogText("catalog.yaml", b"catalog %d" % version)


def record(number: int, revision: int, aliases: tuple[str, ...]) -> bytes:
    """A customer's record; the revision makes it another."""
    return pack_record(
        CustomerRecord(number, f"c{number}", plan="pro", version=1, since_ms=revision, aliases=aliases)
    )


@dataclass
class Ledger:
    """The one truth. `states` has every state by (epoch, seq)."""

    choose: random.Random
    epoch: int = 1
    seq: int = 0
    now: int = 1_000_000
    first_kept: int = 1
    log: dict[int, Logged] = field(default_factory=dict)
    states: dict[tuple[int, int], State] = field(default_factory=dict)
    backup: tuple[int, State] | None = None
    revision: int = 0
    restored: int = 0

    def __post_init__(self) -> None:
        self.states[(1, 0)] = State({}, {}, 0, 1)

    @property
    def state(self) -> State:
        """As it is now."""
        return self.states[(self.epoch, self.seq)]

    def _put(self, state: State, logged: Logged) -> None:
        self.seq = logged.seq
        self.log[logged.seq] = logged
        self.states[(self.epoch, logged.seq)] = state

    def change(self) -> None:
        """One to three customers made, changed or removed."""
        before, choose = self.state, self.choose
        customers, keys = dict(before.customers), dict(before.keys)
        body = b""
        for number in choose.sample(range(1, CUSTOMERS + 1), choose.randint(1, 3)):
            self.revision += 1
            keys = {key: of for key, of in keys.items() if of != number}
            if number in customers and choose.random() < 0.25:
                del customers[number]
                body += pack_record(CustomerRecord(number, f"c{number}", deleted=True))
                continue
            free = [f"a{place}" for place in range(4) if f"a{place}" not in keys]
            aliases = tuple(sorted(choose.sample(free, min(len(free), choose.randint(0, 2)))))
            packed = record(number, self.revision, aliases)
            customers[number] = packed
            keys.update(dict.fromkeys((f"c{number}", *aliases), number))
            body += packed
        total = sum(digest(one)[0] for one in customers.values()) % MODULUS
        self._put(
            State(customers, keys, total, before.catalog),
            Logged(self.seq + 1, self.now, "records", body, total),
        )

    def change_catalog(self) -> None:
        """Another catalog."""
        before = self.state
        self.revision += 1
        text = catalog_text(self.revision)
        state = State(before.customers, before.keys, before.digest, self.revision)
        body = pack([text.filename, text.source])
        self._put(state, Logged(self.seq + 1, self.now, "catalog", body, before.digest))

    def prune(self) -> None:
        """Forgets the oldest changes of the log."""
        while self.first_kept < self.seq and self.choose.random() < 0.7:
            self.log.pop(self.first_kept, None)
            self.first_kept += 1

    def restore(self) -> None:
        """An older backup is put back: with a new epoch as the product does it, numbers going on."""
        if self.backup is None:
            self.backup = (self.seq, self.state)
            return
        _, state = self.backup
        self.backup = None
        self.restored += 1
        self.epoch += 1
        self.seq += 1
        self.log.clear()
        self.first_kept = self.seq
        self.log[self.seq] = Logged(self.seq, self.now, "records", b"", state.digest)
        self.states[(self.epoch, self.seq)] = state

    def changes(self, after: int, most: int = 4) -> Answer:
        """As `service.changes`."""
        items = tuple(self.log[seq] for seq in range(after + 1, self.seq + 1) if seq in self.log)[:most]
        if items and items[0].seq != after + 1:
            items = ()
        return Answer(self.epoch, self.first_kept, items)

    def find(self, keys: tuple[str, ...]) -> Found:
        """As `service.find_records`."""
        state = self.state
        numbers = {state.keys[key] for key in keys if key in state.keys}
        missing = tuple(key for key in keys if key not in state.keys)
        return Found(self.epoch, self.seq, missing, b"".join(state.customers[one] for one in sorted(numbers)))
