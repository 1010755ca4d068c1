"""Finance: exports, and whether the ledger adds up."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastcheck.admin.base import AdminBase
from fastcheck.loading import LOADING
from fastcheck.wire.answers import PoolState, Problem
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.finance import CheckAccounts, CheckPools, ListPools

if TYPE_CHECKING:
    from fastcheck.finance.export import Exported, Progress


def _unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


class FinanceAdmin(AdminBase):
    """The ledger for finance."""

    def pools(self) -> list[PoolState]:
        """The pools of the catalog, those behind meters included.

        >>> [(one.name, one.scale, one.private) for one in ents.admin.pools()]
        [('ai_credits', 6, False), ('api_calls', 0, True)]
        """
        return sorted(self._ask(ListPools()).items, key=lambda one: one.name)

    def check_ledger(
        self, *, quick: bool = False, progress: Callable[[int], None] = lambda accounts: None
    ) -> list[Problem]:
        """Every law of conservation that the ledger breaks: of each account by all its postings, its grants
        and leases, and of each pool as a whole. Empty where all is well. `quick`: only the pools' sums.
        `progress` is told how many accounts were looked at.

        >>> ents.admin.check_ledger()
        []
        """
        found = list(self._ask(CheckPools()).items)
        cursor: str | None = None
        seen = 0
        while not quick:
            page = self._ask(CheckAccounts(cursor))
            found.extend(page.problems)
            seen += page.accounts
            progress(seen)
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def export(
        self,
        directory: str | os.PathLike[str],
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        format: str = "csv",
        period: str = "month",
        progress: Progress = _unseen,
    ) -> Exported:
        """Writes what moved in [since, until) (default: all until now) to files in a directory: movements,
        balances, usage by `period` (hour, day, month, year) and revenue, with a manifest. `format`: csv, or
        parquet (needs pyarrow). See docs/finance.md.

        Raises `LedgerError` where the rows do not come to the ledger's own sums; no file is named then.

        >>> done = ents.admin.export("./books")
        >>> sorted(done.files)
        ['balances.csv', 'movements.csv', 'revenue.csv', 'usage.csv']
        """
        with LOADING:
            from fastcheck.finance.export import export

        return export(
            self._answers,
            directory,
            format=format,
            period=period,
            progress=progress,
            since=at_ms(since, "since"),
            until=at_ms(until, "until"),
        )
