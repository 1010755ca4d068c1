"""What callers ask of changes of plans, checked as far as the request itself says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from fastcheck.clock import instant_ms
from fastcheck.errors import RecordError, WrongType
from fastcheck.wire.answers import travels
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name
from fastcheck.wire.requests import whole

NOW = "now"
PERIOD_END = "period_end"
When = Instant | str
"""An instant, "now", or "period_end"."""

MOVES_PER_REQUEST = 500
"""Customers of one request, which is one transaction."""


@travels
@dataclass(frozen=True)
class Destination:
    """Where customers are moved to, and when."""

    plan: str | None
    """None: they have no plan any more."""
    version: int | None
    """None: the one they will have then, or the newest (as of the request) of a plan they come to."""
    when: str | int = NOW
    keep_since: bool = False
    """Whether anniversaries go on from the old plan's start."""
    replace: bool = False
    """Whether moves ahead at this instant and after it are cancelled."""


@travels
@dataclass(frozen=True)
class MoveCustomers:
    """Some customers, all or none."""

    customers: tuple[str, ...]
    to: Destination


@travels
@dataclass(frozen=True)
class Migrate:
    """The customers of one version, to another version of the same plan."""

    plan: str
    from_version: int
    to_version: int
    when: str | int = NOW
    after: int = 0
    """The last customer's number of the part before."""


@travels
@dataclass(frozen=True)
class MoveSegment:
    """The members of a segment."""

    segment: str
    to: Destination
    after: int = 0
    """As of `Migrate`."""


MoveRequest = MoveCustomers | MoveSegment | Migrate


def destination(
    plan: str | None,
    *,
    version: int | None = None,
    when: When = NOW,
    keep_since: bool = False,
    replace: bool = False,
) -> Destination:
    """Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError`."""
    if plan is None and version is not None:
        raise RecordError("a version without a plan: give plan, or leave version out")
    for what, value in (("keep_since", keep_since), ("replace", replace)):
        if not isinstance(value, bool):
            raise WrongType(f"{what} must be a bool, not {type(value).__name__}")
    return Destination(
        None if plan is None else name(plan, "plan"),
        whole(version, "version", 1),
        when_of(when),
        keep_since,
        replace,
    )


def migrate(plan: str, from_version: int, to_version: int, *, when: When = NOW) -> Migrate:
    """Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError`."""
    old, new = whole(from_version, "from_version", 1), whole(to_version, "to_version", 1)
    if old is None or new is None:
        raise WrongType("from_version and to_version must be ints")
    if old == new:
        raise RecordError(f"from_version and to_version are both {old}: there is nothing to move")
    return Migrate(name(plan, "plan"), old, new, when_of(when))


def after(request: MoveSegment | Migrate, number: int) -> MoveSegment | Migrate:
    """The part of a request that follows a customer's number."""
    return dataclasses.replace(request, after=number)


def move_customers(customers: Iterable[str], to: Destination) -> MoveCustomers:
    """Raises `WrongType`, `NameInvalid`, `RecordError`."""
    if isinstance(customers, str):
        raise WrongType("customers must be a list of str, not one str")
    keys = tuple(dict.fromkeys(name(one, "customer") for one in customers))
    if len(keys) > MOVES_PER_REQUEST:
        raise RecordError(f"{len(keys)} customers in one request, at most {MOVES_PER_REQUEST}")
    return MoveCustomers(keys, to)


def move_segment(segment: str, to: Destination) -> MoveSegment:
    """Raises `WrongType`, `NameInvalid`."""
    return MoveSegment(name(segment, "segment"), to)


def when_of(when: When) -> str | int:
    """ "now", "period_end", or ms since 1970. Raises `WrongType`, `InstantError`."""
    if isinstance(when, str):
        if when not in (NOW, PERIOD_END):
            raise WrongType(f'when must be "now", "period_end" or an instant, not {when!r:.40}')
        return when
    return instant_ms(when, "when")
