"""Moves: customers whose plan changes, now or at an instant ahead."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.host.embedded.changes import Changes
from fastcheck.wire.answers import Move
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.plan_change_requests import MoveRequest
from fastcheck.wire.requests import PutCustomer

MOVES_PER_ROUND = 256
"""Moves that are due and done at once: bounds how long an administrator waits for them."""


class Moves(Changes):
    """Does moves when they are due, and never later than what was asked after them."""

    _next_move_at: int | None = None
    """When the next move is due."""

    def move(self, request: MoveRequest, by: By = ANYBODY) -> tuple[tuple[Move, ...], int | None]:
        """Moves customers now, or notes it for later; (the moves, where the next part begins). Leases end at
        the move's instant, so that nobody spends past it what the old plan gave."""
        with self._publication():
            try:
                numbers = self._service.concerned(request)
                with self._stripes.hold(numbers):
                    keys = [key for number in numbers for key in self._keys_of(number)]
                    finals = self._close(keys)
                    try:
                        moved = self._service.move(request, finals=finals, by=by)
                        self._publish(moved.changed, "customer_changed")
                    finally:
                        if keys:
                            self._reopen(keys, finals)
            finally:
                self._look_ahead()
        return moved.moves, moved.after

    def cancel_move(self, id: str, by: By = ANYBODY) -> Move:
        """Cancels a move ahead."""
        with self._publication():
            cancelled = self._service.cancel_move(id, by=by)
            self._look_ahead()
        return cancelled

    def put_customers(self, requests: Sequence[PutCustomer], by: By = ANYBODY) -> int:
        """Makes customers what the requests say; how many changed. Moves that were due come first."""
        with self._publication():
            if self._move_is_due():
                self._do_due_moves()
            if self._move_is_due():
                for request in requests:
                    self._catch_up_with(request.id)
            return super().put_customers(requests, by)

    def delete_customer(self, customer: str, by: By = ANYBODY) -> None:
        """Removes a customer and cancels their moves."""
        super().delete_customer(customer, by)
        self._look_ahead()

    def touch(self, customer: str, pool: str) -> bool:
        """As `Leases.touch`; a lease that is lent at the instant of a move is already the new plan's."""
        if self._move_is_due():
            with self._publication():
                self._catch_up_with(customer)
        return super().touch(customer, pool)

    def _move_is_due(self) -> bool:
        due = self._next_move_at
        return due is not None and due <= self._clock.now_ms()

    def _look_ahead(self) -> None:
        self._next_move_at = self._service.next_move_at()

    def _moves_round(self) -> None:
        """Does what is due, a bounded part of it."""
        if self._move_is_due():
            with self._publication():
                self._do_due_moves()

    def _catch_up_with(self, customer: str) -> None:
        """Does what is due of one customer."""
        number = self._service.find(customer)
        while number is not None and self._do_due_moves(number):
            pass

    def _do_due_moves(self, number: int | None = None) -> bool:
        """Whether there was something to do. The caller holds the publication."""
        due = self._service.due_moves(self._clock.now_ms(), MOVES_PER_ROUND, number)
        if due:
            numbers = [of for _, of in due]
            with self._stripes.hold(numbers):
                keys = [key for of in numbers for key in self._keys_of(of)]
                finals = self._close(keys)
                try:
                    changed = self._service.carry_out([id for id, _ in due], finals=finals)
                    self._publish(changed, "customer_changed")
                finally:
                    if keys:
                        self._reopen(keys, finals)
        self._look_ahead()
        return bool(due)
