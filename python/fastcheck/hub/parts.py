"""The hub's parts that live as long as its process, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from fastcheck.hub.access.auth import Authenticator, Tokens
from fastcheck.hub.metrics import Metrics
from fastcheck.hub.stream.connections import Streams
from fastcheck.hub.stream.gauges import gauges
from fastcheck.hub.stream.ledger import Ledger
from fastcheck.hub.stream.log_follower import Tail
from fastcheck.hub.stream.ring import Ring
from fastcheck.hub.stream.session import Times
from fastcheck.hub.stream.snapshot_files import MakeWriter, Spool

log = logging.getLogger("fastcheck.hub")

CANCEL_AGAIN_S: Final = 0.2
"""After which a task that goes on is cancelled once more."""
READERS: Final = 8
"""Threads that read the ledger, tokens and snapshots for streams."""


class Background(Protocol):
    """Something that goes on beside the requests, in threads of its own."""

    def start(self) -> None:
        """Begins."""
        ...

    def stop(self) -> None:
        """Ends what it is at, and waits for that."""
        ...


class News(Protocol):
    """Words between the hubs of one database (`HubNews`)."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Calls back, in a thread of its own, when another hub stored a change."""
        ...

    def notify(self) -> None:
        """This hub stored a change. Never waits."""
        ...

    def close(self) -> None:
        """Ends."""
        ...


class StreamService(Ledger, Tokens, Protocol):
    """What the server itself asks of the service; the API asks for more."""


@dataclass(frozen=True)
class Settings:
    """What an operator decides."""

    directory: Path
    """Where the hub keeps its files."""
    environment: str = "live"
    """Tokens of another environment are refused."""
    times: Times = field(default_factory=Times)


class Hub:
    """The parts that live as long as the process."""

    tail: Tail
    spool: Spool

    def __init__(
        self,
        service: StreamService,
        settings: Settings,
        make_writer: MakeWriter,
        now_ms: Callable[[], int],
        background: tuple[Background, ...] = (),
        news: News | None = None,
    ) -> None:
        """`news`: where several hubs have one database."""
        self.settings = settings
        self.service = service
        self.now_ms = now_ms
        self.ring = Ring()
        self.metrics = Metrics()
        self.authenticator = Authenticator(
            service,
            settings.environment,
            now_ms,
            denied=lambda reason: self.metrics.denied.labels(reason).inc(),
        )
        self._readers = ThreadPoolExecutor(READERS, "fastcheck-reader")
        self._tailing = ThreadPoolExecutor(1, "fastcheck-tail")
        self._spooling = ThreadPoolExecutor(1, "fastcheck-spool")
        self._make_writer = make_writer
        self._background = background
        self._news = news
        self.streams = Streams(
            ring=self.ring,
            ledger=service,
            authenticator=self.authenticator,
            executor=self._readers,
            metrics=self.metrics,
            now_ms=now_ms,
            times=settings.times,
        )
        self.crashed: list[str] = []
        """Tasks that ended although they should not: the process is to be started anew."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to follow the ledger. In the loop that serves."""
        self.tail = Tail(self.service, self.ring, self._tailing, moved=self._moved, sent=self._sent)
        self.spool = Spool(
            self.settings.directory / "spool",
            self.service,
            self.ring,
            self._spooling,
            self._make_writer,
            self.now_ms,
        )
        self.streams.tail, self.streams.spool = self.tail, self.spool
        self.metrics.watch(partial(gauges, self.streams, self.tail, self.spool))
        self.service.committed = self._committed
        for name, run in (
            ("the tail of the change log", self.tail.run()),
            ("snapshots", self.spool.run()),
            ("the turns of the streams", self.streams.run()),
            ("the check of tokens", self.streams.recheck()),
        ):
            self._go(name, run)
        if self._news is not None:
            self._news.listen(self.tail.wake)
        for one in self._background:
            await asyncio.get_running_loop().run_in_executor(self._readers, one.start)

    def _go(self, name: str, run: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(run, name=name)
        task.add_done_callback(partial(self._ended, name))
        self._tasks.append(task)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.crashed.append(f"{name} stopped: start the hub anew")
            log.critical("%s stopped", name, exc_info=task.exception())

    def _committed(self, seq: int) -> None:
        self.tail.wake()
        if self._news is not None:
            self._news.notify()

    def _moved(self) -> None:
        self.streams.publish()
        if self.spool.newest is None:
            self.spool.wake()  # The first host is not to wait for it.

    def _sent(self, at_ms: int) -> None:
        self.metrics.sent.observe(max(self.now_ms() - at_ms, 0) / 1_000)

    async def stop(self) -> None:
        """Ends everything. What was committed stays; hosts find another hub."""
        self.service.committed = None
        # Before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes together with its answer.
        while left := {task for task in self._tasks if not task.done()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        self.streams.close()
        await asyncio.sleep(0)  # So that each connection hears of its end.
        loop = asyncio.get_running_loop()
        for one in self._background:
            await loop.run_in_executor(self._readers, one.stop)
        if self._news is not None:
            await loop.run_in_executor(self._readers, self._news.close)
        for executor in (self._tailing, self._spooling):
            await loop.run_in_executor(self._readers, executor.shutdown)
        self.spool.close()
        self._readers.shutdown(wait=False)
