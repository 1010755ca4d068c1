"""Events of the ledger, and the webhooks that carry them."""

from __future__ import annotations

from collections.abc import Iterable

from fastcheck.admin.base import AdminBase
from fastcheck.errors import WrongType
from fastcheck.wire.answers import EventState, Page
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.fields import listed
from fastcheck.wire.operations.events import ListEvents
from fastcheck.wire.operations.webhooks import (
    DeleteWebhook,
    ListDeliveries,
    ListWebhooks,
    PutWebhook,
    ReplayDead,
    ReplayDelivery,
    RotateWebhookSecret,
)


class EventsAdmin(AdminBase):
    """What happened, and who is told."""

    def list_events(
        self,
        cursor: str | None = None,
        limit: int = 100,
        kind: str | None = None,
        customer: str | None = None,
    ) -> Page[EventState]:
        """Everything that happened, oldest first, of one kind or customer or all; `page.cursor` asks for the
        rest. Raises `UnknownCustomer`, `NameInvalid` (no such kind).

        >>> [(one.kind, one.customer) for one in ents.admin.list_events().items]
        [('catalog_changed', None), ('customer_changed', 'acme'), ('customer_changed', 'tiny')]
        """
        return self._ask(ListEvents(cursor, limit, kind, customer))

    def put_webhook(self, url: str, kinds: Iterable[str] | None = None, *, reason: str = "") -> WebhookState:
        """Sends events (of some kinds; default all) to an address, as Standard Webhooks; `https://`, or
        `http://` to this machine. The secret that signs them is shown in this answer and never again. Of an
        address that is known already, changes the kinds and turns it on.

        What happened before is not sent. Raises `MissingExtra` without the extra `webhooks`, `NameInvalid`,
        `WrongType`.

        >>> made = ents.admin.put_webhook("https://example.com/hook", ["low_balance", "limit_reached"])
        >>> made.secret.startswith("whsec_"), made.kinds
        (True, ('limit_reached', 'low_balance'))
        """
        return self._ask(PutWebhook(url, None if kinds is None else listed(kinds, "kinds")), reason)

    def list_webhooks(self) -> list[WebhookState]:
        """Where events are sent, in the order in which it was asked for; of the secrets only how they begin.

        >>> id = ents.admin.put_webhook("https://example.com/hook").id
        >>> [(one.url, one.enabled, len(one.secret_begins)) for one in ents.admin.list_webhooks()]
        [('https://example.com/hook', True, 8)]
        """
        return list(self._ask(ListWebhooks()).items)

    def delete_webhook(self, id: str, *, reason: str = "") -> None:
        """Sends nothing more there, and forgets what was on its way. Raises `UnknownWebhook`.

        >>> made = ents.admin.put_webhook("https://example.com/hook")
        >>> ents.admin.delete_webhook(made.id)
        >>> ents.admin.list_webhooks()
        []
        """
        self._ask(DeleteWebhook(id), reason)

    def rotate_webhook_secret(self, id: str, *, overlap_s: int = 86_400, reason: str = "") -> WebhookState:
        """Another secret, shown in this answer. For `overlap_s` seconds (at most 30 days) webhooks carry a
        signature of the old one too. Raises `UnknownWebhook`, `InstantError`, `WrongType`.

        >>> made = ents.admin.put_webhook("https://example.com/hook")
        >>> ents.admin.rotate_webhook_secret(made.id, overlap_s=3_600).secret == made.secret
        False
        """
        if isinstance(overlap_s, bool) or not isinstance(overlap_s, int):
            raise WrongType(f"overlap_s must be an int of seconds, not {type(overlap_s).__name__}")
        return self._ask(RotateWebhookSecret(id, overlap_s * 1_000), reason)

    def list_deliveries(
        self,
        cursor: str | None = None,
        limit: int = 100,
        state: str | None = None,
        webhook: str | None = None,
    ) -> Page[DeliveryState]:
        """Events on their way: waiting, delivered or dead (given up after eight attempts in some 28 hours, or
        because the receiver is gone). Raises `NameInvalid` (no such state).

        >>> made = ents.admin.put_webhook("https://example.com/hook", ["customer_deleted"])
        >>> ents.admin.list_deliveries(state="dead").items
        ()
        """
        return self._ask(ListDeliveries(cursor, limit, state, webhook))

    def replay_delivery(self, id: str, *, reason: str = "") -> DeliveryState:
        """Sends a dead delivery again, with the same `webhook-id`. Raises `UnknownDelivery`, `Conflict` (it
        is not dead, or its webhook is off).

        >>> [ents.admin.replay_delivery(one.id) for one in ents.admin.list_deliveries(state="dead").items]
        []
        """
        return self._ask(ReplayDelivery(id), reason)

    def replay_dead(self, webhook: str, *, reason: str = "") -> int:
        """Sends everything dead of a webhook again; how many. Raises `UnknownWebhook`, `Conflict` (it is
        off).

        >>> made = ents.admin.put_webhook("https://example.com/hook")
        >>> ents.admin.replay_dead(made.id)
        0
        """
        return self._ask(ReplayDead(webhook), reason).count
