"""What is told: events of the ledger to whoever watches this host, and to other programs."""

from __future__ import annotations

import contextlib
import threading

from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.changes import Changes
from fastcheck.host.embedded.leases import CourierLike
from fastcheck.hub.service import News
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.event_answers import DeliveryState, TopUpState, WebhookState
from fastcheck.wire.events import Kind
from fastcheck.wire.top_up_requests import PutTopUp

TELL_MS = 1_000
"""Between two looks for what will end soon."""
TOP_UPS_PER_ROUND = 256
OF_ROWS = frozenset({Kind.CUSTOMER_CHANGED, Kind.CUSTOMER_DELETED, Kind.CATALOG_CHANGED})
"""Told to this host once its rows show it, and not when it is stored."""
_LOCK = threading.RLock()


class Telling(Changes):
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

    def put_top_up(self, request: PutTopUp, by: By = ANYBODY) -> TopUpState:
        """Makes or changes the rule of an account, and looks at it at once."""
        made = self._service.put_top_up(request, by=by)
        self._top_up_round()
        return made

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

    def put_webhook(self, url: str, kinds: tuple[str, ...] | None, by: By = ANYBODY) -> WebhookState:
        """Makes a webhook, or changes which events it gets."""
        if self._load_courier is not None:
            with contextlib.suppress(ImportError):  # The service says it better.
                self._load_courier()
        made = self._service.put_webhook(url, kinds, by=by)
        self._courier_round()
        return made

    def delete_webhook(self, id: str, by: By = ANYBODY) -> None:
        """Removes a webhook."""
        self._service.delete_webhook(id, by=by)
        self._courier_round()

    def replay_delivery(self, id: str, by: By = ANYBODY) -> DeliveryState:
        """Sends a dead delivery again."""
        found = self._service.replay_delivery(id, by=by)
        self._ring_courier()
        return found

    def replay_dead(self, webhook: str, by: By = ANYBODY) -> int:
        """Sends everything dead of a webhook again."""
        count = self._service.replay_dead(webhook, by=by)
        self._ring_courier()
        return count

    def _ring_courier(self) -> None:
        courier = self._courier
        if courier is not None:
            courier.news()
