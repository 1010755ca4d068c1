"""What callers ask of refunds, caps and central reservations, checked as far as the request itself goes."""

from __future__ import annotations

from dataclasses import dataclass

from ..answers import travels
from ..clock import instant_ms
from ..wire import name, note
from .requests import Instant


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
        name(customer, "customer"), name(pool, "pool"), amount, name(id, "id"),
        None if event is None else name(event, "event"),
        None if expires_at is None else instant_ms(expires_at, "expires_at"), note(reason, "reason"),
    )  # fmt: skip
