"""What a hub does by itself, in a thread: rounds while this hub is elected, and the courier while somebody
wants webhooks."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Final

from fastcheck.clock import Clock
from fastcheck.errors import FastcheckError
from fastcheck.hub.background.clock_watch import ClockWatch
from fastcheck.hub.background.courier_thread import CourierThread
from fastcheck.hub.background.rounds import Rounds
from fastcheck.hub.service import News, Service
from fastcheck.hub.store import Store

log = logging.getLogger("fastcheck.hub")

NAME: Final = "rounds"
"""What is elected for."""
LOOK_S: Final = 1.0
"""Between two rounds where nothing is due before, and between two candidacies."""
WORK_LEFT_S: Final = 0.01
"""Between two rounds where work was left: requests come in between."""


class Duties:
    """One daemon thread."""

    def __init__(self, service: Service, store: Store, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self._watch = ClockWatch(service, clock, _tell)
        self._woken = threading.Event()
        self._stopping = False
        self._courier: CourierThread | None = None
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="fastcheck-duties", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._watch.begin()
        self._service.listener = self._hear
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step it is at."""
        self._stopping = True
        self._woken.set()
        self._thread.join()
        self._service.listener = None

    def _hear(self, news: News) -> None:
        courier = self._courier
        if courier is not None and news.told:
            courier.news()
        if news.top_ups_due:
            self._woken.set()

    def _run(self) -> None:
        rounds = Rounds(self._service, self._clock)
        with self._store.elect(NAME) as elected:
            while not self._stopping:
                self._woken.clear()
                pause_s = LOOK_S
                self._look_at_clock()
                if elected.held():
                    pause_s = self._round(rounds)
                    self._send(rounds.webhooks_wanted)
                else:
                    self._send(False)
                if not self._stopping:
                    self._woken.wait(pause_s)
            self._send(False)

    def _round(self, rounds: Rounds) -> float:
        """One round; how long until the next."""
        try:
            due_at = rounds.once()
        except FastcheckError as error:
            self._failed(str(error))
        except Exception as error:  # A mistake of ours in one step must not end all of them.
            self._failed(f"{type(error).__name__}: {error}")
        else:
            if self._failing:
                log.warning("what is due is done again")
            self._failing = ""
            return min(max((due_at - self._clock.now_ms()) / 1_000, WORK_LEFT_S), LOOK_S)
        return LOOK_S

    def _look_at_clock(self) -> None:
        """Elected or not: each hub has a clock of its own."""
        with contextlib.suppress(FastcheckError):  # A ledger that cannot be read is told by its round.
            self._watch.look()

    def _failed(self, why: str) -> None:
        if why != self._failing:
            self._failing = why
            log.error("what is due cannot be done, trying again: %s", why)

    def _send(self, wanted: bool) -> None:
        if wanted and self._courier is None:
            self._courier = CourierThread(self._service, self._clock)
        elif not wanted and self._courier is not None:
            courier, self._courier = self._courier, None
            courier.stop(wait=True)


def _tell(words: str, grave: bool) -> None:
    log.log(logging.WARNING if grave else logging.INFO, "%s", words)
