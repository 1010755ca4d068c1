"""Grants and balances."""

from __future__ import annotations

from ..amounts import Credits
from ..answers import Balance, GrantState
from ..hub import requests
from ..hub.requests import Instant
from ..wire import name
from .base import AdminBase


class MoneyAdmin(AdminBase):
    """What customers may spend."""

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
    ) -> str:
        """Puts credits into a pool; the grant's id. Smaller `priority` burns first; `kind` is paid,
        promotional or plan. With an `id` of your own, asking again changes nothing.

        Raises `AmountError`, `WrongType`, `UnknownCustomer`, `UnknownPool`, `InstantError`, `Conflict` (the
        id exists with other terms).

        >>> ents.admin.grant("acme", "ai_credits", Decimal("12.5"), id="order_17", reason="top-up")
        'order_17'
        >>> ents.admin.balance("acme", "ai_credits").remaining
        Decimal('50012.5')
        """
        # An id in any case, so that a request repeated to another owner is not granted twice.
        own = id if id is not None else self._own_id("g")
        request = requests.make_grant(
            customer, pool, amount, id=own, priority=priority, effective_at=effective_at,
            expires_at=expires_at, kind=kind, reason=reason,
        )  # fmt: skip
        state: GrantState = self._call("grant", request, self._by())
        return state.id

    def void(self, grant_id: str, *, reason: str = "") -> GrantState:
        """Takes back what is left of a grant; again changes nothing. Raises `UnknownGrant`, `Conflict` (used
        up).

        >>> ents.admin.void(ents.admin.grant("acme", "ai_credits", 100), reason="refunded").remaining
        0
        """
        state: GrantState = self._call(
            "void", name(grant_id, "a grant's id"), self._by(reason)
        )
        return state

    def list_grants(self, customer: str, pool: str | None = None) -> list[GrantState]:
        """A customer's grants as they are now, oldest first, ended ones included.

        >>> [(one.amount, one.kind) for one in ents.admin.list_grants("acme", "ai_credits")]
        [(50000, 'paid')]
        """
        checked = None if pool is None else name(pool, "pool")
        return list(self._call("list_grants", name(customer, "customer"), checked))

    def balance(self, customer: str, pool: str) -> Balance:
        """What a customer has in a pool, to this moment.

        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> balance = ents.admin.balance("acme", "ai_credits")
        >>> balance.remaining, balance.used
        (49988, 12)
        """
        found: Balance = self._call("balance", name(customer, "customer"), name(pool, "pool"))
        return found
