"""The host's side of the conversation, as ``docs/format/stream.md`` says: bytes in, events and bytes out.

No sockets and no clock: time is an argument. Who holds the socket does

- ``send(stream.hello())``;
- for each message: ``receive`` it, apply the events in order, say ``applied`` what each made visible, and
  send what ``answer`` gives;
- now and then: ``tick``;
- on `Refused`, from here or from what applies: send what ``refuse`` gives and hang up.

A refused message counts as a whole for nothing; a stream that refused takes no other."""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from fastcheck.host.following.events import (
    Apply,
    BeginFull,
    CompleteFull,
    Ended,
    Event,
    FoundCustomers,
    Fresh,
    PieceCame,
    Step,
)
from fastcheck.wire import frames
from fastcheck.wire.frames import Have, Refused
from fastcheck.wire.unhandled import unhandled

INTENT_WAIT_MS: Final = 120_000
"""How long the hub may let a host wait for its intent: a herd stands in line, but not for ever."""
HEARTBEATS_MISSED: Final = 3
"""A hub that was not heard for so many heartbeats is gone."""
HEARTBEAT_MS_MAX: Final = 300_000
"""The longest heartbeat that a hub may announce; more would be no sign of life."""
CHANGE_BYTES_MAX: Final = 32 << 20
"""Bytes of the records of one change: what a host keeps of a change that is not committed yet."""
JOIN_BYTES_MAX: Final = 4 << 20
"""Changes are joined up to so many bytes of records: one step into the arena, not too long a one."""
SNAPSHOT_BYTES_MAX: Final = 64 << 30
"""Bytes of a snapshot's file."""
WANTS_ASKED_MAX: Final = 8
"""Questions at once, fewer than a hub keeps. Each answer may have `RECORDS_BYTES_MAX`, and may have to wait
for the stream."""


class State(enum.Enum):
    """Where the conversation is."""

    NEW = "new"
    GREETED = "greeted"
    """Hello was said; the intent is awaited."""
    RECEIVING = "receiving"
    """Pieces of a snapshot, then its commit."""
    LIVE = "live"
    """Changes, one after the other."""
    ENDED = "ended"


class Stream:
    """One conversation with a hub."""

    def __init__(
        self, host: str, arena: int, mode: int, have: Have | None, now_ms: int, *, software: str = ""
    ) -> None:
        self.state = State.NEW
        self._hello = frames.Hello(host, arena, have, mode, software)
        self._whole = mode == frames.ALL
        self._heard_at = now_ms
        self._heartbeat_ms = 0
        self._message_bytes_max = frames.HUB_MESSAGE_BYTES_MAX
        # Where the stream stands: after the last commit that came.
        self._at: Have | None = None
        # What commits announced and is not known to be visible; the first is what was visible last.
        self._announced: deque[Have] = deque()
        self._refused_seq: int | None = None
        self._owes_answer = False
        # The change that is not committed yet.
        self._records: list[bytes] = []
        self._records_bytes = 0
        self._catalog: _Catalog | None = None
        # Changes of the present message that are joined.
        self._run: list[Step] = []
        self._run_bytes = 0
        self._run_at_ms = 0
        # The snapshot that is being received.
        self._full: frames.Intent | None = None
        self._received = 0
        # Freshness: current from `to` on, as of the newest instant of the hub's.
        self._to = 0
        self._fresh_at_ms = 0
        self._fresh_told = False
        # On demand.
        self._wants: dict[int, tuple[str, ...]] = {}
        self._next_want = 1

    # What is sent.

    def hello(self) -> bytes:
        """The first message; said once."""
        if self.state is not State.NEW:
            raise ValueError("hello is said once")
        self.state = State.GREETED
        return frames.encode(self._hello)

    def applied(self, have: Have) -> None:
        """Says what is visible after an event. Raises `Refused` where that is not what the hub announced."""
        while len(self._announced) > 1 and self._announced[1].seq <= have.seq:
            self._announced.popleft()
        expected = self._announced[0]
        if (have.epoch, have.seq) != (expected.epoch, expected.seq):
            raise Refused(
                frames.GAP, f"{_place(have)} is visible where the stream made it {_place(expected)}"
            )
        if self._whole and have.digest != expected.digest:
            self._refused_seq = expected.seq
            raise Refused(
                frames.DIGEST,
                f"after change {have.seq} the records here sum up to {have.digest:016x}, "
                f"at the hub to {expected.digest:016x}",
            )

    def answer(self, visible: Have) -> bytes | None:
        """The acknowledgement of the message received last; None where it asks for none. It says what is
        visible in the hub's terms: no more than the hub has told, nothing of another epoch. A heartbeat asks
        for one, so what is visible is compared with the hub's digest then, too. Raises `Refused`."""
        if not self._owes_answer or self._at is None or self.state is State.ENDED:
            return None
        if self._announced and self._announced[0].seq == visible.seq and self._at.epoch == visible.epoch:
            self.applied(visible)
        self._owes_answer = False
        if visible.epoch != self._at.epoch:
            return frames.encode(frames.Ack(0, 0))
        if visible.seq > self._at.seq:
            visible = self._at
        return frames.encode(frames.Ack(visible.seq, visible.digest))

    def refuse(self, code: str, detail: str) -> bytes:
        """The last message: why what came is refused. The stream is over."""
        seq = self._refused_seq
        if seq is None:
            seq = self._announced[0].seq if self._announced else 0
        self.state = State.ENDED
        cut = detail.encode("utf-8", "replace").replace(b"\0", b"?")[: frames.DETAIL_BYTES_MAX]
        return frames.encode(frames.Nack(seq, code, cut.decode("utf-8", "ignore")))

    @property
    def wants_left(self) -> int:
        """How many questions may be asked now."""
        if self._whole or self.state is not State.LIVE:
            return 0
        return WANTS_ASKED_MAX - len(self._wants)

    def want(self, keys: tuple[str, ...]) -> tuple[int, bytes]:
        """Asks for customers: the question's id, and the message. Only while `wants_left`."""
        if self.wants_left <= 0:
            raise ValueError("no question can be asked now")
        if not 0 < len(keys) <= frames.KEYS_PER_WANT_MAX:
            raise ValueError(f"1 to {frames.KEYS_PER_WANT_MAX} keys are asked for at once")
        id = self._next_want
        self._next_want += 1
        self._wants[id] = keys
        return id, frames.encode(frames.Want(id, keys))

    # What comes.

    def tick(self, now_ms: int) -> Ended | None:
        """`Ended` where the hub was not heard for too long; then the stream is over."""
        waiting = self.state is State.GREETED
        bound_ms = INTENT_WAIT_MS if waiting else HEARTBEATS_MISSED * self._heartbeat_ms
        if self.state in (State.NEW, State.ENDED) or now_ms - self._heard_at <= bound_ms:
            # A clock that was set back must not make a dead hub live for as long.
            self._heard_at = min(self._heard_at, now_ms)
            return None
        self.state = State.ENDED
        return Ended(frames.IDLE, f"the hub was not heard for {(now_ms - self._heard_at) / 1_000:.1f} s")

    def resume(self, now_ms: int) -> None:
        """The host was busy with what it had heard; silence counts from here."""
        self._heard_at = max(self._heard_at, now_ms)

    def receive(self, message: bytes, now_ms: int) -> list[Event]:
        """The events of a message, in order. Raises `Refused`: then nothing of the message counts."""
        if self.state in (State.NEW, State.ENDED):
            raise Refused(frames.UNEXPECTED, f"a message, but the stream is {self.state.value}")
        events: list[Event] = []
        try:
            if len(message) > self._message_bytes_max:
                raise Refused(
                    frames.TOO_LARGE,
                    f"a message of {len(message)} bytes, {self._message_bytes_max} were announced",
                )
            self._fresh_told = False
            for frame in frames.decode(message, from_hub=True):
                if events and isinstance(events[-1], Ended):
                    raise Refused(frames.UNEXPECTED, "a frame after goodbye")
                self._take(frame, events)
        except Refused:
            self.state = State.ENDED
            raise
        self._flush(events)
        self._heard_at = now_ms
        if self._fresh_told:
            events.append(Fresh(self._fresh_at_ms))
        return events

    def _take(self, frame: frames.FromHub, events: list[Event]) -> None:
        match frame:  # What comes most, first.
            case frames.Records():
                self._more(frame)
            case frames.Commit():
                self._commit(frame, events)
            case frames.Heartbeat():
                self._heartbeat(frame)
            case frames.Found():
                self._found(frame, events)
            case frames.Piece():
                self._piece(frame, events)
            case frames.CatalogPart():
                self._part(frame)
            case frames.Intent():
                self._intent(frame, events)
            case frames.Goodbye():
                self._goodbye(frame, events)
            case _:
                unhandled(frame)

    def _intent(self, intent: frames.Intent, events: list[Event]) -> None:
        if self.state is not State.GREETED:
            raise Refused(frames.UNEXPECTED, f"an intent, but the stream is {self.state.value}")
        if intent.heartbeat_ms > HEARTBEAT_MS_MAX:
            raise Refused(
                frames.TOO_LARGE, f"a heartbeat of {intent.heartbeat_ms} ms, at most {HEARTBEAT_MS_MAX}"
            )
        if intent.message_bytes_max > frames.HUB_MESSAGE_BYTES_MAX:
            raise Refused(
                frames.TOO_LARGE,
                f"messages of up to {intent.message_bytes_max} bytes are announced, "
                f"at most {frames.HUB_MESSAGE_BYTES_MAX} are taken",
            )
        self._heartbeat_ms = intent.heartbeat_ms
        self._message_bytes_max = intent.message_bytes_max
        self._to, self._fresh_at_ms = intent.seq_to, intent.hub_at_ms
        if intent.kind == frames.FULL:
            self._begin_full(intent, events)
        else:
            self._go_on(intent)

    def _begin_full(self, intent: frames.Intent, events: list[Event]) -> None:
        if intent.snapshot_bytes > SNAPSHOT_BYTES_MAX:
            raise Refused(
                frames.TOO_LARGE,
                f"a snapshot of {intent.snapshot_bytes} bytes, at most {SNAPSHOT_BYTES_MAX} are taken",
            )
        if (intent.snapshot_bytes > 0) is not self._whole:
            wrong = "no file" if self._whole else "a file, to a host on demand"
            raise Refused(frames.UNEXPECTED, f"a snapshot with {wrong}")
        self._full, self._received = intent, 0
        self.state = State.RECEIVING
        events.append(BeginFull(intent.snapshot_bytes, intent.customers))

    def _go_on(self, intent: frames.Intent) -> None:
        have = self._hello.have
        if have is None:
            raise Refused(frames.UNEXPECTED, "a host that has nothing needs a full transfer")
        if intent.epoch != have.epoch:
            raise Refused(frames.EPOCH, f"changes of epoch {intent.epoch} on top of {_place(have)}")
        if intent.seq_from != have.seq or (intent.kind == frames.NONE and intent.seq_to != have.seq):
            raise Refused(
                frames.GAP, f"changes {intent.seq_from} to {intent.seq_to} on top of {_place(have)}"
            )
        self._at = have
        self._announced.append(have)
        self.state = State.LIVE
        self._fresh_told = have.seq >= self._to

    def _part(self, part: frames.CatalogPart) -> None:
        self._changing("a catalog")
        if part.offset == 0:
            if self._catalog is not None:
                raise Refused(frames.UNEXPECTED, "two catalogs in one change")
            self._catalog = _Catalog(part.filename, part.size)
        if self._catalog is None:
            raise Refused(frames.UNEXPECTED, f"a catalog that begins at offset {part.offset}")
        self._catalog.add(part)

    def _more(self, records: frames.Records) -> None:
        self._changing("records")
        if self.state is State.RECEIVING:
            raise Refused(frames.UNEXPECTED, "records before the snapshot is complete")
        self._records_bytes += len(records.data)
        if self._records_bytes > CHANGE_BYTES_MAX:
            raise Refused(frames.TOO_LARGE, f"a change with more than {CHANGE_BYTES_MAX} bytes of records")
        self._records.append(records.data)

    def _changing(self, what: str) -> None:
        """A part of a change may come now. A snapshot has its catalog inside, unless it has no file."""
        if self.state is State.LIVE or (self.state is State.RECEIVING and not self._whole):
            return
        raise Refused(frames.UNEXPECTED, f"{what}, but the stream is {self.state.value}")

    def _piece(self, piece: frames.Piece, events: list[Event]) -> None:
        if self.state is not State.RECEIVING or self._full is None:
            raise Refused(frames.UNEXPECTED, f"a piece of a snapshot, but the stream is {self.state.value}")
        if piece.offset != self._received or not piece.data:
            raise Refused(
                frames.UNEXPECTED,
                f"{len(piece.data)} bytes of a snapshot at offset {piece.offset}, expected {self._received}",
            )
        if self._received + len(piece.data) > self._full.snapshot_bytes:
            raise Refused(
                frames.TOO_LARGE, f"more of a snapshot than the {self._full.snapshot_bytes} bytes announced"
            )
        self._received += len(piece.data)
        events.append(PieceCame(piece.offset, piece.data))

    def _commit(self, commit: frames.Commit, events: list[Event]) -> None:
        self._refused_seq = commit.seq
        at = Have(commit.epoch, commit.seq, commit.digest)
        if self.state is State.RECEIVING and self._full is not None:
            self._commit_full(self._full, at, commit.at_ms, events)
        elif self.state is State.LIVE and self._at is not None:
            self._commit_change(self._at, at, commit.at_ms, events)
        else:
            raise Refused(frames.UNEXPECTED, f"a commit, but the stream is {self.state.value}")
        self._at = at
        self._refused_seq = None
        self._owes_answer = True
        if at.seq >= self._to:
            self._fresh_at_ms = max(self._fresh_at_ms, commit.at_ms)
            self._fresh_told = True

    def _commit_full(self, full: frames.Intent, at: Have, at_ms: int, events: list[Event]) -> None:
        if at.epoch != full.epoch:
            raise Refused(frames.EPOCH, f"a snapshot of epoch {full.epoch} ends in {_place(at)}")
        if at.seq != full.seq_from:
            raise Refused(frames.GAP, f"a snapshot of change {full.seq_from} ends in {_place(at)}")
        if self._received != full.snapshot_bytes:
            raise Refused(
                frames.UNEXPECTED,
                f"the snapshot's commit after {self._received} of {full.snapshot_bytes} bytes",
            )
        catalog = self._whole_catalog()
        if not self._whole and catalog is None:
            raise Refused(frames.UNEXPECTED, "a full transfer without a catalog")
        self._full = None
        self.state = State.LIVE
        self._announced.append(at)
        events.append(CompleteFull(at, at_ms, catalog))

    def _commit_change(self, before: Have, at: Have, at_ms: int, events: list[Event]) -> None:
        if at.epoch != before.epoch:
            raise Refused(frames.EPOCH, f"{_place(at)} follows {_place(before)}")
        if at.seq != before.seq + 1:
            raise Refused(frames.GAP, f"change {at.seq} follows change {before.seq}")
        catalog = self._whole_catalog()
        step = Step(b"".join(self._records), at)
        self._records, self._records_bytes = [], 0
        if catalog is not None:
            self._flush(events)
            self._announced.append(at)
            events.append(Apply((step,), catalog, at_ms))
            return
        self._run.append(step)
        self._run_bytes += len(step.records)
        self._run_at_ms = at_ms
        if self._run_bytes >= JOIN_BYTES_MAX:
            self._flush(events)

    def _whole_catalog(self) -> tuple[bytes, str] | None:
        catalog, self._catalog = self._catalog, None
        return None if catalog is None else catalog.whole()

    def _flush(self, events: list[Event]) -> None:
        """Ends a run of joined changes."""
        if self._run:
            self._announced.append(self._run[-1].at)
            events.append(Apply(tuple(self._run), None, self._run_at_ms))
            self._run, self._run_bytes = [], 0

    def _heartbeat(self, beat: frames.Heartbeat) -> None:
        if self.state is not State.LIVE or self._at is None:
            return  # A sign of life while the host waits in line or receives a snapshot.
        if beat.epoch != self._at.epoch:
            raise Refused(frames.EPOCH, f"the hub is in epoch {beat.epoch}, the stream at {_place(self._at)}")
        if beat.seq != self._at.seq:
            raise Refused(frames.GAP, f"the hub is at change {beat.seq}, the stream at {_place(self._at)}")
        if self._whole and beat.digest != self._at.digest:
            raise Refused(
                frames.DIGEST,
                f"at change {beat.seq} the hub's digest is {beat.digest:016x}, "
                f"the stream came to {self._at.digest:016x}",
            )
        self._owes_answer = True
        if self._at.seq >= self._to:
            self._fresh_at_ms = max(self._fresh_at_ms, beat.hub_at_ms)
            self._fresh_told = True

    def _found(self, found: frames.Found, events: list[Event]) -> None:
        keys = self._wants.pop(found.id, None)
        if keys is None:
            raise Refused(frames.UNEXPECTED, f"an answer to question {found.id}, which is not open")
        if not set(found.missing) <= set(keys):
            raise Refused(frames.MALFORMED, "keys are said to be missing that were not asked for")
        self._flush(events)
        events.append(FoundCustomers(found.id, found.seq, keys, found.missing, found.data))

    def _goodbye(self, goodbye: frames.Goodbye, events: list[Event]) -> None:
        self._flush(events)
        self.state = State.ENDED
        self._fresh_told = False
        events.append(Ended(goodbye.code, goodbye.detail, goodbye.retry_after_ms))


class _Catalog:
    """A catalog's text as it comes in parts."""

    def __init__(self, filename: str, size: int) -> None:
        self._filename = filename
        self._size = size
        self._parts = bytearray()

    def add(self, part: frames.CatalogPart) -> None:
        if (part.filename, part.size, part.offset) != (self._filename, self._size, len(self._parts)):
            raise Refused(
                frames.UNEXPECTED,
                f"a part of a catalog of {part.size} bytes at offset {part.offset}, expected "
                f"{self._size} bytes, offset {len(self._parts)}",
            )
        self._parts += part.data

    def whole(self) -> tuple[bytes, str]:
        if len(self._parts) != self._size:
            raise Refused(
                frames.UNEXPECTED, f"a commit after {len(self._parts)} of {self._size} bytes of a catalog"
            )
        return bytes(self._parts), self._filename


def _place(have: Have) -> str:
    return f"change {have.seq} of epoch {have.epoch}"
