"""What is read from and written to the ledger's tables within somebody else's transaction: a table of
contents. The statements are in the module of their subject, each built once."""

from __future__ import annotations

from sqlalchemy import Connection

from ....errors import UnknownCustomer
from ....ledger.model import Account
from .accounts import AccountKey, Accounts, ChangedAccount
from .answers import Answers
from .audit import Audit
from .caps import Caps, StoredCap
from .catalogs import Catalogs, StoredCatalog
from .change_log import ChangeLog, LoggedChange, LogState
from .checking import Checking
from .customers import Customers, StoredCustomer
from .due import Due
from .epochs import Epochs
from .events import StoredNotice, Told
from .finance import Finance
from .grant_rows import StoredGrant
from .leases import LEASES_KEPT, Lease, Leases
from .metered import Metered
from .moves import Moves, StoredMove
from .overrides import Overrides, StoredOverride
from .reservations import Reservations, StoredReservation
from .segments import Segments, StoredSegment
from .tokens import StoredToken, Tokens
from .top_ups import StoredTopUp, TopUps
from .usage import Usage
from .webhooks import StoredDelivery, StoredWebhook, Webhooks


class Books(
    TopUps,
    Webhooks,
    Catalogs,
    ChangeLog,
    Customers,
    Overrides,
    Segments,
    Moves,
    Accounts,
    Due,
    Leases,
    Usage,
    Finance,
    Checking,
    Answers,
    Audit,
    Epochs,
    Caps,
    Reservations,
    Metered,
    Tokens,
):
    """The tables behind one connection, inside one transaction."""


class PastBooks(Books):
    """The same as it was at an instant. Only for reading."""

    def __init__(self, connection: Connection, at: int) -> None:
        super().__init__(connection)
        self._instant = at

    def customer(self, number: int) -> StoredCustomer:
        """As `Books.customer`, then. Raises `UnknownCustomer` before there was one."""
        found = self.customer_at(number, self._instant)
        if found is None or found.record.deleted:
            raise UnknownCustomer(f"there was no such customer at {self._instant} ms")
        return found

    def account(self, number: int, pool: str) -> Account | None:
        """As `Books.account`, then."""
        return self.account_at(number, pool, self._instant)

    def unfolded(self, number: int, pool: str) -> int:
        """As `Books.unfolded`, then."""
        return self.unfolded_at(number, pool, self._instant)

    def caps(self, number: int, pool: str) -> list[StoredCap]:
        """Of the past, caps are not kept: none."""
        return []

    def held(self, number: int, pool: str, at: int) -> list[StoredReservation]:
        """Of the past, what was held when is not kept: nothing."""
        return []

    def number_of(self, key: str) -> int | None:
        """As `Books.number_of`, by the keys of today; ids of customers deleted since, too."""
        return super().number_of(key) or self.numbers_of_ids([key]).get(key)


__all__ = [
    "LEASES_KEPT",
    "AccountKey",
    "Books",
    "ChangedAccount",
    "Lease",
    "LogState",
    "LoggedChange",
    "PastBooks",
    "StoredCap",
    "StoredCatalog",
    "StoredCustomer",
    "StoredDelivery",
    "StoredGrant",
    "StoredMove",
    "StoredNotice",
    "StoredOverride",
    "StoredReservation",
    "StoredSegment",
    "StoredToken",
    "StoredTopUp",
    "StoredWebhook",
    "Told",
]
