"""What the owner of a directory does that follows a hub: it keeps the stream, and answers the other
processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from fastcheck.errors import Forbidden, HubUnavailable, NotYet, ProtocolError
from fastcheck.host.changes import Ring

if TYPE_CHECKING:
    from fastcheck.host.following.connection import Connection
    from fastcheck.host.following.on_demand import HeldReplica
    from fastcheck.host.following.replica import Replica

READY_SLICE_S: Final = 1.0
"""How long one question at the owner waits for news, so that an owner's end is noticed."""
FETCH_S: Final = 30.0
"""How long `prewarm` may take to fetch a part of its customers."""
FETCH_KEYS: Final = 4_096
"""Customers fetched at once by `prewarm`."""
TICK_S: Final = 1.0
"""Between two looks of the host's thread, which has nothing to do but to notice its end."""


@dataclass(frozen=True)
class LinkState:
    """How the stream of a host is doing."""

    url: str
    connected: bool
    opened: bool
    """Whether there is an arena that checks can read."""
    ready: bool
    """Whether it was ever filled by a hub."""
    opening: bool
    """Whether arena and checkpoint are still being looked at."""
    forbidden: bool
    """Whether the hub refuses the token."""
    reason: str
    """Why there is no stream; empty while there is one."""
    attempts: int

    def raise_reason(self, waited_s: float) -> None:
        """Raises why the host is not ready: `Forbidden`, `HubUnavailable` or `NotYet`."""
        if self.forbidden:
            raise Forbidden(self.reason)
        if self.reason:
            raise HubUnavailable(f"nothing came of the hub within {waited_s:g} s: {self.reason}")
        raise NotYet(f"the hub at {self.url} did not send everything within {waited_s:g} s: wait longer")


class StreamPart:
    """What the owner of a directory that follows a hub does."""

    def __init__(
        self,
        connection: Connection,
        replica: Replica | HeldReplica,
        lease_timeout_s: float,
        *,
        on_demand: bool,
    ) -> None:
        self._connection = connection
        self._replica = replica
        self._on_demand = on_demand
        self._lease_timeout_s = lease_timeout_s

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know."""
        failure = self._connection.failure
        return self._replica.notes if failure is None else (*self._replica.notes, failure.reason)

    @property
    def ring(self) -> Ring:
        """The changes of this host."""
        return self._replica.ring

    def touch(self, customer: str, pool: str | None) -> bool:
        """Fetches a customer (pool None). There are no leases across a fleet yet."""
        if pool is not None or not self._on_demand:
            return False
        return self._connection.fetch([customer], self._lease_timeout_s).get(customer, False)

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs a request of a process of this host."""
        answer = _OFFERED.get(method)
        if answer is None:
            raise ProtocolError(
                f"there is no request {method!r:.40} in a directory that follows a hub: ask the hub"
            )
        return answer(self, *args, **kwargs)

    def pools_behind(self, feature: str | None) -> list[str]:
        """The pools that a feature spends."""
        return self._replica.pools_behind(feature)

    def prewarm(self, pairs: Sequence[tuple[str, str | None]]) -> int:
        """Fetches customers of a host on demand; how many there are."""
        if not self._on_demand:
            return 0
        keys = list(dict.fromkeys(customer for customer, _ in pairs))
        found = 0
        for start in range(0, len(keys), FETCH_KEYS):
            found += sum(self._connection.fetch(keys[start : start + FETCH_KEYS], FETCH_S).values())
        return found

    def fetch(self, customers: Sequence[str], timeout_s: float) -> dict[str, bool]:
        """Fetches customers: which of them are somebody's. Who could not be asked in time is left out."""
        if not self._on_demand:
            return {}
        return self._connection.fetch(customers[:FETCH_KEYS], min(float(timeout_s), FETCH_S))

    def link(self) -> LinkState:
        """How the stream is doing."""
        at = self._connection
        failure = at.failure
        return LinkState(
            at.url,
            at.connected,
            at.opened,
            at.ready,
            at.opening,
            failure is not None and failure.forbidden,
            "" if failure is None else failure.reason,
            at.attempts,
        )

    def wait_ready(self, timeout_s: float) -> LinkState:
        """Waits until the host is ready, as long as that may still come by itself. Raises why the directory
        cannot be opened, where it cannot."""
        at = self._connection
        at.wait(
            lambda: (
                at.ready or at.open_error is not None or (at.failure is not None and at.failure.forbidden)
            ),
            min(timeout_s, READY_SLICE_S),
        )
        if at.open_error is not None:
            raise at.open_error
        return self.link()

    def tick(self) -> float:
        """Nothing: the stream has a thread of its own."""
        return TICK_S

    def close(self) -> None:
        """Ends the stream."""
        self._connection.close()

    def in_child(self) -> None:
        """In a forked child: closes the inherited socket."""
        self._connection.in_child()


_OFFERED: dict[str, Callable[..., object]] = {
    "touch": StreamPart.touch,
    "fetch": StreamPart.fetch,
    "prewarm": StreamPart.prewarm,
    "pools_behind": StreamPart.pools_behind,
    "link": lambda part: astuple(part.link()),
    "wait_ready": lambda part, timeout_s: astuple(part.wait_ready(timeout_s)),
}
"""What other processes may ask; answers are plain values."""
