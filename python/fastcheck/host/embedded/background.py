"""What an owner does by itself, round after round: the steps that a hub has, with the leases of this host
around what is due, and those that only an owner has."""

from __future__ import annotations

from typing import Final

from fastcheck.clock import Clock
from fastcheck.host.embedded.adoption import Adoption
from fastcheck.host.embedded.arena import Mapped
from fastcheck.host.embedded.leases import Leases
from fastcheck.host.embedded.notify import Notifier
from fastcheck.host.embedded.plan_changes import DueMoves
from fastcheck.host.embedded.rows import Rows
from fastcheck.host.embedded.segments import SegmentParts
from fastcheck.host.embedded.settling import Settling
from fastcheck.hub.background.clock_watch import ClockWatch
from fastcheck.hub.background.steps import DUE_MS, Step, Steps, due_steps
from fastcheck.hub.service import Service


class Background:
    """The steps of a round, in their order."""

    def __init__(
        self,
        service: Service,
        mapped: Mapped,
        clock: Clock,
        leases: Leases,
        rows: Rows,
        adoption: Adoption,
        settling: Settling,
        moves: DueMoves,
        parts: SegmentParts,
        notifier: Notifier,
        watch: ClockWatch,
        *,
        manual_time: bool,
    ) -> None:
        """`manual_time`: the heartbeat goes by `clock`, and not by the machine's."""
        self._mapped: Final = mapped
        self._clock: Final = clock
        self._rows: Final = rows
        self._adoption: Final = adoption
        self._manual_time: Final = manual_time

        self._steps: Final = Steps(
            (
                Step("files", self._files),
                Step("clock", lambda now: watch.look(), DUE_MS),
                Step("life", self.show_life),
                Step("settling", lambda now: settling.settle()),
                Step("moves", lambda now: moves.round()),
                Step("segments", lambda now: parts.round()),
                Step("ends", leases.end_due),
                *due_steps(
                    service, lambda now: notifier.top_up(), lambda now: notifier.look_for_webhooks(), DUE_MS
                ),
                Step("top-ups of this host", lambda now: notifier.top_ups_round()),
                Step("holds", settling.sweep, every_ms=DUE_MS),
                Step("usage records", lambda now: settling.store_records()),
                Step("rows", self._catch_up),
            )
        )

    def round(self) -> None:
        """One round. Raises what a step raises; the steps after it wait for the next round."""
        self._steps.once(self._clock.now_ms())

    def show_life(self, now: int) -> None:
        """What is here is current: checks of features with a bound on staleness go by it."""
        self._mapped.arena.heartbeat(now, now if self._manual_time else None)

    def _files(self, now: int) -> None:
        if self._mapped.arena.detached:
            self._adoption.replace_lost_files()

    def _catch_up(self, now: int) -> None:
        if self._rows.behind:
            with self._rows.publication():
                pass
