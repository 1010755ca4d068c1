"""What finance reads, and whether the ledger adds up."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import Field, StrictStr
from starlette.responses import Response

from fastcheck.errors import RecordError
from fastcheck.hub.http.api.asked import Changes, Reads, ReadsBalances
from fastcheck.hub.http.api.bodies import CURSOR_CHARACTERS_MAX, Body, Cursor, Instant, Limit, instant_of
from fastcheck.hub.http.api.cursors import cursor_of, place_of
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Page, PoolState, Problem
from fastcheck.wire.cut import Cut
from fastcheck.wire.names import INTEGER_MAX
from fastcheck.wire.shapes import (
    Booked,
    CheckedAccounts,
    Export,
    ExportedUse,
    ExportSums,
    Movement,
    PostingSum,
    UsageSum,
    export_of,
)

router = subject("finance")

_EXPORT = re.compile(r"[0-9]{1,16}(-[0-9]{1,19}){4}")
ExportId = Annotated[
    str,
    Path(max_length=128, description="`id` of the export.", examples=["0-1769904000000-1769904000000-9-2"]),
]


BOOKED_BY: dict[str, tuple[type, ...]] = {"leases": (int, str, str), "accounts": (int, str)}
"""What the places in these lists are made of."""


class Period(Body):
    """What an export is about."""

    since: Instant | None = Field(default=None, description="Default: from the beginning.")
    until: Instant | None = Field(default=None, description="Exclusive; default: now.")


class Booking(Body):
    """What to book before an export."""

    what: Literal["leases", "accounts"] = Field(
        description="leases: settled use that grants do not show yet; accounts: ends and refills that "
        "nobody has looked at."
    )
    cursor: StrictStr | None = Field(default=None, max_length=CURSOR_CHARACTERS_MAX)


@router.get("/pools", **answers(Page[PoolState]))
def list_pools(asked: ReadsBalances) -> Response:
    """The pools of the catalog, those behind meters included; on one page."""
    return asked.answer(Page(tuple(asked.service.pools()), None), Page[PoolState])


@router.get("/ledger/problems", **answers(Page[Problem]))
def check_pools(asked: Reads) -> Response:
    """Laws of conservation that a pool as a whole breaks; none where all is well. A look at the whole
    database."""
    return asked.answer(Page(tuple(asked.service.check_pools()), None), Page[Problem])


@router.get("/ledger/accounts", **answers(CheckedAccounts))
def check_accounts(asked: Reads, cursor: Cursor = None) -> Response:
    """Laws of conservation that accounts break, a page of them after the other."""
    broken, count, after = asked.service.check(place_of(cursor, int, str))
    return asked.answer(CheckedAccounts(tuple(broken), count, cursor_of(after)))


@router.post("/ledger/bookings", **answers(Booked, changes=True))
def book_due(body: Booking, change: Changes) -> Response:
    """Books a page of what is due. Before an export: leases to the end, then accounts."""
    after = change.service.book_due(body.what, place_of(body.cursor, *BOOKED_BY[body.what]))
    return change.done(Booked(cursor_of(after)))


@router.post("/exports", **answers(Export, changes=True))
def begin_export(body: Period, change: Changes) -> Response:
    """Takes the moment as of which a period is read. Nothing is kept of it: its pages say by its id what they
    are of."""
    cut = change.service.finance_cut(instant_of(body.since, "since"), instant_of(body.until, "until"))
    return change.done(export_of(cut))


@router.get("/exports/{export:name}/movements", **answers(Page[Movement]))
def list_movements(export: ExportId, asked: Reads, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Postings before the end of the period, by customer and pool."""
    rows, after = asked.service.finance_movements(_cut(export), place_of(cursor, int, str, int), limit)
    return asked.answer(Page(tuple(Movement(*row) for row in rows), cursor_of(after)), Page[Movement])


@router.get("/exports/{export:name}/usage", **answers(Page[ExportedUse]))
def list_exported_usage(
    export: ExportId, asked: Reads, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """Usage records of the period, by customer."""
    rows, after = asked.service.finance_usage(_cut(export), place_of(cursor, int, int), limit)
    return asked.answer(Page(tuple(ExportedUse(*row) for row in rows), cursor_of(after)), Page[ExportedUse])


@router.get("/exports/{export:name}/sums", **answers(ExportSums))
def get_sums(
    export: ExportId,
    asked: Reads,
    after: Annotated[
        int, Query(ge=0, le=INTEGER_MAX >> 1, description="0, then 100,000 more each time.")
    ] = 0,
) -> Response:
    """The ledger's own sums of 100,000 postings and usage records, to compare the rows with."""
    posted, recorded = asked.service.finance_sums(_cut(export), after)
    return asked.answer(
        ExportSums(tuple(PostingSum(*one) for one in posted), tuple(UsageSum(*one) for one in recorded))
    )


def _cut(export: str) -> Cut:
    if _EXPORT.fullmatch(export) is None:
        raise RecordError("there is no such export: begin one")
    since, until, at, place, record = map(int, export.split("-"))
    if max(since, until, at, place, record) > INTEGER_MAX:
        raise RecordError("there is no such export: begin one")
    return Cut(since, until, at, place, record, (), ())
