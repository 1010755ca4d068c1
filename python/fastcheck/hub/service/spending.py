"""What moves credits besides grants and leases."""

from __future__ import annotations

from .. import refunds, turns
from ..accounts import Totals
from ..grants import Granted
from ..requests import ANYBODY, By
from ..spending_requests import MakeRefund
from .core import Core


class Spending(Core):
    """Time and refunds."""

    def turn(self, now: int, limit: int) -> int:
        """Brings at most `limit` accounts to now whose next change (an expiry, a start, a refill) had come by
        `now` (inclusive); how many were found. Accounts with an open lease are left to the lease's end."""
        return self._run(lambda call: turns.turn(call, now, limit))

    def refund(self, request: MakeRefund, *, totals: Totals | None = None, by: By = ANYBODY) -> Granted:
        """Gives used credits back as a grant of kind `refund`. `totals`: what the open lease has used so far.
        Asked again with the same id: no change. Raises `AmountError` for more than was used and not refunded
        before, `Conflict`."""
        return self._change(lambda call: refunds.put(call, request, totals), by, "refund", request)
