"""Reservations and debits at the hub itself: for the last credits, and for callers without a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.errors import InstantError, WrongType
from fastcheck.wire.answers import ReservationState
from fastcheck.wire.fields import Credits, CustomerKey, Kind, Name, PoolName
from fastcheck.wire.operation import Operation, Repeat, Request, Touches

TTL_MS_MAX: Final = 7 * 24 * 3_600_000
"""The longest that a reservation holds, as on a host."""


def _ttl_ms(value: object, what: str) -> int:
    if type(value) is not int:
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not 1 <= value <= TTL_MS_MAX:
        raise InstantError(f"{what} must be 1 to {TTL_MS_MAX} (a week), not {value}")
    return value


Length = Annotated[int, Kind(_ttl_ms, schema={"minimum": 1, "maximum": TTL_MS_MAX})]


@dataclass(frozen=True)
class Reserve(Request[ReservationState]):
    """Holds credits at the hub; `state` is `denied` where they are not all there."""

    customer: CustomerKey
    pool: PoolName
    amount: Credits
    ttl_ms: Length = 60_000
    """How long they are held, a week at most."""
    id: Name | None = None
    """Your own, under which asking again changes nothing."""
    key: Name | None = None
    """An API key, a project: whose cap counts as well."""


@dataclass(frozen=True)
class Debit(Request[ReservationState]):
    """Burns credits at the hub, all or none; `state` is `denied` where they are not all there."""

    customer: CustomerKey
    pool: PoolName
    amount: Credits
    event: Name | None = None
    """What they are burned for."""
    id: Name | None = None
    """Your own, under which asking again changes nothing. Default: `debit:<event>`."""
    key: Name | None = None
    """An API key, a project: whose cap counts as well."""


@dataclass(frozen=True)
class Commit(Request[ReservationState]):
    """Burns what was used of a reservation and gives up the rest; again with the same amount changes
    nothing."""

    id: Name
    amount: Credits


@dataclass(frozen=True)
class Release(Request[ReservationState]):
    """Gives up a reservation; again, or after its expiry, changes nothing."""

    id: Name


_SPENDS = ("credits.spend", Touches.LOWERS, Repeat.NAMES)

OPERATIONS = (
    Operation(Reserve, "POST", "/customers/{customer}/reservations", *_SPENDS, id_prefix="h"),
    Operation(Commit, "POST", "/reservations/{id}/commit", *_SPENDS),
    Operation(Release, "DELETE", "/reservations/{id}", *_SPENDS),
    Operation(Debit, "POST", "/customers/{customer}/debits", *_SPENDS, id_prefix="debit"),
)
