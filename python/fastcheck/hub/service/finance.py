"""What finance reads, and whether the ledger adds up."""

from __future__ import annotations

from typing import Any

from fastcheck.clock import instant_ms
from fastcheck.errors import RecordError
from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import finance, ledger_check
from fastcheck.hub.use_cases.finance import Key, Rows
from fastcheck.wire.answers import PoolState, Problem
from fastcheck.wire.cut import Cut

BOOKING = ("leases", "accounts")
"""What is booked before finance reads, in this order."""
UPDATES_PER_TRANSACTION = 64


class Finance(Core):
    """Pages of the ledger for the finance export."""

    def book_due(self, what: str, cursor: Key | None = None) -> Key | None:
        """Books a page of what is due: of "leases" the settled use that the grants do not show yet, of
        "accounts" the ends and refills that nobody has looked at. The next cursor; None: that was all."""
        if what == "leases":
            numbers, following = self._read(lambda call: finance.fold_due(call, cursor))
            if numbers:
                self._run(lambda call: finance.fold(call, numbers))
        elif what == "accounts":
            keys, following = self._read(lambda call: finance.accounts_due(call, cursor))
            for start in range(0, len(keys), UPDATES_PER_TRANSACTION):
                part = keys[start : start + UPDATES_PER_TRANSACTION]
                self._run(lambda call, part=part: finance.update(call, part))  # type: ignore[misc]
        else:
            raise RecordError(f"what is booked is one of {', '.join(BOOKING)}, not {what!r:.40}")
        return following

    def finance_cut(self, since: int | None = None, until: int | None = None) -> Cut:
        """The moment as of which a period is read; [since, until), by default all until now."""
        first = None if since is None else instant_ms(since, "since")
        end = None if until is None else instant_ms(until, "until")
        # Alone, so that no place below the last is still being written.
        return self._run(lambda call: finance.cut(call, first, end), exclusive=True)

    def finance_movements(self, cut: Cut, cursor: Key | None = None, limit: int = 1_000) -> Rows:
        """As `finance.movements`."""
        return self._read(lambda call: finance.movements(call, cut, cursor, limit))

    def finance_usage(self, cut: Cut, cursor: Key | None = None, limit: int = 1_000) -> Rows:
        """As `finance.usage`."""
        return self._read(lambda call: finance.usage(call, cut, cursor, limit))

    def finance_sums(self, cut: Cut, after: int = 0) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """As `finance.sums`."""
        return self._read(lambda call: finance.sums(call, cut, after))

    def check(self, cursor: Any = None) -> ledger_check.Found:
        """Whether accounts keep the ledger's laws, a page of them: (broken laws, accounts looked at, the next
        cursor)."""
        return self._read(lambda call: ledger_check.accounts(call, cursor))

    def check_pools(self) -> tuple[Problem, ...]:
        """Whether each pool's sums agree, and what belongs to nobody; one look at the whole database."""
        return self._read(ledger_check.pools)

    def pools(self) -> tuple[PoolState, ...]:
        """The pools of the catalog in force."""
        return self._read(
            lambda call: tuple(
                PoolState(one.name, one.scale, one.private) for one in call.product.pools.values()
            )
        )
