"""What callers ask of segments, checked as far as the request itself says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from fastcheck.errors import RecordError, WrongType
from fastcheck.wire.answers import travels
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name
from fastcheck.wire.record import SettingValue
from fastcheck.wire.requests import PutOverride, put_override

MEMBERS_PER_REQUEST = 1_000
"""Customers of one request, which is one transaction."""


@travels
@dataclass(frozen=True)
class PutMembers:
    """Who comes into a segment, and who leaves it."""

    segment: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    only: bool = False
    """Whether those who are not in `add` leave."""


def keys(customers: Iterable[str], what: str) -> list[str]:
    """Customers' ids or aliases, each once. Raises `WrongType`, `NameInvalid`."""
    if isinstance(customers, str):
        raise WrongType(f"{what} must be a list of str, not one str")
    return list(dict.fromkeys(name(one, "customer") for one in customers))


def put_members(
    segment: str, *, add: Iterable[str] = (), remove: Iterable[str] = (), only: bool = False
) -> PutMembers:
    """Raises `WrongType`, `NameInvalid`, `RecordError`."""
    coming, going = keys(add, "add"), keys(remove, "remove")
    both = set(coming)
    for one in going:
        if one in both:
            raise RecordError(f"customer {one!r:.80} is to be added and removed: name them once")
    count = len(coming) + len(going)
    if count > MEMBERS_PER_REQUEST:
        raise RecordError(f"{count} customers in one request, at most {MEMBERS_PER_REQUEST}")
    return PutMembers(name(segment, "segment"), tuple(coming), tuple(going), only)


def put_segment_override(
    segment: str,
    feature: str,
    value: SettingValue | Decimal,
    *,
    starts_at: Instant | None = None,
    expires_at: Instant | None = None,
    reason: str = "",
) -> PutOverride:
    """As `put_override`, with the segment in the customer's place."""
    name(segment, "segment")
    return put_override(segment, feature, value, starts_at=starts_at, expires_at=expires_at, reason=reason)
