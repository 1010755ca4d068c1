"""Events of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Reads
from fastcheck.hub.http.api.bodies import Cursor, Limit, QueryText
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import EventState, Page
from fastcheck.wire.names import NAME_BYTES_MAX

router = subject("events")


@router.get("/events", **answers(Page[EventState]))
def list_events(
    asked: Reads,
    cursor: Cursor = None,
    limit: Limit = 100,
    kind: Annotated[
        QueryText | None, Query(max_length=64, description="Only of this kind, see docs/events.md.")
    ] = None,
    customer: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only this one's.")
    ] = None,
) -> Response:
    """Everything that happened, oldest first. Amounts in `data` are decimal text, instants ms since 1970."""
    return asked.answer(asked.service.list_events(cursor, limit, kind, customer), Page[EventState])
