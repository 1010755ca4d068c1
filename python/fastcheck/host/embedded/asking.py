"""Requests of administrators: the leases that a request concerns are brought up to date around it, as its row
says (`Touches`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.settling import Settling
from fastcheck.hub.service import Done
from fastcheck.hub.use_cases.use_case import Concerns
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operation import Answer, Request, Touches
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.finance import SettleHeld
from fastcheck.wire.operations.refunds import Refund
from fastcheck.wire.operations.webhooks import DeleteWebhook, PutWebhook, ReplayDead, ReplayDelivery


class Asking(Settling):
    """Answers requests with the directory's leases in mind."""

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """Answers a request. Raises what its use case raises; what raised changed nothing."""
        own = _OWN.get(type(request))
        if own is not None:
            answer: Answer = own(self, request)
            return answer
        before = _BEFORE.get(type(request))
        if before is not None:
            before(self, request)
        row = OPERATIONS.of(request)
        match row.touches:
            case Touches.NOTHING:
                done = self._service.run(request, by)
            case Touches.SETTLED:
                done = self._settled(request, by)
            case Touches.LOWERS:
                done = self._lowered(request, by)
            case Touches.RAISES:
                done = self._raised(request, by)
            case Touches.PUBLISHES:
                with self._publication():
                    done = self._lowered(request, by)
        after = _AFTER.get(type(request))
        if after is not None:
            after(self, done.answer)
        return done.answer

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
        concerned = self._service.concerns(request)
        with self._stripes.hold(None if concerned.all else concerned.numbers):
            keys = self._keys_concerned(concerned)
            finals = self._close(keys)
            try:
                done = self._service.run(request, by, finals)
                self._publish(done.effects.changed, "customer_changed")
            finally:
                # After a refused change, too: the cells are closed either way.
                if keys:
                    self._reopen(keys, finals)
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


def _load_courier(owner: Asking, request: PutWebhook) -> None:
    if owner._load_courier is not None:
        with contextlib.suppress(ImportError):  # The use case says it better.
            owner._load_courier()


def _look_after_courier(owner: Asking, answer: object) -> None:
    owner._courier_round()


def _ring_courier(owner: Asking, answer: object) -> None:
    owner._ring_courier()


_OWN: dict[type[Request[Any]], Callable[[Asking, Any], Any]] = {
    SettleHeld: lambda owner, request: owner.settle_held(request.cursor)
}
"""What an owner answers itself."""
_BEFORE: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {
    Refund: _store_records,
    PutWebhook: _load_courier,
}
_AFTER: dict[type[Request[Any]], Callable[[Asking, Any], None]] = {
    Refund: Asking._tell_of_account,
    PutWebhook: _look_after_courier,
    DeleteWebhook: _look_after_courier,
    ReplayDelivery: _ring_courier,
    ReplayDead: _ring_courier,
}
