"""The socket of the stream: one thread with one event loop, for as long as this process owns the directory.

It opens the replica, connects, hands on what comes, and connects again for ever. What takes long in the
native module runs on a worker thread, so that the loop goes on answering pings; nothing else touches the
replica, which the `_turn` lock sees to. A slow replica is not read from faster than it applies: the socket's
own buffers fill and the hub waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from fastcheck.errors import Closed, FastcheckError
from fastcheck.host.following import reasons
from fastcheck.host.following.backoff import Backoff
from fastcheck.host.following.events import Ended, Event
from fastcheck.host.following.handshake import CLOSE_TIMEOUT_S, SOFTWARE, context, shake_hands
from fastcheck.host.following.on_demand import HeldReplica
from fastcheck.host.following.protocol import State, Stream
from fastcheck.host.following.reasons import Failure
from fastcheck.host.following.replica import Replica
from fastcheck.host.following.waiting import Asked, Askers
from fastcheck.wire import frames
from fastcheck.wire.address import HubAddress
from fastcheck.wire.frames import Refused

log = logging.getLogger("fastcheck.stream")
Answer = TypeVar("Answer")

TICK_S: Final = 1.0
REOPEN_S: Final = 1.0
"""After a directory that could not be opened."""
GRACE_S: Final = 2.0
"""How long a lost connection is not yet an outage: who asks for a customer waits for it."""


class Connection:
    """The stream of one directory."""

    def __init__(
        self,
        address: HubAddress,
        token: Callable[[], str],
        host_id: str,
        replica: Replica | HeldReplica,
        *,
        ca_file: str | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.url = address.stream
        self._secure = address.secure
        self._token = token
        self._host_id = host_id
        self._replica = replica
        self._ca_file = ca_file
        self._backoff = Backoff(chance)
        self._news = threading.Condition()
        # Read by other threads, written by the loop's.
        self.connected = False
        self.failure: Failure | None = None
        """Why there is no stream; None while there is one, and before the first attempt."""
        self.attempts = 0
        self.open_error: FastcheckError | None = None
        """Why the directory cannot be opened."""
        self.ready = self.opened = False
        """Of the replica, as told last."""
        self.opening = True
        """Whether arena and checkpoint are still being looked at."""
        self._refused = ""
        self._ended = False
        self._lost_at = time.monotonic()
        self._last_logged = ""
        # Of the loop.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._turn = asyncio.Lock()
        self._socket: ClientConnection | None = None
        self._socket_fd = -1
        self._stream: Stream | None = None
        self._silent: Ended | None = None
        self._asked: list[Asked] = []
        self._dropped: list[Asked] = []
        self._serving = False
        self._askers = Askers()
        self._compacting: asyncio.Future[None] | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        if isinstance(replica, HeldReplica):
            replica.settled = self._askers.settled

    # For other threads.

    def start(self) -> None:
        """Begins; returns at once."""
        self._worker = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fastcheck-replica")
        self._thread = threading.Thread(target=self._run, name="fastcheck-stream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the stream and lets go of the arena. Again: nothing."""
        thread = self._thread
        if thread is None:
            return
        with self._news:
            self._news.wait_for(lambda: self._loop is not None or self._ended)
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._begin_close)
        thread.join()
        self._thread = None

    def in_child(self) -> None:
        """In a forked child: closes the inherited socket, so that the hub sees its parent's end."""
        if self._socket_fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._socket_fd)

    def wait(self, what: Callable[[], bool], timeout_s: float | None) -> bool:
        """Waits until `what` is so, of what this says; whether it is."""
        with self._news:
            return self._news.wait_for(lambda: self._ended or what(), timeout_s) and what()

    def fetch(self, keys: Sequence[str], timeout_s: float) -> dict[str, bool]:
        """Fetches customers of a host on demand: which keys are somebody's. Keys that could not be asked in
        time are left out. Raises `Closed`."""
        loop, asked = self._loop, Asked(keys)
        if not asked.left:
            return {}
        try:
            if loop is None:
                return {}
            loop.call_soon_threadsafe(self._begin_fetch, asked)
        except RuntimeError as error:
            raise Closed("the directory was closed: open it again") from error
        try:
            return asked.done.result(timeout_s)
        except FutureTimeout:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._begin_drop, asked)
            return dict(asked.found)

    # The thread.

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            log.exception("the stream's thread failed")
        finally:
            if self._worker is not None:
                self._worker.shutdown(wait=True)
            self._tell(ended=True)

    async def _main(self) -> None:
        self._closing, self._turn = asyncio.Event(), asyncio.Lock()
        loop = asyncio.get_running_loop()
        with self._news:
            self._loop = loop
            self._news.notify_all()
        ticker = asyncio.ensure_future(self._tick())
        try:
            if await self._open():
                while not self._closing.is_set():
                    await self._attempt()
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker
            if self._compacting is not None:
                await asyncio.wait({self._compacting})
            self._askers.close()
            await self._native(self._replica.close)

    async def _open(self) -> bool:
        """Opens the replica; again and again where that fails. False where it is closed before."""
        while not self._closing.is_set():
            try:
                await self._native(self._replica.open)
            except (FastcheckError, OSError) as error:
                found = error if isinstance(error, FastcheckError) else FastcheckError(str(error))
                self._log(str(found), logging.WARNING)
                self._tell(open_error=found)
                await self._pause(REOPEN_S)
                continue
            self._tell(open_error=None, opening=False)
            return True
        return False

    async def _attempt(self) -> None:
        """One connection, from the attempt to the end, and the wait after it."""
        self.attempts += 1
        failure = await self._once()
        if self.connected:
            self._lost_at = time.monotonic()
        if self._closing.is_set():
            return
        wait_ms = self._backoff.failed(
            _now_ms(), retry_after_ms=failure.retry_after_ms, at_least_ms=failure.at_least_ms
        )
        self._log(failure.reason, logging.WARNING)
        self._tell(connected=False, failure=failure)
        await self._pause(wait_ms / 1_000)

    async def _once(self) -> Failure:
        try:
            token = self._token()
            tls = await self._native(lambda: context(self._ca_file)) if self._secure else None
            socket = await self._or_closing(shake_hands(self.url, token, tls))
        except FastcheckError as error:
            return Failure(str(error), True, at_least_ms=reasons.FORBIDDEN_WAIT_MS)
        except (OSError, WebSocketException, EOFError, ValueError) as error:
            return reasons.of_error(error, self.url)
        if socket is None:
            return Failure("closed")
        self._socket = socket
        with contextlib.suppress(Exception):
            self._socket_fd = socket.transport.get_extra_info("socket").fileno()
        try:
            if self._closing.is_set():  # It was set while the handshake ended; nobody hangs up for us.
                return Failure("closed")
            return await self._converse(socket)
        except (OSError, WebSocketException, EOFError) as error:
            if self._silent is not None:
                return reasons.of_goodbye(self._silent.code, self._silent.detail, 0, self.url)
            return reasons.of_error(error, self.url)
        except Exception as error:  # A mistake of ours must not end what reconnects for ever.
            log.exception("what %s sent could not be handled", self.url)
            return reasons.of_error(error, self.url)
        finally:
            self._socket_fd = -1
            self._socket = self._stream = self._silent = None
            await self._hang_up(socket)
            async with self._turn:
                await self._native(self._after_stream)

    async def _converse(self, socket: ClientConnection) -> Failure:
        """One stream, to its end."""
        replica = self._replica
        async with self._turn:
            replica.stream_begins()
            stream = Stream(
                self._host_id, replica.arena, replica.mode, replica.have, _now_ms(), software=SOFTWARE
            )
        await socket.send(stream.hello())
        self._stream = stream
        while True:
            message = await socket.recv()
            async with self._turn:
                try:
                    if isinstance(message, str):
                        raise Refused(frames.MALFORMED, "a text message: frames are binary")
                    ended = await self._take(stream, message)
                    answer = stream.answer(replica.visible)
                except Refused as refused:
                    self._forget_where(refused.code)
                    with contextlib.suppress(WebSocketException, OSError):
                        await socket.send(stream.refuse(refused.code, refused.detail))
                    return reasons.of_refusal(refused.code, refused.detail, self.url)
                if answer is not None:
                    self._refused = ""
                self._note_progress(stream)
            if answer is not None:
                await socket.send(answer)
            if ended is not None:
                return reasons.of_goodbye(ended.code, ended.detail, ended.retry_after_ms, self.url)
            await self._ask()

    def _forget_where(self, code: str) -> None:
        """After what cannot be gone on from, the next transfer is a full one; so it is where the same is
        refused twice in a row. What the replica refused, it has judged itself."""
        if code in (frames.GAP, frames.EPOCH, frames.DIGEST) or (
            code != frames.REFUSED and code == self._refused
        ):
            self._replica.forget()
        self._refused = code

    async def _take(self, stream: Stream, message: bytes) -> Ended | None:
        events = stream.receive(message, _now_ms())
        if all(self._replica.quick(event) or isinstance(event, Ended) for event in events):
            return self._apply(stream, events)
        ended = await self._native(lambda: self._apply(stream, events))
        stream.resume(_now_ms())
        return ended

    def _apply(self, stream: Stream, events: list[Event]) -> Ended | None:
        for event in events:
            if isinstance(event, Ended):
                return event
            at = self._replica.apply(event)
            if at is not None:
                stream.applied(at)
            self._replica.keep(event)
        return None

    def _note_progress(self, stream: Stream) -> None:
        replica = self._replica
        if stream.state is State.LIVE and not self.connected:
            replica.link(True)
            self._backoff.connected(_now_ms())
            self._log(f"follows {self.url}", logging.INFO)
            self._tell(connected=True, failure=None)
        elif (replica.ready, replica.opened) != (self.ready, self.opened):
            self._tell()

    def _after_stream(self) -> None:
        self._replica.ended()
        self._replica.link(False)

    # What goes on by itself.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            stream, socket = self._stream, self._socket
            if stream is not None and socket is not None and not self._turn.locked():
                self._silent = stream.tick(_now_ms())
                if self._silent is not None or self._replica.needs_stream_anew:
                    socket.transport.abort()
            async with self._turn:
                try:
                    await self._native(self._replica.tick)
                except (FastcheckError, OSError) as error:
                    self._log(str(error), logging.WARNING)
                except Exception:
                    log.exception("what is done once a second failed")
            if self._replica.wants_compaction and (self._compacting is None or self._compacting.done()):
                # Beside the stream: the log goes on while it is merged.
                self._compacting = asyncio.ensure_future(self._native(self._replica.compact))

    # Customers on demand.

    def _begin_fetch(self, asked: Asked) -> None:
        self._asked.append(asked)
        self._serve_soon()

    def _begin_drop(self, asked: Asked) -> None:
        self._dropped.append(asked)
        self._serve_soon()

    def _serve_soon(self) -> None:
        if not self._serving:
            self._serving = True
            self._served = asyncio.ensure_future(self._serve())

    async def _serve(self) -> None:
        """Takes note of who asks and who gave up; once for all who came meanwhile."""
        async with self._turn:
            self._serving = False
            asked, self._asked = self._asked, []
            dropped, self._dropped = self._dropped, []
            replica = self._replica
            away = not self.connected and time.monotonic() - self._lost_at > GRACE_S
            if isinstance(replica, HeldReplica):
                for one in asked:
                    self._askers.register(one, replica.demand, away=away)
            for one in dropped:
                self._askers.forget(one)
        with contextlib.suppress(WebSocketException, OSError):
            await self._ask()

    async def _ask(self) -> None:
        """Sends the questions that can be asked now."""
        stream, socket, replica = self._stream, self._socket, self._replica
        if stream is None or socket is None or not isinstance(replica, HeldReplica):
            return
        async with self._turn:
            messages = replica.ask(stream)
        for message in messages:
            await socket.send(message)

    # Small things.

    async def _native(self, call: Callable[[], Answer]) -> Answer:
        """Runs a long call on the worker thread. It is never left alone: who is cancelled waits for it."""
        try:
            work = asyncio.get_running_loop().run_in_executor(self._worker, call)
        except RuntimeError:
            return call()  # The interpreter ends, and takes no more work: the last things are done here.
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise

    async def _or_closing(self, work: Coroutine[Any, Any, Answer]) -> Answer | None:
        """What a coroutine gives; None where it is closed before."""
        task = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() else None
        finally:
            for one in (task, closing):
                one.cancel()
            await asyncio.wait({task, closing})

    async def _pause(self, length_s: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), length_s)

    def _begin_close(self) -> None:
        self._closing.set()
        if self._socket is not None:
            self._hanging_up = asyncio.ensure_future(self._hang_up(self._socket))

    async def _hang_up(self, socket: ClientConnection) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(socket.close(), CLOSE_TIMEOUT_S)
        socket.transport.abort()

    def _tell(self, **changed: Any) -> None:
        """Changes what other threads read, and wakes those who wait for it."""
        with self._news:
            if changed.pop("ended", False):
                self._ended = True
            for name, value in changed.items():
                setattr(self, name, value)
            self.ready, self.opened = self._replica.ready, self._replica.opened
            self._news.notify_all()

    def _log(self, text: str, level: int) -> None:
        """Once per state: a hub that is away for a day is one line."""
        if text != self._last_logged:
            self._last_logged = text
            log.log(level, "%s: %s", self._replica.directory, text)


def _now_ms() -> int:
    """For lengths only: no clock that can be set."""
    return time.monotonic_ns() // 1_000_000
