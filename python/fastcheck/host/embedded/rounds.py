"""What goes on by itself: settling, lending anew, ending holds, storing usage records."""

from __future__ import annotations

import heapq

from fastcheck.errors import FastcheckError
from fastcheck.host.embedded.arena import Arena, CellTotals, Key
from fastcheck.host.embedded.leases import LEASES_PER_TRANSACTION, SPENT_MAX, Held, log
from fastcheck.host.embedded.notify import Telling
from fastcheck.host.embedded.plan_changes import DueMoves
from fastcheck.host.embedded.segments import SegmentParts
from fastcheck.hub.service import Totals

SWEEP_MS = 1_000
"""Between two looks for holds whose process died or whose time ran out."""
ACCOUNTS_PER_TURN = 256
"""Accounts brought to now at once, of those that nobody looked at: bounds how long a round takes."""
JOURNAL_RECORDS_PER_ROUND = 4_096


class Rounds(Telling):
    """One round after the other."""

    moves: DueMoves
    parts: SegmentParts

    def tick(self) -> None:
        """One round: settle, lend anew what reached its end, store usage records, free dead holds, show
        life."""
        arena, now = self._need(), self._clock.now_ms()
        if arena.detached:
            self._replace_lost_files()
            arena = self._need()
        self._show_life(arena, now)
        self._settle_round(arena)
        self.moves.round()
        self.parts.round()
        self._end_round(now)
        self._telling_round(now)
        if now - self._swept_at >= SWEEP_MS:
            self._swept_at = now
            self._sweep_round(arena, now)
            self._service.turn(now, ACCOUNTS_PER_TURN)
        self._journal_round(arena)
        if self._behind:
            with self._publication():
                pass

    def _show_life(self, arena: Arena, now: int) -> None:
        """What is here is current: checks of features with a bound on staleness go by it."""
        arena.heartbeat(now, now if self._manual_time else None)

    def _settle_round(self, arena: Arena) -> None:
        everything, self._settle_all = self._settle_all, False
        cells = arena.cells(changed_only=not everything)
        try:
            for start in range(0, len(cells), LEASES_PER_TRANSACTION):
                part = cells[start : start + LEASES_PER_TRANSACTION]
                # A closed cell is settled as final by whoever closed it; here its late returns come in.
                self._service.settle([Totals(*one[:5], False) for one in part])
        except BaseException:
            self._settle_all = True  # "Changed" was said already; it must not be lost.
            raise
        for cell in cells:
            if cell[3] > SPENT_MAX:
                self._renew(cell)

    def _renew(self, cell: CellTotals) -> None:
        """Renews a lease whose totals grow towards their bound."""
        key, lease = (cell[0], cell[1]), cell[2]
        held = self._held.get(key)
        if held is None or held.closed or held.terms.lease != lease or cell[6]:
            return
        with self._stripes.hold([cell[0]]):
            self._reopen([key], self._close([key]))

    def _end_round(self, now: int) -> None:
        """Lends anew every lease that reached the instant at which its account changes."""
        due: dict[Key, None] = {}
        with self._leases_lock:
            while self._ends and self._ends[0][0] <= now and len(due) < LEASES_PER_TRANSACTION:
                _, number, pool, lease = heapq.heappop(self._ends)
                held = self._held.get((number, pool))
                if held is not None and held.terms.lease == lease:
                    due[(number, pool)] = None
        keys = list(due)
        if keys:
            with self._stripes.hold({number for number, _ in keys}):
                ended = [key for key in keys if key in self._held and self._ended(self._held[key], now)]
                if ended:
                    self._reopen(ended, self._close(ended))

    @staticmethod
    def _ended(held: Held, now: int) -> bool:
        return held.closed or (held.terms.valid_until is not None and held.terms.valid_until <= now)

    def _sweep_round(self, arena: Arena, now: int) -> None:
        """Ends holds whose time ran out or whose process died. What a hold gives back after its lease was
        closed goes to the grants, and is spendable again at once."""
        arena.sweep(now if self._manual_time else None)
        late = arena.late_returns()
        for key, number, pool, lease, units in late:
            with self._stripes.hold([number]):
                totals = self._totals((number, pool))
                terms, reopen = self._service.give_back(key, number, pool, lease, units, totals=totals)
                self._raise((number, pool), terms, reopen)
        if late:
            arena.late_returns_booked()

    def _journal_round(self, arena: Arena) -> None:
        with self._journaling:
            records = arena.drain_journal(JOURNAL_RECORDS_PER_ROUND)
            if records:
                self._service.record_usage(records)
            arena.ack_journal()  # Also without records: it removes the files of processes that are gone.

    def next_end(self) -> int | None:
        """When the next lease reaches its end, or the next move is due."""
        with self._leases_lock:
            ends = [self._ends[0][0]] if self._ends else []
        move_at = self.moves.next_at
        return min(ends if move_at is None else [*ends, move_at], default=None)

    def close(self) -> None:
        """Settles a last time. Cells stay open for the next owner, and for those who go on spending."""
        arena = self._arena
        if arena is None:
            return
        self._end_telling()
        try:
            self._settle_round(arena)  # It may renew a lease, so the arena is given up after it.
        except FastcheckError as error:
            log.warning("the last settlement is left to the next owner: %s", error)
        finally:
            self._arena = None
            arena.close()
