"""Waking the hubs of one PostgreSQL database when one of them stored a change.

A word that is lost costs time and nothing else: every hub also looks by itself, every now and then. So words
are sent after the commit, over a connection of their own, by a thread that alone waits for the server; many
changes meanwhile are one word. A failure never reaches who changed something: it is logged once, until it
works again."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from fastcheck.hub.store.postgres import KEEPALIVE, connect_arguments, psycopg_url

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger("fastcheck.store")

CHANNEL: Final = "fastcheck_changes"
"""Of a whole database: hubs of other schemas in it are woken in vain, which costs them one look."""
PAUSE_S: Final = 0.1
"""Before the second attempt to connect, at most; twice as long before each further one."""
PAUSE_S_MAX: Final = 5.0


class HubNews:
    """One thread with one connection: it sends words and hears those of other hubs."""

    def __init__(self, url: str) -> None:
        """`url`: as of `PostgresStore`. Nothing is connected before `listen` or `notify`. Raises
        `StoreError` for a URL that is none."""
        parsed = psycopg_url(url)
        arguments = {**KEEPALIVE, **connect_arguments(parsed)}
        self._engine = create_engine(parsed, poolclass=NullPool, connect_args=arguments)
        self._callback: Callable[[], None] = _nothing
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._to_send = False
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # Starting and closing.
        self._thread: threading.Thread | None = None
        self._failing = False
        self.connected = threading.Event()
        """Set while words come through."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Calls back, in a thread of its own, when another hub sent a word, and after each new connection,
        before which words may have been missed. It must not raise and not wait."""
        self._callback = callback
        self._start()

    def notify(self) -> None:
        """Sends a word soon; never waits, never raises."""
        self._to_send = True
        self._start()
        self._wake()

    def close(self) -> None:
        """Ends the thread and its connection. Again: nothing."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
            thread = self._thread
        self._wake()
        if thread is not None:
            thread.join()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="fastcheck-news", daemon=True)
                self._thread.start()

    def _wake(self) -> None:
        # A full pipe wakes as well; a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            os.write(self._wake_in, b"\0")

    # The thread.

    def _run(self) -> None:
        attempts = 0
        while not self._stopping.is_set():
            try:
                with self._engine.connect() as connection:
                    driver: Any = connection.connection.driver_connection
                    driver.autocommit = True
                    driver.execute(f"LISTEN {CHANNEL}")
                    attempts = 0
                    self._works()
                    self._converse(driver)
            except Exception as error:  # Whatever it is, it may not end the thread or reach a change.
                self._fails(error)
            finally:
                self.connected.clear()
            attempts += 1
            pause_s = min(PAUSE_S_MAX, PAUSE_S * 2 ** min(attempts - 1, 10))
            self._stopping.wait(pause_s * random.uniform(0.5, 1.0))

    def _converse(self, driver: psycopg.Connection[Any]) -> None:
        """Until the connection is lost or nobody wants it any more."""
        own, heard = driver.info.backend_pid, set[int]()
        driver.add_notify_handler(lambda word: heard.add(word.pid))  # Those that come with an answer.
        either = select.poll()  # Not select(), which knows no descriptors from 1,024 on.
        for one in (driver.fileno(), self._wake_out):
            either.register(one, select.POLLIN)
        while not self._stopping.is_set():
            if self._to_send:
                self._to_send = False
                driver.execute(f"NOTIFY {CHANNEL}")
            driver.pgconn.consume_input()
            while (word := driver.pgconn.notifies()) is not None:
                heard.add(word.be_pid)
            if heard - {own}:
                self._callback()
            heard.clear()
            if not self._to_send:
                either.poll()
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_out, 4_096)

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            log.info("hubs of this database wake each other again")
        self.connected.set()
        self._callback()

    def _fails(self, error: Exception) -> None:
        if self._failing or self._stopping.is_set():
            return
        self._failing = True
        # Not the error's whole text: it may name more of the server than a log should.
        log.warning(
            "hubs of this database do not wake each other at present (%s); changes reach hosts up to one "
            "look later",
            type(error).__name__,
        )


def _nothing() -> None:
    pass
