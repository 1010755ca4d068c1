"""What the courier asks: deliveries on their way."""

from __future__ import annotations

from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import StoredWebhook
from fastcheck.hub.use_cases import webhooks
from fastcheck.wire.events import Event


class Webhooks(Core):
    """Who is told of events."""

    def any_webhook(self) -> bool:
        """Whether one is enabled."""
        return self._read(lambda call: call.books.any_webhook())

    def take_deliveries(
        self, now: int, until: int, limit: int
    ) -> list[tuple[StoredWebhook, str, int, Event]]:
        """(webhook, delivery, attempts, event) of those due, claimed until `until`."""
        return self._run(lambda call: call.books.take_deliveries(now, until, limit))

    def end_delivery(self, id: str, state: str, why: str) -> None:
        """A waiting delivery is delivered or dead."""
        self._run(lambda call: call.books.end_delivery(id, state, why, call.now))

    def delay_delivery(self, id: str, next_at: int, why: str) -> None:
        """One attempt more failed."""
        self._run(lambda call: call.books.delay_delivery(id, next_at, why, call.now))

    def disable_webhook(self, id: str) -> None:
        """The receiver wants nothing more."""
        self._run(lambda call: webhooks.disable(call, id))

    def release_claims(self) -> None:
        """What a predecessor took is handed out again. Only for who alone sends."""
        self._run(lambda call: call.books.release_claims())
