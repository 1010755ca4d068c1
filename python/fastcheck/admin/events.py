"""Events of the ledger, and the webhooks that carry them."""

from __future__ import annotations

from ..answers import EventState, Page
from ..wire import name
from .base import AdminBase, cursor_of


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
        checked = None if kind is None else name(kind, "kind")
        of = None if customer is None else name(customer, "customer")
        found: Page[EventState] = self._call("list_events", cursor_of(cursor), limit, checked, of)
        return found
