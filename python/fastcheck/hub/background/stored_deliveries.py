"""Deliveries as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service import Service
from fastcheck.hub.use_cases.webhooks import active
from fastcheck.hub.webhooks.delivery import CLAIM_MS, Deliveries, Delivery, Endpoint


class StoredDeliveries(Deliveries):
    """What the courier needs, over the service: each call is one transaction."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def due(self, now: int, limit: int) -> Sequence[Delivery]:
        """As `Deliveries.due`."""
        return [
            Delivery(id, event, Endpoint(to.id, to.url, active(to.secrets)), attempts)
            for to, id, attempts, event in self._service.deliveries.take_deliveries(
                now, now + CLAIM_MS, limit
            )
        ]

    def delivered(self, id: str) -> None:
        """It arrived."""
        self._service.deliveries.end_delivery(id, "delivered", "")

    def failed(self, id: str, next_at: int, why: str) -> None:
        """One attempt more failed; it waits until `next_at`."""
        self._service.deliveries.delay_delivery(id, next_at, why)

    def dead(self, id: str, why: str) -> None:
        """It is given up, and kept for a replay."""
        self._service.deliveries.end_delivery(id, "dead", why)

    def disabled(self, endpoint: str) -> None:
        """The endpoint gets nothing more."""
        self._service.deliveries.disable_webhook(endpoint)
