"""Changes of plans, now and ahead."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.errors import AmountError, Conflict, FastcheckError, InstantError, RecordError
from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import plan_changes, reports
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.plan_changes import Moved
from fastcheck.hub.use_cases.transaction import Changed
from fastcheck.wire.answers import Move, Page
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.names import name
from fastcheck.wire.plan_change_requests import MoveRequest


class Plans(Core):
    """Moves: which plan a customer has, from which instant on."""

    def concerned(self, request: MoveRequest) -> list[int]:
        """The numbers of the customers that a request for moves is about. Raises `UnknownCustomer`."""
        return self._read(lambda call: plan_changes.concerned(call, request))

    def move(self, request: MoveRequest, *, finals: Sequence[Totals] = (), by: By = ANYBODY) -> Moved:
        """Moves customers, all or none: now, or notes the moves for later.

        Raises `UnknownCustomer`, `RecordError` (a plan or version that the catalog does not have, add-ons
        that the plan does not take), `InstantError`, `Conflict` (another move is ahead)."""
        return self._change(lambda call: plan_changes.ask(call, request, finals), by, "move", request)

    def cancel_move(self, id: str, *, by: By = ANYBODY) -> Move:
        """Cancels a move ahead; again: no change. Raises `UnknownMove`, `Conflict` for one that is done."""
        checked = name(id, "a move's id")
        return self._change(lambda call: plan_changes.cancel(call, checked), by, "cancel_move", checked)

    def list_moves(
        self, customer: str | None = None, pending: bool = True, cursor: str | None = None, limit: int = 100
    ) -> Page[Move]:
        """Moves in the order of their instants; `pending`: only those ahead."""
        checked, count = None if customer is None else name(customer, "customer"), reports.items(limit)
        return self._read(lambda call: plan_changes.page(call, checked, cursor, count, pending=pending))

    def next_move_at(self) -> int | None:
        """When the next move is due; past where one is late, None where none is ahead."""
        return self._read(lambda call: call.books.next_move_at())

    def due_moves(self, now: int, limit: int, number: int | None = None) -> list[tuple[str, int]]:
        """(id, customer's number) of moves due at `now` (inclusive), of all or one customer: each customer's
        first."""
        found = self._read(lambda call: call.books.moves_due(now, limit, number))
        first: dict[int, str] = {}
        for id, of in found:
            first.setdefault(of, id)
        return [(id, of) for of, id in first.items()]

    def carry_out(self, ids: Sequence[str], *, finals: Sequence[Totals] = ()) -> list[Changed]:
        """Does moves that are due, each customer's at most one. One that cannot be done is cancelled, and
        says why."""
        try:
            return self._run(lambda call: plan_changes.carry_out(call, ids, finals))
        except (AmountError, Conflict, InstantError, RecordError) as error:
            if len(ids) > 1:
                return [one for id in ids for one in self.carry_out([id], finals=finals)]
            self._give_up(ids[0], error)
            return []

    def _give_up(self, id: str, error: FastcheckError) -> None:
        self._run(lambda call: plan_changes.give_up(call, id, str(error)))
