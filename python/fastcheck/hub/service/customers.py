"""Customers, their moves and segments: what hosts and background rounds ask, and no request does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcheck.hub.service.core import Core, Done
from fastcheck.hub.use_cases import plan_changes
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.names import name


class Customers(Core):
    """Who customers are to a host, and what is due of them."""

    def number_of(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._read(lambda call: call.number(checked))

    def find(self, key: str) -> int | None:
        """The number behind an id or alias; None where there is none."""
        checked = name(key, "customer")
        return self._read(lambda call: call.books.number_of(checked))

    def id_of(self, number: int) -> str | None:
        """The id behind a number; None for a deleted customer."""
        record = self._read(lambda call: call.books.customer(number).record)
        return None if record.deleted else record.id

    def next_move_at(self) -> int | None:
        """When the next move is due; past where one is late, None where none is ahead."""
        return self._read(lambda call: call.books.next_move_at())

    def due_moves(self, now: int, limit: int, number: int | None = None) -> list[tuple[str, int]]:
        """(id, customer's number) of moves due at `now` (inclusive), of all or one customer: each customer's
        first."""
        return self._read(lambda call: plan_changes.due(call, now, limit, number))

    def carry_out(self, ids: Sequence[str], *, finals: Sequence[Totals] = ()) -> Done[None]:
        """Does moves that are due, each customer's at most one. One that cannot be done is cancelled, and
        says why."""

        def job(call: Call) -> Done[None]:
            plan_changes.carry_out(replace(call, totals=finals), ids)
            return Done(None, call.effects)

        return self._run(job)

    def segments_behind(self) -> list[str]:
        """Segments of which parts are left."""
        return self._read(lambda call: call.books.segments_behind())
