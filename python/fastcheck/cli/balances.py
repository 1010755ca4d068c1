"""A customer's balances as a table, with bars where the terminal is wide enough."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from fastcheck.cli.instants import told
from fastcheck.cli.screen import credits_text, print_table
from fastcheck.wire.answers import Balance, GrantState

if TYPE_CHECKING:
    from fastcheck import Entitlements

WIDE_COLUMNS = 96
"""Terminals of at least this width show bars."""
BAR_CELLS = 20


def pools_of(entitlements: Entitlements, customer: str, grants: Iterable[GrantState]) -> list[str]:
    """The pools in which a customer has or had a balance. Includes unlimited meters, which have no grant."""
    admin = entitlements.admin
    pools = {grant.pool for grant in grants}
    for pool in admin.pools():
        if pool.name not in pools:
            balance = admin.balance(customer, pool.name)
            if balance.remaining is None or balance.used or balance.overage:
                pools.add(pool.name)
    return sorted(pools)


def balance_of(entitlements: Entitlements, customer: str, pool: str, at: datetime | None) -> Balance:
    """A balance now, or at an instant."""
    ask: Callable[..., Balance] = entitlements.admin.balance
    return ask(customer, pool) if at is None else ask(customer, pool, at=at)


def print_balances(title: str, balances: Sequence[Balance], grants: Sequence[GrantState] = ()) -> None:
    """A table. `grants`: the current ones, for the bars; without them the table has no bars."""
    drawable = (sys.stdout.encoding or "").lower().startswith("utf")
    wide = drawable and sys.stdout.isatty() and shutil.get_terminal_size().columns >= WIDE_COLUMNS
    header = ["pool", "changes (UTC)", "left", "used", "overage"]
    rows = [
        [
            one.pool,
            told(one.next_change_at),
            credits_text(one.remaining),
            credits_text(one.used),
            credits_text(one.overage),
        ]
        for one in balances
    ]
    if not any(one.overage for one in balances):
        header, rows = header[:-1], [row[:-1] for row in rows]
    if wide and grants:
        header.append("of what was granted")
        for one, row in zip(balances, rows, strict=True):
            row.append(_bar(one, grants))
    print_table(title, header, rows, left=2)


def _bar(balance: Balance, grants: Sequence[GrantState]) -> str:
    """How much of the grants that are active now is left."""
    granted = sum(
        grant.amount
        for grant in grants
        if grant.pool == balance.pool
        and grant.voided_at is None
        and grant.effective_at <= balance.as_of
        and (grant.expires_at is None or grant.expires_at > balance.as_of)
    )
    if balance.remaining is None or not granted:
        return ""
    cells = Decimal(balance.remaining) * BAR_CELLS / Decimal(granted)
    # Rounded up: something left never looks like nothing.
    left = min(BAR_CELLS, int(cells.to_integral_value(ROUND_CEILING)))
    return "█" * left + "░" * (BAR_CELLS - left)
