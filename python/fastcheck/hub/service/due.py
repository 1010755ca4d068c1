"""What time brings: background steps ask for it, and no request does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcheck.hub.service.core import Core, Done
from fastcheck.hub.store.statements import Told
from fastcheck.hub.use_cases import booking, deletions, due_accounts, end_notices, plan_changes, top_ups
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.top_ups import ToppedUp
from fastcheck.hub.use_cases.transaction import Call

NOTICES_PER_CALL = 256


class Due:
    """Moves, segments with parts left, turns of accounts, top-ups, and what is told before something ends."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def next_move_at(self) -> int | None:
        """When the next move is due; past where one is late, None where none is ahead."""
        return self._core.read(lambda call: call.statements.next_move_at())

    def due_moves(self, now: int, limit: int, number: int | None = None) -> list[tuple[str, int]]:
        """(id, customer's number) of moves due at `now` (inclusive), of all or one customer: each customer's
        first."""
        return self._core.read(lambda call: plan_changes.due(call, now, limit, number))

    def carry_out(self, ids: Sequence[str], *, finals: Sequence[Totals] = ()) -> Done[None]:
        """Does moves that are due, each customer's at most one. One that cannot be done is cancelled, and
        says why."""

        def job(call: Call) -> Done[None]:
            plan_changes.carry_out(replace(call, totals=finals), ids)
            return Done(None, call.effects)

        return self._core.write(job)

    def newest_instant(self) -> int:
        """The newest instant that the ledger lately saw; 0 where it saw nothing."""
        return self._core.read(lambda call: call.statements.newest_instant())

    def segments_behind(self) -> list[str]:
        """Segments of which parts are left."""
        return self._core.read(lambda call: call.statements.segments_behind())

    def tell_due(self, now: int, limit: int = NOTICES_PER_CALL) -> tuple[Told, ...]:
        """Tells what will end soon and is due at `now` (inclusive), each once; at most `limit` are looked
        at."""
        if not self._core.read(lambda call: call.statements.notices_due(now, 1)):
            return ()

        def job(call: Call) -> tuple[Told, ...]:
            end_notices.tell(call, call.statements.notices_due(now, limit))
            return tuple(call.statements.told)

        return self._core.write(job)

    def turn(self, now: int, limit: int) -> int:
        """Brings at most `limit` accounts to now whose next change (an expiry, a start, a refill) had come by
        `now` (inclusive); how many were found. Accounts with an open lease are left to the lease's end."""
        return self._core.write(lambda call: due_accounts.turn(call, now, limit))

    def book(self, limit: int) -> int:
        """Books lines of at most `limit` customers that no account shows yet; how many there were."""
        if not self._core.read(lambda call: call.statements.unbooked(1)):
            return 0
        return self._core.write(lambda call: booking.book(call, limit))

    def forget_deletions(self) -> None:
        """Forgets deletions that can no longer be undone."""
        self._core.write(deletions.forget)

    def top_ups_due(self, limit: int) -> Sequence[tuple[int, str]]:
        """(customer's number, pool) of the rules to look at now."""
        return self._core.read(lambda call: top_ups.due_now(call, limit))

    def top_up(self, number: int, pool: str, *, totals: Totals | None = None) -> ToppedUp:
        """Tops an account up if its rule is due and its balance is low; asked again, nothing. `totals`: what
        the open lease has used so far."""
        return self._core.write(lambda call: top_ups.run(call, number, pool, totals))
