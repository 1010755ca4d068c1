"""Finance: exports, and whether the ledger adds up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.errors import RecordError
from fastcheck.wire.answers import Page, PoolState, Problem
from fastcheck.wire.fields import Cursor, InstantMs, Kind, Limit, Told, one_of, whole
from fastcheck.wire.names import INTEGER_MAX
from fastcheck.wire.operation import Operation, Repeat, Request
from fastcheck.wire.shapes import Booked, CheckedAccounts, Export, ExportedUse, ExportSums, Movement

POSTINGS_PER_SUM: Final = 100_000
"""Postings that one request adds up."""
DUE: Final = ("leases", "accounts")
"""What is booked before finance reads, in this order."""
EXPORT_CHARACTERS_MAX: Final = 128
_EXPORT: Final = re.compile(r"[0-9]{1,16}(-[0-9]{1,19}){4}")


def _export(value: object, what: str) -> str:
    """The id of an export, whose parts are numbers that every database takes. Raises `RecordError`."""
    if (
        not isinstance(value, str)
        or len(value) > EXPORT_CHARACTERS_MAX
        or _EXPORT.fullmatch(value) is None
        or any(int(one) > INTEGER_MAX for one in value.split("-"))
    ):
        raise RecordError("there is no such export: begin one")
    return value


ExportId = Annotated[
    str,
    Kind(_export, schema={"maxLength": EXPORT_CHARACTERS_MAX}, says="`id` of the export."),
    Told(("0-1769904000000-1769904000000-9-2",)),
]
Due = Annotated[str, Kind(one_of(*DUE), schema={"enum": list(DUE)})]
After = Annotated[
    int,
    Kind(
        lambda value, what: whole(value, what, 0, INTEGER_MAX >> 1),
        schema={"minimum": 0, "maximum": INTEGER_MAX >> 1},
        says="0, then 100,000 more each time.",
    ),
]


@dataclass(frozen=True)
class ListPools(Request[Page[PoolState]]):
    """The pools of the catalog, those behind meters included; on one page."""


@dataclass(frozen=True)
class CheckPools(Request[Page[Problem]]):
    """Laws of conservation that a pool as a whole breaks; none where all is well. A look at the whole
    database."""


@dataclass(frozen=True)
class CheckAccounts(Request[CheckedAccounts]):
    """Laws of conservation that accounts break, a page of them after the other."""

    cursor: Cursor | None = None


@dataclass(frozen=True)
class SettleHeld(Request[str | None]):
    """Settles a page of what a directory's owner has lent, to this moment; the next cursor, None: that was
    all."""

    cursor: Cursor | None = None


@dataclass(frozen=True)
class BookDue(Request[Booked]):
    """Books a page of what is due. Before an export: leases to the end, then accounts."""

    what: Due
    """leases: settled use that grants do not show yet; accounts: ends and refills that nobody has looked
    at."""
    cursor: Cursor | None = None


@dataclass(frozen=True)
class BeginExport(Request[Export]):
    """Takes the moment as of which a period is read. Nothing is kept of it: its pages say by its id what they
    are of."""

    since: InstantMs | None = None
    """Default: from the beginning."""
    until: InstantMs | None = None
    """Exclusive; default: now."""


@dataclass(frozen=True)
class ListMovements(Request[Page[Movement]]):
    """Postings before the end of the period, by customer and pool."""

    export: ExportId
    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class ListExportedUsage(Request[Page[ExportedUse]]):
    """Usage records of the period, by customer."""

    export: ExportId
    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class GetSums(Request[ExportSums]):
    """The ledger's own sums of 100,000 postings and usage records, to compare the rows with."""

    export: ExportId
    after: After = 0


_READ, _WRITE = "finance.read", "finance.write"

OPERATIONS = (
    Operation(ListPools, "GET", "/pools", "pools.read"),
    Operation(CheckPools, "GET", "/ledger/problems", _READ),
    Operation(CheckAccounts, "GET", "/ledger/accounts", _READ),
    Operation(SettleHeld, "POST", "", _WRITE, repeat=Repeat.NAMES, public=False),
    Operation(BookDue, "POST", "/ledger/bookings", _WRITE, repeat=Repeat.NAMES),
    Operation(BeginExport, "POST", "/exports", _WRITE, repeat=Repeat.NAMES),
    Operation(ListMovements, "GET", "/exports/{export}/movements", _READ),
    Operation(ListExportedUsage, "GET", "/exports/{export}/usage", _READ),
    Operation(GetSums, "GET", "/exports/{export}/sums", _READ),
)
