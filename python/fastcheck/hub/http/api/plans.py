"""Moves: which plan a customer has, from which instant on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field, StrictBool
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Change, Changes, Reads
from fastcheck.hub.http.api.bodies import (
    Body,
    Cursor,
    Id,
    Instant,
    Limit,
    Name,
    QueryText,
    SegmentName,
    Version,
    given_instant,
)
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Move, Page
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.plan_change_requests import (
    MOVES_PER_REQUEST,
    NOW,
    PERIOD_END,
    Destination,
    Migrate,
    MoveRequest,
    MoveSegment,
    after,
    destination,
    migrate,
    move_customers,
    move_segment,
)
from fastcheck.wire.shapes import PartOfMoves

router = subject("plans")

When = Annotated[
    Instant | str,
    Field(description='"now", "period_end", or an instant (ms since 1970, or RFC 3339).', examples=["now"]),
]
After = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
AFTER = "`after` of the part before; 0 for the first."


class Destined(Body):
    """Where customers are moved to, and when."""

    plan: Name | None = Field(description="null: to no plan.")
    version: Version | None = Field(
        default=None,
        description="Default: the one they will have then, or the newest of a plan they come to.",
    )
    when: When = NOW
    keep_since: StrictBool = Field(default=False, description="Whether anniversaries go on as they were.")
    replace: StrictBool = Field(
        default=False, description="Whether moves ahead at this instant and after are cancelled."
    )

    def destination(self) -> Destination:
        """For the service."""
        return destination(
            self.plan,
            version=self.version,
            when=_when(self.when),
            keep_since=self.keep_since,
            replace=self.replace,
        )


class MoveOfCustomers(Destined):
    """A move of some customers, all or none."""

    customers: list[Name] = Field(min_length=1, max_length=MOVES_PER_REQUEST)


class MoveOfSegment(Destined):
    """A move of a segment's members, of whom each 500 are one part."""

    after: After = Field(default=0, description=AFTER)


class Migration(Body):
    """A move of every customer on one version of a plan to another version; each 500 are one part."""

    from_version: Version
    to_version: Version
    when: When = NOW
    after: After = Field(default=0, description=AFTER)


def _when(when: int | str) -> int | str:
    return when if when in (NOW, PERIOD_END) else given_instant(when, "when")


@router.post("/moves", **answers(PartOfMoves, changes=True))
def move_some(body: MoveOfCustomers, change: Changes) -> Response:
    """Moves customers to a plan, now or at an instant ahead."""
    return _moved(change, move_customers(body.customers, body.destination()))


@router.post("/segments/{segment:name}/moves", **answers(PartOfMoves, changes=True))
def move_members(segment: SegmentName, body: MoveOfSegment, change: Changes) -> Response:
    """Moves the members of a segment, as of now; one part of them."""
    return _part(change, move_segment(segment, body.destination()), body.after)


@router.post("/plans/{plan:name}/migrations", **answers(PartOfMoves, changes=True))
def migrate_customers(plan: Id, body: Migration, change: Changes) -> Response:
    """Moves every customer on a version of a plan to another version; one part of them."""
    request = migrate(plan, body.from_version, body.to_version, when=_when(body.when))
    return _part(change, request, body.after)


@router.get("/moves", **answers(Page[Move]))
def list_moves(
    asked: Reads,
    customer: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only this one's.")
    ] = None,
    pending: Annotated[bool, Query(description="Only those ahead.")] = True,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Moves in the order of their instants."""
    return asked.answer(asked.service.list_moves(customer, pending, cursor, limit), Page[Move])


@router.delete("/moves/{id:name}", **answers(Move, changes=True))
def cancel_move(id: Id, change: Changes) -> Response:
    """Cancels a move ahead; again changes nothing."""
    return change.done(change.service.cancel_move(id, by=change.by))


def _part(change: Change, request: MoveSegment | Migrate, number: int) -> Response:
    return _moved(change, after(request, number) if number else request)


def _moved(change: Change, request: MoveRequest) -> Response:
    done = change.service.move(request, by=change.by)
    return change.done(PartOfMoves(done.moves, done.after))
