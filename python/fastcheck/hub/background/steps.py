"""One list of what is done by itself, for hubs and for owners of directories: a step has a name and knows how
often it is due; what it does is a use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from fastcheck.errors import FastcheckError
from fastcheck.hub.service import Service

DUE_MS: Final = 1_000
"""Between two looks for what time makes due."""
ACCOUNTS_PER_ROUND: Final = 256
"""Accounts brought to now at once: bounds how long a round takes."""
CUSTOMERS_PER_ROUND: Final = 64
"""Customers booked at once, and then not before another `DUE_MS`: their answers do not wait for it, and
requests come first."""


DELETIONS_MS: Final = 3_600_000
"""Between two looks for deletions that can no longer be undone."""


@dataclass(frozen=True)
class Step:
    """Something that is done again and again."""

    name: str
    run: Callable[[int], bool | None]
    """Does it as of an instant; true where work was left."""
    every_ms: int = 0
    """Not before so much time has passed since the last; 0: in every round."""


class Steps:
    """Steps in their order."""

    def __init__(
        self, steps: Iterable[Step], failed: Callable[[str, FastcheckError | None], None] | None = None
    ) -> None:
        """`failed` is told the name of a step and why it failed (None: it did not), and the others go on;
        without it, what a step raises is raised."""
        self._steps: Final = tuple(steps)
        self._failed: Final = failed
        self._done_at: dict[str, int] = {}

    def once(self, now: int) -> bool:
        """One round; whether work was left."""
        left = False
        for step in self._steps:
            done_at = self._done_at.get(step.name)
            # An instant behind the last: the clock went back.
            if done_at is None or not step.every_ms or abs(now - done_at) >= step.every_ms:
                more = self._tried(step, now)
                if not more:
                    self._done_at[step.name] = now
                left = left or more
        return left

    def _tried(self, step: Step, now: int) -> bool:
        if self._failed is None:
            return bool(step.run(now))
        try:
            left = bool(step.run(now))
        except FastcheckError as error:
            self._failed(step.name, error)
            return False
        self._failed(step.name, None)
        return left


def due_steps(
    service: Service,
    top_ups: Callable[[int], bool | None],
    webhooks: Callable[[int], bool | None],
    every_ms: int = 0,
) -> tuple[Step, ...]:
    """What time makes due, whoever has the ledger. `top_ups` and `webhooks`: how these are done here."""

    def accounts(now: int) -> bool:
        return service.due.turn(now, ACCOUNTS_PER_ROUND) == ACCOUNTS_PER_ROUND

    def lines(now: int) -> None:
        service.due.book(CUSTOMERS_PER_ROUND)

    def deletions(now: int) -> None:
        service.due.forget_deletions()

    def notices(now: int) -> None:
        service.due.tell_due(now)

    return (
        Step("accounts", accounts, every_ms),
        Step("lines", lines, DUE_MS),
        Step("deletions", deletions, DELETIONS_MS),
        Step("notices", notices, every_ms),
        Step("top-ups", top_ups, every_ms),
        Step("webhooks", webhooks, every_ms),
    )
