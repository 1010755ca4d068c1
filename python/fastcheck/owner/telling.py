"""What is told: events of the ledger to whoever watches this host."""

from __future__ import annotations

from ..hub.service import News
from ..hub.webhooks.kinds import Kind
from .segments import Segments

TELL_MS = 1_000
"""Between two looks for what will end soon."""
OF_ROWS = frozenset({Kind.CUSTOMER_CHANGED, Kind.CUSTOMER_DELETED, Kind.CATALOG_CHANGED})
"""Told to this host once its rows show it, and not when it is stored."""


class Telling(Segments):
    """Hands events on. The ledger stores each with the change that made it so; who dies before handing one on
    leaves it there for `list_events` and for webhooks."""

    _told_at = 0

    def _hear(self, news: News) -> None:
        for one in news.told:
            event = one.event
            if event.kind not in OF_ROWS:
                self.ring.tell(
                    event.kind.value, event.at, event.customer, one.pool, one.remaining, one.percent
                )

    def _telling_round(self, now: int) -> None:
        if abs(now - self._told_at) >= TELL_MS:
            self._told_at = now
            self._service.tell_due(now)
