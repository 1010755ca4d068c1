"""Accounts inside one transaction: what a customer holds now, what was used, what may be lent.

The state of an account is a function of its stored grants and of what was used since they were stored. So a
lease's totals are only noted while it is open; they are *folded* into the grants when the lease ends, and
before grants change under it. Folding looks at the difference to what was folded before, so doing it again
changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fastcheck.amounts import credits
from fastcheck.errors import AmountError, UnknownPool
from fastcheck.hub.catalog.product import Pool, Product
from fastcheck.hub.store.statements import (
    AccountKey,
    ChangedAccount,
    Lease,
    Statements,
    StoredCap,
    StoredCustomer,
    StoredMove,
)
from fastcheck.hub.use_cases.claims import claims, counted
from fastcheck.hub.use_cases.moving import some
from fastcheck.hub.use_cases.timeline import Catalogs, State, between, passed, states, with_moves
from fastcheck.hub.use_cases.upcoming_ends import NOTICE_MS, of_accounts
from fastcheck.ledger import marks as thresholds
from fastcheck.ledger.burn import advance, next_change, use
from fastcheck.ledger.lend import LEASE_UNITS_MAX, Lending, lend
from fastcheck.ledger.lines import across, returned, taken, undone
from fastcheck.ledger.marks import Marks
from fastcheck.ledger.model import AMOUNT_MAX, Account, Rules
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.events import Kind
from fastcheck.wire.packing import pack, unpack
from fastcheck.wire.record import CustomerRecord, SettingValue

LeaseKey = tuple[int, str, int]
"""(customer number, pool, lease)."""

RECORD_MS = 60_000
"""Between two totals of a lease that are kept for good."""


class Totals(NamedTuple):
    """What a host says of a lease; absolute units since the lease was opened."""

    number: int
    pool: str
    lease: int
    spent: int
    returned: int
    final: bool


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

    statements: Statements
    catalog: CatalogLike
    product: Product
    catalogs: Catalogs
    now: int
    written_at: int
    """The present, where `now` is an earlier instant from which a change counts."""
    author: str = ""
    notice_ms: int = NOTICE_MS
    """How long before a grant expires it is told."""
    _moves: dict[int, Sequence[StoredMove]] = field(default_factory=dict, repr=False)

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
        return self._state(customer).quota(pool, at)

    def _state(self, customer: StoredCustomer) -> State:
        """A customer under the catalog in force."""
        return State(customer.changed_at, customer, self.catalog, self.product)

    def _ahead(self, customer: StoredCustomer) -> Sequence[StoredMove]:
        """The moves ahead of a customer, read once for all that one request asks about them."""
        number = customer.record.number
        if number not in self._moves:
            self._moves[number] = self.statements.moves_ahead(number)
        return self._moves[number]

    def current(self, customer: StoredCustomer, pool: Pool) -> tuple[Account | None, Account]:
        """(as stored, as of now) with what open leases used, nothing written. Moves ahead count from their
        instants."""
        number = customer.record.number
        stored = self.statements.account(number, pool.name)
        account = stored
        used = self.statements.unfolded(number, pool.name)
        if used:
            account = use(Account() if stored is None else stored, pool.rules, used)
        return stored, self._worked(customer, pool, account, ahead=True)

    def seen(self, customer: StoredCustomer) -> StoredCustomer:
        """A customer as they are now, moves ahead that will have been carried out included."""
        now = self._state(customer)
        return [now, *with_moves(self._ahead(customer), now, self.now)][-1].stored

    def _worked(
        self, customer: StoredCustomer, pool: Pool, account: Account | None, *, ahead: bool = False
    ) -> Account:
        """An account worked through everything that changed since it was: see decision 0012."""
        # What began at the very instant at which it was written may be in it or not; again changes nothing.
        after = -1 if account is None else account.as_of - 1
        found = states(self.statements, self.catalogs, customer, after, self.now)
        if ahead:
            found.extend(with_moves(self._ahead(customer), found[-1], self.now))
        number, first = customer.record.number, found[0]
        if account is None or account.as_of < first.at:
            nothing = replace(first, stored=replace(first.stored, record=_none(number)))
            account = self._cross(account or Account(), pool, nothing, first)
        return self._through(account, pool, found, after)

    def _through(self, account: Account, pool: Pool, found: Sequence[State], after: int) -> Account:
        """An account through the states of its customer since `after`, up to now."""
        number = found[0].stored.record.number
        for place, state in enumerate(found):
            end = found[place + 1].at if place + 1 < len(found) else self.now + 1
            for change in passed(state, pool, max(after, state.at), end):
                account = across(account, pool.rules, change, number, pool.name)
            if place + 1 < len(found):
                account = self._cross(account, pool, state, found[place + 1])
        return advance(account, pool.rules, self.now)

    def _cross(self, account: Account, pool: Pool, one: State, other: State) -> Account:
        """An account from one state of its customer to the next."""
        record, since = other.stored.record, other.stored.since
        if record.deleted:
            # The deletion took it; a catalog since then takes nothing more.
            return account if one.stored.record.deleted else taken(account, pool.rules, other.at)
        if one.stored.record.deleted:
            if since.restored and account.as_of >= other.at:
                return account  # `undo` brought it across.
            account = returned(account, pool.rules, one.stored.changed_at, other.at, all=since.restored)
        change = between(one, other, pool)
        if change.before == change.after and change.offers_stay and not change.converted:
            return account
        return across(account, pool.rules, change, record.number, pool.name)

    def shift(self, old: StoredCustomer, new: StoredCustomer, pool: Pool) -> None:
        """Brings an account to now under a customer's old record, which is stored, and across to the new one,
        which may then be written."""
        number = old.record.number
        self.fold(self.statements.last_lease(number, pool.name))
        stored = self.statements.account(number, pool.name)
        account = self._worked(old, pool, stored)
        account = self._cross(account, pool, self._state(old), replace(self._state(new), at=self.now))
        self.save(number, pool.name, stored, account)

    def undo(self, deleted: StoredCustomer, found: Sequence[State], but: Collection[str], pool: Pool) -> None:
        """Brings an account to now as if its customer, whose record is that of a deletion, had not been
        deleted. `found`: what they would have been since, up to now. What moved counts as moved now. `but`:
        grants that were taken before the deletion."""
        number = deleted.record.number
        self.fold(self.statements.last_lease(number, pool.name))
        stored = self.statements.account(number, pool.name)
        account = self._worked(deleted, pool, stored)
        noted = len(account.moved)
        then = self.statements.account_at(number, pool.name, deleted.changed_at)
        late = 0 if then is None else max(0, then.written_off - account.written_off)
        account = undone(account, pool.rules, deleted.changed_at, but, late)
        account = self._through(account, pool, found, deleted.changed_at)
        moved = (one._replace(at=account.as_of) for one in account.moved[noted:])
        self.save(number, pool.name, stored, replace(account, moved=(*account.moved[:noted], *moved)))

    def update(self, customer: StoredCustomer, pool: Pool) -> Account:
        """Brings an account to now and writes it."""
        number = customer.record.number
        self.fold(self.statements.last_lease(number, pool.name))
        stored = self.statements.account(number, pool.name)
        account = self._worked(customer, pool, stored)
        self.save(number, pool.name, stored, account)
        return account

    def save(self, number: int, pool: str, before: Account | None, after: Account) -> None:
        """Writes an account. Raises `AmountError` where the sums do not fit a column."""
        self._save_all([ChangedAccount(number, pool, before, after)])

    def _save_all(self, changed: Sequence[ChangedAccount]) -> None:
        for one in changed:
            after = one.after
            if max(after.remaining(), after.overage, abs(after.written_off)) > AMOUNT_MAX:
                raise AmountError(f"the balance of pool {one.pool} would pass {AMOUNT_MAX} units: grant less")
        written = [one._replace(next_change_at=self._next_change(one.pool, one.after)) for one in changed]
        self.statements.put_accounts(written, self.author, self.written_at)
        self.statements.put_notices(of_accounts(written, self.product, self.now, self.notice_ms))

    def _next_change(self, pool: str, account: Account) -> int | None:
        """What `turn` looks for. Meters are left out: their periods come from the catalog whenever somebody
        looks, and there may be very many."""
        known = self.product.pools.get(pool)
        return None if known is None or known.private else next_change(account)

    def fold(self, lease: Lease | None) -> None:
        """Lets the grants show what a lease used. Again: no change."""
        if lease is not None and lease.net != lease.folded:
            folded = self.fold_all([lease])
            self.statements.put_leases(folded)
            self.statements.record(folded)

    def fold_all(self, ended: Iterable[Lease]) -> list[Lease]:
        """Writes to the accounts what leases used; the leases as they are to be written then."""
        owing = [one for one in ended if one.net != one.folded]
        before = self.statements.accounts((one.number, one.pool) for one in owing)
        after = dict(before)
        caps = {(cap.number, cap.pool, cap.key, cap.unit, cap.count): cap for cap in self._caps_of(owing)}
        for one in owing:
            # The catalog may have lost the pool since; what was used is kept all the same.
            pool, key = self.product.pools.get(one.pool), (one.number, one.pool)
            account = after.get(key) or Account(as_of=one.opened_at)
            rules = Rules() if pool is None else pool.rules
            # A lease is not used past its end, however late its last total comes.
            at = self.now if one.valid_until is None else min(self.now, one.valid_until - 1)
            after[key] = use(account, rules, one.net - one.folded, at)
            # It counts to the window in which the lease was opened: the one in which it ends.
            at = spent_at(one, max(self.now, account.as_of))
            mine = [cap for cap in caps.values() if (cap.number, cap.pool) == key]
            for cap in counted(mine, one.net - one.folded, at):
                caps[cap.number, cap.pool, cap.key, cap.unit, cap.count] = cap
        self.statements.put_caps(list(caps.values()))
        self._save_all([ChangedAccount(*key, before.get(key), account) for key, account in after.items()])
        return [replace(one, folded=one.net, recorded_at=self.now) for one in owing]

    def _caps_of(self, owing: Sequence[Lease]) -> list[StoredCap]:
        keys = {(one.number, one.pool) for one in owing}
        found = self.statements.caps_of({number for number, _ in keys}) if keys else []
        return [one for one in found if (one.number, one.pool) in keys]

    def settle(self, totals: Iterable[Totals]) -> None:
        """Books absolute totals: the greater of each counts, so that repeats and late arrivals change
        nothing. Few statements, however many totals."""
        totals = list(totals)
        self.statements.lock(one.number for one in totals)
        known = _Leases(self.statements, totals)
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
                after = self._pass_marks(self._settled(after))
                known.put(after)
                changed[one[:3]] = after
        for lease in self.fold_all(one for one in changed.values() if not one.open):
            changed[lease.number, lease.pool, lease.lease] = lease
        self.statements.put_leases(list(changed.values()))
        self.statements.record([one for one in changed.values() if one.recorded_at == self.now])

    def _settled(self, lease: Lease) -> Lease:
        """A lease whose totals changed, with what of them is kept for good: one a minute, and each where the
        dearest use may no longer be allowed, because there an answer may change."""
        pool = self.product.pools.get(lease.pool)
        near = pool is None or (lease.whole and lease.lent - lease.net < pool.dearest)
        if near or self.now - lease.recorded_at >= RECORD_MS:
            lease = replace(lease, recorded_at=self.now)
        return replace(lease, settled_at=self.now)

    def _pass_marks(self, lease: Lease) -> Lease:
        """Tells of the thresholds that a lease's totals passed."""
        if lease.marks is None:
            return lease
        known = thresholds.from_plain(unpack(lease.marks))
        found = thresholds.passed(known, lease.net)
        if found.marks == known:
            return lease
        record = self.statements.customer(lease.number).record
        pool = self.product.pools.get(lease.pool)
        if pool is not None and not record.deleted:
            left = known.remaining(lease.net)
            for percent in found.percents:
                self.statements.tell(
                    _kind(percent),
                    self.now,
                    lease.number,
                    record.id,
                    {"pool": pool.name, "percent": percent, "remaining": credits(left, pool.scale)},
                    left,
                )
            if found.top_up:
                self.statements.top_up_is_due(lease.number, lease.pool, self.now)
        return replace(lease, marks=pack(thresholds.plain(found.marks)))

    def _marked(self, pool: Pool, account: Account, lease: Lease, before: Lease | None) -> Lease:
        """A lease with the thresholds ahead of it; `before`: what it was, or the one before it."""
        rule = self.statements.top_up(lease.number, pool.name)
        below = None if rule is None or rule.due_at is not None else rule.threshold
        known: Marks | None = None
        if before is not None and before.marks is not None:
            known = thresholds.from_plain(unpack(before.marks))
        marks = thresholds.marks(account, pool.warn_at, lease.net, known, below)
        if below is not None and marks.top_up_at is None and account.remaining() - account.overage <= below:
            self.statements.top_up_is_due(lease.number, pool.name, self.now)
        return replace(lease, marks=pack(thresholds.plain(marks)))

    def _unknown(self, one: Totals, known: _Leases) -> Lease | None:
        """A lease that this ledger does not know: forgotten long ago, or given out after the backup that this
        ledger was restored from. The use of the latter is real and is booked. Of several of one account the
        oldest comes first."""
        if one.pool not in self.product.pools:
            return None  # A pool the catalog lost; its leases were settled before it did.
        last = known.last(one.number, one.pool)
        if last is not None and (one.lease < last.lease or last.open):
            return None
        if not self.statements.known_numbers([one.number]):
            return None  # Who came after the backup, or a damaged cell names: there is no account.
        return Lease(
            one.number, one.pool, one.lease, True, 0, 0, 0, 0, None, False, self.now, self.now, self.now
        )

    def lend(self, customer: StoredCustomer, pool: Pool) -> Terms:
        """The open lease of an account, or a new one."""
        number = customer.record.number
        last = self.statements.last_lease(number, pool.name)
        if last is not None and last.open:
            return Terms(number, pool.name, last.lease, last.lent, last.valid_until, last.whole)
        account = self.update(customer, pool)
        lending = self.lending(customer, pool, account)
        lease = 1 if last is None else last.lease + 1
        opened = Lease(
            number,
            pool.name,
            lease,
            True,
            lending.units,
            0,
            0,
            0,
            lending.valid_until,
            lending.full,
            self.now,
            self.now,
            self.now,
        )
        opened = self._marked(pool, account, opened, last)
        self.statements.put_lease(opened)
        self.statements.record([opened])
        self.statements.forget_leases(number, pool.name, lease)
        return Terms(number, pool.name, lease, lending.units, lending.valid_until, lending.full)

    def next_change(self, customer: StoredCustomer, pool: Pool, account: Account) -> int | None:
        """When an account changes next if nothing is used: by itself, or by a move ahead."""
        ahead = [move.at for move in self._ahead(customer)]
        quotas = self.catalog.boundaries(customer.packed) if pool.private else ()
        later = (
            at for at in (next_change(account), *ahead, *quotas) if at is not None and at > account.as_of
        )
        return min(later, default=None)

    def lending(self, customer: StoredCustomer, pool: Pool, account: Account) -> Lending:
        """What may be lent of an account now."""
        unlimited = self.quota(customer, pool, self.now) is None
        ahead = self.statements.moves_ahead_at(customer.record.number)
        instants = (*self.catalog.boundaries(customer.packed), *ahead)
        claimed = claims(self.statements, customer.record.number, pool.name, account.as_of, but_host="")
        later = [at for at in (*instants, claimed.until) if at is not None and at > account.as_of]
        return lend(
            account,
            pool.rules,
            unlimited=unlimited,
            until=min(later, default=None),
            claimed=claimed.units,
            room=claimed.room(),
        )

    def count(self, number: int, pool: str, units: int, at: int, key: str | None = None) -> None:
        """Counts units spent (negative: given back) towards the caps of an account."""
        self.statements.put_caps(counted(self.statements.caps(number, pool), units, at, key))

    def raise_lease(
        self, customer: StoredCustomer, pool: Pool, account: Account
    ) -> tuple[Terms | None, bool]:
        """After an account gained: (the open lease's new terms, False), or (None, True) where the lease must
        be closed first because more than its size changes, or (None, False) where none is open."""
        lease = self.statements.last_lease(customer.record.number, pool.name)
        if lease is None or not lease.open:
            return None, False
        lending = self.lending(customer, pool, account)
        lent = max(lease.lent, lease.net + lending.units)
        if lending.valid_until != lease.valid_until or lent > LEASE_UNITS_MAX:
            return None, True
        raised = replace(lease, lent=lent, whole=lending.full)
        self.statements.put_lease(self._marked(pool, account, raised, lease))
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

    def __init__(self, statements: Statements, totals: Sequence[Totals]) -> None:
        self._known: dict[LeaseKey, Lease] = {}
        self._last: dict[AccountKey, Lease] = {}
        for lease in statements.leases_of((one.number for one in totals), only_open=True):
            self.put(lease)
        missing = {one.number for one in totals if one[:3] not in self._known}
        for lease in statements.leases_of(missing):
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


def _kind(percent: int) -> Kind:
    if percent < 100:
        return Kind.LOW_BALANCE
    return Kind.LIMIT_REACHED if percent == 100 else Kind.TIER_CROSSED


def spent_at(lease: Lease, now: int) -> int:
    """An instant in the windows to which the use of a lease counts."""
    return now if lease.valid_until is None else min(now, lease.valid_until - 1)


def _none(number: int) -> CustomerRecord:
    """What a customer was before they were made."""
    return CustomerRecord(number, "", deleted=True)
