"""The use cases of the hub. The only package that opens transactions; one call is one transaction.

When a call returns, what it did is on disk. When it raises, nothing of it was done. Whoever lends to a host
first passes the final totals of the leases that a change lowers (`finals`), so that use and change are booked
together.

Here names and cursors are checked, and each use case gets its transaction; what it does in it is in the
module of its subject."""

from __future__ import annotations

from ..accounts import Terms, Totals
from ..customers import Changed
from ..epochs import Beyond
from ..grants import Granted
from ..moves import Moved
from ..store.books import LoggedChange
from .core import News
from .customers import Customers
from .epochs import Epochs
from .events import Events
from .finance import Finance
from .metering import Metering
from .money import Money
from .plans import Plans
from .records import Records
from .segments import Segments
from .spending import Spending
from .streaming import Changes, FoundRecords, Position, Streaming
from .tokens import Tokens
from .top_ups import TopUps
from .webhooks import Webhooks


class Service(
    Customers,
    Plans,
    Segments,
    Money,
    Spending,
    Events,
    Records,
    Finance,
    Epochs,
    Metering,
    Webhooks,
    TopUps,
    Streaming,
    Tokens,
):
    """The use cases over one store."""


__all__ = [
    "Beyond",
    "Changed",
    "Changes",
    "FoundRecords",
    "Granted",
    "LoggedChange",
    "Moved",
    "News",
    "Position",
    "Service",
    "Terms",
    "Totals",
]
