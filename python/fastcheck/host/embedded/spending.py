"""What moves credits besides grants and leases, with the cells it concerns raised, or closed before and lent
anew after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastcheck.host.embedded.leases import Answer
from fastcheck.host.embedded.rounds import Rounds
from fastcheck.hub.service import Totals
from fastcheck.wire.answers import GrantState, ReservationState, SpendCap
from fastcheck.wire.requests import ANYBODY, By
from fastcheck.wire.spending_requests import MakeRefund, PutCap, Reserve


class Spending(Rounds):
    """Refunds, caps, and what is held or burned at the hub itself."""

    def refund(self, request: MakeRefund, by: By = ANYBODY) -> GrantState:
        """Gives used credits back; when this returns, every process of the host can spend them."""
        if request.event is not None:
            self._journal_round(self._need())  # Its record may be a moment old.
        return self._granted(
            request.customer, request.pool, lambda totals: self._service.refund(request, totals=totals, by=by)
        )

    def put_cap(self, request: PutCap, by: By = ANYBODY) -> SpendCap:
        """Bounds what is spent per window; when this returns, no process passes it."""
        return self._closed(
            self._service.number_of(request.customer),
            request.pool,
            lambda finals: self._service.put_cap(request, finals=finals, by=by),
        )

    def remove_cap(
        self, customer: str, pool: str, per: str | None, key: str | None, by: By = ANYBODY
    ) -> bool:
        """Ends caps; whether there were any."""
        return self._closed(
            self._service.number_of(customer),
            pool,
            lambda finals: self._service.remove_cap(customer, pool, per, key, finals=finals, by=by),
        )

    def list_caps(self, customer: str) -> list[SpendCap]:
        """A customer's caps, with what was spent to this moment."""
        self._settle_now(customer, None, None)
        return self._service.list_caps(customer)

    def reserve(self, request: Reserve, by: By = ANYBODY) -> ReservationState:
        """Holds or burns units at the hub, of all there is: what is lent is called back for it."""
        return self._closed(
            self._service.number_of(request.customer),
            request.pool,
            lambda finals: self._service.reserve(request, finals=finals, by=by),
        )

    def commit(self, id: str, amount: object, by: By = ANYBODY) -> ReservationState:
        """Burns what was used of a reservation at the hub."""
        return self._closed(
            *self._service.reservation_account(id),
            lambda finals: self._service.commit(id, amount, finals=finals, by=by),
        )

    def release(self, id: str, by: By = ANYBODY) -> ReservationState:
        """Gives up a reservation at the hub; what it held is spendable when this returns."""
        return self._closed(
            *self._service.reservation_account(id),
            lambda finals: self._service.release(id, finals=finals, by=by),
        )

    def _closed(self, number: int, pool: str, change: Callable[[Sequence[Totals]], Answer]) -> Answer:
        with self._stripes.hold([number]):
            return self._lowering(number, pool, change)
