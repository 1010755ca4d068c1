"""What this host was lent: cells opened, raised, closed and lent anew. Whoever calls these holds the
customers' stripes."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fastcheck.clock import Clock
from fastcheck.errors import UnknownCustomer, UnknownFeature, UnknownPool
from fastcheck.host.changes import Ring
from fastcheck.host.embedded.arena import Arena, Key
from fastcheck.host.embedded.stripes import Stripes
from fastcheck.hub.service import News, Service, Terms, Totals
from fastcheck.ledger.lend import LEASE_UNITS_MAX
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.names import name

log = logging.getLogger("fastcheck.owner")

Answer = TypeVar("Answer")


class Gained(Protocol):
    """What became of a change that puts units into a pool."""

    @property
    def terms(self) -> Terms | None: ...
    @property
    def reopen(self) -> bool: ...


Gain = TypeVar("Gain", bound=Gained)


class CourierLike(Protocol):
    """Sends webhooks until it is stopped."""

    def news(self) -> None: ...
    def stop(self, *, wait: bool) -> None: ...


LoadCourier = Callable[[], Callable[[Service, Clock], CourierLike]]
"""Loads what sends webhooks. Raises `ImportError` where the extra is missing."""

LEASES_PER_TRANSACTION = 512
SPENT_MAX = LEASE_UNITS_MAX // 2
"""A cell's total that asks for a new lease, long before its 48 bits are full."""
NOTES_MAX = 32


@dataclass
class Held:
    """A lease that is out."""

    terms: Terms
    closed: bool = False
    """Whether its cell was closed; it is lent anew at the next touch."""


class Leases:
    """The leases of one directory, and all that an owner remembers."""

    def __init__(
        self,
        service: Service,
        make_arena: Callable[[CatalogLike], Arena],
        clock: Clock,
        *,
        manual_time: bool = False,
        load_courier: LoadCourier | None = None,
    ) -> None:
        """`make_arena` adopts or makes the arena under a catalog.
        `manual_time`: holds end by `clock` too, and not by the machine's.
        `load_courier` loads what sends webhooks; None: they are left to others."""
        self._load_courier = load_courier
        self._manual_time = manual_time
        self._service = service
        self._make_arena = make_arena
        self._clock = clock
        self._arena: Arena | None = None
        self._stripes = Stripes()
        self._publishing = threading.RLock()  # Rows reach the arena in the order of their numbers.
        self._leases_lock = threading.RLock()  # For the three below; a signal handler may come in between.
        self._journaling = threading.RLock()  # What is acknowledged is what was drained and stored.
        self._held: dict[Key, Held] = {}
        self._pools: dict[int, set[str]] = {}
        self._ends: list[tuple[int, int, str, int]] = []  # heap of (valid_until, number, pool, lease)
        self._settle_all = True
        self._behind = False
        self._swept_at = 0
        self.ring = Ring(clock.now_ms() * 1_000)
        self.notes: list[str] = []
        """What an operator should know."""
        service.listener = self._hear

    def _hear(self, news: News) -> None:
        """Hands on what the ledger told; see `telling`."""

    def _need(self) -> Arena:
        assert self._arena is not None, "start() comes first"
        return self._arena

    def _note(self, text: str) -> None:
        log.warning("%s", text)
        self.notes = [*self.notes[-NOTES_MAX + 1 :], text]

    def _remember(self, terms: Terms) -> None:
        key = (terms.number, terms.pool)
        with self._leases_lock:
            self._held[key] = Held(terms)
            self._pools.setdefault(terms.number, set()).add(terms.pool)
            if terms.valid_until is not None:
                heapq.heappush(self._ends, (terms.valid_until, terms.number, terms.pool, terms.lease))

    def _forget(self, key: Key) -> None:
        with self._leases_lock:
            self._held.pop(key, None)
            pools = self._pools.get(key[0])
            if pools is not None:
                pools.discard(key[1])
                if not pools:
                    del self._pools[key[0]]

    def _keys_of(self, number: int, pool: str | None = None) -> list[Key]:
        with self._leases_lock:
            return [(number, one) for one in sorted(self._pools.get(number, ())) if pool in (None, one)]

    def _close(self, keys: Iterable[Key]) -> list[Totals]:
        """Closes cells; what they say from now on is final. Closing again gives the same."""
        finals = []
        for key in keys:
            held = self._held.get(key)
            if held is None:
                continue
            held.closed = True
            cell = self._need().close_cell(*key, held.terms.lease)
            # Without a cell there was nothing to spend from beyond what was settled: greater totals win.
            spent, returned = (0, 0) if cell is None else (cell[3], cell[4])
            finals.append(Totals(*key, held.terms.lease, spent, returned, True))
        return finals

    def _reopen(self, keys: Sequence[Key], finals: Sequence[Totals]) -> None:
        """Settles what was closed and lends anew."""
        for terms in self._service.relend(finals, keys):
            self._open(terms)
        for key in keys:
            held = self._held.get(key)
            if held is not None and held.closed:
                self._forget(key)  # The customer or the pool is gone.

    def _open(self, terms: Terms) -> None:
        self._need().open_cell(
            terms.number, terms.pool, terms.lease, terms.lent, terms.valid_until, terms.full
        )
        self._remember(terms)

    def _lowering(
        self, number: int, pool: str | None, change: Callable[[Sequence[Totals]], Answer]
    ) -> Answer:
        """Makes a change that may lower what is lent: close, settle and change in one transaction, lend
        anew."""
        keys = self._keys_of(number, pool)
        finals = self._close(keys)
        try:
            return change(finals)
        finally:
            # After a refused change, too: the cells are closed either way.
            if keys:
                self._reopen(keys, finals)

    def _gaining(self, key: Key, change: Callable[[Totals | None], Gain]) -> Gain:
        """Makes a change that puts units into a pool, given what its open lease has used, and raises the
        lease."""
        with self._stripes.hold([key[0]]):
            self._freshen(key)
            done = change(self._totals(key))
            self._raise(key, done.terms, done.reopen)
        return done

    def _freshen(self, key: Key) -> None:
        """Lends an account anew whose lease is closed, or has less to give than another would."""
        held = self._held.get(key)
        if held is not None and (held.closed or self._stale(held)):
            self._reopen([key], self._close([key]))

    def _raise(self, key: Key, terms: Terms | None, reopen: bool) -> None:
        """After an account gained: raises its open lease, or lends it anew where more than the size
        changes."""
        if terms is not None and self._need().raise_cell(*key, terms.lease, terms.lent, terms.full):
            self._remember(terms)
        elif terms is not None or reopen:
            self._reopen([key], self._close([key]))

    def _totals(self, key: Key) -> Totals | None:
        """What an open lease has used up to this moment."""
        held = self._held.get(key)
        if held is None:
            return None
        cell = self._need().cell(*key, held.terms.lease)
        return None if cell is None else Totals(*key, held.terms.lease, cell[3], cell[4], False)

    def touch(self, customer: str, pool: str) -> bool:
        """Lends what a host needs for a customer's pool. True: try again; False: there is no such account."""
        try:
            number = self._service.number_of(customer)
            with self._stripes.hold([number]):
                key = (number, pool)
                held = self._held.get(key)
                if held is None:
                    self._open(self._service.lend(customer, pool))
                elif held.closed or self._stale(held):
                    self._reopen([key], self._close([key]))
            return True
        except (UnknownCustomer, UnknownPool):
            return False

    def _stale(self, held: Held) -> bool:
        """Whether another lease would have more to give."""
        until = held.terms.valid_until
        if until is not None and until <= self._clock.now_ms():
            return True
        if held.terms.full:
            return False
        totals = self._totals((held.terms.number, held.terms.pool))
        # The next burn may be as large as what is left.
        return (
            totals is None
            or totals.spent - totals.returned > held.terms.lent // 2
            or totals.spent > SPENT_MAX
        )

    def prewarm(self, wanted: Sequence[tuple[str, str | None]]) -> int:
        """Lends ahead for (customer, feature), or for all features (None). How many leases were opened."""
        keys: dict[Key, None] = {}
        for customer, feature in wanted:
            number = self._service.number_of(customer)
            for pool in self.pools_behind(feature):
                keys[(number, pool)] = None
        opened = 0
        ordered = list(keys)
        for start in range(0, len(ordered), LEASES_PER_TRANSACTION):
            part = ordered[start : start + LEASES_PER_TRANSACTION]
            with self._stripes.hold({number for number, _ in part}):
                missing = [key for key in part if key not in self._held]
                if missing:
                    self._reopen(missing, ())
                    opened += len(missing)
        return opened

    def pools_behind(self, feature: str | None) -> list[str]:
        """The pools that a feature spends, or all features (None). Raises `UnknownFeature`."""
        features = self._service.product.features
        if feature is None:
            return sorted({one.pool for one in features.values() if one.pool is not None})
        if name(feature, "feature") not in features:
            raise UnknownFeature(f"the catalog has no feature {feature!r:.80}: see the catalog")
        pool = features[feature].pool
        return [] if pool is None else [pool]
