"""Requests of administrators: the leases that a request concerns are brought up to date around it, as its row
says (`Touches`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from fastcheck.clock import Clock
from fastcheck.errors import FastcheckError
from fastcheck.host.changes import Ring
from fastcheck.host.embedded.leases import Leases
from fastcheck.host.embedded.notify import Notifier
from fastcheck.host.embedded.plan_changes import DueMoves
from fastcheck.host.embedded.recall import Recall
from fastcheck.host.embedded.rows import Rows
from fastcheck.host.embedded.segments import SegmentParts
from fastcheck.host.embedded.settling import Settling
from fastcheck.hub.service import Done, Service
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.operation import Answer, Request, Touches
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.customers import DeleteCustomer, PutCustomer, PutCustomers
from fastcheck.wire.operations.deletions import FreeId, RestoreCustomer
from fastcheck.wire.operations.epochs import BeginEpoch
from fastcheck.wire.operations.finance import SettleHeld
from fastcheck.wire.operations.grants import MakeGrant, VoidGrant
from fastcheck.wire.operations.merging import MergeCustomers
from fastcheck.wire.operations.plan_changes import CancelMove, Migrate, MoveCustomers, MoveSegment
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.top_ups import PutTopUp
from fastcheck.wire.operations.webhooks import DeleteWebhook, PutWebhook, ReplayDead, ReplayDelivery
from fastcheck.wire.shapes import Changed, LedgerPosition


class Asking:
    """Answers requests with the directory's leases in mind."""

    def __init__(
        self,
        service: Service,
        clock: Clock,
        ring: Ring,
        leases: Leases,
        rows: Rows,
        settling: Settling,
        notifier: Notifier,
        note: Callable[[str], None],
    ) -> None:
        """`note` tells an operator something."""
        self._service: Final = service
        self._clock: Final = clock
        self.leases: Final = leases
        self._rows: Final = rows
        self.ring: Final = ring
        self.settling: Final = settling
        self.notifier: Final = notifier
        self.note: Final = note
        self._recall: Final = Recall(leases.stripes, leases.concerned, leases.close, leases.reopen, rows.show)
        self.moves: Final = DueMoves(service, clock, self._recall, rows.publication)
        self.parts: Final = SegmentParts(service, self.ask, note)

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """Answers a request. Raises what its use case raises; what raised changed nothing."""
        own = _OWN.get(type(request))
        if own is not None:
            answer: Answer = own(self, request)
            return answer
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
        try:
            return self._around(request, by)
        except FastcheckError:
            # What it is about may be gone since it was made; its answer stands.
            known = self._service.known(request, by)
            if known is None:
                raise
            return known

    def _around(self, request: Request[Answer], by: By) -> Done[Answer]:
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
                with self._rows.publication():
                    return self._lowered(request, by)

    def _settled(self, request: Request[Answer], by: By) -> Done[Answer]:
        """Books what was used to this moment, then answers; the past is booked already."""
        at = getattr(request, "at", None)
        if at is None or at >= self._clock.now_ms():
            concerned = self._service.concerns(request)
            with self.leases.stripes.hold(concerned.numbers):
                totals = [self.leases.totals(key) for key in self.leases.concerned(concerned)]
            self._service.lending.settle([one for one in totals if one is not None])
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
        key = (number, pool)
        with self.leases.stripes.hold([number]):
            self.leases.freshen(key)
            totals = self.leases.totals(key)
            done = self._service.run(request, by, () if totals is None else (totals,))
            self.leases.raised(key, done.effects.terms, done.effects.reopen)
        return done

    def tell_of_account(self, answer: Any) -> None:
        """Tells whoever watches this host that an account changed."""
        self.ring.tell("customer_changed", self._clock.now_ms(), answer.customer, answer.pool)

    def tell_of_catalog(self, answer: Changed) -> None:
        """The same of the catalog."""
        self.ring.tell("catalog_changed", self._clock.now_ms())


def _store_records(owner: Asking, request: Refund) -> None:
    if request.event is not None:
        owner.settling.store_records()  # Its record may be a moment old.


def _store_all_records(owner: Asking, request: FreeId | MergeCustomers) -> None:
    owner.settling.store_records()  # They name the customer by the id.


def _top_up(owner: Asking, answer: TopUpState) -> None:
    owner.notifier.top_up()  # A balance that is low already is not left to the next round.


def _note_epoch(owner: Asking, answer: LedgerPosition) -> None:
    owner.note(f"an operator said that the ledger was restored: it is epoch {answer.epoch} now")


def _load_courier(owner: Asking, request: PutWebhook) -> None:
    with contextlib.suppress(ImportError):  # The use case says it better.
        owner.notifier.load()


def _look_after_courier(owner: Asking, answer: object) -> None:
    owner.notifier.look_for_webhooks()


def _ring_courier(owner: Asking, answer: object) -> None:
    owner.notifier.ring_courier()


_MOVING = (
    MoveCustomers, MoveSegment, Migrate, CancelMove, PutCustomer, PutCustomers, DeleteCustomer,
    RestoreCustomer, MergeCustomers,
)  # fmt: skip
"""Requests that make, do or cancel moves; also where one fails after its commit."""
_OWN: dict[type[Request[Any]], Callable[[Asking, Any], Any]] = {
    SettleHeld: lambda owner, request: owner.leases.settle_page(request.cursor)
}
"""What an owner answers itself."""
_BEFORE: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {
    Refund: _store_records,
    FreeId: _store_all_records,
    MergeCustomers: _store_all_records,
    PutWebhook: _load_courier,
}
_AFTER: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {
    MakeGrant: Asking.tell_of_account,
    VoidGrant: Asking.tell_of_account,
    Refund: Asking.tell_of_account,
    PutTopUp: _top_up,
    BeginEpoch: _note_epoch,
    PutWebhook: _look_after_courier,
    DeleteWebhook: _look_after_courier,
    ReplayDelivery: _ring_courier,
    ReplayDead: _ring_courier,
    SetCatalog: Asking.tell_of_catalog,
}
