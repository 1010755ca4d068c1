"""Webhooks, and what is on its way to them."""

from __future__ import annotations

from fastcheck.errors import InstantError, NameInvalid, WrongType
from fastcheck.hub.service.core import Core
from fastcheck.hub.store.statements import StoredWebhook
from fastcheck.hub.use_cases import reports, webhooks
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.answers import Page
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.events import Event
from fastcheck.wire.names import name

STATES = ("waiting", "delivered", "dead")
OVERLAP_MS = 86_400_000
"""How long an old secret signs beside a new one unless said otherwise."""
OVERLAP_MS_MAX = 30 * 86_400_000


class Webhooks(Core):
    """Who is told of events."""

    def put_webhook(
        self, url: str, kinds: tuple[str, ...] | None = None, *, by: By = ANYBODY
    ) -> WebhookState:
        """Makes a webhook; of an address that has one, changes which events it gets and turns it on. Raises
        `MissingExtra`, `NameInvalid`, `WrongType`."""
        checked = webhooks.checked_kinds(kinds)
        return self._change(lambda call: webhooks.put(call, url, checked), by, "put_webhook", url, checked)

    def list_webhooks(self) -> list[WebhookState]:
        """All, in the order in which they were made."""
        return self._read(webhooks.listed)

    def delete_webhook(self, id: str, *, by: By = ANYBODY) -> None:
        """Removes a webhook with what was on its way. Raises `UnknownWebhook`."""
        checked = name(id, "a webhook's id")
        self._change(lambda call: webhooks.delete(call, checked), by, "delete_webhook", checked)

    def rotate_webhook_secret(
        self, id: str, overlap_ms: int = OVERLAP_MS, *, by: By = ANYBODY
    ) -> WebhookState:
        """Another secret; the old one signs as well until the overlap has passed. Raises `UnknownWebhook`."""
        checked = name(id, "a webhook's id")
        if isinstance(overlap_ms, bool) or not isinstance(overlap_ms, int):
            raise WrongType(f"overlap_ms must be an int, not {type(overlap_ms).__name__}")
        if not 0 <= overlap_ms <= OVERLAP_MS_MAX:
            raise InstantError(f"overlap_ms must lie between 0 and {OVERLAP_MS_MAX}")
        return self._change(
            lambda call: webhooks.rotate(call, checked, overlap_ms),
            by,
            "rotate_webhook_secret",
            checked,
            overlap_ms,
        )

    def list_deliveries(
        self,
        cursor: str | None = None,
        limit: int = 100,
        state: str | None = None,
        webhook: str | None = None,
    ) -> Page[DeliveryState]:
        """Deliveries in the order of their ids. Raises `NameInvalid` for a state that there is not."""
        count = reports.items(limit)
        if state is not None and state not in STATES:
            raise NameInvalid(f"no delivery is {state!r:.40}: use one of {', '.join(STATES)}")

        def job(call: Call) -> Page[DeliveryState]:
            found = call.books.deliveries_after(cursor or "", count + 1, state, webhook)
            part = tuple(webhooks.delivery_state(one) for one in found[:count])
            return Page(part, part[-1].id if len(found) > count else None)

        return self._read(job)

    def replay_delivery(self, id: str, *, by: By = ANYBODY) -> DeliveryState:
        """Sends a dead delivery again. Raises `UnknownDelivery`, `Conflict`."""
        checked = name(id, "a delivery's id")
        return self._change(lambda call: webhooks.replay(call, checked), by, "replay_delivery", checked)

    def replay_dead(self, webhook: str, *, by: By = ANYBODY) -> int:
        """Sends everything dead of a webhook again; how many. Raises `UnknownWebhook`, `Conflict`."""
        checked = name(webhook, "a webhook's id")
        return self._change(lambda call: webhooks.replay_dead(call, checked), by, "replay_dead", checked)

    # For who sends.

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
