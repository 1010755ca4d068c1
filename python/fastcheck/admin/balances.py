"""Balances, now and in the past."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.clock import instant_ms
from fastcheck.wire.answers import Balance, BalanceWindow
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.balances import GetBalance, GetBalanceHistory


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
        return self._ask(GetBalance(customer, pool, at_ms(at, "at")))

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
        first, end = instant_ms(since, "since"), instant_ms(until, "until")
        return list(self._ask(GetBalanceHistory(customer, pool, first, end, every)).items)
