"""What is read from and written to the ledger's tables within somebody else's transaction: a table of
contents. The statements are in the module of their subject, each built once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection

from fastcheck.errors import FastcheckError, UnknownCustomer
from fastcheck.hub.store.statements.accounts import AccountKey, Accounts, ChangedAccount
from fastcheck.hub.store.statements.answers import Answers
from fastcheck.hub.store.statements.audit import Audit
from fastcheck.hub.store.statements.caps import Caps, StoredCap
from fastcheck.hub.store.statements.catalogs import Catalogs, StoredCatalog
from fastcheck.hub.store.statements.change_log import ChangeLog, LoggedChange, LogState
from fastcheck.hub.store.statements.checking import Checking
from fastcheck.hub.store.statements.clock import ClockRows
from fastcheck.hub.store.statements.customers import Customers, StoredCustomer
from fastcheck.hub.store.statements.deletions import Deletions, Parts, StoredDeletion
from fastcheck.hub.store.statements.due import Due
from fastcheck.hub.store.statements.epochs import Epochs
from fastcheck.hub.store.statements.events import StoredNotice, Told
from fastcheck.hub.store.statements.finance import Finance
from fastcheck.hub.store.statements.grant_rows import StoredGrant
from fastcheck.hub.store.statements.leases import LEASES_KEPT, Lease, Leases
from fastcheck.hub.store.statements.metered import Metered
from fastcheck.hub.store.statements.moves import Moves, StoredMove
from fastcheck.hub.store.statements.overrides import Overrides, StoredOverride
from fastcheck.hub.store.statements.purchases import Purchases, StoredPurchase
from fastcheck.hub.store.statements.reservations import Reservations, StoredReservation
from fastcheck.hub.store.statements.segments import Segments, StoredSegment
from fastcheck.hub.store.statements.tokens import StoredToken, Tokens
from fastcheck.hub.store.statements.top_ups import StoredTopUp, TopUps
from fastcheck.hub.store.statements.unbooked import Unbooked
from fastcheck.hub.store.statements.usage import Usage
from fastcheck.hub.store.statements.webhooks import StoredDelivery, StoredWebhook, Webhooks
from fastcheck.ledger.model import Account


class Statements(
    TopUps,
    Webhooks,
    Catalogs,
    ChangeLog,
    Customers,
    Deletions,
    Overrides,
    Segments,
    Moves,
    Accounts,
    Due,
    Unbooked,
    Leases,
    Usage,
    Finance,
    Checking,
    Answers,
    Audit,
    Epochs,
    Caps,
    Reservations,
    Purchases,
    Metered,
    Tokens,
    ClockRows,
):
    """The tables behind one connection, inside one transaction."""

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the transaction that is undone alone where it raises an error of ours, which is raised
        on."""
        told, top_ups_due, logged_seq = len(self.told), self.top_ups_due, self.logged_seq
        self.connection.exec_driver_sql("SAVEPOINT attempt")
        try:
            yield
        except FastcheckError:
            self.connection.exec_driver_sql("ROLLBACK TO attempt")
            self.connection.exec_driver_sql("RELEASE attempt")
            del self.told[told:]
            self.top_ups_due, self.logged_seq = top_ups_due, logged_seq
            raise
        self.connection.exec_driver_sql("RELEASE attempt")


class PastStatements(Statements):
    """The same as it was at an instant. Only for reading."""

    def __init__(self, connection: Connection, at: int) -> None:
        super().__init__(connection)
        self._instant = at

    def customer(self, number: int) -> StoredCustomer:
        """As `Statements.customer`, then. Raises `UnknownCustomer` before there was one."""
        found = self.customer_at(number, self._instant)
        if found is None or found.record.deleted:
            raise UnknownCustomer(f"there was no such customer at {self._instant} ms")
        return found

    def account(self, number: int, pool: str) -> Account | None:
        """As `Statements.account`, then."""
        return self.account_at(number, pool, self._instant)

    def unfolded(self, number: int, pool: str) -> int:
        """As `Statements.unfolded`, then."""
        return self.unfolded_at(number, pool, self._instant)

    def caps(self, number: int, pool: str) -> list[StoredCap]:
        """Of the past, caps are not kept: none."""
        return []

    def held(self, number: int, pool: str, at: int) -> list[StoredReservation]:
        """Of the past, what was held when is not kept: nothing."""
        return []

    def number_of(self, key: str) -> int | None:
        """As `Statements.number_of`, by the keys of today; ids of customers deleted since, too."""
        return super().number_of(key) or self.numbers_of_ids([key]).get(key)


__all__ = [
    "LEASES_KEPT",
    "AccountKey",
    "ChangedAccount",
    "Lease",
    "LogState",
    "LoggedChange",
    "Parts",
    "PastStatements",
    "Statements",
    "StoredCap",
    "StoredCatalog",
    "StoredCustomer",
    "StoredDeletion",
    "StoredDelivery",
    "StoredGrant",
    "StoredMove",
    "StoredNotice",
    "StoredOverride",
    "StoredPurchase",
    "StoredReservation",
    "StoredSegment",
    "StoredToken",
    "StoredTopUp",
    "StoredWebhook",
    "Told",
]
