"""Balances, now and in the past."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase, instant_of
from fastcheck.clock import instant_ms
from fastcheck.wire.answers import Balance, BalanceWindow
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name


class BalancesAdmin(AdminBase):
    """What customers may spend."""

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
