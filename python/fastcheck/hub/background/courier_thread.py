"""Sends webhooks from a thread of its own, for as long as a process owns a directory, or is the
elected hub, and somebody wants events. Needs the extra `webhooks`; loaded only then."""

from __future__ import annotations

import asyncio
import logging
import random
import threading

from fastcheck.clock import Clock
from fastcheck.hub.background.stored_deliveries import StoredDeliveries
from fastcheck.hub.service import Service
from fastcheck.hub.webhooks.delivery import Courier
from fastcheck.hub.webhooks.http import HttpSender

log = logging.getLogger("fastcheck.webhooks")

LAST_ATTEMPTS_S = 2.0
"""How long ending waits for attempts under way. Those cut off are sent again by a successor, with the same
id."""


class CourierThread:
    """One event loop on one daemon thread."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._news = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fastcheck-courier", daemon=True)
        self._thread.start()

    def news(self) -> None:
        """There is something to send. Never waits."""
        self._set(self._news)

    def stop(self, *, wait: bool) -> None:
        """Begins nothing more; with `wait`, until the last attempt is over or cut off. Again: nothing."""
        with self._lock:
            self._ended = True
        self._set(self._stop)
        if wait and self._thread is not threading.current_thread():
            self._thread.join()

    def _set(self, event: asyncio.Event) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(event.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except Exception:
            log.exception("webhooks are not sent any more until the directory is opened anew")

    async def _send(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._ended:
                self._stop.set()
        deliveries = StoredDeliveries(self._service)
        courier = Courier(deliveries, HttpSender(), self._clock, random.Random())
        try:
            work = asyncio.ensure_future(courier.run(self._stop, self._news))
            halt = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({work, halt}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait_for(work, LAST_ATTEMPTS_S)
        except asyncio.TimeoutError:
            log.warning("attempts under way were cut off; they are sent again")
        finally:
            with self._lock:
                self._loop = None
            await courier.close()
