"""The use cases of the hub. The only package that opens transactions; one call is one transaction.

When a call returns, what it did is on disk. When it raises, nothing of it was done. Whoever lends to a host
first passes the final totals of the leases that a change lowers (`finals`), so that use and change are booked
together.

Here each use case gets its transaction; what it does in it is in the module of its subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastcheck.clock import Clock
from fastcheck.hub.service.core import Core, Done, News
from fastcheck.hub.service.customers import Customers
from fastcheck.hub.service.deliveries import Deliveries
from fastcheck.hub.service.due import Due
from fastcheck.hub.service.epochs import Epochs
from fastcheck.hub.service.lending import Lending
from fastcheck.hub.service.streaming import Changes, FoundRecords, Position, Streaming
from fastcheck.hub.service.tokens import Tokens
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import LoggedChange
from fastcheck.hub.use_cases.accounts import Terms, Totals
from fastcheck.hub.use_cases.epochs import Beyond
from fastcheck.hub.use_cases.transaction import Changed
from fastcheck.hub.use_cases.upcoming_ends import NOTICE_MS
from fastcheck.wire.catalog import CatalogLike


class Service(Core):
    """The use cases over one store. `ask` and `run` answer requests; the parts are for those who look after a
    ledger: hosts, background steps, streams, the server's door."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        parse: Callable[[bytes, str], CatalogLike],
        *,
        notice_ms: int = NOTICE_MS,
        streams: bool = False,
    ) -> None:
        """As `Core`."""
        super().__init__(store, clock, parse, notice_ms=notice_ms, streams=streams)
        self.customers: Final = Customers(self)
        self.lending: Final = Lending(self)
        self.due: Final = Due(self)
        self.epochs: Final = Epochs(self)
        self.streaming: Final = Streaming(self)
        self.deliveries: Final = Deliveries(self)
        self.tokens: Final = Tokens(self)


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
