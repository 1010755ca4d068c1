"""The owner of a directory: it lends, settles, and keeps the arena's rows at the ledger's last change.

What keeps this right when the process is killed between any two steps:

- a lease is in the ledger before its cell is opened, so every cell belongs to a lease somebody can find;
- a cell is closed before what it was lent from is lowered, and its totals are final from then on;
- totals are absolute, so whoever comes next settles the same numbers again;
- changes are published in the order of their numbers, so the arena's number says what it lacks.

A successor compares the cells with the leases (`_reconcile`) and finishes what was begun.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .answers import Balance, Explanation, GrantState
from .changes import Ring
from .clock import Clock
from .errors import CatalogError, FastcheckError, ProtocolError, UnknownCustomer, UnknownFeature, UnknownPool
from .hub.product import CatalogLike
from .hub.requests import MakeGrant, PutCustomer, PutOverride
from .hub.service import Changed, Service, Terms, Totals
from .ledger.lend import LEASE_UNITS_MAX
from .wire import name

log = logging.getLogger("fastcheck.owner")

Answer = TypeVar("Answer")
Key = tuple[int, str]
"""(customer number, pool)."""
CellTotals = tuple[int, str, int, int, int, int, bool]
"""(number, pool, lease, spent, returned, granted, closed)."""
LateReturn = tuple[str, int, str, int, int]
"""(key, number, pool, lease, units)."""
UsageRecord = tuple[str, int, str, str, str, int, list[tuple[str, int]]]

SETTLE_MS = 50
"""Between two rounds of settlement; also what a power loss can cost of spent totals."""
SWEEP_MS = 1_000
"""Between two looks for holds whose process died or whose time ran out."""
JOURNAL_RECORDS_PER_ROUND = 4_096
LEASES_PER_TRANSACTION = 512
SPENT_MAX = LEASE_UNITS_MAX // 2
"""A cell's total that asks for a new lease, long before its 48 bits are full."""
LOW_BALANCE_PERCENT = 10
"""A balance is low when this part of what was lent is left."""
STRIPES = 64
NOTES_MAX = 32


class Arena(Protocol):
    """What the owner needs of the native `Owner`."""

    @property
    def adopted(self) -> bool: ...
    @property
    def previous_boot(self) -> bool: ...
    @property
    def seq(self) -> int: ...
    @property
    def customers(self) -> int: ...
    @property
    def detached(self) -> bool: ...
    def load(self, records: Iterable[bytes], seq: int, now_ms: int) -> int: ...
    def put(self, records: bytes, seq: int, now_ms: int) -> int: ...
    def open_cell(
        self, number: int, pool: str, lease: int, granted: int, valid_until_ms: int | None, full: bool
    ) -> None: ...
    def raise_cell(self, number: int, pool: str, lease: int, granted: int, full: bool) -> bool: ...
    def close_cell(self, number: int, pool: str, lease: int) -> CellTotals | None: ...
    def cell(self, number: int, pool: str, lease: int) -> CellTotals | None: ...
    def cells(self, changed_only: bool = False) -> list[CellTotals]: ...
    def sweep(self, manual_now_ms: int | None = None) -> int: ...
    def late_returns(self) -> list[LateReturn]: ...
    def late_returns_booked(self) -> None: ...
    def retire(self) -> list[CellTotals]: ...
    def drain_journal(self, limit: int) -> list[UsageRecord]: ...
    def ack_journal(self) -> None: ...
    def heartbeat(self, now_ms: int) -> None: ...
    def close(self) -> None: ...


class Given(Protocol):
    """A catalog with the text it came from."""

    @property
    def catalog(self) -> CatalogLike: ...
    @property
    def source(self) -> bytes: ...
    @property
    def filename(self) -> str: ...


@dataclass
class _Held:
    """A lease that is out."""

    terms: Terms
    closed: bool = False
    """Whether its cell was closed; it is lent anew at the next touch."""
    told: str = ""
    """The last balance event told of it, so that each is told once."""


class _Stripes:
    """Locks over customers: whoever touches a customer's cells holds theirs. Taken in one order, so no two
    wait for each other."""

    def __init__(self) -> None:
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    @contextlib.contextmanager
    def hold(self, numbers: Iterable[int] | None) -> Iterator[None]:
        """Holds these customers, or all."""
        wanted = range(STRIPES) if numbers is None else sorted({number % STRIPES for number in numbers})
        with contextlib.ExitStack() as stack:
            for stripe in wanted:
                stack.enter_context(self._locks[stripe])
            yield


class Owner:
    """The owning side of one directory. The caller holds the owner's lock."""

    def __init__(
        self,
        service: Service,
        make_arena: Callable[[CatalogLike], Arena],
        clock: Clock,
        parse: Callable[[bytes, str], CatalogLike],
        *,
        manual_time: bool = False,
    ) -> None:
        """`make_arena` adopts or makes the arena under a catalog; `parse` reads a stored catalog.
        `manual_time`: holds end by `clock` too, and not by the machine's."""
        self._manual_time = manual_time
        self._service = service
        self._make_arena = make_arena
        self._clock = clock
        self._parse = parse
        self._arena: Arena | None = None
        self._stripes = _Stripes()
        self._publishing = threading.RLock()  # Rows reach the arena in the order of their numbers.
        self._leases_lock = threading.RLock()  # For the three below; a signal handler may come in between.
        self._held: dict[Key, _Held] = {}
        self._pools: dict[int, set[str]] = {}
        self._ends: list[tuple[int, int, str, int]] = []  # heap of (valid_until, number, pool, lease)
        self._settle_all = True
        self._behind = False
        self._swept_at = 0
        self.ring = Ring(clock.now_ms() * 1_000)
        self.notes: list[str] = []
        """What an operator should know."""

    # Beginning.

    def start(self, given: Given | None) -> None:
        """Adopts the directory: settles what a predecessor left, takes the catalog, fills the rows."""
        stored = self._service.stored_catalog()
        if stored is None:
            if given is None:
                raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
            self._service.set_catalog(given.catalog, given.source, given.filename)
            catalog = given.catalog
        else:
            catalog = self._parse(stored.source, stored.filename)
            self._service.use_catalog(catalog)
        self._arena = self._make_arena(catalog)
        self._reconcile()
        if given is not None and given.catalog.digest != catalog.digest:
            self.set_catalog(given)
        elif not self._arena.adopted:
            self._load()
        else:
            self._catch_up()
        self._arena.heartbeat(self._clock.now_ms())

    def _need(self) -> Arena:
        assert self._arena is not None, "start() comes first"
        return self._arena

    def _reconcile(self) -> None:
        """Compares the cells of the arena with the leases of the ledger, and finishes what a kill left half
        done."""
        arena = self._need()
        cells = {(one[0], one[1], one[2]): one for one in arena.cells()}
        finals: list[Totals] = []
        lost = 0
        for lease in self._service.open_leases():
            cell = cells.pop((lease.number, lease.pool, lease.lease), None)
            if cell is None:
                # Nobody can say what was spent after the last settlement; what was settled stands.
                lost += lease.lent > 0 and not arena.adopted
                finals.append(
                    Totals(lease.number, lease.pool, lease.lease, lease.spent, lease.returned, True)
                )
            elif cell[6] or arena.previous_boot or not arena.adopted:
                finals.append(self._final(lease.number, lease.pool, lease.lease, cell))
            else:
                self._remember(
                    Terms(lease.number, lease.pool, lease.lease, lease.lent, lease.valid_until, lease.whole)
                )
                if cell[5] < lease.lent:
                    arena.raise_cell(lease.number, lease.pool, lease.lease, lease.lent, lease.whole)
        for (number, pool, lease_number), cell in cells.items():
            finals.append(self._final(number, pool, lease_number, cell))
        for start in range(0, len(finals), LEASES_PER_TRANSACTION):
            self._service.settle(finals[start : start + LEASES_PER_TRANSACTION])
        if lost:
            self._note(
                f"{lost} leases were out when the arena was lost; they were closed at what had been settled "
                f"(at most {SETTLE_MS} ms of use before that is not booked)"
            )

    def _final(self, number: int, pool: str, lease: int, cell: CellTotals) -> Totals:
        totals = self._need().close_cell(number, pool, lease) or cell
        return Totals(number, pool, lease, totals[3], totals[4], True)

    def _note(self, text: str) -> None:
        log.warning("%s", text)
        self.notes = [*self.notes[-NOTES_MAX + 1 :], text]

    # Rows.

    def _load(self) -> None:
        seq = self._service.seq()
        self._need().load(self._service.records(), seq, self._clock.now_ms())
        self._behind = False

    def _catch_up(self) -> None:
        """Brings the rows to the ledger's last change, if they are behind."""
        arena, seq = self._need(), self._service.seq()
        if arena.seq == seq:
            self._behind = False
            return
        missing = self._service.records(since_seq=arena.seq) if arena.seq < seq else iter(())
        chunk = next(missing, None)
        # Several chunks would each claim to be up to `seq`; a kill between them would go unnoticed.
        if chunk is None or next(missing, None) is not None:
            self._load()
            return
        arena.put(chunk, seq, self._clock.now_ms())
        self._behind = False

    @contextlib.contextmanager
    def _publication(self) -> Iterator[None]:
        """One change of rows at a time, after any that failed to reach the arena."""
        with self._publishing:
            if self._behind:
                self._catch_up()
            yield

    def _publish(self, changes: Sequence[Changed], kind: str) -> None:
        arena, now = self._need(), self._clock.now_ms()
        self._behind = True
        for change in changes:
            arena.put(change.records, change.seq, now)
        self._behind = False
        for change in changes:
            # A bulk load is not news of each of its customers.
            for id in change.ids if len(changes) == 1 and len(change.ids) <= STRIPES else ():
                self.ring.tell(kind, now, id)

    # Leases. Whoever calls these holds the customers' stripes.

    def _remember(self, terms: Terms) -> None:
        key = (terms.number, terms.pool)
        with self._leases_lock:
            self._held[key] = _Held(terms)
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

    def _stale(self, held: _Held) -> bool:
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

    # What administrators do.

    def put_customers(self, requests: Sequence[PutCustomer], author: str = "", reason: str = "") -> int:
        """Makes customers what the requests say; how many changed."""
        with self._publication():
            changing = self._service.changing(requests)
            with self._stripes.hold(changing):
                keys = [key for number in changing for key in self._keys_of(number)]
                finals = self._close(keys)
                try:
                    changed = self._service.put_customers(
                        requests, finals=finals, author=author, reason=reason
                    )
                    self._publish(changed, "customer_changed")
                finally:
                    if keys:
                        self._reopen(keys, finals)
        return sum(len(one.ids) for one in changed)

    def delete_customer(self, customer: str, author: str = "", reason: str = "") -> None:
        """Removes a customer."""
        with self._publication():
            number = self._service.number_of(customer)

            def change(finals: Sequence[Totals]) -> None:
                deleted = self._service.delete_customer(customer, finals=finals, author=author, reason=reason)
                self._publish([deleted], "customer_deleted")

            with self._stripes.hold([number]):
                self._lowering(number, None, change)

    def put_override(self, request: PutOverride, author: str = "") -> None:
        """Makes an exception for one customer."""
        with self._publication():
            number = self._service.number_of(request.customer)
            pool = self._pool_of(request.feature)

            def change(finals: Sequence[Totals]) -> None:
                changed = self._service.put_override(request, finals=finals, author=author)
                self._publish([changed], "customer_changed")

            with self._stripes.hold([number]):
                self._lowering(number, pool, change)

    def remove_override(self, customer: str, feature: str, author: str = "", reason: str = "") -> bool:
        """Ends an exception; whether there was one."""
        with self._publication():
            number = self._service.number_of(customer)

            def change(finals: Sequence[Totals]) -> bool:
                changed = self._service.remove_override(
                    customer, feature, finals=finals, author=author, reason=reason
                )
                if changed is not None:
                    self._publish([changed], "customer_changed")
                return changed is not None

            with self._stripes.hold([number]):
                return self._lowering(number, self._pool_of(feature), change)

    def _pool_of(self, feature: str) -> str:
        """The pool whose lease an override of a feature concerns; "" for one that has none."""
        one = self._service.product.features.get(feature)
        return "" if one is None or one.pool is None else one.pool

    def grant(self, request: MakeGrant, author: str = "") -> GrantState:
        """Puts an amount into a pool; when this returns, every process of the host can spend it."""
        number = self._service.number_of(request.customer)
        key = (number, request.pool)
        with self._stripes.hold([number]):
            held = self._held.get(key)
            if held is not None and (held.closed or self._stale(held)):
                self._reopen([key], self._close([key]))
            done = self._service.grant(request, totals=self._totals(key), author=author)
            self._raise(key, done.terms, done.reopen)
        self.ring.tell("customer_changed", self._clock.now_ms(), done.grant.customer, request.pool)
        return done.grant

    def void(self, grant_id: str, author: str = "", reason: str = "") -> GrantState:
        """Takes back what is left of a grant; when this returns, no process can spend it."""
        number, pool = self._service.account_of(grant_id)

        def change(finals: Sequence[Totals]) -> GrantState:
            return self._service.void(grant_id, finals=finals, author=author, reason=reason)

        with self._stripes.hold([number]):
            state = self._lowering(number, pool, change)
        self.ring.tell("customer_changed", self._clock.now_ms(), state.customer, pool)
        return state

    def set_catalog(self, given: Given, author: str = "", reason: str = "") -> bool:
        """Puts a catalog in force for every process; False if it already was."""
        problems = self._service.catalog_problems(given.catalog)
        if problems:
            raise CatalogError(problems)
        with self._publication(), self._stripes.hold(None):
            keys = list(self._held)
            finals = self._close(keys)
            try:
                changed = self._service.set_catalog(
                    given.catalog, given.source, given.filename, finals=finals, author=author, reason=reason
                )
                if changed:
                    self._need().close()
                    self._arena = self._make_arena(given.catalog)
                    self._load()
            finally:
                if keys:
                    self._reopen(keys, finals)
        self.ring.tell("catalog_changed", self._clock.now_ms())
        return changed

    def balance(self, customer: str, pool: str) -> Balance:
        """What a customer has in a pool, to this moment."""
        self._settle_now(customer, pool)
        return self._service.balance(customer, pool)

    def list_grants(self, customer: str, pool: str | None = None) -> list[GrantState]:
        """A customer's grants, to this moment."""
        self._settle_now(customer, pool)
        return self._service.list_grants(customer, pool)

    def explain(self, customer: str, feature: str, at: int | None = None) -> Explanation:
        """Why a customer has what they have of a feature."""
        self._settle_now(customer, None)
        return self._service.explain(customer, feature, at)

    def _settle_now(self, customer: str, pool: str | None) -> None:
        number = self._service.number_of(customer)
        with self._stripes.hold([number]):
            totals = [self._totals(key) for key in self._keys_of(number, pool)]
        self._service.settle([one for one in totals if one is not None])

    # What goes on by itself.

    def tick(self) -> None:
        """One round: settle, lend anew what reached its end, store usage records, free dead holds, show
        life."""
        arena, now = self._need(), self._clock.now_ms()
        if arena.detached:
            self._replace_lost_files()
            arena = self._need()
        arena.heartbeat(now)
        self._settle_round(arena)
        self._end_round(now)
        if now - self._swept_at >= SWEEP_MS:
            self._swept_at = now
            self._sweep_round(arena, now)
        self._journal_round(arena)
        if self._behind:
            with self._publication():
                pass

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
            self._look_at(cell)

    def _look_at(self, cell: CellTotals) -> None:
        """Tells of balances that run low, and renews a lease whose totals grow towards their bound."""
        number, pool, lease, spent, returned, granted, closed = cell
        held = self._held.get((number, pool))
        if held is None or held.closed or held.terms.lease != lease or closed:
            return
        if spent > SPENT_MAX:
            with self._stripes.hold([number]):
                self._reopen([(number, pool)], self._close([(number, pool)]))
            return
        if not held.terms.full:
            return
        left = granted - (spent - returned)
        kind = (
            "exhausted" if left <= 0 else "low_balance" if left * 100 <= granted * LOW_BALANCE_PERCENT else ""
        )
        if kind and kind != held.told:
            customer = self._service.id_of(number)
            if customer is not None:
                self.ring.tell(kind, self._clock.now_ms(), customer, pool, max(0, left))
        held.told = kind

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
    def _ended(held: _Held, now: int) -> bool:
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

    def _replace_lost_files(self) -> None:
        """Somebody deleted or replaced the mapped files. What was mapped lives on until here: it is settled,
        and everybody attaches to new files."""
        with self._publication(), self._stripes.hold(None):
            old = self._need()
            finals = [Totals(*cell[:5], True) for cell in old.retire()]
            for start in range(0, len(finals), LEASES_PER_TRANSACTION):
                self._service.settle(finals[start : start + LEASES_PER_TRANSACTION])
            with self._leases_lock:
                keys = list(self._held)
                self._held.clear()
                self._pools.clear()
                self._ends.clear()
            old.close()
            self._arena = self._make_arena(self._service.catalog)
            self._reconcile()
            self._load()
            self._note("the mapped files were deleted or replaced; they were made anew, nothing was lost")
            for start in range(0, len(keys), LEASES_PER_TRANSACTION):
                self._reopen(keys[start : start + LEASES_PER_TRANSACTION], ())

    def _journal_round(self, arena: Arena) -> None:
        records = arena.drain_journal(JOURNAL_RECORDS_PER_ROUND)
        if records:
            self._service.record_usage(records)
        arena.ack_journal()  # Also without records: it removes the files of processes that are gone.

    def next_end(self) -> int | None:
        """When the next lease reaches its end."""
        with self._leases_lock:
            return self._ends[0][0] if self._ends else None

    def close(self) -> None:
        """Settles a last time. Cells stay open for the next owner, and for those who go on spending."""
        arena = self._arena
        if arena is None:
            return
        try:
            self._settle_round(arena)  # It may renew a lease, so the arena is given up after it.
        except FastcheckError as error:
            log.warning("the last settlement is left to the next owner: %s", error)
        finally:
            self._arena = None
            arena.close()

    # Requests by name, for this process and the others alike.

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Runs a request. Raises `ProtocolError` for one that is not offered."""
        own = _OWN.get(method)
        if own is not None:
            return own(self, *args, **kwargs)
        reading = _READING.get(method)
        if reading is not None:
            return reading(self._service, *args, **kwargs)
        raise ProtocolError(
            f"there is no request {method!r:.40}: use the same version of fastcheck everywhere"
        )


_OWN: dict[str, Callable[..., object]] = {
    one.__name__: one
    for one in (
        Owner.touch, Owner.prewarm, Owner.pools_behind, Owner.put_customers,
        Owner.delete_customer, Owner.put_override,
        Owner.remove_override, Owner.grant, Owner.void, Owner.balance, Owner.list_grants, Owner.explain,
    )
}  # fmt: skip
_READING: dict[str, Callable[..., object]] = {
    one.__name__: one
    for one in (
        Service.get_customer, Service.list_customers, Service.list_overrides, Service.audit,
        Service.list_usage,
    )
}  # fmt: skip
