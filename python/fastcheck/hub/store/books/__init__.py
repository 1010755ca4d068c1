"""What is read from and written to the ledger's tables within somebody else's transaction: a table of
contents. The statements are in the module of their subject, each built once."""

from __future__ import annotations

from .accounts import Accounts
from .answers import Answers
from .audit import Audit
from .catalogs import Catalogs, StoredCatalog
from .customers import Customers, StoredCustomer
from .leases import LEASES_KEPT, Lease, Leases
from .moves import Moves, StoredMove
from .overrides import Overrides, StoredOverride
from .segments import Segments, StoredSegment
from .usage import Usage


class Books(Catalogs, Customers, Overrides, Segments, Moves, Accounts, Leases, Usage, Answers, Audit):
    """The tables behind one connection, inside one transaction."""


__all__ = [
    "LEASES_KEPT",
    "Books",
    "Lease",
    "StoredCatalog",
    "StoredCustomer",
    "StoredMove",
    "StoredOverride",
    "StoredSegment",
]
