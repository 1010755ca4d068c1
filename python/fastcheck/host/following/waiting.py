"""Who waits for customers of a host on demand. Each key is asked for once, whoever waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from fastcheck.host.following.demand import Demand


class Asked:
    """One question of a process: some keys, answered together."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.left = set(keys)
        self.found: dict[str, bool] = {}
        """What has become of the others: whether each is somebody's."""
        self.done: Future[dict[str, bool]] = Future()

    def settle(self, key: str, found: bool) -> None:
        """Notes what a key came to."""
        self.left.discard(key)
        self.found[key] = found
        if not self.left and not self.done.done():
            self.done.set_result(self.found)


class Askers:
    """All who wait. Used by whoever holds the replica's turn."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Asked]] = {}

    def register(self, asked: Asked, demand: Demand, *, away: bool) -> None:
        """Has the keys asked for. Those that are known to be nobody's, cannot be asked for, or whose hub is
        `away`, are answered at once."""
        for key in list(asked.left):
            if away or demand.known_missing(key) or not demand.ask(key):
                asked.settle(key, False)
            else:
                self._waiting.setdefault(key, []).append(asked)

    def forget(self, asked: Asked) -> None:
        """Whoever it was has given up."""
        for key in asked.left:
            waiting = self._waiting.get(key, [])
            if asked in waiting:
                waiting.remove(asked)
            if not waiting:
                self._waiting.pop(key, None)

    def settled(self, keys: dict[str, bool]) -> None:
        """Tells what became of keys."""
        for key, found in keys.items():
            for asked in self._waiting.pop(key, ()):
                asked.settle(key, found)

    def close(self) -> None:
        """Nobody will be answered any more."""
        self.settled(dict.fromkeys(list(self._waiting), False))
