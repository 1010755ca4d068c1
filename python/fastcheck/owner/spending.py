"""What moves credits besides grants and leases, with the cells it concerns raised, or closed before and lent
anew after."""

from __future__ import annotations

from ..answers import GrantState
from ..hub.requests import ANYBODY, By
from ..hub.spending_requests import MakeRefund
from .rounds import Rounds


class Spending(Rounds):
    """Refunds."""

    def refund(self, request: MakeRefund, by: By = ANYBODY) -> GrantState:
        """Gives used credits back; when this returns, every process of the host can spend them."""
        if request.event is not None:
            self._journal_round(self._need())  # Its record may be a moment old.
        number = self._service.number_of(request.customer)
        key = (number, request.pool)
        with self._stripes.hold([number]):
            held = self._held.get(key)
            if held is not None and (held.closed or self._stale(held)):
                self._reopen([key], self._close([key]))
            done = self._service.refund(request, totals=self._totals(key), by=by)
            self._raise(key, done.terms, done.reopen)
        self.ring.tell("customer_changed", self._clock.now_ms(), done.grant.customer, request.pool)
        return done.grant
