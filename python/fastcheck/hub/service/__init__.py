"""The use cases of the hub. The only package that opens transactions; one call is one transaction.

When a call returns, what it did is on disk. When it raises, nothing of it was done. Whoever lends to a host
first passes the final totals of the leases that a change lowers (`finals`), so that use and change are booked
together.

Here names and cursors are checked, and each use case gets its transaction; what it does in it is in the
module of its subject."""

from __future__ import annotations

from fastcheck.hub.service.core import Done, News
from fastcheck.hub.service.customers import Customers
from fastcheck.hub.service.epochs import Epochs
from fastcheck.hub.service.events import Events
from fastcheck.hub.service.leases import Leases
from fastcheck.hub.service.records import Records
from fastcheck.hub.service.spending import Spending
from fastcheck.hub.service.streaming import Changes, FoundRecords, Position, Streaming
from fastcheck.hub.service.tokens import Tokens
from fastcheck.hub.service.top_ups import TopUps
from fastcheck.hub.service.webhooks import Webhooks
from fastcheck.hub.store.statements import LoggedChange
from fastcheck.hub.use_cases.accounts import Terms, Totals
from fastcheck.hub.use_cases.epochs import Beyond
from fastcheck.hub.use_cases.transaction import Changed


class Service(Customers, Leases, Spending, Events, Records, Epochs, Webhooks, TopUps, Streaming, Tokens):
    """The use cases over one store."""


__all__ = [
    "Beyond",
    "Changed",
    "Changes",
    "Done",
    "FoundRecords",
    "LoggedChange",
    "News",
    "Position",
    "Service",
    "Terms",
    "Totals",
]
