"""What callers ask of refunds, caps and central reservations, checked as far as the request itself goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastcheck.clock import instant_ms
from fastcheck.errors import InstantError, RecordError, WrongType
from fastcheck.wire.answers import travels
from fastcheck.wire.names import name, note
from fastcheck.wire.requests import Instant

PER = ("hour", "day", "month")
"""The windows of a cap."""
TTL_MS_MAX = 7 * 24 * 3_600_000
"""The longest that a reservation holds, as on a host."""


@travels
@dataclass(frozen=True)
class MakeRefund:
    """Used credits to be given back."""

    customer: str
    pool: str
    amount: object
    """Credits; checked against the pool's scale by the service."""
    id: str
    """Of the grant to be made: asked again, nothing changes."""
    event: str | None = None
    """The usage record that is refunded; None: none in particular."""
    expires_at: int | None = None
    reason: str = ""


def make_refund(
    customer: str,
    pool: str,
    amount: object,
    *,
    id: str,
    event: str | None = None,
    expires_at: Instant | None = None,
    reason: str = "",
) -> MakeRefund:
    """Checks a refund. Raises `WrongType`, `NameInvalid`, `InstantError`."""
    return MakeRefund(
        name(customer, "customer"),
        name(pool, "pool"),
        amount,
        name(id, "id"),
        None if event is None else name(event, "event"),
        None if expires_at is None else instant_ms(expires_at, "expires_at"),
        note(reason, "reason"),
    )


@travels
@dataclass(frozen=True)
class PutCap:
    """A cap to be made or changed."""

    customer: str
    pool: str
    amount: object
    """Credits; 0: nothing may be spent."""
    per: str
    key: str | None = None
    reason: str = ""


def put_cap(
    customer: str, pool: str, amount: object, *, per: str, key: str | None = None, reason: str = ""
) -> PutCap:
    """Checks a cap. Raises `WrongType`, `NameInvalid`, `RecordError`."""
    return PutCap(
        name(customer, "customer"),
        name(pool, "pool"),
        amount,
        window(per),
        None if key is None else name(key, "key"),
        note(reason, "reason"),
    )


def window(per: object) -> str:
    """A cap's window. Raises `RecordError`."""
    if not isinstance(per, str) or per not in PER:
        raise RecordError(f"per must be one of {', '.join(PER)}, not {per!r:.40}")
    return per


@travels
@dataclass(frozen=True)
class Reserve:
    """Units to be held at the hub, or burned there."""

    customer: str
    pool: str
    amount: object
    id: str
    ttl_ms: int
    """0: burned at once."""
    key: str | None = None
    event: str | None = None


def reserve(
    customer: str,
    pool: str,
    amount: object,
    *,
    id: str,
    ttl_ms: int,
    key: str | None = None,
    event: str | None = None,
) -> Reserve:
    """Checks a reservation. Raises `WrongType`, `NameInvalid`, `InstantError`."""
    if type(ttl_ms) is not int:
        raise WrongType(f"ttl_ms must be an int, not {type(ttl_ms).__name__}")
    if not 1 <= ttl_ms <= TTL_MS_MAX:
        raise InstantError(f"ttl_ms must be 1 to {TTL_MS_MAX} (a week), not {ttl_ms}")
    return Reserve(
        name(customer, "customer"),
        name(pool, "pool"),
        amount,
        name(id, "id"),
        ttl_ms,
        None if key is None else name(key, "key"),
        None if event is None else name(event, "event"),
    )


def debit(
    customer: str, pool: str, amount: object, *, id: str, key: str | None = None, event: str | None = None
) -> Reserve:
    """As `reserve`, burned at once."""
    return replace(reserve(customer, pool, amount, id=id, ttl_ms=1, key=key, event=event), ttl_ms=0)
