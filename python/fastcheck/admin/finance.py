"""Finance: exports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..clock import instant_ms
from ..hub.requests import Instant
from .base import AdminBase

if TYPE_CHECKING:
    from ..finance.export import Exported, Progress


def _unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


class FinanceAdmin(AdminBase):
    """The ledger for finance."""

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
        from ..finance.export import export

        return export(
            self._call, directory, format=format, period=period, progress=progress,
            since=None if since is None else instant_ms(since, "since"),
            until=None if until is None else instant_ms(until, "until"),
        )  # fmt: skip
