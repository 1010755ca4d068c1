"""What is told: events of the ledger to whoever watches this host, and to other programs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from fastcheck.clock import Clock
from fastcheck.host.changes import Ring
from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.leases import Leases
from fastcheck.hub.service import News, Service, Totals
from fastcheck.hub.use_cases.top_ups import ToppedUp
from fastcheck.wire.events import Kind

TOP_UPS_PER_ROUND = 256
OF_ROWS = frozenset({Kind.CUSTOMER_CHANGED, Kind.CUSTOMER_DELETED, Kind.CATALOG_CHANGED})
"""Told to this host once its rows show it, and not when it is stored."""
_LOCK = threading.RLock()


class CourierLike(Protocol):
    """Sends webhooks until it is stopped."""

    def news(self) -> None: ...
    def stop(self, *, wait: bool) -> None: ...


LoadCourier = Callable[[], Callable[[Service, Clock], CourierLike]]
"""Loads what sends webhooks. Raises `ImportError` where the extra is missing."""


class Notifier:
    """Hands events on. The ledger stores each with the change that made it so; who dies before handing one on
    leaves it there for `list_events` and for webhooks."""

    def __init__(
        self,
        service: Service,
        clock: Clock,
        ring: Ring,
        leases: Leases,
        load_courier: LoadCourier | None,
        note: Callable[[str], None],
    ) -> None:
        """`load_courier` loads what sends webhooks; None: they are left to others. `note` tells an operator
        something."""
        self._service: Final = service
        self._clock: Final = clock
        self._ring: Final = ring
        self._leases: Final = leases
        self._load_courier = load_courier
        self._note: Final = note
        self._courier: CourierLike | None = None
        self._told_why = ""
        self._top_ups_due = True  # A predecessor may have left some.
        service.listener = self._hear

    def _hear(self, news: News) -> None:
        for one in news.told:
            event = one.event
            if event.kind not in OF_ROWS:
                self._ring.tell(
                    event.kind.value, event.at, event.customer, one.pool, one.remaining, one.percent
                )
        self._top_ups_due = self._top_ups_due or news.top_ups_due
        courier = self._courier
        if news.told and courier is not None:
            courier.news()

    def begin(self) -> None:
        """Begins to send, if there is a webhook."""
        if self._service.any_webhook():
            self._service.release_claims()  # Nobody else sends: who did is dead.
            self.look_for_webhooks()

    def top_ups_round(self) -> None:
        """Tops up what a change of this host made due."""
        if self._top_ups_due:
            self.top_up()

    def load(self) -> None:
        """Loads what sends webhooks, before the ledger is locked for one. Raises `ImportError`."""
        if self._load_courier is not None:
            self._load_courier()

    def top_up(self) -> None:
        """Tops up what is low, each with its use up to this moment."""
        self._top_ups_due = False
        for key in self._service.top_ups_due(TOP_UPS_PER_ROUND):
            self._leases.gaining(key, partial(self._topped_up, key))

    def _topped_up(self, key: Key, totals: Totals | None) -> ToppedUp:
        return self._service.top_up(*key, totals=totals)

    def look_for_webhooks(self) -> None:
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

    def end(self) -> None:
        """Sends nothing more; waits for what is under way."""
        self._load_courier = None
        with _LOCK:
            courier, self._courier = self._courier, None
        if courier is not None:
            courier.stop(wait=True)

    def ring_courier(self) -> None:
        """There is something to send."""
        courier = self._courier
        if courier is not None:
            courier.news()
