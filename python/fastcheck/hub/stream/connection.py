"""One host's connection: between uvicorn's socket and the session. No task, no queue, no copy of what is
sent.

uvicorn hands over the upgrade request and then the transport; from there on:

- bytes of the host → `websocket.Reader` → `Session.receive` → actions, which are done at once;
- reads of the ledger and of snapshots go to a thread, and what comes of them back to the session;
- `Session.go_on` is asked for more until the transport takes no more (`pause_writing`).

Ending: the goodbye and a close frame are written, what still comes is read over, and the socket is closed
when the host has closed its side, or after a moment. Closing at once would reset the connection and could
take the goodbye with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from fastcheck.errors import FastcheckError, Forbidden, RateLimited
from fastcheck.hub.stream import websocket
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
    Tell,
)
from fastcheck.hub.stream.admission import Entered
from fastcheck.hub.stream.handshake import Handshake, Refusal, refusal_of, unavailable
from fastcheck.hub.stream.ledger import Changes
from fastcheck.hub.stream.session import LOG_BYTES, RETRY_MS, Session
from fastcheck.hub.stream.snapshot_files import File
from fastcheck.wire.frames import HOST_MESSAGE_BYTES_MAX, MALFORMED, REPLACED, TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastcheck.errors import Forbidden, RateLimited
    from fastcheck.hub.access.auth import Authenticator, TokenState
    from fastcheck.hub.stream.ledger import Ledger
    from fastcheck.hub.stream.snapshot_files import Spool

Answer = TypeVar("Answer")

log = logging.getLogger("fastcheck.hub.stream")

HIGH_WATER_BYTES: Final = 256 << 10
"""A transport that holds more is given nothing more: its session keeps a cursor instead."""
LOW_WATER_BYTES: Final = 64 << 10
WANTS_READ_MAX: Final = 4
"""With more open questions than this nothing more is read from the host."""
_UNREADABLE: Final = "the hub's ledger does not answer at the moment"


class Connections(Protocol):
    """What a connection asks of the set of all connections."""

    now_ms: Callable[[], int]
    authenticator: Authenticator
    ledger: Ledger
    spool: Spool

    def opened(self, stream: Stream) -> None: ...

    def refusing(self) -> Refusal | None: ...

    def admit(self, state: TokenState) -> None: ...

    def denied(self, error: Forbidden | RateLimited, token: str, peer: str) -> None: ...

    def new_session(self, stream: Stream) -> Session: ...

    def greeted(self, stream: Stream) -> Stream | None: ...

    def look(self, done: Callable[[], None]) -> None: ...

    def enter(self, key: object, cost: int) -> Entered | int: ...

    def leave(self, stream: Stream) -> None: ...

    def read(self, read: Callable[[], Answer]) -> asyncio.Future[Answer]: ...

    def tell(self, stream: Stream, what: str, detail: str) -> None: ...

    def ending(self, stream: Stream, code: str) -> None: ...

    def closed(self, stream: Stream) -> None: ...


class Stream(asyncio.Protocol):
    """A connection, from the upgrade request to its end. The loop's thread uses it."""

    __slots__ = (
        "_ending", "_handshake", "_paused", "_reader", "_session", "_snapshot", "_streams", "_transport",
        "host", "peer", "slot", "token",
    )  # fmt: skip

    def __init__(self, streams: Connections) -> None:
        self._streams = streams
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._handshake: Handshake | None = Handshake()
        self._reader: websocket.Reader | None = None
        self._session: Session | None = None  # From the end of the handshake on.
        self._snapshot: File | None = None
        self._paused = False  # Nothing is read from the host.
        self._ending = False  # The close frame is written.
        self.token: TokenState | None = None
        self.host = ""
        self.peer = ""
        self.slot = 0
        """Which of the turns it is ticked in; `Streams` gives it."""

    @property
    def session(self) -> Session | None:
        """The conversation; None before it began."""
        return self._session

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._streams.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._session is None:
            if self._handshake is not None:
                self._shake(data)
            return
        assert self._reader is not None
        try:
            events = self._reader.feed(data)
        except websocket.Violation as violation:
            if self._ending:
                self._transport.abort()
            else:
                code = TOO_LARGE if violation.code == websocket.TOO_BIG else MALFORMED
                self.end(code, str(violation), RETRY_MS, violation.code)
            return
        now = self._streams.now_ms()
        for event in events:
            if type(event) is websocket.Close:
                self._closed_by_host(event.code)
                return
            if self._ending:
                continue
            if type(event) is websocket.Message:
                self.run(self._session.receive(event.data, now), now)
            elif type(event) is websocket.Ping and self._session.writable:
                self._transport.write(websocket.pong(event.data))
        if not self._paused and self._session.open_wants > WANTS_READ_MAX:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.writable = False

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.writable = True
            self.advance(self._streams.now_ms())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is not None:
            self._session.end("", "", 0)
        self._handshake = None
        self._streams.closed(self)

    # The handshake.

    def _shake(self, data: bytes) -> None:
        assert self._handshake is not None
        found = self._handshake.receive(data)
        if found is None:
            return
        if isinstance(found, Refusal):
            self._refuse(found)
        elif (why := self._streams.refusing()) is not None:
            self._refuse(why)
        else:
            self._authenticate(found)

    def _authenticate(self, header: str) -> None:
        authenticator = self._streams.authenticator
        try:
            text = authenticator.bearer(header or None)
            state = authenticator.remembered(text)
        except Forbidden as error:
            self._deny(error, "")
            return
        if state is not None:
            self._admit(state)
            return
        self._transport.pause_reading()
        self._read(partial(authenticator.look_up, text), self._looked_up, self._not_looked_up)

    def _looked_up(self, state: TokenState) -> None:
        self._transport.resume_reading()
        self._admit(state)

    def _not_looked_up(self, error: FastcheckError) -> None:
        if isinstance(error, Forbidden):
            self._deny(error, "")
        else:
            self._refuse(refusal_of(error))

    def _admit(self, state: TokenState) -> None:
        try:
            self._streams.admit(state)
        except (Forbidden, RateLimited) as error:
            self._deny(error, state.id)
            return
        assert self._handshake is not None
        taken, response = self._handshake.accept()
        self._handshake = None
        self._transport.write(response)
        if not taken:
            self._close()
            return
        self.token = state
        self._reader = websocket.Reader(HOST_MESSAGE_BYTES_MAX)
        self._session = self._streams.new_session(self)

    def _deny(self, error: Forbidden | RateLimited, token: str) -> None:
        self._refuse(refusal_of(error))
        self._streams.denied(error, token, self.peer)

    def _refuse(self, refusal: Refusal) -> None:
        self._handshake = None
        self._transport.write(refusal.serialize())
        self._close()

    def overdue(self) -> None:
        """The handshake took too long."""
        self._refuse(unavailable("the handshake took too long"))

    # What the session says.

    def run(self, actions: Actions, now_ms: int) -> None:
        """Does these actions, and what follows from them."""
        while True:
            for action in actions:
                self._do(action, now_ms)
            if self._ending or self._session is None:
                return
            actions = self._session.go_on(now_ms)
            if not actions:
                return

    def advance(self, now_ms: int) -> None:
        """Sends what is next, if anything is."""
        self.run((), now_ms)

    def tick(self, now_ms: int) -> None:
        """Shows life; ends what takes too long."""
        if self._session is not None:
            self.run(self._session.tick(now_ms), now_ms)

    def end(self, code: str, detail: str, retry_after_ms: int, close_code: int = websocket.NORMAL) -> None:
        """Says goodbye and closes."""
        session = self._session
        if session is None:
            self._close()
            return
        for action in session.end(code, detail, retry_after_ms):
            if type(action) is End:
                self._end(action.code, close_code)
            else:
                self._do(action, 0)

    def abort(self) -> None:
        """Closes without waiting for anything."""
        self._transport.abort()

    def _do(self, action: Action, now_ms: int) -> None:
        match action:
            case Send(data):
                self._transport.write(data)
            case Greeted(host):
                self.host = host
                older = self._streams.greeted(self)
                if older is not None:
                    older.end(REPLACED, "the same host has connected again", RETRY_MS)
            case Look():
                self._streams.look(self._looked)
            case Enter(cost):
                self._enter(cost, now_ms)
            case Leave():
                self._streams.leave(self)
            case ReadLog(seq):
                read = partial(self._streams.ledger.changes, seq, LOG_BYTES)
                self._read(read, self._log_read, self._failed)
            case OpenSnapshot():
                self._streams.spool.open(self._snapshot_opened)
            case ReadPiece(offset, size):
                self._read_piece(offset, size)
            case Find(keys):
                find = partial(self._streams.ledger.find_records, keys)
                self._read(find, self._found, self._failed)
            case Tell(what, detail):
                self._streams.tell(self, what, detail)
            case End(code):
                self._end(code, websocket.NORMAL)

    def _end(self, code: str, close_code: int) -> None:
        self._ending = True
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if not self._transport.is_closing():
            self._transport.write(websocket.close(close_code))
        self._streams.ending(self, code)

    def _closed_by_host(self, code: int) -> None:
        if not self._ending:
            assert self._session is not None
            self._session.end("", "", 0)
            self._ending = True
            if not self._transport.is_closing():
                # A code that may not be sent is answered with the plainest.
                known = code if 1000 <= code < 5000 and code != websocket.NO_CODE else websocket.NORMAL
                self._transport.write(websocket.close(known))
        self._close()

    def _close(self) -> None:
        """Closes once what was written is sent, or after a moment."""
        self._transport.close()
        self._streams.ending(self, "")

    def _enter(self, cost: int, now_ms: int) -> None:
        assert self._session is not None
        entered = self._streams.enter(self, cost)
        if entered is Entered.ADMITTED:
            self.admitted(now_ms)
        elif type(entered) is int:
            self.run(self._session.turned_away(entered), now_ms)

    def admitted(self, now_ms: int) -> None:
        """There is a place for its transfer."""
        if self._session is not None:
            self.run(self._session.admitted(now_ms), now_ms)

    def release(self) -> None:
        """Gives its snapshot back, if it has one."""
        file, self._snapshot = self._snapshot, None
        if file is not None:
            self._streams.spool.give_back(file)

    # What came of a read.

    def _read(
        self, read: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[FastcheckError], None]
    ) -> None:
        """Runs `read` in a thread, then one of the two here, unless the connection is gone."""
        self._streams.read(read).add_done_callback(partial(self._after_read, done, failed))

    def _after_read(
        self,
        done: Callable[[Any], None],
        failed: Callable[[FastcheckError], None],
        future: asyncio.Future[Any],
    ) -> None:
        if self._transport.is_closing() or self._ending or future.cancelled():
            return
        error = future.exception()
        if error is None:
            done(future.result())
        elif isinstance(error, FastcheckError):
            failed(error)
        elif not isinstance(error, CancelledError):
            log.error("a read for host %s failed", self.host, exc_info=error)
            failed(FastcheckError(_UNREADABLE))

    def _live(self) -> tuple[Session, int]:
        assert self._session is not None  # Only a session asks for reads.
        return self._session, self._streams.now_ms()

    def _looked(self) -> None:
        session, now = self._live()
        self.run(session.looked(now), now)

    def _log_read(self, changes: Changes) -> None:
        session, now = self._live()
        self.run(session.log_read(changes.epoch, changes.first_kept, changes.items, now), now)

    def _found(self, answer: FoundRecords) -> None:
        session, now = self._live()
        self.run(session.found(answer), now)
        if self._paused and session.open_wants <= WANTS_READ_MAX:
            self._paused = False
            self._transport.resume_reading()

    def _failed(self, error: FastcheckError) -> None:
        log.warning("host %s is sent away: %s", self.host, error)
        session, now = self._live()
        self.run(session.failed(_UNREADABLE), now)

    def _snapshot_opened(self, file: File | None, why_not: str) -> None:
        session, now = self._live()
        if file is None:
            self.run(session.failed(why_not), now)
            return
        self._snapshot = file
        self.run(session.snapshot_opened(file.info, now), now)

    def _read_piece(self, offset: int, size: int) -> None:
        if self._snapshot is None:
            return
        read = partial(self._snapshot.read, offset, size)
        self._read(read, partial(self._piece_read, offset), self._failed)

    def _piece_read(self, offset: int, data: bytes) -> None:
        session, now = self._live()
        self.run(session.piece_read(offset, data, now), now)
