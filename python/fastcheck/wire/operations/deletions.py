"""Deletions undone, and ids of deleted customers freed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.wire.answers import Customer, DeletedCustomer, Page
from fastcheck.wire.fields import Called, Cursor, Flag, Limit, Name
from fastcheck.wire.operation import Operation, Repeat, Request, Touches

DeletedId = Annotated[Name, Called("a customer's id")]


@dataclass(frozen=True)
class RestoreCustomer(Request[Customer]):
    """Undoes the deletion of a customer within 30 days, as if it had not been."""

    customer: DeletedId
    without_aliases: Flag = False
    """Whether aliases that have become another customer's are left out. Else they are a conflict."""


@dataclass(frozen=True)
class ListDeleted(Request[Page[DeletedCustomer]]):
    """Deleted customers who can still be restored, the oldest deletion first."""

    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class FreeId(Request[None]):
    """Takes the id from a deleted customer, who cannot be restored then. A customer who is put under it is a
    new one, with nothing. The history of the deleted one is kept under another id."""

    customer: DeletedId


OPERATIONS = (
    Operation(ListDeleted, "GET", "/deletions", "customers.read"),
    Operation(
        RestoreCustomer,
        "POST",
        "/customers/{customer}/restore",
        "customers.write",
        Touches.PUBLISHES,
        Repeat.KEYED,
    ),
    Operation(
        FreeId, "POST", "/customers/{customer}/free_id", "customers.write", Touches.NOTHING, Repeat.KEYED
    ),
)
