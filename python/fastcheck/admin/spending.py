"""Refunds."""

from __future__ import annotations

from ..amounts import Credits
from ..answers import GrantState
from ..hub import spending_requests as requests
from ..hub.requests import Instant
from .base import AdminBase


class SpendingAdmin(AdminBase):
    """What was used and is given back."""

    def refund(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        event: str | None = None,
        id: str | None = None,
        reason: str = "",
        expires_at: Instant | None = None,
    ) -> str:
        """Gives used credits back as a grant of kind `refund`, which pays what is owed first; its id. What
        was used stays used. Never more than the net use of the pool less what was refunded before; with
        `event` (that of a usage record) nor more than that record's amount less its earlier refunds.

        With an `id`, asking again changes nothing; it is `refund:<event>` unless said, so a second part of
        one event needs an id of its own. Raises `AmountError` (says how much can be refunded),
        `UnknownCustomer`, `UnknownPool`, `Conflict` (the id exists with other terms; no such event).

        >>> ents.consume("acme", "gpt-4o", 12, event="req_8f2")
        True
        >>> ents.admin.refund("acme", "ai_credits", 5, event="req_8f2", reason="the answer was cut off")
        'refund:req_8f2'
        >>> balance = ents.admin.balance("acme", "ai_credits")
        >>> balance.remaining, balance.used
        (49993, 12)
        >>> ents.admin.refund("acme", "ai_credits", 7, event="req_8f2", id="the rest of req_8f2")
        'the rest of req_8f2'
        """
        given = id if id is not None else self._own_id("r") if event is None else f"refund:{event}"
        request = requests.make_refund(
            customer, pool, amount, id=given, event=event, expires_at=expires_at, reason=reason
        )
        state: GrantState = self._call("refund", request, self._by())
        return state.id
