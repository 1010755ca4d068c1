"""What moves credits besides grants and leases."""

from __future__ import annotations

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import due_accounts


class Spending(Core):
    """What time changes of accounts."""

    def turn(self, now: int, limit: int) -> int:
        """Brings at most `limit` accounts to now whose next change (an expiry, a start, a refill) had come by
        `now` (inclusive); how many were found. Accounts with an open lease are left to the lease's end."""
        return self._run(lambda call: due_accounts.turn(call, now, limit))
