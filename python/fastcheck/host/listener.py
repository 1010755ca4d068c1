"""Hands the changes of a host to callbacks and async iterators of this process.

One thread per open directory, started by the first subscriber. It asks for changes, waiting at the owner, and
offers each to every subscriber; a slow one loses nothing but repetitions, and beyond its bound gets one
change "missed"."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

from fastcheck.errors import Closed, FastcheckError
from fastcheck.host.changes import Change, Subscription

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("fastcheck.listener")

WAIT_S = 1.0
"""How long one question for changes waits; bounds how long closing takes."""
PAUSE_S = 0.1
"""After a question that failed."""


class Source(Protocol):
    """Where changes come from."""

    def changes(self, after: int | None, wait_s: float) -> tuple[list[Change], int]: ...


class _Bell:
    """Wakes whoever awaits news on an event loop, from the listener's thread. It is not the iterator itself,
    so that the listener keeps no iterator alive that nobody holds any more."""

    def __init__(self) -> None:
        self._hung: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def hang(self) -> asyncio.Event:
        """An event of the running loop that the next ring sets."""
        import asyncio  # There is a loop, so it is loaded.

        loop = asyncio.get_running_loop()
        if self._hung is None or self._hung[0] is not loop:
            self._hung = loop, asyncio.Event()
        event = self._hung[1]
        event.clear()
        return event

    def ring(self) -> None:
        hung = self._hung
        if hung is not None:
            # The loop may be gone while the thread still has news for it.
            with contextlib.suppress(RuntimeError):
                hung[0].call_soon_threadsafe(hung[1].set)


class Watch(AsyncIterator[Change]):
    """Changes as they come, kept from the moment this is made; the first step may come later, on any loop."""

    def __init__(
        self,
        wanted: Callable[[Change], bool],
        subscribe: Callable[[Subscription], Callable[[], None]],
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._bell = _Bell()
        self._subscription = Subscription(wanted, self._bell.ring)
        self._taken: deque[Change] = deque()
        self._end = weakref.finalize(self, subscribe(self._subscription))
        self._end.atexit = False

    async def __anext__(self) -> Change:
        while self._end.alive:
            # The event is cleared before looking, so that what comes after the look rings again.
            news = self._bell.hang()
            if not self._taken:
                self._taken.extend(self._subscription.take())
            if self._taken:
                return self._taken.popleft()
            if self._stop.is_set():
                break
            await news.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Ends it; a step that waits ends too. Again: nothing."""
        self._end()
        self._bell.ring()


class Listener:
    """The subscribers of one process to one host."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._subscriptions: dict[Subscription, None] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def on(self, kind: str, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Calls back for each change of a kind, on the listener's thread; what it returns ends that."""
        pending: list[Subscription] = []

        def deliver() -> None:
            for change in pending[0].take():
                try:
                    callback(change)
                except Exception:
                    log.exception("a callback for %s failed", kind)

        subscription = Subscription(lambda change: change.kind == kind, deliver)
        pending.append(subscription)
        return self._subscribe(subscription)

    def watch(self, wanted: Callable[[Change], bool]) -> Watch:
        """The changes wanted, from this call on, as they come, until the iterator is closed or dropped."""
        return Watch(wanted, self._subscribe, self._stop)

    def _subscribe(self, subscription: Subscription) -> Callable[[], None]:
        with self._lock:
            if self._stop.is_set():
                raise Closed("the directory was closed: open it again")
            last: int | None = None
            if self._thread is None or self._pid != os.getpid():
                # Where to begin is asked before anybody waits, so that nothing after this call is missed.
                _, last = self._source.changes(None, 0)
            self._subscriptions[subscription] = None
            if last is not None:
                self._pid = os.getpid()
                self._thread = threading.Thread(
                    target=self._run, args=(last,), name="fastcheck-listener", daemon=True
                )
                self._thread.start()

        def unsubscribe() -> None:
            # One step of the dict and no lock: a dropped iterator ends wherever its memory is collected,
            # which may be under this very lock.
            self._subscriptions.pop(subscription, None)

        return unsubscribe

    def _run(self, last: int) -> None:
        while not self._stop.is_set():
            try:
                found, last = self._source.changes(last, WAIT_S)
            except FastcheckError:
                # The owner changes; its successor will say that changes may be missing.
                self._stop.wait(PAUSE_S)
                continue
            subscriptions = list(self._subscriptions)
            for change in found:
                for subscription in subscriptions:
                    subscription.offer(change)

    def close(self) -> None:
        """Ends every subscription."""
        self._stop.set()
        with self._lock:
            subscriptions, self._subscriptions = list(self._subscriptions), {}
        for subscription in subscriptions:
            subscription.end()
