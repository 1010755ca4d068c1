"""Grants and balances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastcheck.admin.base import AdminBase, instant_of
from fastcheck.amounts import Credits
from fastcheck.clock import instant_ms
from fastcheck.wire import requests
from fastcheck.wire.answers import Balance, BalanceWindow, GrantState
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name


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
        # An id in any case, so that a request repeated to another owner is not granted twice.
        own = id if id is not None else self._own_id("g")
        request = requests.make_grant(
            customer,
            pool,
            amount,
            id=own,
            priority=priority,
            effective_at=effective_at,
            expires_at=expires_at,
            kind=kind,
            reason=reason,
            every=every,
            anchor=anchor,
            zone=zone,
            rollover=rollover,
            cost=cost,
        )
        state: GrantState = self._call("grant", request, self._by())
        return state.id

    def void(self, grant_id: str, *, reason: str = "") -> GrantState:
        """Takes back what is left of a grant; again changes nothing. Raises `UnknownGrant`, `Conflict` (used
        up).

        >>> ents.admin.void(ents.admin.grant("acme", "ai_credits", 100), reason="refunded").remaining
        0
        """
        state: GrantState = self._call("void", name(grant_id, "a grant's id"), self._by(reason))
        return state

    def list_grants(
        self, customer: str, pool: str | None = None, *, at: Instant | None = None
    ) -> list[GrantState]:
        """A customer's grants as they are now, or as they were at an instant; oldest first, ended ones
        included.

        >>> [(one.amount, one.kind) for one in ents.admin.list_grants("acme", "ai_credits")]
        [(50000, 'paid')]
        """
        checked = None if pool is None else name(pool, "pool")
        return list(self._call("list_grants", name(customer, "customer"), checked, instant_of(at)))

    def balance(self, customer: str, pool: str, *, at: Instant | None = None) -> Balance:
        """What a customer has in a pool, to this moment or at an instant. For the past it is what was settled
        then, which may lag by a minute where the balance was far from its end.

        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> balance = ents.admin.balance("acme", "ai_credits")
        >>> balance.remaining, balance.used
        (49988, 12)
        """
        found: Balance = self._call("balance", name(customer, "customer"), name(pool, "pool"), instant_of(at))
        return found

    def balance_history(
        self, customer: str, pool: str, *, since: Instant, until: Instant, every: str = "day"
    ) -> list[BalanceWindow]:
        """What became of a balance in each minute, hour, day, week, month or year (UTC) of [since, until); at
        most 1,000 windows.

        >>> from datetime import datetime, timedelta, timezone
        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> since = datetime.now(timezone.utc) - timedelta(minutes=1)
        >>> windows = ents.admin.balance_history(
        ...     "acme", "ai_credits", since=since, until=since + timedelta(days=1), every="year"
        ... )
        >>> windows[0].opening, windows[0].granted, windows[-1].closing, sum(one.used for one in windows)
        (0, 50000, 49988, 12)
        """
        found = self._call(
            "balance_history",
            name(customer, "customer"),
            name(pool, "pool"),
            instant_ms(since, "since"),
            instant_ms(until, "until"),
            every,
        )
        return list(found)
