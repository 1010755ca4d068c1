"""Accounts that time changed while nobody looked, brought to now: what expired and what was refilled is
booked at its own instant, however late somebody comes."""

from __future__ import annotations

from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger.periods import DAY_MS

ANSWERS_KEPT_MS = 30 * DAY_MS
"""How long a call with an idempotency key is remembered."""


def turn(call: Call, until: int, limit: int) -> int:
    """Brings accounts to now whose next change had come by `until` (inclusive); how many were found. Those
    with an open lease change when it ends."""
    due = call.statements.accounts_due(min(until, call.now), limit)
    call.statements.lock([number for number, _ in due])
    accounts = call.accounts()
    for number, pool in due:
        # Somebody may have been faster, or have lent it: what a lease used comes before what ends after it.
        if pool in call.product.pools and call.statements.is_due(number, pool, until):
            accounts.update(call.statements.customer(number), call.product.pools[pool])
    call.statements.tidy_reservations(min(until, call.now))
    call.statements.forget_answers(min(until, call.now) - ANSWERS_KEPT_MS)
    return len(due)
