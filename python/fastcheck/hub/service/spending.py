"""What moves credits besides grants and leases."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import caps, due_accounts, refunds, reservations
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.grants import Granted
from fastcheck.wire.answers import ReservationState, SpendCap
from fastcheck.wire.names import name
from fastcheck.wire.requests import ANYBODY, By
from fastcheck.wire.spending_requests import MakeRefund, PutCap, Reserve


class Spending(Core):
    """Time, refunds, caps, and what is held or burned at the hub itself. `finals`: the final totals of the
    pool's lease, so that all there is can be looked at; without them, what is lent counts as spoken for."""

    def turn(self, now: int, limit: int) -> int:
        """Brings at most `limit` accounts to now whose next change (an expiry, a start, a refill) had come by
        `now` (inclusive); how many were found. Accounts with an open lease are left to the lease's end."""
        return self._run(lambda call: due_accounts.turn(call, now, limit))

    def refund(self, request: MakeRefund, *, totals: Totals | None = None, by: By = ANYBODY) -> Granted:
        """Gives used credits back as a grant of kind `refund`. `totals`: what the open lease has used so far.
        Asked again with the same id: no change. Raises `AmountError` for more than was used and not refunded
        before, `Conflict`."""
        return self._change(lambda call: refunds.put(call, request, totals), by, "refund", request)

    def put_cap(self, request: PutCap, *, finals: Sequence[Totals] = (), by: By = ANYBODY) -> SpendCap:
        """Bounds what is spent per window of time; a known cap keeps what was counted."""
        return self._change(lambda call: caps.put(call, request, finals), by, "put_cap", request)

    def remove_cap(
        self,
        customer: str,
        pool: str,
        per: str | None,
        key: str | None,
        *,
        finals: Sequence[Totals] = (),
        by: By = ANYBODY,
    ) -> bool:
        """Ends the caps of one key: of one window, or (None) of all; whether there were any."""
        return self._change(
            lambda call: caps.remove(call, customer, pool, per, key, finals),
            by,
            "remove_cap",
            customer,
            pool,
            per,
            key,
        )

    def list_caps(self, customer: str) -> list[SpendCap]:
        """A customer's caps, with what was settled so far."""
        checked = name(customer, "customer")
        return self._read(lambda call: caps.of(call, checked))

    def reserve(
        self, request: Reserve, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> ReservationState:
        """Holds units at the hub, or burns them there at once. One that is denied leaves no trace; asked
        again with the same id: no change. Raises `Conflict` where the id exists with other terms."""
        return self._change(lambda call: reservations.reserve(call, request, finals), by, "reserve", request)

    def commit(
        self, id: str, amount: object, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> ReservationState:
        """Burns what was used of a reservation. Again with the same amount: no change. Raises
        `UnknownReservation`, `Conflict`."""
        checked = name(id, "id")
        return self._change(
            lambda call: reservations.commit(call, checked, amount, finals), by, "commit", checked, amount
        )

    def release(self, id: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY) -> ReservationState:
        """Gives up a reservation; again: no change. Raises `UnknownReservation`, `Conflict`."""
        checked = name(id, "id")
        return self._change(lambda call: reservations.release(call, checked, finals), by, "release", checked)

    def reservation_account(self, id: str) -> tuple[int, str]:
        """(customer number, pool) of a reservation. Raises `UnknownReservation`."""
        checked = name(id, "id")
        return self._read(lambda call: reservations.account_of(call, checked))
