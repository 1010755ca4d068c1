"""A hub of the world: the product's ring and sessions, and a shell that does what their actions say, in its
own time."""

from __future__ import annotations

import pickle
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastcheck.hub.stream.actions import (
    Actions,
    End,
    Enter,
    Find,
    Greeted,
    Leave,
    Look,
    OpenSnapshot,
    ReadLog,
    ReadPiece,
    Send,
    Snapshot,
    Tell,
)
from fastcheck.hub.stream.ring import Ring
from fastcheck.hub.stream.session import Session, Times
from fastcheck.wire import frames

from .disk import Stored
from .ledger import Ledger, catalog_text
from .network import Pipe, payloads

if TYPE_CHECKING:
    from .host import Host

TIMES = Times(heartbeat_ms=1_000, hello_ms=10_000, wait_ms=20_000, stall_ms=30_000, apply_ms=30_000)


class Link:
    """One connection, as the hub's side holds it."""

    def __init__(self, hub: Hub, host: Host, faults: Counter[str]) -> None:
        self.hub, self.host = hub, host
        self.session = Session(hub.ring, TIMES, lambda most: hub.choose.randint(0, most), hub.ledger.now)
        self.to_host = Pipe(hub.choose, faults)
        self.to_hub = Pipe(hub.choose, faults)
        self.pending: deque[Callable[[], Actions]] = deque()
        self.closing = False
        self._file = b""
        self._ticked_at = hub.ledger.now

    def act(self, actions: Actions) -> None:
        """Does what is said, then what is next, until there is nothing."""
        while actions:
            for action in actions:
                self._do(action)
            actions = self.session.go_on(self.hub.ledger.now)

    def advance(self) -> None:
        """The ring moved."""
        self.act(self.session.go_on(self.hub.ledger.now))

    def tick(self) -> None:
        """Once per heartbeat, as the product's shell does."""
        now = self.hub.ledger.now
        if now - self._ticked_at >= TIMES.heartbeat_ms:
            self._ticked_at = now
            self.act(self.session.tick(now))

    def receive(self) -> None:
        """Takes the next message of the host."""
        self.act(self.session.receive(self.to_hub.messages.popleft(), self.hub.ledger.now))

    def _do(self, action: object) -> None:
        hub, session, later = self.hub, self.session, self.pending.append
        ledger = hub.ledger
        match action:
            case Send(data):
                for payload in payloads(data):
                    self.to_host.put(payload, hub.rough)
            case Greeted():
                hub.greeted(self)
            case Look():
                later(lambda: (hub.pump(), session.looked(ledger.now))[1])
            case Enter():
                if hub.choose.random() < 0.05:
                    later(lambda: session.turned_away(100))
                else:
                    later(lambda: session.admitted(ledger.now))
            case ReadLog(seq):
                later(lambda: self._read_log(seq))
            case OpenSnapshot():
                later(self._open)
            case ReadPiece(offset, size):
                later(lambda: session.piece_read(offset, self._file[offset : offset + size], ledger.now))
            case Find(keys):
                later(lambda: session.found(ledger.find(keys)))
            case Tell(what, _):
                hub.told[what] += 1
            case End():
                self.closing = True
            case Leave():
                pass
            case _:
                raise AssertionError(action)

    def _read_log(self, seq: int) -> Actions:
        if self.hub.choose.random() < 0.03:
            return self.session.failed("the database is away")
        found = self.hub.ledger.changes(seq, self.hub.choose.randint(1, 4))
        return self.session.log_read(found.epoch, found.first_kept, found.items, self.hub.ledger.now)

    def _open(self) -> Actions:
        snapshot, self._file = self.hub.snapshot()
        return self.session.snapshot_opened(snapshot, self.hub.ledger.now)


class Hub:
    """One process."""

    def __init__(self, ledger: Ledger, choose: random.Random) -> None:
        self.ledger, self.choose = ledger, choose
        self.links: list[Link] = []
        self.told: Counter[str] = Counter()
        self.rough = 0.0
        self._file: tuple[Snapshot, bytes] | None = None
        self.restart()

    def restart(self) -> None:
        """The process is killed, and another begins."""
        for link in list(self.links):
            link.host.cut()
        self.links.clear()
        self.ring = Ring(bytes_max=600, changes_max=6)
        self._file = None

    def pump(self) -> None:
        """What the tail does: the log into the ring."""
        ledger, ring = self.ledger, self.ring
        found = ledger.changes(ring.seq)
        if ring.epoch == 0 or found.epoch != ring.epoch or found.first_kept > ring.seq + 1:
            state = ledger.state
            ring.begin(ledger.epoch, ledger.seq, state.digest, catalog_text(state.catalog))
            return
        ring.log_first = found.first_kept - 1
        for change in found.items:
            ring.append(change)

    def publish(self) -> None:
        """Everybody who can take it is sent what is new."""
        for link in list(self.links):
            link.advance()

    def greeted(self, link: Link) -> None:
        """A host that is connected twice keeps its newer connection."""
        for other in self.links:
            if other is not link and other.session.host == link.session.host:
                other.act(other.session.end(frames.REPLACED, "the same host connected again", 0))

    def snapshot(self) -> tuple[Snapshot, bytes]:
        """A snapshot's file, as of now or of a while ago."""
        ledger, kept = self.ledger, self._file
        old = kept is None or kept[0].epoch != ledger.epoch or kept[0].seq + 1 < ledger.first_kept
        if kept is None or old or kept[0].seq > ledger.seq or self.choose.random() < 0.5:
            state = ledger.state
            text = catalog_text(state.catalog)
            content = pickle.dumps(
                Stored(ledger.epoch, ledger.seq, state.digest, state.customers, text.source, text.filename)
            )
            self._file = kept = (
                Snapshot(
                    ledger.epoch, ledger.seq, state.digest, len(state.customers), len(content), ledger.now
                ),
                content,
            )
        return kept
