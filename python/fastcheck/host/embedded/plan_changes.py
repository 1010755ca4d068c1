"""Moves that are due: done when their instant comes, and before a lease is lent past it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from fastcheck.clock import Clock
from fastcheck.host.embedded.recall import Recall
from fastcheck.hub.service import Service
from fastcheck.hub.use_cases.use_case import Concerns

MOVES_PER_ROUND = 256
"""Moves that are due and done at once: bounds how long an administrator waits for them."""


class DueMoves:
    """Knows when the next move is due, and does what is due with the leases taken back. What a due move is,
    and what becomes of it, the use case says."""

    def __init__(
        self,
        service: Service,
        clock: Clock,
        recall: Recall,
        publication: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`publication`: held while rows change."""
        self._service: Final = service
        self._clock: Final = clock
        self._recall: Final = recall
        self._publication: Final = publication
        self._looking: Final = threading.Lock()
        self.next_at: int | None = None
        """When the next move is due; None: none is ahead."""

    def look_ahead(self) -> None:
        """Asks the ledger for the next move, after whatever may have made, done or cancelled one."""
        with self._looking:  # Who looks last remembers the newest.
            self.next_at = self._service.next_move_at()

    def round(self) -> bool:
        """Does what is due, a bounded part of it; whether there may be more."""
        if not self._any_due():
            return False
        with self._publication():
            return self._do()

    def before_lending(self, customer: str) -> None:
        """Does what is due of one customer: a lease that is lent at the instant of a move is already the new
        plan's."""
        if self._any_due():
            with self._publication():
                number = self._service.find(customer)
                while number is not None and self._do(number):
                    pass

    def _any_due(self) -> bool:
        due = self.next_at
        return due is not None and due <= self._clock.now_ms()

    def _do(self, number: int | None = None) -> bool:
        """Whether there was something to do, of one customer or all."""
        due = self._service.due_moves(self._clock.now_ms(), MOVES_PER_ROUND, number)
        if due:
            ids = [id for id, _ in due]
            self._recall.around(
                Concerns([of for _, of in due]), lambda finals: self._service.carry_out(ids, finals=finals)
            )
        self.look_ahead()
        return bool(due)
