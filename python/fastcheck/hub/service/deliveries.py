"""What the courier asks: deliveries on their way."""

from __future__ import annotations

from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import StoredWebhook
from fastcheck.hub.use_cases import webhooks
from fastcheck.wire.events import Event


class Deliveries:
    """Who is told of events."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def any_webhook(self) -> bool:
        """Whether one is enabled."""
        return self._core.read(lambda call: call.statements.any_webhook())

    def take_deliveries(
        self, now: int, until: int, limit: int
    ) -> list[tuple[StoredWebhook, str, int, Event]]:
        """(webhook, delivery, attempts, event) of those due, claimed until `until`."""
        return self._core.write(lambda call: call.statements.take_deliveries(now, until, limit))

    def end_delivery(self, id: str, state: str, why: str) -> None:
        """A waiting delivery is delivered or dead."""
        self._core.write(lambda call: call.statements.end_delivery(id, state, why, call.now))

    def delay_delivery(self, id: str, next_at: int, why: str) -> None:
        """One attempt more failed."""
        self._core.write(lambda call: call.statements.delay_delivery(id, next_at, why, call.now))

    def disable_webhook(self, id: str) -> None:
        """The receiver wants nothing more."""
        self._core.write(lambda call: webhooks.disable(call, id))

    def release_claims(self) -> None:
        """What a predecessor took is handed out again. Only for who alone sends."""
        self._core.write(lambda call: call.statements.release_claims())
