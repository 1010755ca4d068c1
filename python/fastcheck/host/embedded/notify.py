"""What is told: events of the ledger to whoever watches this host, and to other programs."""

from __future__ import annotations

import threading

from fastcheck.host.embedded.adoption import Adoption
from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.leases import CourierLike
from fastcheck.hub.service import News
from fastcheck.wire.events import Kind

TELL_MS = 1_000
"""Between two looks for what will end soon."""
TOP_UPS_PER_ROUND = 256
OF_ROWS = frozenset({Kind.CUSTOMER_CHANGED, Kind.CUSTOMER_DELETED, Kind.CATALOG_CHANGED})
"""Told to this host once its rows show it, and not when it is stored."""
_LOCK = threading.RLock()


class Telling(Adoption):
    """Hands events on. The ledger stores each with the change that made it so; who dies before handing one on
    leaves it there for `list_events` and for webhooks."""

    _told_at = 0
    _courier: CourierLike | None = None
    _told_why = ""
    _top_ups_due = True
    """Whether to look for automatic top-ups in this round; a predecessor may have left some."""

    def _hear(self, news: News) -> None:
        for one in news.told:
            event = one.event
            if event.kind not in OF_ROWS:
                self.ring.tell(
                    event.kind.value, event.at, event.customer, one.pool, one.remaining, one.percent
                )
        self._top_ups_due = self._top_ups_due or news.top_ups_due
        courier = self._courier
        if news.told and courier is not None:
            courier.news()

    def _begin_telling(self) -> None:
        if self._service.any_webhook():
            self._service.release_claims()  # Nobody else sends: who did is dead.
            self._courier_round()

    def _telling_round(self, now: int) -> None:
        if abs(now - self._told_at) >= TELL_MS:
            self._told_at = now
            self._top_ups_due = True
            self._service.tell_due(now)
            self._courier_round()
        if self._top_ups_due:
            self._top_ups_due = False
            self._top_up_round()

    def _top_up_round(self) -> None:
        """Tops up what is low, each with its use up to this moment."""
        for key in self._service.top_ups_due(TOP_UPS_PER_ROUND):
            self._top_up(key)

    def _top_up(self, key: Key) -> None:
        self._gaining(key, lambda totals: self._service.top_up(*key, totals=totals))

    def _courier_round(self) -> None:
        """Sends as long as somebody wants events. There is a thread for it only then."""
        load = self._load_courier
        if load is None:
            return
        wanted = self._service.any_webhook()
        with _LOCK:
            if wanted and self._courier is None:
                try:
                    self._courier = load()(self._service, self._clock)
                except ImportError as error:
                    if self._told_why != str(error):
                        self._told_why = str(error)
                        self._note(f"webhooks are not sent: {error}; pip install 'fastcheck[webhooks]'")
            elif not wanted and self._courier is not None:
                self._courier.stop(wait=False)
                self._courier = None

    def _end_telling(self) -> None:
        self._load_courier = None
        with _LOCK:
            courier, self._courier = self._courier, None
        if courier is not None:
            courier.stop(wait=True)

    def _ring_courier(self) -> None:
        courier = self._courier
        if courier is not None:
            courier.news()
