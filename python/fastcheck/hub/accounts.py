"""Accounts inside one transaction: what a customer holds now, what was used, what may be lent.

The state of an account is a function of its stored grants and of what was used since they were stored. So a
lease's totals are only noted while it is open; they are *folded* into the grants when the lease ends, and
before grants change under it. Folding looks at the difference to what was folded before, so doing it again
changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..answers import travels
from ..errors import AmountError, UnknownPool
from ..ledger.burn import use
from ..ledger.lend import LEASE_UNITS_MAX, Lending, lend
from ..ledger.model import AMOUNT_MAX, Account, Rules
from ..ledger.plan import follow
from ..wire import SettingValue
from .product import CatalogLike, Pool, Product
from .sources import pool_sources
from .store.books import AccountKey, Books, ChangedAccount, Lease, StoredCustomer

LeaseKey = tuple[int, str, int]
"""(customer number, pool, lease)."""

RECORD_MS = 60_000
"""Between two totals of a lease that are kept for good."""
BOUNDARIES_MAX = 1_000
"""Instants at which a customer's quota changed that are replayed one by one; older ones no longer matter."""


class Totals(NamedTuple):
    """What a host says of a lease; absolute units since the lease was opened."""

    number: int
    pool: str
    lease: int
    spent: int
    returned: int
    final: bool


@travels
@dataclass(frozen=True)
class Terms:
    """A lease as the host shall have it."""

    number: int
    pool: str
    lease: int
    lent: int
    """Absolute, since the lease was opened."""
    valid_until: int | None
    full: bool
    """Whether all there is has been lent, so that a denial is final."""


@dataclass
class Accounts:
    """Accounts within one transaction, at one instant, under one catalog."""

    books: Books
    catalog: CatalogLike
    product: Product
    now: int
    author: str = ""

    def pool(self, name: str) -> Pool:
        """A pool of the catalog. Raises `UnknownPool`."""
        try:
            return self.product.pools[name]
        except KeyError:
            raise UnknownPool(
                f"the catalog has no pool {name!r:.80}; it has: {some(self.product.pools)}"
            ) from None

    def quota(self, customer: StoredCustomer, pool: Pool, at: int) -> SettingValue:
        """What the meter behind a private pool resolves to; None = unlimited. 0 for a named pool."""
        if not pool.private or customer.record.deleted:
            return 0
        return self.catalog.resolve(customer.packed, at)[pool.name][0]

    def current(self, customer: StoredCustomer, pool: Pool) -> tuple[Account | None, Account]:
        """(as stored, as of now) with what open leases used, nothing written."""
        number = customer.record.number
        stored = self.books.account(number, pool.name)
        account = Account() if stored is None else stored
        account = use(account, pool.rules, self.books.unfolded(number, pool.name))
        return stored, self._follow(customer, pool, account, known=stored is not None)

    def _follow(self, customer: StoredCustomer, pool: Pool, account: Account, *, known: bool) -> Account:
        number, instants = customer.record.number, [self.now]
        if known and pool.private:
            # Each change of the quota since then, in order, as if somebody had looked at that very instant.
            passed = [at for at in self.catalog.boundaries(customer.packed) if account.as_of < at < self.now]
            instants = [*sorted(passed)[-BOUNDARIES_MAX:], self.now]
        for at in instants:
            quota = self.quota(customer, pool, at)
            sources = pool_sources(self.product, customer.record, customer.since, pool.name, quota)
            account = follow(account, pool.rules, sources, at, number, pool.name)
        return account

    def update(self, customer: StoredCustomer, pool: Pool) -> Account:
        """Brings an account to now and writes it."""
        number = customer.record.number
        self.fold(self.books.last_lease(number, pool.name))
        stored = self.books.account(number, pool.name)
        account = self._follow(customer, pool, stored or Account(), known=stored is not None)
        self.save(number, pool.name, stored, account)
        return account

    def save(self, number: int, pool: str, before: Account | None, after: Account) -> None:
        """Writes an account. Raises `AmountError` where the sums do not fit a column."""
        self._save_all([ChangedAccount(number, pool, before, after)])

    def _save_all(self, changed: Sequence[ChangedAccount]) -> None:
        for _, pool, _, after in changed:
            if max(after.remaining(), after.overage, abs(after.written_off)) > AMOUNT_MAX:
                raise AmountError(f"the balance of pool {pool} would pass {AMOUNT_MAX} units: grant less")
        self.books.put_accounts(changed, self.author, self.now)

    def fold(self, lease: Lease | None) -> None:
        """Lets the grants show what a lease used. Again: no change."""
        if lease is not None and lease.net != lease.folded:
            folded = self._fold_all([lease])
            self.books.put_leases(folded)
            self.books.record(folded)

    def _fold_all(self, ended: Iterable[Lease]) -> list[Lease]:
        """Writes to the accounts what leases used; the leases as they are to be written then."""
        owing = [one for one in ended if one.net != one.folded]
        before = self.books.accounts((one.number, one.pool) for one in owing)
        after = dict(before)
        for one in owing:
            # The catalog may have lost the pool since; what was used is kept all the same.
            pool, key = self.product.pools.get(one.pool), (one.number, one.pool)
            account = after.get(key) or Account(as_of=one.opened_at)
            rules = Rules() if pool is None else pool.rules
            # A lease is not used past its end, however late its last total comes.
            at = self.now if one.valid_until is None else min(self.now, one.valid_until - 1)
            after[key] = use(account, rules, one.net - one.folded, at)
        self._save_all([ChangedAccount(*key, before.get(key), account) for key, account in after.items()])
        return [replace(one, folded=one.net, recorded_at=self.now) for one in owing]

    def settle(self, totals: Iterable[Totals]) -> None:
        """Books absolute totals: the greater of each counts, so that repeats and late arrivals change
        nothing. Few statements, however many totals."""
        totals = list(totals)
        self.books.lock(one.number for one in totals)
        known = _Leases(self.books, totals)
        changed: dict[LeaseKey, Lease] = {}
        for one in totals:
            stored = known.get(one)
            lease = self._unknown(one, known) if stored is None else stored
            if lease is None:
                continue
            after = replace(
                lease,
                spent=max(lease.spent, one.spent),
                # No host gives back what it never spent.
                returned=max(lease.returned, min(one.returned, one.spent)),
                open=lease.open and not one.final,
            )
            if after != stored:
                after = self._settled(after)
                known.put(after)
                changed[one[:3]] = after
        for lease in self._fold_all(one for one in changed.values() if not one.open):
            changed[lease.number, lease.pool, lease.lease] = lease
        self.books.put_leases(list(changed.values()))
        self.books.record([one for one in changed.values() if one.recorded_at == self.now])

    def _settled(self, lease: Lease) -> Lease:
        """A lease whose totals changed, with what of them is kept for good: one a minute, and each where the
        dearest use may no longer be allowed, because there an answer may change."""
        pool = self.product.pools.get(lease.pool)
        near = pool is None or (lease.whole and lease.lent - lease.net < pool.dearest)
        if near or self.now - lease.recorded_at >= RECORD_MS:
            lease = replace(lease, recorded_at=self.now)
        return replace(lease, settled_at=self.now)

    def _unknown(self, one: Totals, known: _Leases) -> Lease | None:
        """A lease that this ledger does not know: forgotten long ago, or given out after the backup that this
        ledger was restored from. The use of the latter is real and is booked. Of several of one account the
        oldest comes first."""
        if one.pool not in self.product.pools:
            return None  # A pool the catalog lost; its leases were settled before it did.
        last = known.last(one.number, one.pool)
        if last is not None and (one.lease < last.lease or last.open):
            return None
        if not self.books.known_numbers([one.number]):
            return None  # Who came after the backup, or a damaged cell names: there is no account.
        return Lease(
            one.number, one.pool, one.lease, True, 0, 0, 0, 0, None, False, self.now, self.now, self.now
        )  # fmt: skip

    def lend(self, customer: StoredCustomer, pool: Pool) -> Terms:
        """The open lease of an account, or a new one."""
        number = customer.record.number
        last = self.books.last_lease(number, pool.name)
        if last is not None and last.open:
            return Terms(number, pool.name, last.lease, last.lent, last.valid_until, last.whole)
        lending = self.lending(customer, pool, self.update(customer, pool))
        lease = 1 if last is None else last.lease + 1
        opened = Lease(
            number, pool.name, lease, True, lending.units, 0, 0, 0, lending.valid_until, lending.full,
            self.now, self.now, self.now,
        )  # fmt: skip
        self.books.put_lease(opened)
        self.books.record([opened])
        self.books.forget_leases(number, pool.name, lease)
        return Terms(number, pool.name, lease, lending.units, lending.valid_until, lending.full)

    def lending(self, customer: StoredCustomer, pool: Pool, account: Account) -> Lending:
        """What may be lent of an account now."""
        unlimited = self.quota(customer, pool, self.now) is None
        ahead = self.books.moves_ahead_at(customer.record.number)
        instants = (*self.catalog.boundaries(customer.packed), *ahead)
        later = (at for at in instants if at > account.as_of)
        return lend(account, pool.rules, unlimited=unlimited, until=min(later, default=None))

    def raise_lease(
        self, customer: StoredCustomer, pool: Pool, account: Account
    ) -> tuple[Terms | None, bool]:
        """After an account gained: (the open lease's new terms, False), or (None, True) where the lease must
        be closed first because more than its size changes, or (None, False) where none is open."""
        lease = self.books.last_lease(customer.record.number, pool.name)
        if lease is None or not lease.open:
            return None, False
        lending = self.lending(customer, pool, account)
        lent = max(lease.lent, lease.net + lending.units)
        if lending.valid_until != lease.valid_until or lent > LEASE_UNITS_MAX:
            return None, True
        self.books.put_lease(replace(lease, lent=lent, whole=lending.full))
        return Terms(lease.number, lease.pool, lease.lease, lent, lease.valid_until, lending.full), False

    def give_back(self, customer: StoredCustomer, pool: Pool, units: int) -> Account:
        """Books units that a hold gave back after its lease was closed."""
        number = customer.record.number
        before = self.update(customer, pool)
        after = use(before, pool.rules, -units)
        self.save(number, pool.name, before, after)
        return after


class _Leases:
    """The leases that totals are about: the open ones first, the others where those do not do."""

    def __init__(self, books: Books, totals: Sequence[Totals]) -> None:
        self._known: dict[LeaseKey, Lease] = {}
        self._last: dict[AccountKey, Lease] = {}
        for lease in books.leases_of((one.number for one in totals), only_open=True):
            self.put(lease)
        missing = {one.number for one in totals if one[:3] not in self._known}
        for lease in books.leases_of(missing):
            self.put(lease)

    def get(self, one: Totals) -> Lease | None:
        """The lease that totals name."""
        return self._known.get(one[:3])

    def last(self, number: int, pool: str) -> Lease | None:
        """The newest lease of an account."""
        return self._last.get((number, pool))

    def put(self, lease: Lease) -> None:
        """Takes a lease as it is now."""
        self._known[lease.number, lease.pool, lease.lease] = lease
        last = self._last.get((lease.number, lease.pool))
        if last is None or last.lease <= lease.lease:
            self._last[lease.number, lease.pool] = lease


def some(names: Iterable[str], at_most: int = 8) -> str:
    """The first of some names, for a message."""
    known = sorted(names)
    tail = ", …" if len(known) > at_most else ""
    return (", ".join(known[:at_most]) + tail) or "none"
