"""A hub's server over a ledger in memory, in a thread of the test's own process; a host to speak to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from websockets.sync.client import ClientConnection, connect

from fastcheck.hub.app import make_app
from fastcheck.hub.parts import Hub, Settings
from fastcheck.hub.stream.session import Times
from fastcheck.wire.frames import (
    ALL,
    Ack,
    Commit,
    FromHost,
    FromHub,
    Goodbye,
    Have,
    Heartbeat,
    Hello,
    Intent,
    Records,
    decode,
    encode,
)
from rig.stream_ledger import NOW_MS, MemoryLedger, PlainWriter

Answer = TypeVar("Answer")
WITHIN_S = 10.0


class Server:
    """One hub's server."""

    def __init__(self, directory: Path, ledger: MemoryLedger, times: Times, loop: str = "auto") -> None:
        self.ledger = ledger
        self.hub = Hub(ledger, Settings(directory, times=times), PlainWriter, lambda: NOW_MS)
        self.app = make_app(self.hub)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4_096)
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            ws=self.hub.streams.accept,  # type: ignore[arg-type]
            lifespan="on",
            log_config=None,
            access_log=False,
            loop=loop,
            http="httptools",
        )
        self._uvicorn = uvicorn.Server(config)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(self._uvicorn.serve([self._socket]))
            while not self._uvicorn.started and not task.done():
                await asyncio.sleep(0.001)
            self._started.set()
            await task

        loop = (self._uvicorn.config.get_loop_factory() or asyncio.new_event_loop)()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve())
        finally:
            left = asyncio.all_tasks(loop)
            for one in left:
                one.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(WITHIN_S)
        wait_until(lambda: self.hub.tail.lag_s is not None)

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()

    def call(self, job: Callable[[], Answer]) -> Answer:
        """Runs something in the server's loop."""

        async def run() -> Answer:
            return job()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WITHIN_S)

    def begin(self, coroutine: Any) -> None:
        """Begins a coroutine in the server's loop."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(
    directory: Path, ledger: MemoryLedger, times: Times | None = None, loop: str = "auto"
) -> Iterator[Server]:
    server = Server(directory, ledger, times or Times(), loop)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def wait_until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Polls, for what other threads do."""
    done = threading.Event()
    for _ in range(int(within_s / 0.005)):
        if condition():
            return
        done.wait(0.005)
    raise AssertionError("it did not happen in time")


class Host:
    """A host that says what it is told to say."""

    def __init__(self, server: Server, token: str, **more: Any) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Entered by hand: a test holds many, and closes each where it is done with it.
        self.connection: ClientConnection = connect(
            f"ws://127.0.0.1:{server.port}/v1/stream",
            additional_headers=headers,
            compression=None,
            max_size=8 << 20,
            open_timeout=WITHIN_S,
            proxy=None,
            **more,
        ).__enter__()
        self._frames: list[FromHub] = []

    def hello(self, host: str = "host", have: Have | None = None, mode: int = ALL) -> Host:
        self.say(Hello(host, 1, have, mode, "test"))
        return self

    def say(self, *frames: FromHost) -> None:
        self.connection.send(b"".join(map(encode, frames)))

    def next(self) -> FromHub:
        """The next frame that is no heartbeat."""
        while True:
            while not self._frames:
                message = self.connection.recv(WITHIN_S)
                assert isinstance(message, bytes)
                self._frames = decode(message, from_hub=True)
            frame = self._frames.pop(0)
            if not isinstance(frame, Heartbeat):
                return frame

    def until(self, kind: type[Answer]) -> Answer:
        """The next frame of this kind."""
        while True:
            frame = self.next()
            if isinstance(frame, kind):
                return frame
            assert not isinstance(frame, Goodbye), frame

    def goodbye(self) -> Goodbye:
        """The goodbye, whatever comes before it."""
        while True:
            frame = self.next()
            if isinstance(frame, Goodbye):
                return frame

    def close(self) -> None:
        self.connection.close()


__all__ = ["Ack", "Commit", "Host", "Intent", "Records", "Server", "serving", "wait_until"]
