"""What happens on a host, as it happens: customers that change, balances that run low.

The owner keeps the last changes in a ring. A reader says which number it saw last and gets what came since;
one that was away for longer than the ring is told so with a change of kind "missed". Nothing here ever waits
for a reader."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

RING_CHANGES_MAX = 1_024
"""Changes the owner remembers."""
KINDS = (
    "low_balance", "limit_reached", "tier_crossed", "trial_ending", "override_ending", "grant_expiring",
    "topped_up", "top_up_capped", "purchase_paid", "purchase_refunded", "purchase_charged_back",
    "customer_changed", "customer_deleted", "catalog_changed", "connected", "disconnected", "missed",
)  # fmt: skip
"""What happens; `docs/events.md` says when."""


@dataclass(frozen=True)
class Change:
    """One thing that happened."""

    number: int
    """Counts up by one; starts anew with another owner."""
    kind: str
    """One of `KINDS`."""
    customer: str | None = None
    pool: str | None = None
    at: int = 0
    remaining: int | None = None
    """Pool units that were left, of a balance."""
    percent: int | None = None
    """The percent of what was granted that use came to, of a threshold."""


class Ring:
    """The last changes, for any number of readers."""

    def __init__(self, first: int) -> None:
        """`first`: the number of the first change; owners start at their own time, so that numbers do not
        repeat."""
        self._first = first
        self._next = first
        self._ring: deque[Change] = deque(maxlen=RING_CHANGES_MAX)
        self._news = threading.Condition()

    def tell(
        self,
        kind: str,
        at: int,
        customer: str | None = None,
        pool: str | None = None,
        remaining: int | None = None,
        percent: int | None = None,
    ) -> None:
        """Adds a change."""
        with self._news:
            self._ring.append(Change(self._next, kind, customer, pool, at, remaining, percent))
            self._next += 1
            self._news.notify_all()

    def read(self, after: int | None, wait_s: float) -> tuple[list[Change], int]:
        """(changes after that number, the number to ask with next); waits for the first up to `wait_s`.
        `after` = None: from now on."""
        with self._news:
            if after is None:
                return [], self._next - 1
            if not self._first - 1 <= after < self._next:
                return [Change(self._next - 1, "missed")], self._next - 1  # a number of an earlier owner's
            self._news.wait_for(lambda: self._next - 1 > after, wait_s)
            found = [one for one in self._ring if one.number > after]
            if found and found[0].number > after + 1:
                found.insert(0, Change(found[0].number - 1, "missed"))
            return found, self._next - 1


class Subscription:
    """Changes for one subscriber: bounded, and one per kind, customer and pool, the newest."""

    def __init__(self, wanted: Callable[[Change], bool], wake: Callable[[], None]) -> None:
        self._wanted = wanted
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str | None, str | None], Change] = {}
        self._missed = False

    def offer(self, change: Change) -> None:
        """Keeps a change if it is wanted; never waits."""
        if change.kind != "missed" and not self._wanted(change):
            return
        with self._lock:
            key = (change.kind, change.customer, change.pool)
            self._waiting.pop(key, None)
            if len(self._waiting) >= RING_CHANGES_MAX:
                self._waiting.clear()
                self._missed = True
            self._waiting[key] = change
        self._wake()

    def take(self) -> list[Change]:
        """What waits, oldest first."""
        with self._lock:
            found = list(self._waiting.values())
            self._waiting.clear()
            if self._missed:
                self._missed = False
                found.insert(0, Change(0, "missed"))
            return found

    def end(self) -> None:
        """Wakes the subscriber a last time."""
        self._wake()
