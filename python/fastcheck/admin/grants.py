"""Grants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastcheck.admin.base import AdminBase
from fastcheck.amounts import Credits
from fastcheck.wire.answers import GrantState
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.grants import ListGrants, MakeGrant, VoidGrant, rollover_of


class GrantsAdmin(AdminBase):
    """What is put into pools, and taken back."""

    def grant(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        id: str | None = None,
        priority: int = 100,
        effective_at: Instant | None = None,
        expires_at: Instant | None = None,
        kind: str = "paid",
        reason: str = "",
        every: str | None = None,
        anchor: str = "anniversary",
        zone: str = "UTC",
        rollover: Mapping[str, Any] | None = None,
        cost: tuple[int, str] | None = None,
    ) -> str:
        """Puts credits into a pool; the grant's id. Smaller `priority` burns first; `kind` is paid,
        promotional, plan, top_up or refund. With an `id` of your own, asking again changes nothing.

        `every` ("month", "2 weeks") sets the balance to the full amount again each period, counted from
        `effective_at` (`anchor="anniversary"`) or from the calendar, in a time zone. `rollover` says what a
        period keeps of the last: {"max": credits, "min": credits, "percent": 1..100, "once": bool}. `cost`:
        what was paid for it in minor units, (1999, "EUR").

        Raises `AmountError`, `WrongType`, `UnknownCustomer`, `UnknownPool`, `InstantError`, `Conflict` (the
        id exists with other terms).

        >>> ents.admin.grant("acme", "ai_credits", Decimal("12.5"), id="order_17", reason="top-up")
        'order_17'
        >>> ents.admin.balance("acme", "ai_credits").remaining
        Decimal('50012.5')
        >>> monthly = ents.admin.grant(
        ...     "tiny", "ai_credits", 100, kind="promotional", every="month", anchor="calendar",
        ...     zone="Europe/Berlin", rollover={"max": 50, "percent": 50},
        ... )
        >>> ents.admin.list_grants("tiny", "ai_credits")[0].every
        '1 month'
        """
        asked = MakeGrant(
            customer,
            pool,
            amount,
            id,
            priority,
            at_ms(effective_at, "effective_at"),
            at_ms(expires_at, "expires_at"),
            kind,
            reason,
            every,
            anchor,
            zone,
            rollover_of(rollover),
            cost,
        )
        return self._ask(asked, reason).id

    def void(self, grant_id: str, *, reason: str = "") -> GrantState:
        """Takes back what is left of a grant; again changes nothing. Raises `UnknownGrant`, `Conflict` (used
        up, or bought: see `refund_purchase`).

        >>> ents.admin.void(ents.admin.grant("acme", "ai_credits", 100), reason="refunded").remaining
        0
        """
        return self._ask(VoidGrant(grant_id), reason)

    def list_grants(
        self, customer: str, pool: str | None = None, *, at: Instant | None = None
    ) -> list[GrantState]:
        """A customer's grants as they are now, or as they were at an instant; oldest first, ended ones
        included.

        >>> [(one.amount, one.kind) for one in ents.admin.list_grants("acme", "ai_credits")]
        [(50000, 'paid')]
        """
        return list(self._ask(ListGrants(customer, pool, at_ms(at, "at"))).items)
