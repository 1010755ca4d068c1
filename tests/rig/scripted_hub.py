"""A hub that does what a test tells it, over a real socket: the other end of `Connection`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from fastcheck.wire import frames
from fastcheck.wire.frames import FromHost, FromHub

Conversation = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One host that has connected."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def send(self, *parts: FromHub) -> None:
        """One message."""
        await self.socket.send(b"".join(map(frames.encode, parts)))

    async def hear(self) -> FromHost:
        """The next frame of the host's."""
        message = await self.socket.recv()
        assert isinstance(message, bytes)
        [frame] = frames.decode(message, from_hub=False)
        return frame

    async def hear_all(self) -> list[FromHost]:
        """All frames until the host hangs up."""
        heard = []
        with contextlib.suppress(Exception):
            while True:
                heard.append(await self.hear())
        return heard


class ScriptedHub:
    """Runs each connection through the next conversation; the last one again and again."""

    def __init__(self) -> None:
        self.conversations: list[Conversation] = []
        self.refusals: list[Response] = []
        """Answers to handshakes, before any conversation."""
        self.requests: list[Request] = []
        self.failures: list[BaseException] = []
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def _converse(self, socket: ServerConnection) -> None:
        conversation = self.conversations[0]
        if len(self.conversations) > 1:
            self.conversations.pop(0)
        try:
            await conversation(Peer(socket))
        except (AssertionError, ValueError) as error:
            self.failures.append(error)
            raise

    def _handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return self.refusals.pop(0) if self.refusals else None

    async def _serve(self, tls: ssl.SSLContext | None, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        async with serve(
            self._converse,
            "127.0.0.1",
            0,
            ssl=tls,
            compression=None,
            process_request=self._handshake,
            close_timeout=0.1,
            max_size=None,
            ping_interval=None,
        ) as server:
            self._server = server
            self.port = server.sockets[0].getsockname()[1]
            self._stop = asyncio.Event()
            ready.set()
            await self._stop.wait()
            for socket in list(server.connections):
                socket.transport.abort()

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)


def problem(status: HTTPStatus, detail: str, **headers: str) -> Response:
    """A refusal as a problem document."""
    import json

    from websockets.datastructures import Headers

    body = json.dumps({"title": status.phrase, "status": int(status), "detail": detail}).encode()
    fields: Any = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), **headers}
    return Response(int(status), status.phrase, Headers(fields), body)


@contextlib.contextmanager
def scripted_hub(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedHub]:
    """A hub on a free port, until the block ends."""
    hub = ScriptedHub()
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(hub._serve(tls, ready)), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield hub
    finally:
        hub.stop()
        thread.join(30)
