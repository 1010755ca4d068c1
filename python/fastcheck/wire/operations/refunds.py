"""Refunds: used credits given back as a grant of their own."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.wire.answers import GrantState
from fastcheck.wire.fields import Credits, CustomerKey, InstantMs, Name, Note, PoolName
from fastcheck.wire.operation import Operation, Repeat, Request, Touches


@dataclass(frozen=True)
class Refund(Request[GrantState]):
    """Gives used credits back as a grant of kind `refund`, never more than was used and not refunded
    before."""

    customer: CustomerKey
    pool: PoolName
    amount: Credits
    event: Name | None = None
    """The usage record that is refunded."""
    id: Name | None = None
    """Your own, under which asking again changes nothing. Default: `refund:<event>`."""
    expires_at: InstantMs | None = None
    reason: Note = ""


OPERATIONS = (
    Operation(
        Refund,
        "POST",
        "/customers/{customer}/refunds",
        "refunds.write",
        Touches.RAISES,
        Repeat.NAMES,
        id_prefix="refund",
    ),
)
