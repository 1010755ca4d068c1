"""A host of the world: the product's protocol and replicas over a disk, and the shell around them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from fastcheck.clock import ManualClock
from fastcheck.host.changes import Ring
from fastcheck.host.following.events import Ended
from fastcheck.host.following.on_demand import HeldReplica
from fastcheck.host.following.protocol import Stream
from fastcheck.host.following.replica import Replica
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused

from .disk import Disk, Killed, Rows, summed
from .ledger import record

if TYPE_CHECKING:
    from .hub import Link
    from .ledger import Ledger

DRIFTED = 1_000_000
"""A revision that no record of the ledger has."""
CAPACITY = 5
"""Customers that a host on demand holds, of twelve."""


class _CatalogFiles:
    """`stream.catalog_file` without a disk: the directory's name says whose file it is."""

    def __init__(self) -> None:
        self.files: dict[Path, tuple[bytes, str]] = {}
        self.disks: dict[Path, Disk] = {}

    def read(self, path: Path) -> tuple[bytes, str] | None:
        """As the product's."""
        return self.files.get(path)

    def write(self, path: Path, source: bytes, filename: str) -> None:
        """As the product's: at once or not at all."""
        self.disks[path.parent].step()
        self.files[path] = source, filename


FILES = _CatalogFiles()


class Host:
    """One directory, and the process that owns it, if there is one."""

    def __init__(self, name: str, ledger: Ledger, choose: random.Random, *, on_demand: bool) -> None:
        self.name, self.ledger, self.choose, self.on_demand = name, ledger, choose, on_demand
        self.disk = Disk()
        self.directory = Path("/world") / name
        FILES.disks[self.directory] = self.disk
        FILES.files.pop(self.directory / "catalog", None)
        self.replica: Replica | HeldReplica | None = None
        self.stream: Stream | None = None
        self.link: Link | None = None
        self.refused: str = ""
        self.drifted = False
        self.answers: dict[str, bool] = {}
        self.asked: dict[str, tuple[int, int]] = {}
        """Key -> when it was asked for, by the ledger's (epoch, seq)."""
        self.refusals = 0
        self.applied = 0

    # The process.

    def start(self) -> None:
        """Begins a process, as far as it comes."""
        clock, ring = ManualClock(self.ledger.now), Ring(0)
        if self.on_demand:
            replica: Replica | HeldReplica = HeldReplica(
                self.directory, self.disk.natives(), clock, ring, None, customers_max=CAPACITY
            )
            assert isinstance(replica, HeldReplica)
            replica.settled = self._settled
        else:
            replica = Replica(self.directory, self.disk.natives(), clock, ring, None)
        try:
            replica.open()
        except Killed:
            return
        self.replica = replica

    def _settled(self, keys: dict[str, bool]) -> None:
        self.answers.update(keys)

    def kill(self) -> None:
        """SIGKILL, now."""
        self.cut()
        self.replica = None
        self.disk.countdown = None
        self.asked.clear()
        self.answers.clear()

    def connect(self, link: Link) -> None:
        """A connection was made: says hello."""
        assert self.replica is not None
        self.replica.stream_begins()
        self.link = link
        self.stream = Stream(
            self.name, self.replica.arena, self.replica.mode, self.replica.have, self.ledger.now
        )
        link.to_hub.put(self.stream.hello(), link.hub.rough)

    def cut(self) -> None:
        """The connection breaks; what is on its way is gone."""
        link, self.link = self.link, None
        self.stream = None
        if link is not None:
            if link in link.hub.links:
                link.hub.links.remove(link)
            if self.replica is not None:
                self.replica.ended()

    def receive(self) -> None:
        """Takes the next message, as the product's shell does."""
        link, stream, replica = self.link, self.stream, self.replica
        assert link is not None
        assert stream is not None
        assert replica is not None
        message = link.to_host.messages.popleft()
        try:
            self._take(link, stream, replica, message)
        except Killed:
            self.kill()

    def _take(self, link: Link, stream: Stream, replica: Replica | HeldReplica, message: bytes) -> None:
        try:
            for event in stream.receive(message, self.ledger.now):
                if isinstance(event, Ended):
                    self.cut()
                    return
                at = replica.apply(event)
                if at is not None:
                    stream.applied(at)
                    self.applied += 1
                    if stream._announced[0] == replica.visible:
                        self.drifted = False  # Else it differs, or is ahead and was not compared.
                replica.keep(event)
            answer = stream.answer(replica.visible)
        except Refused as refused:
            self.refusals += 1
            if refused.code in (frames.GAP, frames.EPOCH, frames.DIGEST) or (
                refused.code != frames.REFUSED and refused.code == self.refused
            ):
                replica.forget()
            self.refused = refused.code
            link.to_hub.put(stream.refuse(refused.code, refused.detail), link.hub.rough)
            while link.to_hub.messages and self.choose.random() < 0.5:
                link.receive()  # What was sent may arrive before the end is noticed.
            self.cut()
            return
        if answer is not None:
            self.refused = ""
            if replica.visible == stream._at:
                self.drifted = False  # It was compared for the answer.
            link.to_hub.put(answer, link.hub.rough)
        self._ask(link, stream, replica)

    def _ask(self, link: Link, stream: Stream, replica: Replica | HeldReplica) -> None:
        if isinstance(replica, HeldReplica):
            for question in replica.ask(stream):
                link.to_hub.put(question, link.hub.rough)

    def want(self, key: str) -> None:
        """Somebody checks a customer that is not held."""
        replica = self.replica
        assert isinstance(replica, HeldReplica)
        if replica.demand.known_missing(key) or not replica.demand.ask(key):
            return
        self.asked.setdefault(key, (self.ledger.epoch, self.ledger.seq))
        if self.link is not None and self.stream is not None:
            self._ask(self.link, self.stream, replica)

    def drift(self) -> None:
        """A record in the arena becomes another, though nobody changed it."""
        rows, replica = self.disk.rows, self.replica
        owner = None if replica is None else replica._owner
        if self.on_demand or owner is None or rows is None or not rows.customers:
            return
        number = min(rows.customers)
        other = {**rows.customers, number: record(number, DRIFTED, ())}
        self.disk.rows = Rows(rows.epoch, rows.seq, summed(other), other, rows.catalog, rows.on_demand)
        owner._rows = self.disk.rows  # type: ignore[attr-defined]
        self.drifted = True

    # The oracle.

    def check(self) -> None:
        """What checks see is a state that the ledger was in, exactly."""
        self._check_answers()
        rows = self.disk.rows
        if rows is None or self.drifted or rows.epoch == 0:
            return
        state = self.ledger.states[(rows.epoch, rows.seq)]
        following = self.ledger.states.get((rows.epoch, rows.seq + 1))
        catalogs = {f"catalog {one.catalog}" for one in (state, following) if one is not None}
        assert rows.catalog in catalogs, f"{self.name}: {rows.catalog} at {rows.seq}, not of {catalogs}"
        if self.on_demand:
            self._check_held(rows)
            return
        assert rows.customers == state.customers, f"{self.name} is not at {rows.epoch}, {rows.seq}"
        assert rows.digest == state.digest

    def _check_held(self, rows: Rows) -> None:
        """Each customer is as the arena's change left them; while everything is fetched anew, customers that
        are met for the first time are newer than that."""
        at = (rows.epoch, rows.seq)
        later = [state for when, state in self.ledger.states.items() if when > at]
        exact = self.ledger.states[at]
        for number, data in rows.customers.items():
            if exact.customers.get(number) != data:
                newer = any(state.customers.get(number) == data for state in later)
                assert newer, f"{self.name}: {number} was never so since change {rows.seq}"

    def _check_answers(self) -> None:
        """Each answer was true at some instant between question and answer."""
        for key, there in self.answers.items():
            since = self.asked.pop(key, None)
            if since is None:
                continue
            until = (self.ledger.epoch, self.ledger.seq)
            seen = {key in state.keys for at, state in self.ledger.states.items() if since <= at <= until}
            assert there in seen or not there, f"{self.name}: {key} was never {there} since {since}"
        self.answers.clear()

    @property
    def current(self) -> bool:
        """Whether it is connected, and checks see the ledger's last change."""
        ledger, rows = self.ledger, self.disk.rows
        if self.link is None or self.stream is None or rows is None or self.drifted:
            return False
        return Have(rows.epoch, rows.seq, 0) == Have(ledger.epoch, ledger.seq, 0)
