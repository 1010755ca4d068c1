"""Who sends: HTTP over httpx, in two shells around the same exchange. Certificates are verified, proxies and
credentials of the environment are not used, redirects are not followed, and no token comes into a message."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastcheck.errors import Closed, DirectoryError, MissingExtra, WrongType
from fastcheck.hub_client import exchange
from fastcheck.hub_client.exchange import ANSWER_BYTES_MAX, Lost, Patience, Reply, Request
from fastcheck.loading import LOADING
from fastcheck.wire.bearer import base_url, bearer

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
TIMEOUT_S_MAX = 3_600.0
CONNECT_S_MAX = 5.0
"""Of one attempt to connect; a hub that is there answers at once."""
IDLE_CONNECTIONS_MAX = 16
IDLE_S = 30.0
"""How long a connection is kept for the next request."""


def load_httpx() -> Any:
    """The HTTP library. Raises `MissingExtra`."""
    try:
        with LOADING:
            import httpx
    except ImportError as error:
        raise MissingExtra(
            f"a hub is asked with the package {error.name}: pip install 'fastcheck[client]'"
        ) from error
    return httpx


class Line:
    """To which hub, with which token, how long; and where the ledger was after the last change."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float,
        ca_file: str | os.PathLike[str] | None,
        insecure: bool,
        transport: Any,
    ) -> None:
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
            raise WrongType(f"timeout_s must be a number of seconds, not {type(timeout_s).__name__}")
        if not 0 < timeout_s <= TIMEOUT_S_MAX:
            raise WrongType(f"timeout_s must lie between 0 and {TIMEOUT_S_MAX:g} seconds")
        self.url = base_url(url, insecure=insecure)
        self.timeout_s = float(timeout_s)
        self.closed = False
        self._authorization = bearer(token)
        self._httpx = load_httpx()
        self._tls = _trust(ca_file) if self.url.startswith("https:") else None
        self._transport = transport
        self._place: tuple[int, int] | None = None
        self._place_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def place(self) -> tuple[int, int] | None:
        """(epoch, seq) after the last change; None before the first."""
        return self._place

    def options(self) -> dict[str, Any]:
        """Arguments of an HTTP client."""
        httpx = self._httpx
        return {
            "verify": True if self._tls is None else self._tls,
            "trust_env": False,
            "follow_redirects": False,
            "limits": httpx.Limits(max_keepalive_connections=IDLE_CONNECTIONS_MAX, keepalive_expiry=IDLE_S),
            "transport": self._transport,
        }

    def sent(self, request: Request, left_s: float) -> dict[str, Any]:
        """Arguments of one attempt."""
        headers = {"Authorization": self._authorization, "Accept": "*/*", **request.headers}
        timeout = self._httpx.Timeout(max(left_s, 0.001), connect=min(CONNECT_S_MAX, max(left_s, 0.001)))
        return {
            "method": request.method,
            "url": self.url + request.path,
            "content": request.body,
            "headers": headers,
            "timeout": timeout,
        }

    def lost(self, error: Exception) -> Lost:
        """An attempt without an answer."""
        httpx = self._httpx
        unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
        why = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            why = "no answer in time"
        return Lost(why[:300], sent=not unsent)

    def settled(self, outcome: Reply | Lost) -> Reply:
        """The answer; notes where the ledger is after it. Raises as `exchange.check`."""
        reply = exchange.check(self.url, outcome)
        found = exchange.place(reply)
        if found is not None:
            with self._place_lock:
                # Answers come in any order; within an epoch the newest counts.
                if self._place is None or self._place[0] != found[0] or self._place[1] < found[1]:
                    self._place = found
        return reply

    def check_open(self) -> None:
        """Raises `Closed`."""
        if self.closed:
            raise Closed(f"the client of {self.url} was closed: make another")


def _trust(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Verifies certificates by the machine's authorities, or by those of a file. Raises `DirectoryError`."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except (OSError, ssl.SSLError, ValueError) as error:
        raise DirectoryError(
            str(ca_file)[:400], f"no certificates can be read from it ({error})", "name a PEM file"
        ) from error


class _Answer:
    """An answer while it is read: bounded in bytes and in time."""

    def __init__(self, left_s: float) -> None:
        self._until_s = time.monotonic() + left_s
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, part: bytes) -> Lost | None:
        self._size += len(part)
        if self._size > ANSWER_BYTES_MAX:
            return Lost(f"its answer is over {ANSWER_BYTES_MAX} bytes", sent=True)
        if time.monotonic() > self._until_s:
            return Lost("no whole answer in time", sent=True)
        self._parts.append(part)
        return None

    def whole(self, status: int, headers: Iterable[tuple[str, str]]) -> Reply:
        named: Mapping[str, str] = {name.lower(): value for name, value in headers}
        return Reply(status, named, b"".join(self._parts))


class Sender(Line):
    """Sends and waits, from any thread. A forked child connects anew."""

    def __init__(self, url: str, token: str, **options: Any) -> None:
        super().__init__(url, token, **options)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._pid = os.getpid()

    def send(self, request: Request) -> Reply:
        """One request, tried until its time is over. Raises what the hub answers with, `HubUnavailable`,
        `Closed`."""
        self.check_open()
        patience = Patience(self.timeout_s, time.monotonic(), random.random)
        while True:
            outcome = self._attempt(request, patience.left_s(time.monotonic()))
            pause_s = patience.pause_s(request, outcome, time.monotonic())
            if pause_s is None:
                return self.settled(outcome)
            time.sleep(pause_s)

    def _attempt(self, request: Request, left_s: float) -> Reply | Lost:
        answer = _Answer(left_s)
        try:
            with self._http().stream(**self.sent(request, left_s)) as response:
                for part in response.iter_bytes():
                    lost = answer.take(part)
                    if lost is not None:
                        return lost
                return answer.whole(response.status_code, response.headers.items())
        except self._httpx.HTTPError as error:
            return self.lost(error)

    def _http(self) -> httpx.Client:
        if self._pid != os.getpid():
            # What a parent connected is the parent's: neither used nor closed here; nor is its lock.
            self._lock, self._client, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._client is None:
                self._client = self._httpx.Client(**self.options())
            return self._client

    def close(self) -> None:
        """Hangs up. Again: nothing."""
        self.closed = True
        with self._lock:
            client, self._client = self._client, None
            if client is not None and self._pid == os.getpid():
                client.close()


class AsyncSender(Line):
    """The same on an event loop."""

    def __init__(self, url: str, token: str, **options: Any) -> None:
        super().__init__(url, token, **options)
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: Request) -> Reply:
        """As `Sender.send`."""
        self.check_open()
        patience = Patience(self.timeout_s, time.monotonic(), random.random)
        while True:
            outcome = await self._attempt(request, patience.left_s(time.monotonic()))
            pause_s = patience.pause_s(request, outcome, time.monotonic())
            if pause_s is None:
                return self.settled(outcome)
            await asyncio.sleep(pause_s)

    async def _attempt(self, request: Request, left_s: float) -> Reply | Lost:
        answer = _Answer(left_s)
        if self._client is None:
            self._client = self._httpx.AsyncClient(**self.options())
        try:
            async with self._client.stream(**self.sent(request, left_s)) as response:
                async for part in response.aiter_bytes():
                    lost = answer.take(part)
                    if lost is not None:
                        return lost
                return answer.whole(response.status_code, response.headers.items())
        except self._httpx.HTTPError as error:
            return self.lost(error)

    async def close(self) -> None:
        """Hangs up. Again: nothing."""
        self.closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
