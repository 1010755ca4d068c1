"""Events of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from ....answers import EventState, Page
from ....wire import NAME_BYTES_MAX
from .asked import Reads
from .bodies import Cursor, Limit, QueryText
from .documented import answers, subject

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
