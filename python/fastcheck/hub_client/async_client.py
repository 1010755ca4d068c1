"""`AsyncHubClient`: the methods of `HubClient` as coroutines.

The requests go over httpx on the caller's event loop. A method of `admin` is plain code that asks, once or
page after page; it runs in a thread of this client and waits there for each answer, so that there is one such
code and the loop never waits. Its types are in `async_client.pyi`, made from those of `HubMethods`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from types import TracebackType
from typing import Any

from fastcheck.errors import Closed
from fastcheck.hub_client.methods import HubMethods, asking
from fastcheck.hub_client.routes import Routed
from fastcheck.hub_client.transport import TIMEOUT_S, AsyncSender

THREADS = 32
"""Methods of one client that are at work at once; more wait their turn."""
SAME = frozenset({"by", "once"})
"""Methods that ask nothing: they answer with another client at once."""


class AsyncHubClient:
    """Administers a hub from an event loop: one client for each loop. Close it, or use it in an `async with`.

    Errors, repetitions and the arguments are those of `HubClient`. What is called back (`progress`) is called
    in a thread. A method that is cancelled asks nothing more; what it asked already may be done."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        ca_file: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        transport: Any = None,
    ) -> None:
        self._sender = AsyncSender(
            url, token, timeout_s=timeout_s, ca_file=ca_file, insecure=insecure, transport=transport
        )
        self._methods = HubMethods(_unbound)
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, "fastcheck-hub-client")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sender.url!r})"

    def by(self, author: str) -> AsyncHubClient:
        """As `Admin.by`."""
        return self._with(self._methods.by(author))

    def once(self, key: str) -> AsyncHubClient:
        """As `Admin.once`."""
        return self._with(self._methods.once(key))

    def _with(self, methods: HubMethods) -> AsyncHubClient:
        other = copy.copy(self)
        other._methods = methods
        return other

    async def _run(self, method: str, *args: Any, **options: Any) -> Any:
        self._sender.check_open()
        turn = _Turn(self._sender, asyncio.get_running_loop())
        bound = copy.copy(self._methods)
        bound._answers = asking(turn.ask)
        work = partial(getattr(bound, method), *args, **options)
        try:
            return await turn.loop.run_in_executor(self._threads, work)
        finally:
            turn.end()

    @property
    def url(self) -> str:
        """The hub's address."""
        return self._sender.url

    @property
    def last_seq(self) -> int | None:
        """As `HubClient.last_seq`."""
        place = self._sender.place
        return None if place is None else place[1]

    @property
    def last_epoch(self) -> int | None:
        """As `HubClient.last_epoch`."""
        place = self._sender.place
        return None if place is None else place[0]

    async def close(self) -> None:
        """Hangs up, also for those that `by` and `once` made of it. Again: nothing."""
        await self._sender.close()
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> AsyncHubClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Turn:
    """One method at work: its thread asks, the loop sends."""

    def __init__(self, sender: AsyncSender, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._sender = sender
        self._lock = threading.Lock()  # So that what is just being asked is not overlooked at the end.
        self._ended = False
        self._asked: concurrent.futures.Future[Any] | None = None

    def ask(self, routed: Routed) -> Any:
        """In the method's thread."""
        with self._lock:
            if self._ended:
                raise Closed("the method was cancelled")
            asked = asyncio.run_coroutine_threadsafe(self._sender.send(routed.request), self.loop)
            self._asked = asked
        return routed.read(asked.result())

    def end(self) -> None:
        """On the loop: whoever waited for the method is gone, or has its answer."""
        with self._lock:
            self._ended = True
            if self._asked is not None:
                self._asked.cancel()


def _unbound(routed: Routed) -> Any:
    raise AssertionError("a method asks through its turn")


def _coroutine(name: str, method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(method)
    async def run(self: AsyncHubClient, *args: Any, **options: Any) -> Any:
        return await self._run(name, *args, **options)

    return run


for _name, _method in inspect.getmembers(HubMethods, inspect.isfunction):
    if not _name.startswith("_") and _name not in SAME:
        setattr(AsyncHubClient, _name, _coroutine(_name, _method))
