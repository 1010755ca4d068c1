"""Requests of administrators: the leases that a request concerns are brought up to date around it, as its row
says (`Touches`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.clock import Clock
from fastcheck.host.embedded.arena import Arena, Key
from fastcheck.host.embedded.leases import LoadCourier
from fastcheck.host.embedded.plan_changes import DueMoves
from fastcheck.host.embedded.recall import Recall
from fastcheck.host.embedded.segments import SegmentParts
from fastcheck.host.embedded.settling import Settling
from fastcheck.hub.service import Done, Service
from fastcheck.hub.use_cases.use_case import Concerns
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.operation import Answer, Request, Touches
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.customers import DeleteCustomer, PutCustomer, PutCustomers
from fastcheck.wire.operations.plan_changes import CancelMove, Migrate, MoveCustomers, MoveSegment
from fastcheck.wire.operations.refunds import Refund


class Asking(Settling):
    """Answers requests with the directory's leases in mind."""

    def __init__(
        self,
        service: Service,
        make_arena: Callable[[CatalogLike], Arena],
        clock: Clock,
        *,
        manual_time: bool = False,
        load_courier: LoadCourier | None = None,
    ) -> None:
        """As of `Leases`."""
        super().__init__(service, make_arena, clock, manual_time=manual_time, load_courier=load_courier)
        self._recall = Recall(self._stripes, self._keys_concerned, self._close, self._reopen, self._publish)
        self.moves = DueMoves(service, clock, self._recall, self._publication)
        self.parts = SegmentParts(service, self.ask, self._note)

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """Answers a request. Raises what its use case raises; what raised changed nothing."""
        before = _BEFORE.get(type(request))
        if before is not None:
            before(self, request)
        try:
            done = self._done(request, by)
        finally:
            if isinstance(request, _MOVING):
                self.moves.look_ahead()
        after = _AFTER.get(type(request))
        if after is not None:
            after(self, done.answer)
        return done.answer

    def _done(self, request: Request[Answer], by: By) -> Done[Answer]:
        match OPERATIONS.of(request).touches:
            case Touches.NOTHING:
                return self._service.run(request, by)
            case Touches.SETTLED:
                return self._settled(request, by)
            case Touches.LOWERS:
                return self._lowered(request, by)
            case Touches.RAISES:
                return self._raised(request, by)
            case Touches.PUBLISHES:
                with self._publication():
                    return self._lowered(request, by)

    def touch(self, customer: str, pool: str) -> bool:
        """Lends what a host needs for a customer's pool. True: try again; False: there is no such account."""
        self.moves.before_lending(customer)
        return super().touch(customer, pool)

    def _settled(self, request: Request[Answer], by: By) -> Done[Answer]:
        """Books what was used to this moment, then answers; the past is booked already."""
        at = getattr(request, "at", None)
        if at is None or at >= self._clock.now_ms():
            concerned = self._service.concerns(request)
            with self._stripes.hold(concerned.numbers):
                totals = [self._totals(key) for key in self._keys_concerned(concerned)]
            self._service.settle([one for one in totals if one is not None])
        return self._service.run(request, by)

    def _lowered(self, request: Request[Answer], by: By) -> Done[Answer]:
        """Closes the leases, makes the change with their final totals, shows what changed, lends anew."""
        concerned = self.parts.concerned(request, self._service.concerns(request))
        done = self._recall.around(concerned, lambda finals: self._service.run(request, by, finals))
        self.parts.done(request, concerned, done)
        return done

    def _raised(self, request: Request[Answer], by: By) -> Done[Answer]:
        """Makes a change that puts units into one account, given what its open lease has used, and raises the
        lease."""
        concerned = self._service.concerns(request)
        [number], [pool] = concerned.numbers, concerned.pools or ()
        key: Key = (number, pool)
        with self._stripes.hold([number]):
            self._freshen(key)
            totals = self._totals(key)
            done = self._service.run(request, by, () if totals is None else (totals,))
            self._raise(key, done.effects.terms, done.effects.reopen)
        return done

    def _keys_concerned(self, concerned: Concerns) -> list[Key]:
        if concerned.all:
            with self._leases_lock:
                return list(self._held)
        held = (key for number in concerned.numbers for key in self._keys_of(number))
        return [key for key in held if concerned.pools is None or key[1] in concerned.pools]

    def _tell_of_account(self, answer: Any) -> None:
        """Tells whoever watches this host that an account changed."""
        self.ring.tell("customer_changed", self._clock.now_ms(), answer.customer, answer.pool)


def _store_records(owner: Asking, request: Refund) -> None:
    if request.event is not None:
        owner._journal_round(owner._need())  # Its record may be a moment old.


_MOVING = (MoveCustomers, MoveSegment, Migrate, CancelMove, PutCustomer, PutCustomers, DeleteCustomer)
"""Requests that make, do or cancel moves; also where one fails after its commit."""
_BEFORE: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {Refund: _store_records}
_AFTER: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {Refund: Asking._tell_of_account}
