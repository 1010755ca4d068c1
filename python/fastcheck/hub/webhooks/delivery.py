"""Takes deliveries that are due, sends them, and writes down what came of each.

The store hands out at most one delivery of an endpoint at a time and keeps the order of events; so a slow or
failing endpoint holds up nobody else, and a delivery that waits for its next attempt holds up nothing of its
own endpoint either. Whoever is killed between sending and writing down leaves a claim that runs out, and the
delivery is sent again with the same id."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

from fastcheck.clock import Clock
from fastcheck.hub.webhooks.retry import Fate, Outcome, Verdict, judge
from fastcheck.hub.webhooks.sign import ActiveSecret, in_force, signed_headers
from fastcheck.wire.events import Event

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)

WORKERS = 16
"""Deliveries under way at once."""
CLAIM_MS = 60_000
"""How long a delivery that was handed out belongs to who took it; longer than an attempt can last."""
LOOK_AGAIN_S = 1.0
"""How often the store is asked when nobody says that there is something new."""


@dataclass(frozen=True)
class Endpoint:
    """Where events go."""

    id: str
    url: str
    secrets: tuple[ActiveSecret, ...]

    def __repr__(self) -> str:
        return f"Endpoint({self.id})"  # Addresses may hold a token.


@dataclass(frozen=True)
class Delivery:
    """An event on its way to an endpoint."""

    id: str
    """Its own; what receivers see is the event's."""
    event: Event
    endpoint: Endpoint
    attempts: int = 0
    """Those that failed before, since it was made or replayed."""


class Deliveries(Protocol):
    """Where deliveries are kept. A delivery waits (until an instant), is claimed, delivered, or dead. Each
    call is one transaction; calls about a delivery that does not wait any more change nothing."""

    def due(self, now: int, limit: int) -> Sequence[Delivery]:
        """At most `limit` deliveries whose instant has come (inclusive), claimed until `now + CLAIM_MS`; the
        longest due endpoints first. Of an endpoint only the oldest event that is due, and none while another
        of its deliveries is claimed; none of disabled endpoints."""

    def delivered(self, id: str) -> None:
        """It arrived."""

    def failed(self, id: str, next_at: int, why: str) -> None:
        """One attempt more failed; it waits until `next_at`."""

    def dead(self, id: str, why: str) -> None:
        """It is given up, and kept for a replay."""

    def disabled(self, endpoint: str) -> None:
        """The endpoint gets nothing more: what waits for it becomes dead, new events pass it by."""


class Sender(Protocol):
    """How a webhook leaves the house."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One attempt, bounded in time. Failures are outcomes, not exceptions."""

    async def close(self) -> None:
        """Ends its connections."""


class Courier:
    """Sends what is due, with a bound on how much at once. Calls of the store run on one thread of their own,
    one at a time."""

    def __init__(
        self, deliveries: Deliveries, sender: Sender, clock: Clock, random: Random, *, workers: int = WORKERS
    ) -> None:
        self._deliveries = deliveries
        self._sender = sender
        self._clock = clock
        self._random = random
        self._workers = workers
        self._under_way: set[asyncio.Task[None]] = set()
        self._books = ThreadPoolExecutor(1, "fastcheck-webhooks")

    async def run(self, stop: asyncio.Event, news: asyncio.Event) -> None:
        """Until `stop` is set; then waits for what is under way. `news`: set by whoever adds a delivery."""
        halt = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                news.clear()
                await self._start()
                fresh = asyncio.ensure_future(news.wait())
                await asyncio.wait(
                    {halt, fresh, *self._under_way}, timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                fresh.cancel()
            await asyncio.gather(*self._under_way)
        finally:
            halt.cancel()
            for task in self._under_way:
                task.cancel()  # Only where this is cancelled itself: the claims run out.

    async def drain(self) -> None:
        """Sends until nothing is due and nothing is under way."""
        while await self._start() or self._under_way:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Lets go of the sender and of the thread that speaks with the store."""
        await self._sender.close()
        self._books.shutdown(wait=False)

    async def _start(self) -> int:
        free = self._workers - len(self._under_way)
        if free <= 0:
            return 0
        try:
            due = await self._on_books(self._deliveries.due, self._clock.now_ms(), free)
        except Exception:
            if threading.main_thread().is_alive():  # Else the interpreter ends, and takes no more work.
                log.exception("deliveries could not be read; trying again")
            return 0
        for delivery in due:
            task = asyncio.ensure_future(self._deliver(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(due)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = await self._attempt(delivery)
            verdict = await self._on_books(self._settle, delivery, outcome)
        except Exception:
            log.exception("delivery %s: its outcome could not be kept; it will be sent again", delivery.id)
            return
        if verdict.fate is not Fate.DELIVERED:
            log.warning(
                "delivery %s to endpoint %s, attempt %d: %s; %s",
                delivery.id,
                delivery.endpoint.id,
                delivery.attempts + 1,
                outcome.reason,
                verdict.fate.value,
            )

    async def _on_books(self, call: Callable[..., Answer], *words: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._books, call, *words)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        event, endpoint, now = delivery.event, delivery.endpoint, self._clock.now_ms()
        secrets = in_force(endpoint.secrets, now)
        if not secrets:
            return Outcome(None, "the endpoint has no secret in force")
        body = event.body()
        headers = {"content-type": "application/json", **signed_headers(event.id, now, body, secrets)}
        try:
            return await self._sender.send(endpoint.url, headers, body)
        except Exception as error:
            return Outcome(None, f"the sender failed: {type(error).__name__}")

    def _settle(self, delivery: Delivery, outcome: Outcome) -> Verdict:
        now = self._clock.now_ms()
        verdict = judge(outcome, delivery.attempts + 1, now, self._random)
        if verdict.fate is Fate.DELIVERED:
            self._deliveries.delivered(delivery.id)
        elif verdict.next_at is not None:
            self._deliveries.failed(delivery.id, verdict.next_at, outcome.reason)
        else:
            self._deliveries.dead(delivery.id, outcome.reason)
        if verdict.fate is Fate.GONE:
            self._deliveries.disabled(delivery.endpoint.id)
        return verdict
