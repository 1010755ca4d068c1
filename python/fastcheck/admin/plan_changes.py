"""Changes of plans, now and ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace as with_fields
from typing import overload

from fastcheck.admin.base import AdminBase
from fastcheck.errors import WrongType
from fastcheck.wire.answers import Move, Page
from fastcheck.wire.operations.plan_changes import (
    MOVES_PER_REQUEST,
    NOW,
    CancelMove,
    Destination,
    ListMoves,
    Migrate,
    MoveCustomers,
    MoveSegment,
    When,
    when_ms,
)

_NOT_GIVEN = ""


class PlanChangesAdmin(AdminBase):
    """Which plan a customer has, from which instant on."""

    @overload
    def move(
        self,
        customer: str,
        plan: str | None,
        *,
        version: int | None = None,
        when: When = NOW,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> Move: ...

    @overload
    def move(
        self,
        *,
        plan: str | None,
        customers: Iterable[str],
        version: int | None = None,
        when: When = NOW,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> list[Move]: ...

    @overload
    def move(
        self,
        *,
        plan: str | None,
        segment: str,
        version: int | None = None,
        when: When = NOW,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> list[Move]: ...

    def move(
        self,
        customer: str | None = None,
        plan: str | None = _NOT_GIVEN,
        *,
        customers: Iterable[str] | None = None,
        segment: str | None = None,
        version: int | None = None,
        when: When = NOW,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> Move | list[Move]:
        """Moves a customer to a plan (None: to none), now or at an instant ahead; or several customers, or
        a segment's members as of now, of whom each 500 are moved all or none. Top-ups, overrides and add-ons
        stay.

        `version`: default the one they will have then, or the newest of a plan they come to. `when`: "now",
        an instant, or "period_end", the start of the subscription's next period: of the plan's recurring
        grants and meters that count from the anniversary, the earliest refill; where all go by the calendar,
        the end of the month (UTC); where nothing recurs, a month of the anniversary. Anniversaries count from
        the move, except on another version of the same plan or with `keep_since`. What is due while no
        process owns the directory counts from its instant all the same. `replace`: cancels the moves ahead at
        this instant and after.

        Raises `UnknownCustomer`, `RecordError` (no such plan or version; add-ons that the plan does not
        take), `InstantError` (an instant that has passed), `Conflict` (a move is ahead at this instant or
        later).

        >>> ents.admin.move("tiny", "pro").version
        1
        >>> ents.check("tiny", "export")
        True
        >>> ahead = ents.admin.move("acme", "free", when="period_end", reason="asked by mail")
        >>> ahead.pending, ents.check("acme", "export")
        (True, True)
        >>> [move.plan for move in ents.admin.move(customers=["acme", "tiny"], plan=None, replace=True)]
        [None, None]
        """
        if plan == _NOT_GIVEN:
            raise WrongType("name the plan to move to, or plan=None to move to none")
        if sum(one is not None for one in (customer, customers, segment)) != 1:
            raise WrongType("name one customer, or customers=[…], or segment=…")
        to = Destination(
            plan=plan, version=version, when=when_ms(when, "when"), keep_since=keep_since, replace=replace
        )
        if customer is not None:
            return self._moves([customer], to, reason)[0]
        if segment is not None:
            return self._in_parts(MoveSegment(segment, **vars(to)), reason)
        if isinstance(customers, str) or customers is None:
            raise WrongType("customers must be a list of str, not one str")
        return self._moves(list(customers), to, reason)

    def _moves(self, customers: list[str], to: Destination, reason: str) -> list[Move]:
        parts = [
            MoveCustomers(tuple(customers[start : start + MOVES_PER_REQUEST]), **vars(to))
            for start in range(0, len(customers), MOVES_PER_REQUEST)
        ]
        found: list[Move] = []
        for place, part in enumerate(parts):
            found += self._ask(part, reason, place if len(parts) > 1 else None).moves
        return found

    def _in_parts(
        self, request: MoveSegment | Migrate, reason: str, progress: Callable[[int], object] | None = None
    ) -> list[Move]:
        found: list[Move] = []
        place = 0
        while True:
            part = self._ask(request, reason, place)
            found += part.moves
            if progress is not None:
                progress(len(found))
            if part.after is None:
                return found
            request, place = with_fields(request, after=part.after), place + 1

    def migrate(
        self,
        plan: str,
        from_version: int,
        to_version: int,
        *,
        when: When = NOW,
        progress: Callable[[int], object] | None = None,
        reason: str = "",
    ) -> int:
        """Moves every customer on a version of a plan to another version; how many. Customers stay on the
        version they bought until this is done. Anniversaries do not shift.

        500 customers at a time, each part a change of its own, after which `progress` is called with the
        number so far. Again: only those who are left. Ahead, a customer who has left the version by then
        stays where they are. Raises `RecordError` (no such version), `InstantError`.

        >>> catalog = open("catalog.yaml").read()
        >>> free = "  free:\\n    features:\\n      api_calls: 1_000\\n"
        >>> both = "1: {features: {api_calls: 1000}}, 2: {features: {api_calls: 50}}"
        >>> two = "  free:\\n    versions: {" + both + "}\\n"
        >>> ents.admin.set_catalog(catalog.replace(free, two))
        True
        >>> ents.limit("tiny", "api_calls")
        1000
        >>> ents.admin.migrate("free", 1, 2), ents.admin.migrate("free", 1, 2)
        (1, 0)
        >>> ents.limit("tiny", "api_calls")
        50
        """
        request = Migrate(plan, from_version, to_version, when_ms(when, "when"))
        return len(self._in_parts(request, reason, progress))

    def cancel_move(self, id: str, *, reason: str = "") -> Move:
        """Cancels a move ahead; again changes nothing. Raises `UnknownMove`, `Conflict` (it is done, or due).

        >>> ahead = ents.admin.move("acme", "free", when="period_end")
        >>> ents.admin.cancel_move(ahead.id, reason="stays").cancelled_why
        'stays'
        """
        return self._ask(CancelMove(id), reason)

    def list_moves(
        self,
        customer: str | None = None,
        *,
        pending: bool = True,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Move]:
        """Moves in the order of their instants, of one customer or all; `pending`: only those ahead.
        `page.cursor` asks for the rest. Raises `UnknownCustomer`.

        >>> ahead = ents.admin.move("acme", "free", when="period_end")
        >>> [(move.customer, move.plan) for move in ents.admin.list_moves().items]
        [('acme', 'free')]
        """
        return self._ask(ListMoves(customer, bool(pending), cursor, limit))
