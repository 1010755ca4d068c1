"""The hub's side of one conversation, as `docs/format/stream.md` says. No socket, no clock, no thread.

The shell does what the actions say, tells the session what came of it, and after each of these calls
`go_on` until that gives nothing more::

    session.receive(message, now)        a whole message of the host
    session.go_on(now)                   what is next for this host, if it can be sent anything
    session.writable = False / True      the transport's buffer is over its bound, or is not any more
    session.tick(now)                    once per `heartbeat_ms`
    session.end(code, …)                 the hub ends it: another connection of the host, a token, a drain

A session holds a cursor and no data: what is sent is read from the ring, the change log or a snapshot's file
when the transport can take it.

States::

    HELLO ─► LOOKING ─► LIVE                  what the host lacks is in the ring
                    └─► WAITING ─► LOG ─► LIVE       it is in the change log
                               └─► OPENING ─► PIECES ─► LOG or LIVE     a snapshot
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from fastcheck.errors import ProtocolError
from fastcheck.hub.stream.actions import (
    Action,
    Actions,
    End,
    Enter,
    Find,
    FoundRecords,
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
from fastcheck.hub.stream.ring import LoggedChange, Ring, joined, messages_of
from fastcheck.hub.stream.websocket import binary
from fastcheck.wire.frames import (
    ALL,
    BUSY,
    DELTA,
    DETAIL_BYTES_MAX,
    EPOCH,
    FULL,
    IDLE,
    MALFORMED,
    NONE,
    ON_DEMAND,
    RECORDS_BYTES_MAX,
    TOO_LARGE,
    TOO_SLOW,
    UNEXPECTED,
    WANTS_KEPT_MAX,
    Ack,
    Commit,
    Found,
    FromHost,
    Goodbye,
    Have,
    Heartbeat,
    Hello,
    Intent,
    Nack,
    Piece,
    Refused,
    Want,
    decode,
    encode,
)
from fastcheck.wire.unhandled import unhandled

PIECE_BYTES: Final = 256 << 10
"""Of a snapshot, in one message."""
LOG_BYTES: Final = 1 << 20
"""Of the change log, in one read."""
TRANSFER_COST: Final = PIECE_BYTES * 4
"""What a snapshot's transfer holds in memory: a piece, its message, the transport's buffer."""
LOG_COST: Final = LOG_BYTES * 4
"""The same of a read of the log."""
HEARTBEATS_UNANSWERED_MAX: Final = 3
RETRY_MS: Final = 5_000
"""Before a host comes again that ended for a reason of its own."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long things may take, ms."""

    heartbeat_ms: int = 5_000
    hello_ms: int = 10_000
    """From the handshake to the hello."""
    wait_ms: int = 60_000
    """For the tail, a place, or a snapshot that is being made."""
    stall_ms: int = 30_000
    """A transfer of which the host takes nothing."""
    apply_ms: int = 120_000
    """From the commit of a snapshot to the host's ack: it loads all customers meanwhile."""


_NOTHING: Final = ()


class State(Enum):
    """Where a conversation is."""

    HELLO = "hello"
    LOOKING = "looking"
    WAITING = "waiting"
    OPENING = "opening"
    PIECES = "pieces"
    LOG = "log"
    LIVE = "live"
    CLOSED = "closed"


class Session:
    """One conversation."""

    __slots__ = (
        "_apply_until", "_asked", "_digest", "_epoch", "_finding", "_have", "_intended", "_jitter", "_looked",
        "_moved_at", "_next", "_offset", "_reading", "_ring", "_snapshot", "_times", "_unanswered", "_wants",
        "acked", "host", "mode", "seq", "software", "state", "writable",
    )  # fmt: skip

    def __init__(self, ring: Ring, times: Times, jitter: Callable[[int], int], now_ms: int) -> None:
        """`jitter(n)` gives a random number of 0 to n."""
        self._ring = ring
        self._times = times
        self._jitter = jitter
        self.state = State.HELLO
        self.host = ""
        self.software = ""
        self.mode = ALL
        self.writable = True
        """Set by the shell."""
        self.seq = 0
        """The cursor: everything up to here was written to the socket, once there was an intent."""
        self.acked = -1
        """What the host last said to be visible."""
        self._digest = 0  # After `seq`.
        self._epoch = 0  # Of the intent; 0 before it.
        self._have: Have | None = None
        self._looked = False
        self._intended = False
        self._next = State.LOG  # What the place is for.
        self._reading = False  # A piece or a part of the log is being read.
        self._snapshot: Snapshot | None = None
        self._offset = 0
        self._wants: deque[Want] | None = None
        self._asked = -1  # The highest id of a question.
        self._finding = False
        self._unanswered = 0
        self._moved_at = now_ms  # When something was last sent, or the state changed.
        self._apply_until = 0

    @property
    def closed(self) -> bool:
        """Whether nothing more is said."""
        return self.state is State.CLOSED

    @property
    def open_wants(self) -> int:
        """Questions that wait for their answer."""
        return 0 if self._wants is None else len(self._wants)

    # What comes from the host.

    def receive(self, message: bytes, now_ms: int) -> Actions:
        """A whole message. One that is not as it must be ends the conversation, and nothing of it counts."""
        if self.closed:
            return _NOTHING
        try:
            frames = decode(message, from_hub=False)
        except Refused as refused:
            return self.end(refused.code, refused.detail, RETRY_MS)
        actions: list[Action] = []
        for frame in frames:
            actions += self._frame(frame, now_ms)
            if self.closed:
                break
        return actions

    def _frame(self, frame: FromHost, now_ms: int) -> Actions:
        if not self._intended and not isinstance(frame, Hello):
            return self._unexpected(f"a {type(frame).__name__.lower()} before the hub said what follows")
        match frame:
            case Ack():
                return self._ack(frame)
            case Want():
                return self._want(frame)
            case Nack():
                self.state = State.CLOSED
                return (Tell("nack", f"{frame.code} at {frame.seq}: {frame.detail}"), Leave(), End(""))
            case Hello():
                return self._hello(frame, now_ms)
            case _:
                unhandled(frame)

    def _hello(self, hello: Hello, now_ms: int) -> Actions:
        if self.state is not State.HELLO:
            return self._unexpected("a second hello")
        self.host, self.mode = hello.host, hello.mode
        self.software = hello.software
        self._have = hello.have
        self._enter_state(State.LOOKING, now_ms)
        return (Greeted(hello.host), *self._decide(now_ms))

    def _ack(self, ack: Ack) -> Actions:
        if ack.seq > self.seq:
            return self._unexpected(f"an ack of {ack.seq}, and nothing after {self.seq} was sent")
        self.acked = ack.seq
        self._unanswered = 0
        self._apply_until = 0
        known = self._ring.digest_at(ack.seq) if self._epoch == self._ring.epoch else None
        if self.mode == ALL and known is not None and known != ack.digest:
            return (Tell("digest", f"of {ack.seq}: the host has {ack.digest}, the ledger {known}"),)
        return _NOTHING

    def _want(self, want: Want) -> Actions:
        if self.mode != ON_DEMAND:
            return self._unexpected("a host that holds all customers asks for some")
        if want.id <= self._asked:
            return self.end(MALFORMED, f"ids count up, and {want.id} follows {self._asked}", RETRY_MS)
        if self._wants is None:
            self._wants = deque()
        if len(self._wants) >= WANTS_KEPT_MAX:
            return self._unexpected(f"more than {WANTS_KEPT_MAX} questions are open")
        self._asked = want.id
        self._wants.append(want)
        return _NOTHING

    def _unexpected(self, detail: str) -> Actions:
        return self.end(UNEXPECTED, detail, RETRY_MS)

    # How the host gets what it lacks.

    def looked(self, now_ms: int) -> Actions:
        """The tail has looked, after it was asked to."""
        if self.state is not State.LOOKING:
            return _NOTHING
        self._looked = True
        return self._decide(now_ms)

    def _decide(self, now_ms: int) -> Actions:
        ring, have = self._ring, self._have
        if ring.epoch == 0:
            return self._busy("the ledger cannot be read at the moment") if self._looked else (Look(),)
        if ring.catalog is None:
            return self._busy("the hub has no catalog yet: put one first")
        if have is None:
            return self._everything("it has nothing", now_ms)
        if have.epoch != ring.epoch:
            return self._everything("it is of another epoch", now_ms)
        if have.seq > ring.seq:
            if not self._looked:
                return (Look(),)  # Another hub may have told it of a change that this one has not seen yet.
            told = Tell("ahead", f"the host is at {have.seq}, the ledger at {ring.seq}")
            return (told, *self._everything("it is ahead of the ledger", now_ms))
        known = ring.digest_at(have.seq)
        if self.mode == ALL and known is not None and known != have.digest:
            told = Tell("digest", f"of {have.seq}: the host has {have.digest}, the ledger {known}")
            return (told, *self._everything("its digest is another", now_ms))
        self.seq, self._digest = have.seq, have.digest
        if have.seq >= ring.first:
            self._enter_state(State.LIVE, now_ms)
            return (self._intent(NONE if have.seq == ring.seq else DELTA, now_ms),)
        if have.seq >= ring.log_first:
            return self._ask_place(State.LOG, now_ms)
        return self._everything("the change log does not go back so far", now_ms)

    def _everything(self, why: str, now_ms: int) -> Actions:
        told = Tell("full", why)
        if self.mode == ALL:
            return (told, *self._ask_place(State.OPENING, now_ms))
        ring = self._ring
        self.seq, self._digest = ring.seq, ring.digest
        self._enter_state(State.LIVE, now_ms)
        commit = encode(Commit(ring.epoch, ring.seq, ring.digest, now_ms))
        *parts, last = [*ring.catalog_frames(), commit]
        return (
            told,
            self._intent(FULL, now_ms),
            *(Send(binary((part,))) for part in parts),
            Send(binary((last,))),
        )

    def _ask_place(self, purpose: State, now_ms: int) -> Actions:
        self._next = purpose
        self._enter_state(State.WAITING, now_ms)
        return (Enter(LOG_COST if purpose is State.LOG else TRANSFER_COST),)

    def admitted(self, now_ms: int) -> Actions:
        """There is a place."""
        if self.state is not State.WAITING:
            return (Leave(),)
        self._enter_state(self._next, now_ms)
        if self._next is State.OPENING:
            return (OpenSnapshot(),)
        return _NOTHING if self._intended else (self._intent(DELTA, now_ms),)

    def turned_away(self, retry_after_ms: int) -> Actions:
        """There is no place, not even in the line."""
        return self.end(BUSY, "more hosts are being served than there are places", retry_after_ms)

    def snapshot_opened(self, snapshot: Snapshot, now_ms: int) -> Actions:
        """The snapshot to send, which stays open until `Leave`."""
        if self.state is not State.OPENING:
            return (Leave(),)
        if snapshot.epoch != self._ring.epoch:
            return self._other_epoch()
        self._snapshot, self._offset = snapshot, 0
        self.seq, self._digest = snapshot.seq, snapshot.digest
        self._enter_state(State.PIECES, now_ms)
        return (self._intent(FULL, now_ms, snapshot.customers, snapshot.size),)

    def piece_read(self, offset: int, data: bytes, now_ms: int) -> Actions:
        """What `ReadPiece` asked for."""
        self._reading = False
        snapshot = self._snapshot
        if self.state is not State.PIECES or snapshot is None:
            return _NOTHING
        if not data:
            return self._busy("the snapshot's file is shorter than it was")
        self._moved_at = now_ms
        self._offset = offset + len(data)
        piece = encode(Piece(offset, data))
        if self._offset < snapshot.size:
            return (Send(binary((piece,))),)
        commit = encode(Commit(snapshot.epoch, snapshot.seq, snapshot.digest, snapshot.at_ms))
        self._snapshot = None
        self._apply_until = now_ms + self._times.apply_ms
        self._enter_state(State.LIVE, now_ms)
        return (Send(binary((piece, commit))), Leave())

    def log_read(self, epoch: int, first_kept: int, changes: Sequence[LoggedChange], now_ms: int) -> Actions:
        """What `ReadLog` asked for; `first_kept` is the lowest number in the log."""
        self._reading = False
        if self.state is not State.LOG:
            return _NOTHING
        if epoch != self._epoch:
            return self._other_epoch()
        numbers = range(self.seq + 1, self.seq + 1 + len(changes))
        if first_kept > self.seq + 1 or not changes or [one.seq for one in changes] != list(numbers):
            return self._too_slow()
        try:
            data = joined([messages_of(epoch, change) for change in changes])
        except ProtocolError as error:
            return self._busy(str(error))
        self.seq, self._digest = changes[-1].seq, changes[-1].digest
        self._moved_at = now_ms
        if self.seq < self._ring.first:
            return (Send(data),)
        self._enter_state(State.LIVE, now_ms)
        return (Send(data), Leave())

    def found(self, answer: FoundRecords) -> Actions:
        """What `Find` asked for."""
        self._finding = False
        if self.state is State.CLOSED or not self._wants:
            return _NOTHING
        want = self._wants.popleft()
        if answer.epoch != self._epoch:
            return self._other_epoch()
        if len(answer.records) > RECORDS_BYTES_MAX:
            return self.end(
                TOO_LARGE, f"the {len(want.keys)} customers asked for are too large for one frame", RETRY_MS
            )
        frame = Found(want.id, answer.seq, tuple(answer.missing), answer.records)
        return (Send(binary((encode(frame),))),)

    def failed(self, detail: str) -> Actions:
        """What was asked for cannot be read. `detail` is shown to the host."""
        self._reading = self._finding = False
        return _NOTHING if self.state is State.CLOSED else self._busy(detail)

    # What goes to the host.

    def go_on(self, now_ms: int) -> Actions:
        """What is next; nothing while the transport takes nothing, or something is being read."""
        if not self.writable:
            return _NOTHING
        state = self.state
        if state is State.LIVE:
            actions = self._live(now_ms)
            if actions:
                return actions
        elif self._reading:
            return self._find()
        elif state is State.LOG:
            self._reading = True
            return (ReadLog(self.seq),)
        elif state is State.PIECES and self._snapshot is not None:
            self._reading = True
            return (ReadPiece(self._offset, min(PIECE_BYTES, self._snapshot.size - self._offset)),)
        return self._find()

    def _live(self, now_ms: int) -> Actions:
        ring = self._ring
        if ring.epoch != self._epoch:
            return self._other_epoch()
        if self.seq >= ring.seq:
            return _NOTHING
        run = ring.after(self.seq)
        if run is not None:
            self.seq, self._digest = run.seq, run.digest
            self._moved_at = now_ms
            return (Send(run.data),)
        if self.seq >= ring.log_first:
            return self._ask_place(State.LOG, now_ms)
        return self._too_slow()

    def _find(self) -> Actions:
        if self._finding or not self._wants or self.state is State.CLOSED:
            return _NOTHING
        self._finding = True
        return (Find(self._wants[0].keys),)

    def tick(self, now_ms: int) -> Actions:
        """Shows life, and ends what takes too long."""
        times, idle_ms = self._times, now_ms - self._moved_at
        state = self.state
        if state is State.LIVE:
            if self._unanswered >= HEARTBEATS_UNANSWERED_MAX and now_ms >= self._apply_until:
                return self.end(IDLE, f"{self._unanswered} heartbeats were not answered", 0)
            self._unanswered += 1
            if not self.writable:
                return _NOTHING
            beat = Heartbeat(now_ms, self._epoch, self.seq, self._digest)
            return (Send(binary((encode(beat),))),)
        if state is State.HELLO and idle_ms >= times.hello_ms:
            return self.end(IDLE, f"no hello within {times.hello_ms} ms", RETRY_MS)
        if state in (State.LOOKING, State.WAITING, State.OPENING) and idle_ms >= times.wait_ms:
            return self._busy("the hub did not come to serve this host in time")
        if state in (State.LOG, State.PIECES) and idle_ms >= times.stall_ms:
            return self._too_slow()
        return _NOTHING

    # The end.

    def end(self, code: str, detail: str, retry_after_ms: int) -> Actions:
        """Says goodbye. Again: nothing."""
        if self.state is State.CLOSED:
            return _NOTHING
        self.state = State.CLOSED
        self._wants = self._snapshot = None
        shown = detail.encode()[:DETAIL_BYTES_MAX].decode(errors="ignore")
        return (Send(binary((encode(Goodbye(code, shown, retry_after_ms)),))), Leave(), End(code))

    def _busy(self, detail: str) -> Actions:
        return self.end(BUSY, detail, RETRY_MS + self._jitter(RETRY_MS))

    def _other_epoch(self) -> Actions:
        return self.end(EPOCH, "the ledger is in another epoch now", self._jitter(RETRY_MS))

    def _too_slow(self) -> Actions:
        return self.end(
            TOO_SLOW, f"what follows change {self.seq} is not kept any more, or was not taken in time", 0
        )

    def _intent(self, kind: int, now_ms: int, customers: int = 0, size: int = 0) -> Send:
        ring = self._ring
        self._epoch = ring.epoch
        self._intended = True
        to = max(ring.seq, self.seq)
        intent = Intent(kind, ring.epoch, self.seq, to, now_ms, self._times.heartbeat_ms, customers, size)
        return Send(binary((encode(intent),)))

    def _enter_state(self, state: State, now_ms: int) -> None:
        self.state = state
        self._moved_at = now_ms
