"""Changes of plans: which plan a customer has, from which instant on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastcheck.clock import instant_ms
from fastcheck.errors import RecordError, WrongType
from fastcheck.wire.answers import Move, Page
from fastcheck.wire.fields import (
    Called,
    Checked,
    Cursor,
    CustomerKey,
    Flag,
    Instant,
    Kind,
    Limit,
    Name,
    PlanName,
    SegmentName,
    Told,
    Version,
    instant_form,
)
from fastcheck.wire.names import INTEGER_MAX, name
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.shapes import PartOfMoves

NOW: Final = "now"
PERIOD_END: Final = "period_end"
When = Instant | str
"""An instant, "now", or "period_end"."""

MOVES_PER_REQUEST: Final = 500
"""Customers of one request, which is one transaction."""


def when_ms(when: Any, what: str) -> str | int:
    """ "now", "period_end", or ms since 1970. Raises `WrongType`, `InstantError`."""
    if isinstance(when, str):
        if when not in (NOW, PERIOD_END):
            raise WrongType(f'{what} must be "now", "period_end" or an instant, not {when!r:.40}')
        return when
    return instant_ms(when, what)


def _when_form(given: object, what: str) -> str | int:
    return given if isinstance(given, str) and given in (NOW, PERIOD_END) else instant_form(given, what)


def _after(value: object, what: str) -> int:
    if type(value) is not int:
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not 0 <= value <= INTEGER_MAX:
        raise RecordError(f"{what} must be one that the part before gave")
    return value


def _customers(value: Any, what: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise WrongType(f"{what} must be a list of str, not one {type(value).__name__}")
    keys = tuple(dict.fromkeys(name(one, "customer") for one in value))
    if not 1 <= len(keys) <= MOVES_PER_REQUEST:
        raise RecordError(f"{len(keys)} customers in one request: 1 to {MOVES_PER_REQUEST}")
    return keys


WhenMs = Annotated[
    int | str,
    Kind(
        when_ms,
        _when_form,
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "maxLength": 64}]},
        '"now", "period_end", or an instant (ms since 1970, or RFC 3339).',
    ),
    Told((NOW,)),
]
After = Annotated[
    int,
    Kind(
        _after, None, {"minimum": 0, "maximum": INTEGER_MAX}, "`after` of the part before; 0 for the first."
    ),
]
Customers = Annotated[
    tuple[Name, ...], Kind(_customers, schema={"minItems": 1, "maxItems": MOVES_PER_REQUEST})
]


@dataclass(frozen=True, kw_only=True)
class Destination(Checked):
    """Where customers are moved to, and when."""

    plan: PlanName | None
    """None: to no plan."""
    version: Version | None = None
    """Default: the one they will have then, or the newest (as of the request) of a plan they come to."""
    when: WhenMs = NOW
    keep_since: Flag = False
    """Whether anniversaries go on as they were."""
    replace: Flag = False
    """Whether moves ahead at this instant and after are cancelled."""

    def agree(self) -> None:
        if self.plan is None and self.version is not None:
            raise RecordError("a version without a plan: give plan, or leave version out")


@dataclass(frozen=True)
class MoveCustomers(Destination, Request[PartOfMoves]):
    """Moves some customers to a plan, now or at an instant ahead; all or none."""

    customers: Customers


@dataclass(frozen=True)
class MoveSegment(Destination, Request[PartOfMoves]):
    """Moves the members of a segment, as of now; 500 of them are one part."""

    segment: SegmentName
    after: After = 0


@dataclass(frozen=True)
class Migrate(Request[PartOfMoves]):
    """Moves every customer on a version of a plan to another version; 500 of them are one part."""

    plan: PlanName
    from_version: Version
    to_version: Version
    when: WhenMs = NOW
    after: After = 0

    def agree(self) -> None:
        if self.from_version == self.to_version:
            raise RecordError(
                f"from_version and to_version are both {self.to_version}: there is nothing to move"
            )


@dataclass(frozen=True)
class CancelMove(Request[Move]):
    """Cancels a move ahead; again changes nothing."""

    id: Annotated[Name, Called("a move's id")]


@dataclass(frozen=True)
class ListMoves(Request[Page[Move]]):
    """Moves in the order of their instants."""

    customer: CustomerKey | None = None
    """Only this one's."""
    pending: Flag = True
    """Only those ahead."""
    cursor: Cursor | None = None
    limit: Limit = 100


_MOVES = ("plan_changes.write", Touches.PUBLISHES, Repeat.KEYED)

OPERATIONS = (
    Operation(MoveCustomers, "POST", "/moves", *_MOVES),
    Operation(MoveSegment, "POST", "/segments/{segment}/moves", *_MOVES),
    Operation(Migrate, "POST", "/plans/{plan}/migrations", *_MOVES),
    Operation(ListMoves, "GET", "/moves", "plan_changes.read"),
    Operation(CancelMove, "DELETE", "/moves/{id}", "plan_changes.write", repeat=Repeat.NAMES),
)
