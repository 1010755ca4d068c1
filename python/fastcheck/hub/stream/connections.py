"""All connections of this process: who is connected, whose turn it is, who goes.

Nothing here runs per connection: one timer ticks a part of the connections at a time, so that heartbeats are
spread; one call writes a new change to every socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from fastcheck.errors import FastcheckError, Forbidden, RateLimited
from fastcheck.hub.access.auth import Authenticator, TokenState
from fastcheck.hub.access.rate import Buckets, Turns
from fastcheck.hub.metrics import Metrics
from fastcheck.hub.stream.admission import Admission, Entered
from fastcheck.hub.stream.connection import Stream
from fastcheck.hub.stream.handshake import PATH, SCOPE, Refusal, unavailable
from fastcheck.hub.stream.ledger import Ledger
from fastcheck.hub.stream.log_follower import Tail
from fastcheck.hub.stream.ring import Ring
from fastcheck.hub.stream.session import Session, Times
from fastcheck.hub.stream.snapshot_files import Spool
from fastcheck.wire.frames import DRAIN, REVOKED

log = logging.getLogger("fastcheck.hub.stream")

Answer = TypeVar("Answer")

STREAMS_MAX: Final = 20_000
"""Connections of one process."""
TURNS: Final = 20
"""Parts in which connections are ticked, each once per heartbeat."""
LINGER_TURNS: Final = 10
"""After the close frame a host has so many turns to close its side; then the connection is cut."""
HELLOS_PER_S: Final = 2_000.0
"""New connections a second, so that a herd leaves room for those who are connected."""
HANDSHAKE_TURNS: Final = TURNS * 2
RECHECK_S: Final = 1.0
"""Between two looks at whether the tokens of connected hosts are in force."""
REVOKED_RETRY_MS: Final = 30_000
"""A host whose token is over asks again rarely."""
DRAIN_RETRY_MS: Final = 1_000


class Streams:
    """The connections, and what they share."""

    def __init__(
        self,
        *,
        ring: Ring,
        ledger: Ledger,
        authenticator: Authenticator,
        executor: ThreadPoolExecutor,
        metrics: Metrics,
        now_ms: Callable[[], int],
        times: Times | None = None,
        admission: Admission | None = None,
        streams_max: int = STREAMS_MAX,
        hellos_per_s: float = HELLOS_PER_S,
    ) -> None:
        self.ring = ring
        self.ledger = ledger
        self.authenticator = authenticator
        self.admission = Admission() if admission is None else admission
        self.metrics = metrics
        self.now_ms = now_ms
        """The wall clock. A step of it ends a few handshakes early at worst."""
        self.times = Times() if times is None else times
        self.spool: Spool
        """Set before the first connection; so is the tail."""
        self.tail: Tail
        self.draining = False
        self._executor = executor
        self._streams_max = streams_max
        self._hellos_per_s = hellos_per_s
        self._hellos = Buckets(burst_s=2.0, keys_max=1)
        self._turns_given = Turns()
        self._open: set[Stream] = set()
        self._hosts: dict[str, Stream] = {}
        self._slots: list[set[Stream]] = [set() for _ in range(TURNS)]
        self._next_slot = 0
        self._shaking: dict[Stream, int] = {}  # Before the end of its handshake → the turn it may last to.
        self._lingering: dict[Stream, int] = {}
        self._turn = 0
        self._warned_ahead = False

    # For uvicorn.

    def accept(self, config: object, server_state: object, app_state: object) -> Stream:
        """A protocol for a connection that asks for an upgrade; uvicorn's `ws`."""
        return Stream(self)

    # For a stream.

    def opened(self, stream: Stream) -> None:
        """A connection asks to become a stream."""
        self._open.add(stream)
        stream.slot = self._next_slot
        self._next_slot = (self._next_slot + 1) % TURNS
        self._slots[stream.slot].add(stream)
        self._shaking[stream] = self._turn + HANDSHAKE_TURNS

    def refusing(self) -> Refusal | None:
        """Why no connection is taken now; None where it is."""
        if self.draining:
            return unavailable("the hub is going away: connect to another, or again in a moment", 5)
        if len(self._open) > self._streams_max:
            return unavailable(f"{self._streams_max} hosts are connected to this hub: use another", 30)
        now_ms = _steady_ms()
        if self._hellos.take(None, self._hellos_per_s, now_ms / 1_000):
            wait_ms = self._turns_given.give(now_ms, 1_000 / self._hellos_per_s)
            self.metrics.denied.labels("busy").inc()
            return unavailable("too many hosts connect at once", -(-wait_ms // 1_000))
        return None

    def admit(self, state: TokenState) -> None:
        """Whether a token may open a stream. Raises `Forbidden`, `RateLimited`."""
        if SCOPE not in state.scopes:
            raise Forbidden(
                f"the token {state.name!r:.80} has the scopes {', '.join(sorted(state.scopes))}: "
                f"a stream needs {SCOPE}"
            )
        self.authenticator.spend(state)

    def denied(self, error: Forbidden | RateLimited, token: str, peer: str) -> None:
        """Counts and notes a refused handshake."""
        future = self.read(partial(self.authenticator.refused, error, peer, token, f"GET {PATH}"))
        future.add_done_callback(_logged)

    def new_session(self, stream: Stream) -> Session:
        """For a connection whose handshake is done."""
        self._shaking.pop(stream, None)
        return Session(self.ring, self.times, _jitter, self.now_ms())

    def greeted(self, stream: Stream) -> Stream | None:
        """A host said who it is; the older connection of the same host, if there is one."""
        software = "" if stream.session is None else stream.session.software
        log.debug("host %s is connected, with %s", stream.host, software)
        older = self._hosts.get(stream.host)
        self._hosts[stream.host] = stream
        return older if older is not stream else None

    def look(self, done: Callable[[], None]) -> None:
        """Has the tail look now."""
        self.tail.look(done)

    def enter(self, key: object, cost: int) -> Entered | int:
        """A place for a transfer, or one in the line, or in how many ms to come again."""
        return self.admission.enter(key, cost, _steady_ms())

    def leave(self, stream: Stream) -> None:
        """It needs its place no more; those who wait move up."""
        stream.release()
        self.leave_place(stream)

    def leave_place(self, key: object) -> None:
        """Gives a place back, or one in the line; those who wait move up."""
        for admitted in self.admission.leave(key, _steady_ms()):
            assert isinstance(admitted, Stream)  # Nobody else stands in line.
            admitted.admitted(self.now_ms())

    def read(self, read: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Runs something that blocks in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._executor, read)

    def tell(self, stream: Stream, what: str, detail: str) -> None:
        """Counts what a session noticed; says it where somebody should know."""
        self.metrics.told(what, detail)
        if what == "ahead" and not self._warned_ahead:
            self._warned_ahead = True
            log.error(
                "host %s knows of changes that this ledger does not have (%s): was it put back from a "
                "backup? Then begin a new epoch with restored()",
                stream.host,
                detail,
            )
        elif what in ("nack", "digest", "ahead"):
            log.warning("host %s, %s: %s", stream.host, what, detail)
        else:
            log.debug("host %s, %s: %s", stream.host, what, detail)

    def ending(self, stream: Stream, code: str) -> None:
        """The close frame is written."""
        if code:
            self.metrics.goodbyes.labels(code).inc()
            log.info("goodbye to host %s: %s", stream.host or stream.peer, code)
        self._lingering.setdefault(stream, self._turn + LINGER_TURNS)

    def closed(self, stream: Stream) -> None:
        """The connection is gone."""
        self._open.discard(stream)
        self._slots[stream.slot].discard(stream)
        self._shaking.pop(stream, None)
        self._lingering.pop(stream, None)
        if self._hosts.get(stream.host) is stream:
            del self._hosts[stream.host]
        self.leave(stream)

    # For the process.

    @property
    def connections(self) -> int:
        """Open ones, handshakes included."""
        return len(self._open)

    def sessions(self) -> list[Session]:
        """Those that are talking."""
        return [stream.session for stream in self._open if stream.session is not None]

    def publish(self) -> None:
        """The ring has moved: everybody who can take it is sent what is new."""
        now = self.now_ms()
        for stream in list(self._open):
            stream.advance(now)

    async def run(self) -> None:
        """Ticks, for good."""
        length_s = self.times.heartbeat_ms / 1_000 / TURNS
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            next_at = max(next_at + length_s, loop.time())
            await asyncio.sleep(next_at - loop.time())
            self.turn()

    def turn(self) -> None:
        """One turn of `TURNS`."""
        self._turn += 1
        now = self.now_ms()
        for stream in list(self._slots[self._turn % TURNS]):
            stream.tick(now)
        for stream in [one for one, last in self._shaking.items() if self._turn > last]:
            del self._shaking[stream]
            stream.overdue()
        for stream in [one for one, last in self._lingering.items() if self._turn > last]:
            del self._lingering[stream]
            stream.abort()

    async def recheck(self) -> None:
        """Ends the streams of tokens that are not in force any more, for good."""
        failing = False
        while True:
            await asyncio.sleep(RECHECK_S)
            tokens = {stream.token.id for stream in self._open if stream.token is not None}
            if not tokens:
                continue
            try:
                over = await self.read(partial(self.authenticator.over, sorted(tokens)))
            except FastcheckError as error:
                if not failing:
                    log.error("tokens cannot be checked, streams go on meanwhile: %s", error)
                failing = True
                continue
            failing = False
            for stream in list(self._open):
                why = over.get(stream.token.id) if stream.token is not None else None
                if why:
                    stream.end(REVOKED, why, REVOKED_RETRY_MS)

    async def drain(self, length_s: float) -> None:
        """Takes nobody new, and sends everybody away, spread over this time."""
        self.draining = True
        everybody = list(self._open)
        began = asyncio.get_running_loop().time()
        for done, stream in enumerate(everybody):
            due_s = length_s * done / len(everybody)
            ahead_s = due_s - (asyncio.get_running_loop().time() - began)
            if ahead_s > 0.005:
                await asyncio.sleep(ahead_s)
            retry_ms = DRAIN_RETRY_MS + _jitter(int(length_s * 1_000) + DRAIN_RETRY_MS)
            stream.end(DRAIN, "the hub is going away: connect to another, or again", retry_ms)

    def close(self) -> None:
        """Cuts every connection."""
        for stream in list(self._open):
            stream.abort()


def _steady_ms() -> int:
    """For rates and places, which a step of the wall clock must not stop."""
    return int(time.monotonic() * 1_000)


def _jitter(most: int) -> int:
    return random.randint(0, most)


def _logged(future: asyncio.Future[Any]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        error = future.exception()
        if error is not None:
            log.warning("a refused handshake could not be noted: %s", error)
