"""What is read from and written to the ledger's tables within somebody else's transaction: a table of
contents. The statements are in the module of their subject, each built once."""

from __future__ import annotations

from .accounts import AccountKey, Accounts, ChangedAccount
from .audit import Audit
from .catalogs import Catalogs, StoredCatalog
from .customers import Customers, StoredCustomer
from .leases import LEASES_KEPT, Lease, Leases
from .overrides import Overrides, StoredOverride
from .usage import Usage


class Books(Catalogs, Customers, Overrides, Accounts, Leases, Usage, Audit):
    """The tables behind one connection, inside one transaction."""


__all__ = [
    "LEASES_KEPT", "AccountKey", "Books", "ChangedAccount", "Lease", "StoredCatalog", "StoredCustomer",
    "StoredOverride",
]  # fmt: skip
