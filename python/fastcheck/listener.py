"""Hands the changes of a host to callbacks and async iterators of this process.

One thread per open directory, started by the first subscriber. It asks for changes, waiting at the owner, and
offers each to every subscriber; a slow one loses nothing but repetitions, and beyond its bound gets one
change "missed"."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from .changes import Change, Subscription
from .errors import Closed, FastcheckError

log = logging.getLogger("fastcheck.listener")

WAIT_S = 1.0
"""How long one question for changes waits; bounds how long closing takes."""
PAUSE_S = 0.1
"""After a question that failed."""


class Source(Protocol):
    """Where changes come from."""

    def changes(self, after: int | None, wait_s: float) -> tuple[list[Change], int]: ...


class Listener:
    """The subscribers of one process to one host."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
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

    async def watch(self, wanted: Callable[[Change], bool]) -> AsyncIterator[Change]:
        """The changes wanted, as they come, until the iterator is closed."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake() -> None:
            # The loop may be gone while the thread still has news for it.
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.set)

        subscription = Subscription(wanted, wake)
        unsubscribe = await loop.run_in_executor(None, self._subscribe, subscription)
        try:
            while not self._stop.is_set():
                await news.wait()
                news.clear()
                for change in subscription.take():
                    yield change
        finally:
            unsubscribe()

    def _subscribe(self, subscription: Subscription) -> Callable[[], None]:
        with self._lock:
            if self._stop.is_set():
                raise Closed("the directory was closed: open it again")
            self._subscriptions.append(subscription)
            if self._thread is None or self._pid != os.getpid():
                # Where to begin is asked before anybody waits, so that nothing after this call is missed.
                _, last = self._source.changes(None, 0)
                self._pid = os.getpid()
                self._thread = threading.Thread(
                    target=self._run, args=(last,), name="fastcheck-listener", daemon=True
                )
                self._thread.start()

        def unsubscribe() -> None:
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)

        return unsubscribe

    def _run(self, last: int) -> None:
        while not self._stop.is_set():
            try:
                found, last = self._source.changes(last, WAIT_S)
            except FastcheckError:
                # The owner changes; its successor will say that changes may be missing.
                self._stop.wait(PAUSE_S)
                continue
            with self._lock:
                subscriptions = list(self._subscriptions)
            for change in found:
                for subscription in subscriptions:
                    subscription.offer(change)

    def close(self) -> None:
        """Ends every subscription."""
        self._stop.set()
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.end()
