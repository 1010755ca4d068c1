"""What a hub does by itself, as an owner does (`host/embedded/background.py`), without cells.

Every step is safe if two hubs do it at once: it takes the rows it is about, looks again whether there is
something to do, and notes in the same transaction that it is done. One that fails does not keep the others
from going on."""

from __future__ import annotations

import logging
from typing import Final

from fastcheck.clock import Clock
from fastcheck.errors import Closed, DirectoryError, FastcheckError, OutcomeUnknown, StoreError
from fastcheck.hub.background.steps import DUE_MS, Step, Steps, due_steps
from fastcheck.hub.service import Service
from fastcheck.hub.service.streaming import CHANGES_PER_PRUNING
from fastcheck.wire.operations.segments import GoOnSegment

log = logging.getLogger("fastcheck.hub")

PRUNE_MS: Final = 10_000
"""Between two looks for old changes."""
MOVES_PER_ROUND: Final = 256
TOP_UPS_PER_ROUND: Final = 256
"""Done at once of what is due: bounds how long a round takes."""

_GIVE_UP = (StoreError, DirectoryError, OutcomeUnknown, Closed)
"""The ledger itself cannot be used; the other steps would only find that again."""


class Rounds:
    """One round after the other, in whatever thread asks; one at a time."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._begun = False
        self._failures: dict[str, str] = {}
        self._steps = Steps(
            (
                Step("leases", self._leases),
                Step("moves", self._moves),
                Step("segments", self._segments),
                *due_steps(service, self._top_ups, self._webhooks),
                Step("changes", self._changes, PRUNE_MS),
                Step("refusals", self._refusals),
            ),
            self._failed,
        )
        self.webhooks_wanted = False
        """Whether somebody wants events, as of the last round: then whoever runs the rounds also sends."""

    def once(self, now: int | None = None) -> int:
        """One round; when the next is due (ms since 1970), `now` where work was left. `now`: default the
        clock's. Raises where the ledger cannot be used; whatever else fails is logged, and tried again."""
        now = self._clock.now_ms() if now is None else now
        if self._service.load_catalog() is None:
            return now + DUE_MS  # Nobody has anything yet.
        if self._steps.once(now):
            return now
        ahead = self._service.next_move_at()
        return now + DUE_MS if ahead is None else max(now, min(now + DUE_MS, ahead))

    def _failed(self, name: str, error: FastcheckError | None) -> None:
        """A failure is logged when it begins or changes."""
        if error is None:
            self._failures.pop(name, None)
        elif isinstance(error, _GIVE_UP):
            raise error
        elif self._failures.get(name) != str(error):
            self._failures[name] = str(error)
            log.warning("%s that are due were not all done; trying again: %s", name, error)

    def _leases(self, now: int) -> bool:
        """What an embedded owner lent before there was a hub; once: no owner comes while a hub runs."""
        if not self._begun:
            self._service.end_embedded_leases()
            self._begun = True
        return False

    def _moves(self, now: int) -> bool:
        due = self._service.due_moves(now, MOVES_PER_ROUND)
        if due:
            self._service.carry_out([id for id, _ in due])
        return bool(due)  # Of a customer the first was done; there may be a second.

    def _segments(self, now: int) -> bool:
        behind = self._service.segments_behind()
        return bool(behind) and (self._service.ask(GoOnSegment(behind[0])).left or len(behind) > 1)

    def _top_ups(self, now: int) -> bool:
        due = self._service.top_ups_due(TOP_UPS_PER_ROUND)
        for number, pool in due:
            self._service.top_up(number, pool)
        return len(due) == TOP_UPS_PER_ROUND

    def _changes(self, now: int) -> bool:
        return self._service.prune_changes() == CHANGES_PER_PRUNING

    def _webhooks(self, now: int) -> bool:
        self.webhooks_wanted = self._service.any_webhook()
        return False

    def _refusals(self, now: int) -> bool:
        self._service.audit_denied_left()
        return False
