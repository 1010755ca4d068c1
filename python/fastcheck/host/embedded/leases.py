"""What this host was lent: cells opened, raised, closed and lent anew. Whoever calls these holds the
customers' stripes."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from fastcheck.clock import Clock
from fastcheck.errors import UnknownCustomer, UnknownFeature, UnknownPool
from fastcheck.host.embedded.arena import CellTotals, Key, Mapped
from fastcheck.host.embedded.stripes import Stripes
from fastcheck.hub.service import Service, Terms, Totals
from fastcheck.hub.use_cases.use_case import Concerns
from fastcheck.ledger.lend import LEASE_UNITS_MAX
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.names import name


class Gained(Protocol):
    """What became of a change that puts units into a pool."""

    @property
    def terms(self) -> Terms | None: ...
    @property
    def reopen(self) -> bool: ...


Gain = TypeVar("Gain", bound=Gained)


LEASES_PER_TRANSACTION = 512
SPENT_MAX = LEASE_UNITS_MAX // 2
"""A cell's total that asks for a new lease, long before its 48 bits are full."""


@dataclass
class Held:
    """A lease that is out."""

    terms: Terms
    closed: bool = False
    """Whether its cell was closed; it is lent anew at the next touch."""


class Leases:
    """The leases of one directory that are out, and their cells."""

    def __init__(self, service: Service, mapped: Mapped, clock: Clock) -> None:
        self._service: Final = service
        self._mapped: Final = mapped
        self._clock: Final = clock
        self.stripes: Final = Stripes()
        """Whoever changes a customer's leases holds the customer's stripe."""
        self._lock: Final = threading.RLock()  # For the three below; a signal handler may come in between.
        self._held: dict[Key, Held] = {}
        self._pools: dict[int, set[str]] = {}
        self._ends: list[tuple[int, int, str, int]] = []  # heap of (valid_until, number, pool, lease)

    def remember(self, terms: Terms) -> None:
        """Notes a lease that is out."""
        key = (terms.number, terms.pool)
        with self._lock:
            self._held[key] = Held(terms)
            self._pools.setdefault(terms.number, set()).add(terms.pool)
            if terms.valid_until is not None:
                heapq.heappush(self._ends, (terms.valid_until, terms.number, terms.pool, terms.lease))

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._held.pop(key, None)
            pools = self._pools.get(key[0])
            if pools is not None:
                pools.discard(key[1])
                if not pools:
                    del self._pools[key[0]]

    def forget_all(self) -> list[Key]:
        """Notes that no lease is out; the accounts that had one."""
        with self._lock:
            keys = list(self._held)
            self._held.clear()
            self._pools.clear()
            self._ends.clear()
        return keys

    def concerned(self, whom: Concerns) -> list[Key]:
        """The leases that are out of those concerned."""
        if whom.all:
            with self._lock:
                return list(self._held)
        held = (key for number in whom.numbers for key in self.keys_of(number))
        return [key for key in held if whom.pools is None or key[1] in whom.pools]

    def keys_of(self, number: int, pool: str | None = None) -> list[Key]:
        """A customer's leases, of all pools or one."""
        with self._lock:
            return [(number, one) for one in sorted(self._pools.get(number, ())) if pool in (None, one)]

    def close(self, keys: Iterable[Key]) -> list[Totals]:
        """Closes cells; what they say from now on is final. Closing again gives the same."""
        finals = []
        for key in keys:
            held = self._held.get(key)
            if held is None:
                continue
            held.closed = True
            cell = self._mapped.arena.close_cell(*key, held.terms.lease)
            # Without a cell there was nothing to spend from beyond what was settled: greater totals win.
            spent, returned = (0, 0) if cell is None else (cell[3], cell[4])
            finals.append(Totals(*key, held.terms.lease, spent, returned, True))
        return finals

    def reopen(self, keys: Sequence[Key], finals: Sequence[Totals]) -> None:
        """Settles what was closed and lends anew."""
        for terms in self._service.relend(finals, keys):
            self._open(terms)
        for key in keys:
            held = self._held.get(key)
            if held is not None and held.closed:
                self._forget(key)  # The customer or the pool is gone.

    def _open(self, terms: Terms) -> None:
        self._mapped.arena.open_cell(
            terms.number, terms.pool, terms.lease, terms.lent, terms.valid_until, terms.full
        )
        self.remember(terms)

    def gaining(self, key: Key, change: Callable[[Totals | None], Gain]) -> Gain:
        """Makes a change that puts units into a pool, given what its open lease has used, and raises the
        lease."""
        with self.stripes.hold([key[0]]):
            self.freshen(key)
            done = change(self.totals(key))
            self.raised(key, done.terms, done.reopen)
        return done

    def freshen(self, key: Key) -> None:
        """Lends an account anew whose lease is closed, or has less to give than another would."""
        held = self._held.get(key)
        if held is not None and (held.closed or self._stale(held)):
            self.reopen([key], self.close([key]))

    def raised(self, key: Key, terms: Terms | None, reopen: bool) -> None:
        """After an account gained: raises its open lease, or lends it anew where more than the size
        changes."""
        if terms is not None and self._mapped.arena.raise_cell(*key, terms.lease, terms.lent, terms.full):
            self.remember(terms)
        elif terms is not None or reopen:
            self.reopen([key], self.close([key]))

    def totals(self, key: Key) -> Totals | None:
        """What an open lease has used up to this moment."""
        held = self._held.get(key)
        if held is None:
            return None
        cell = self._mapped.arena.cell(*key, held.terms.lease)
        return None if cell is None else Totals(*key, held.terms.lease, cell[3], cell[4], False)

    def touch(self, customer: str, pool: str) -> bool:
        """Lends what a host needs for a customer's pool. True: try again; False: there is no such account."""
        try:
            number = self._service.number_of(customer)
            with self.stripes.hold([number]):
                key = (number, pool)
                held = self._held.get(key)
                if held is None:
                    self._open(self._service.lend(customer, pool))
                elif held.closed or self._stale(held):
                    self.reopen([key], self.close([key]))
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
        totals = self.totals((held.terms.number, held.terms.pool))
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
            with self.stripes.hold({number for number, _ in part}):
                missing = [key for key in part if key not in self._held]
                if missing:
                    self.reopen(missing, ())
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

    def renew(self, cell: CellTotals) -> None:
        """Lends a lease anew whose totals grow towards their bound."""
        key, lease = (cell[0], cell[1]), cell[2]
        held = self._held.get(key)
        if held is None or held.closed or held.terms.lease != lease or cell[6]:
            return
        with self.stripes.hold([cell[0]]):
            self.reopen([key], self.close([key]))

    def end_due(self, now: int) -> None:
        """Lends every lease anew that reached the instant at which its account changes."""
        due: dict[Key, None] = {}
        with self._lock:
            while self._ends and self._ends[0][0] <= now and len(due) < LEASES_PER_TRANSACTION:
                _, number, pool, lease = heapq.heappop(self._ends)
                held = self._held.get((number, pool))
                if held is not None and held.terms.lease == lease:
                    due[(number, pool)] = None
        keys = list(due)
        if keys:
            with self.stripes.hold({number for number, _ in keys}):
                ended = [key for key in keys if key in self._held and _ended(self._held[key], now)]
                if ended:
                    self.reopen(ended, self.close(ended))

    def next_end(self) -> int | None:
        """When the next lease reaches its end; None: none does."""
        with self._lock:
            return self._ends[0][0] if self._ends else None

    def settle_page(self, cursor: str | None = None) -> str | None:
        """Settles a page of open leases to this moment, and lends anew those whose end has come. The next
        cursor; None: that was all."""
        after = place_of(cursor, (0, ""))
        with self._lock:
            keys = heapq.nsmallest(LEASES_PER_TRANSACTION, (key for key in self._held if key > after))
        if not keys:
            return None
        now = self._clock.now_ms()
        with self.stripes.hold({number for number, _ in keys}):
            held = {key: self._held[key] for key in keys if key in self._held}
            ended = [key for key, one in held.items() if _ended(one, now)]
            if ended:
                self.reopen(ended, self.close(ended))
            found = [self.totals(key) for key in held]
            self._service.settle([one for one in found if one is not None])
        return cursor_of(keys[-1]) if len(keys) == LEASES_PER_TRANSACTION else None


def _ended(held: Held, now: int) -> bool:
    return held.closed or (held.terms.valid_until is not None and held.terms.valid_until <= now)
