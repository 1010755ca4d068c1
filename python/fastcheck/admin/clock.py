"""The ledger's clock."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.clock import instant_ms
from fastcheck.wire.clock_answers import ClockRepair, ClockState
from fastcheck.wire.fields import Instant
from fastcheck.wire.operations.clock import ConfirmClock, GetClock, RepairClock


class ClockAdmin(AdminBase):
    """What the ledger's clock shows, and what to do where it was wrong."""

    def clock(self) -> ClockState:
        """The ledger's time, and whether a step of the machine's clock is doubted.

        >>> ents.admin.clock().doubted
        False
        """
        return self._ask(GetClock())

    def confirm_clock(self, *, reason: str = "") -> ClockState:
        """Says that the machine's clock is right: a step of more than an hour is believed at once, and not
        only when it has lasted ten minutes. Where nothing is doubted: no change.

        >>> state = ents.admin.confirm_clock(reason="the battery was changed")
        >>> state.now == state.wall
        True
        """
        return self._ask(ConfirmClock(), reason)

    def repair_clock(self, at: Instant, *, reason: str) -> ClockRepair:
        """Undoes what time did to accounts while the clock was ahead. `at`: the true present. Accounts that
        stand at a later instant are brought back to it: what expired or was refilled since is undone with
        postings of its own; use, grants and voids that were made meanwhile stay. Done in parts, each whole; a
        repair that was interrupted is run again. Moves that were carried out ahead of their instant stand,
        and are named.

        Set the clock right first: raises `Conflict` where it shows another day than `at`.

        >>> from datetime import datetime, timezone
        >>> done = ents.admin.repair_clock(datetime.now(timezone.utc), reason="the clock said 2036")
        >>> done.accounts, done.moves
        (0, ())
        """
        instant = instant_ms(at, "at")
        moves: tuple[str, ...] = ()
        customers: tuple[str, ...] = ()
        cursor: str | None = None
        accounts = 0
        while True:
            part = self._ask(RepairClock(instant, reason, cursor), reason, cursor)
            accounts, moves = accounts + part.accounts, (*moves, *part.moves)
            customers, cursor = (*customers, *part.customers), part.cursor
            if cursor is None:
                return ClockRepair(accounts, moves, customers)
