"""The use cases of the hub. The only module that opens transactions; one call is one transaction.

When a call returns, what it did is on disk. When it raises, nothing of it was done. Whoever lends to a host
first passes the final totals of the leases that a change lowers (`finals`), so that use and change are booked
together."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from ..amounts import credits, units
from ..answers import (
    AddonState,
    AuditEntry,
    Balance,
    Consideration,
    Customer,
    Explanation,
    GrantState,
    Override,
    Page,
    TrialState,
)
from ..clock import Clock
from ..errors import (
    AmountError,
    CatalogError,
    Conflict,
    InstantError,
    NameInvalid,
    RecordError,
    UnknownCustomer,
    UnknownFeature,
    UnknownGrant,
    WrongType,
)
from ..ledger import periods
from ..ledger.burn import next_change, settle_overage, void
from ..ledger.model import AMOUNT_MAX, Account, Grant, GrantKind, new_grant
from ..wire import (
    CustomerRecord,
    SettingValue,
    Trial,
    name,
    note,
    pack,
    pack_record,
    setting,
    setting_value,
    unpack,
)
from .accounts import Accounts, Terms, Totals, some
from .guard import conflicts
from .product import EMPTY, CatalogLike, Feature, Pool, Product, product
from .requests import MakeGrant, PutCustomer, PutOverride
from .sources import Since
from .store.books import Books, Lease, StoredCatalog, StoredCustomer, StoredOverride
from .store.sqlite import SqliteStore

Answer = TypeVar("Answer")

PAGE_ITEMS_MAX = 1_000
ROW_WORDS_MAX = 65_535
"""Words of one customer's row; the core has the same bound (docs/format/rows.md). So the next three."""
ROW_STRETCHES_MAX = 250
ROW_HEAD_WORDS = 80
ENTRY_WORDS = 4
RECORDS_PER_CHUNK = 4_096
IDS_PER_QUERY = 500
RESERVED_IDS = ("plan:", "trial:", "addon:", "meter:")
"""How the ids of grants begin that come from the catalog."""


@dataclass(frozen=True)
class Changed:
    """Customer records that a call changed, as the native module reads them."""

    seq: int
    """Number of the change."""
    records: bytes
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Granted:
    """What became of a request for a grant."""

    grant: GrantState
    number: int
    pool: str
    terms: Terms | None
    """The open lease, raised; None: see `reopen`."""
    reopen: bool
    """Whether the open lease must be closed and lent anew."""


@dataclass(frozen=True)
class _Chunk:
    """The job that reads the next chunk of customer records."""

    after: int
    since_seq: int

    def __call__(self, books: Books) -> list[tuple[int, bytes]]:
        return books.records_after(self.after, RECORDS_PER_CHUNK, since_seq=self.since_seq)


class Service:
    """The use cases over one store."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._catalog: CatalogLike | None = None
        self._product: Product = EMPTY

    @property
    def product(self) -> Product:
        """The catalog in force."""
        return self._product

    @property
    def catalog(self) -> CatalogLike:
        """The catalog in force, parsed. Raises `CatalogError` where there is none."""
        return self._in_force()

    def _run(self, job: Callable[[Books], Answer]) -> Answer:
        return self._store.run(lambda connection: job(Books(connection)))

    def _accounts(self, books: Books, author: str = "") -> Accounts:
        return Accounts(books, self._in_force(), self._product, self._clock.now_ms(), author)

    def _in_force(self) -> CatalogLike:
        if self._catalog is None:
            raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
        return self._catalog

    # The catalog.

    def stored_catalog(self) -> StoredCatalog | None:
        """The catalog in force, as it was given."""
        return self._run(lambda books: books.catalog())

    def use_catalog(self, catalog: CatalogLike) -> None:
        """Takes the parsed form of the stored catalog; nothing is written."""
        self._product = product(catalog.document())
        self._catalog = catalog

    def set_catalog(
        self,
        catalog: CatalogLike,
        source: bytes,
        filename: str,
        *,
        finals: Sequence[Totals] = (),
        author: str = "",
        reason: str = "",
    ) -> bool:
        """Puts a catalog in force; False if it already was. Raises `CatalogError` naming everything in use
        that it would take away, and who uses it."""
        document = catalog.document()
        new = product(document)

        def job(books: Books) -> bool:
            now = self._clock.now_ms()
            stored = books.catalog()
            if stored is not None and stored.digest == catalog.digest:
                return False
            if stored is not None:
                old = product(stored.document)
                problems = conflicts(old, new, books)
                if problems:
                    raise CatalogError(problems)
                if self._catalog is not None:
                    Accounts(books, self._catalog, old, now, author).settle(finals)
            books.put_catalog(now, source, filename, catalog.digest, document)
            books.next_seq()
            before = None if stored is None else {"digest": stored.digest}
            books.put_audit(now, author, "set_catalog", filename, reason, before, {"digest": catalog.digest})
            return True

        changed = self._run(job)
        self._catalog, self._product = catalog, new
        return changed

    def catalog_problems(self, catalog: CatalogLike) -> list[str]:
        """What `set_catalog` would refuse; nothing is written."""
        new = product(catalog.document())

        def job(books: Books) -> list[str]:
            stored = books.catalog()
            if stored is None or stored.digest == catalog.digest:
                return []
            return conflicts(product(stored.document), new, books)

        return self._run(job)

    # Customers.

    def number_of(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._run(lambda books: _number(books, checked))

    def id_of(self, number: int) -> str | None:
        """The id behind a number; None for a deleted customer."""

        def job(books: Books) -> str | None:
            record = books.customer(number).record
            return None if record.deleted else record.id

        return self._run(job)

    def changing(self, requests: Sequence[PutCustomer]) -> list[int]:
        """The numbers of known customers whose record these requests would change. Raises as
        `put_customers`."""

        def job(books: Books) -> list[int]:
            found = []
            for request, number in self._known(books, requests):
                if number is not None:
                    stored = books.customer(number)
                    if self._build(books, request, stored)[0] != stored.record:
                        found.append(number)
            return found

        return self._run(job)

    def put_customers(
        self,
        requests: Sequence[PutCustomer],
        *,
        finals: Sequence[Totals] = (),
        author: str = "",
        reason: str = "",
    ) -> list[Changed]:
        """Makes the customers what the requests say; all or none. Those that already are so are left alone.

        Raises `RecordError` for plans, versions or add-ons the catalog does not have, `Conflict` for an alias
        or id that is somebody else's."""
        note(reason, "reason")

        def job(books: Books) -> list[Changed]:
            accounts = self._accounts(books, author)
            accounts.settle(finals)
            changed: list[tuple[CustomerRecord, bytes, Since]] = []
            fresh = 0
            last = books.last_number()
            seen: set[str] = set()
            for request, number in self._known(books, requests):
                if request.id in seen:
                    raise Conflict(f"customer {request.id!r:.80} is named twice in one call: name each once")
                seen.add(request.id)
                stored = None if number is None else books.customer(number)
                if number is None:
                    last += 1
                    fresh += 1
                record, packed, since = self._build(books, request, stored, last)
                if stored is not None:
                    if record == stored.record:
                        continue
                    self._move(accounts, stored, StoredCustomer(record, packed, since))
                    books.forget_parts(record.number)
                    before = None if stored.record.deleted else _summary(stored.record)
                    books.put_audit(
                        accounts.now, author, "put_customer", record.id, reason, before, _summary(record)
                    )
                elif len(requests) == 1:
                    books.put_audit(
                        accounts.now, author, "put_customer", record.id, reason, None, _summary(record)
                    )
                changed.append((record, packed, since))
            if len(requests) > 1 and fresh:
                books.put_audit(accounts.now, author, "put_customers", "", reason, None, {"new": fresh})
            return self._write(books, changed)

        return self._run(job)

    def _known(
        self, books: Books, requests: Sequence[PutCustomer]
    ) -> Iterator[tuple[PutCustomer, int | None]]:
        for start in range(0, len(requests), IDS_PER_QUERY):
            part = requests[start : start + IDS_PER_QUERY]
            known = books.numbers_of_ids([request.id for request in part])
            for request in part:
                yield request, known.get(request.id)

    def _write(self, books: Books, changed: Sequence[tuple[CustomerRecord, bytes, Since]]) -> list[Changed]:
        """Writes records in chunks, each a change of its own for the hosts. Aliases are checked by the
        tables."""
        found = []
        for start in range(0, len(changed), RECORDS_PER_CHUNK):
            part = changed[start : start + RECORDS_PER_CHUNK]
            seq = books.next_seq()
            self._check_keys(books, [record for record, _, _ in part])
            books.put_customers(part, seq)
            found.append(
                Changed(seq, b"".join(packed for _, packed, _ in part), tuple(one.id for one, _, _ in part))
            )
        return found

    def _check_keys(self, books: Books, records: Sequence[CustomerRecord]) -> None:
        """Raises `Conflict` where an id or alias is already somebody else's."""
        owners: dict[str, int] = {}
        for record in records:
            for key in (record.id, *record.aliases):
                if owners.setdefault(key, record.number) != record.number:
                    raise Conflict(f"key {key!r:.80} is given to two customers in one call: keep it with one")
        keys = list(owners)
        for start in range(0, len(keys), IDS_PER_QUERY):
            part = keys[start : start + IDS_PER_QUERY]
            for key, number in (*books.numbers_of_ids(part).items(), *books.numbers_of_aliases(part).items()):
                if owners[key] != number:
                    raise Conflict(
                        f"key {key!r:.80} already belongs to another customer: remove it there first"
                    )

    def _build(
        self, books: Books, request: PutCustomer, stored: StoredCustomer | None, number: int = 0
    ) -> tuple[CustomerRecord, bytes, Since]:
        """The record a request comes to. Raises `RecordError` where the catalog refuses it."""
        now = self._clock.now_ms()
        old = None if stored is None or stored.record.deleted else stored.record
        old_since = stored.since if stored is not None and old is not None else Since()
        same_plan = old is not None and old.plan == request.plan
        version = self._version(request.plan, request.version, old.version if old and same_plan else None)
        since_ms = request.since
        if since_ms is None:
            since_ms = old.since_ms if old is not None and same_plan else now
        trial = None
        trial_since = None
        if request.trial_plan is not None:
            had = (
                old.trial if old is not None and old.trial and old.trial.plan == request.trial_plan else None
            )
            trial_version = self._version(
                request.trial_plan, request.trial_version, had.version if had else None
            )
            until_ms = request.trial_until
            if until_ms is None:
                until_ms = had.until_ms if had else self._trial_end(request.trial_plan, trial_version, now)
            trial = Trial(request.trial_plan, trial_version, until_ms)
            trial_since = old_since.trial_ms if had else since_ms if old is None else now
        started = since_ms if old is None else now
        record = CustomerRecord(
            number if stored is None else stored.record.number, request.id, False, request.plan, version,
            since_ms, request.addons, () if old is None else old.overrides, request.aliases, trial,
        )  # fmt: skip
        since = Since(trial_since, {one: old_since.addons.get(one, started) for one, _, _ in request.addons})
        packed = pack_record(record)
        self._check_record(record, packed)
        return record, packed, since

    def _version(self, plan: str | None, asked: int | None, bought: int | None) -> int | None:
        if plan is None:
            if asked is not None:
                raise RecordError("a version without a plan: give plan, or leave version out")
            return None
        newest = self._product.newest(plan)
        if newest is None:
            plans = some({one for one, _ in self._product.plans})
            raise RecordError(f"the catalog has no plan {plan!r:.80}; it has: {plans}")
        version = asked if asked is not None else bought if bought is not None else newest
        if (plan, version) not in self._product.plans:
            raise RecordError(f"plan {plan!r:.80} has no version {version}; the newest is {newest}")
        return version

    def _trial_end(self, plan: str, version: int | None, now: int) -> int:
        length = self._product.plans[(plan, version or 1)].trial
        if length is None:
            raise InstantError(f"plan {plan!r:.80} says nothing of how long a trial lasts: give trial_until")
        return periods.add(now, length)

    def _check_record(self, record: CustomerRecord, packed: bytes) -> None:
        for addon, quantity, _ in record.addons:
            offer = self._product.addons.get(addon)
            if offer is None:
                raise RecordError(
                    f"the catalog has no add-on {addon!r:.80}; it has: {some(self._product.addons)}"
                )
            if offer.max_quantity is not None and quantity > offer.max_quantity:
                raise RecordError(
                    f"add-on {addon!r:.80} goes up to quantity {offer.max_quantity}, not {quantity}"
                )
            if offer.plans and record.plan not in offer.plans:
                raise RecordError(
                    f"add-on {addon!r:.80} belongs to plans {some(offer.plans)}, not {record.plan}"
                )
        error = self._in_force().customer_error(packed)
        if error is not None:
            raise RecordError(f"customer {record.id!r:.80}: {error}")
        self._check_row(record, packed)

    def _check_row(self, record: CustomerRecord, packed: bytes) -> None:
        """A row holds all overrides once for each stretch of time ahead. What does not fit is refused
        before it is stored: the arena could not show it, nor anything after it."""
        if not record.overrides and len(record.addons) + 2 < ROW_STRETCHES_MAX:
            return
        now, features, pools = self._clock.now_ms(), len(self._product.features), len(self._product.pools)
        stretches = 1 + sum(at > now for at in self._in_force().boundaries(packed))
        texts = sum(len(one[1].encode()) for _, one, _, _ in record.overrides if one[0] == 4)
        overlay = (
            1 + features // 4 + 1 + ENTRY_WORDS * len(record.overrides) + texts // 8 + len(record.overrides)
        )
        words = ROW_HEAD_WORDS + 2 * pools + stretches * (2 + overlay)
        if stretches > ROW_STRETCHES_MAX or words > ROW_WORDS_MAX:
            raise RecordError(
                f"customer {record.id!r:.80}: {len(record.overrides)} overrides that change at "
                f"{stretches - 1} instants ahead take more room than a row has: remove overrides that have "
                "ended, or give several of them one instant"
            )

    def _move(self, accounts: Accounts, old: StoredCustomer, new: StoredCustomer) -> None:
        """Brings a customer's accounts to now under the old record, then under the new one."""
        for pool in self._pools_of(accounts, old.record.number):
            accounts.update(old, pool)
            accounts.update(new, pool)

    def _pools_of(self, accounts: Accounts, number: int) -> list[Pool]:
        pools = self._product.pools
        return [pools[one] for one in accounts.books.pools_of(number) if one in pools]

    def _rewrite(
        self, accounts: Accounts, stored: StoredCustomer, record: CustomerRecord, since: Since
    ) -> Changed:
        """Replaces one known customer's record."""
        packed = pack_record(record)
        if not record.deleted:
            self._check_record(record, packed)
        self._move(accounts, stored, StoredCustomer(record, packed, since))
        accounts.books.forget_parts(record.number)
        return self._write(accounts.books, [(record, packed, since)])[0]

    def delete_customer(
        self, key: str, *, finals: Sequence[Totals] = (), author: str = "", reason: str = ""
    ) -> Changed:
        """Removes a customer: overrides, aliases and add-ons go, grants are voided. Their history stays."""
        checked = name(key, "customer")
        note(reason, "reason")

        def job(books: Books) -> Changed:
            number = _number(books, checked)
            accounts = self._accounts(books, author)
            accounts.settle(finals)
            stored = books.customer(number)
            books.remove_override(number)
            record = CustomerRecord(number, stored.record.id, deleted=True)
            for pool in self._pools_of(accounts, number):
                before = accounts.update(stored, pool)
                after = before
                for grant in before.grants:
                    after = void(after, grant.id)
                accounts.save(number, pool.name, before, after)
            books.put_audit(
                accounts.now,
                author,
                "delete_customer",
                stored.record.id,
                reason,
                _summary(stored.record),
                None,
            )
            return self._rewrite(accounts, stored, record, Since())

        return self._run(job)

    def get_customer(self, key: str) -> Customer:
        """A customer by id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._run(lambda books: _customer(books.customer(_number(books, checked)).record))

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids."""
        count = _limit(limit)

        def job(books: Books) -> Page[Customer]:
            found = books.customers_after(cursor or "", count + 1)
            page = found[:count]
            return Page(tuple(_customer(one) for one in page), page[-1].id if len(found) > count else None)

        return self._run(job)

    # Overrides.

    def put_override(
        self, request: PutOverride, *, finals: Sequence[Totals] = (), author: str = ""
    ) -> Changed:
        """Makes an exception for one customer. Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`."""

        def job(books: Books) -> Changed:
            number = _number(books, request.customer)
            feature = self._product.features.get(request.feature)
            if feature is None:
                raise self._unknown_feature(request.feature)
            accounts = self._accounts(books, author)
            accounts.settle(finals)
            one = StoredOverride(
                request.feature, self._override_setting(request.value, feature), request.starts_at,
                request.expires_at, request.reason, author, accounts.now,
            )  # fmt: skip
            stored = books.customer(number)
            before = [known for known in books.overrides(number) if known.feature == request.feature]
            books.put_override(number, one)
            books.put_audit(
                accounts.now, author, "put_override", stored.record.id, request.reason,
                _override_summary(before[0]) if before else None, _override_summary(one),
            )  # fmt: skip
            return self._with_overrides(accounts, stored)

        return self._run(job)

    def remove_override(
        self,
        customer: str,
        feature: str,
        *,
        finals: Sequence[Totals] = (),
        author: str = "",
        reason: str = "",
    ) -> Changed | None:
        """Ends an exception; None if there is none."""
        key, checked = name(customer, "customer"), name(feature, "feature")
        note(reason, "reason")

        def job(books: Books) -> Changed | None:
            number = _number(books, key)
            before = [known for known in books.overrides(number) if known.feature == checked]
            accounts = self._accounts(books, author)
            accounts.settle(finals)
            if not before:
                return None
            stored = books.customer(number)
            books.remove_override(number, checked)
            books.put_audit(
                accounts.now,
                author,
                "remove_override",
                stored.record.id,
                reason,
                _override_summary(before[0]),
                None,
            )
            return self._with_overrides(accounts, stored)

        return self._run(job)

    def _with_overrides(self, accounts: Accounts, stored: StoredCustomer) -> Changed:
        overrides = tuple(
            (one.feature, one.setting, one.starts_at, one.expires_at)
            for one in accounts.books.overrides(stored.record.number)
        )
        return self._rewrite(accounts, stored, replace(stored.record, overrides=overrides), stored.since)

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included."""
        checked = name(customer, "customer")

        def job(books: Books) -> list[Override]:
            number = _number(books, checked)
            id = books.customer(number).record.id
            return [
                Override(
                    id, one.feature, self._shown(setting_value(one.setting), one.feature), one.starts_at,
                    one.expires_at, one.reason,
                    one.author, one.created_at,
                )
                for one in books.overrides(number)
            ]  # fmt: skip

        return self._run(job)

    def _override_setting(self, value: SettingValue | Decimal, feature: Feature) -> tuple[Any, ...]:
        """A caller's value as a setting; a meter's quota in units of its pool."""
        scale = self._meter_scale(feature)
        if isinstance(value, Decimal) or (scale and isinstance(value, int) and not isinstance(value, bool)):
            if feature.kind != "meter":
                raise WrongType(f"{feature.name} is a {feature.kind}: an override is no Decimal")
            value = units(value, scale, f"the quota of {feature.name}") if value else 0
        return setting(value, feature.kind, feature.name)

    def _meter_scale(self, feature: Feature) -> int:
        pool = self._product.pools.get(feature.pool or "")
        return 0 if pool is None or feature.kind != "meter" else pool.scale

    def _shown(self, value: SettingValue, name: str) -> SettingValue | Decimal:
        """A setting as people write it: a meter's quota in whole uses and not in units."""
        feature = self._product.features.get(name)
        if feature is None or isinstance(value, bool) or not isinstance(value, int):
            return value
        return credits(value, self._meter_scale(feature))

    def _unknown_feature(self, feature: str) -> UnknownFeature:
        return UnknownFeature(
            f"the catalog has no feature {feature!r:.80}; it has: {some(self._product.features)}"
        )

    # Grants and balances.

    def grant(self, request: MakeGrant, *, totals: Totals | None = None, author: str = "") -> Granted:
        """Puts an amount into a pool. `totals`: what the open lease has used so far, booked before the grant
        so that earlier use is not paid from it. With an `id` of the caller's, asking again changes nothing;
        the same id with other terms is a `Conflict`."""

        def job(books: Books) -> Granted:
            number = _number(books, request.customer)
            accounts = self._accounts(books, author)
            pool = accounts.pool(request.pool)
            amount = units(request.amount, pool.scale)
            stored = books.customer(number)
            if totals is not None:
                accounts.settle([totals])
            known = None if request.id is None else self._same(books, request, number, amount)
            if known is not None:
                state = _grant_state(known, stored.record.id, pool.scale)
                return Granted(state, number, pool.name, None, False)
            if request.expires_at is not None and request.expires_at <= accounts.now:
                raise AmountError("expires_at has passed already: the grant would never be active")
            before = accounts.update(stored, pool)
            if before.remaining() + amount > AMOUNT_MAX:
                raise AmountError(
                    f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: grant less"
                )
            made = new_grant(
                request.id or f"g_{secrets.token_hex(12)}", number, pool.name, amount, at=accounts.now,
                priority=request.priority, effective_at=request.effective_at, expires_at=request.expires_at,
                kind=GrantKind(request.kind), reason=request.reason,
            )  # fmt: skip
            after = _with_grant(before, made, pool)
            accounts.save(number, pool.name, before, after)
            terms, reopen = accounts.raise_lease(stored, pool, after)
            state = _grant_state(_find(after, made.id), stored.record.id, pool.scale)
            books.put_audit(
                accounts.now, author, "grant", stored.record.id, request.reason, None,
                {"grant": made.id, "pool": pool.name, "units": amount, "kind": request.kind},
            )  # fmt: skip
            return Granted(state, number, pool.name, terms, reopen)

        return self._run(job)

    def _same(self, books: Books, request: MakeGrant, number: int, amount: int) -> Grant | None:
        assert request.id is not None
        if request.id.startswith(RESERVED_IDS):
            raise NameInvalid(
                f"grant ids beginning with {', '.join(RESERVED_IDS)} are the catalog's: take another"
            )
        known = books.grant(request.id)
        if known is None:
            return None
        asked = (number, request.pool, amount, request.priority, request.expires_at, request.kind)
        made = (known.customer, known.pool, known.amount, known.priority, known.expires_at, known.kind.value)
        if asked != made or request.effective_at not in (None, known.effective_at):
            raise Conflict(
                f"grant {request.id!r:.80} exists with other terms: use another id for another grant"
            )
        return known

    def account_of(self, grant_id: str) -> tuple[int, str]:
        """(customer number, pool) of a grant. Raises `UnknownGrant`."""
        checked = name(grant_id, "a grant's id")

        def job(books: Books) -> tuple[int, str]:
            grant = _grant(books, checked)
            return grant.customer, grant.pool

        return self._run(job)

    def void(
        self, grant_id: str, *, finals: Sequence[Totals] = (), author: str = "", reason: str = ""
    ) -> GrantState:
        """Takes back what is left of a grant. Again: no change. Raises `Conflict` for one that is used up or
        over."""
        checked = name(grant_id, "a grant's id")
        note(reason, "reason")

        def job(books: Books) -> GrantState:
            grant = _grant(books, checked)
            accounts = self._accounts(books, author)
            accounts.settle(finals)
            pool = accounts.pool(grant.pool)
            stored = books.customer(grant.customer)
            before = accounts.update(stored, pool)
            found = _find(before, checked)
            if found.voided_at is None or found.parked is not None:
                if found.remaining == 0 and found.parked is None and found.recurrence is None:
                    over = "expired" if found.burned < found.granted else "used up"
                    raise Conflict(f"grant {checked!r:.80} is {over}: there is nothing to take back")
                after = void(before, checked)
                accounts.save(grant.customer, pool.name, before, after)
                books.put_audit(
                    accounts.now, author, "void", stored.record.id, reason,
                    {"grant": checked, "units": found.remaining}, {"grant": checked, "units": 0},
                )  # fmt: skip
                found = _find(after, checked)
            return _grant_state(found, stored.record.id, pool.scale)

        return self._run(job)

    def list_grants(self, customer: str, pool: str | None = None) -> list[GrantState]:
        """A customer's grants as of now, oldest first, ended ones included."""
        checked = name(customer, "customer")

        def job(books: Books) -> list[GrantState]:
            stored = books.customer(_number(books, checked))
            accounts = self._accounts(books)
            pools = [accounts.pool(pool)] if pool is not None else list(self._product.pools.values())
            return [
                _grant_state(grant, stored.record.id, one.scale)
                for one in pools
                for grant in accounts.current(stored, one)[1].grants
                if not one.private or grant.amount or grant.burned
            ]

        return self._run(job)

    def balance(self, customer: str, pool: str) -> Balance:
        """What a customer has in a pool now, by what was settled so far."""
        checked = name(customer, "customer")

        def job(books: Books) -> Balance:
            accounts = self._accounts(books)
            return self._balance(accounts, books.customer(_number(books, checked)), accounts.pool(pool))

        return self._run(job)

    def _balance(self, accounts: Accounts, customer: StoredCustomer, pool: Pool) -> Balance:
        _, account = accounts.current(customer, pool)
        unlimited = accounts.quota(customer, pool, account.as_of) is None
        remaining = None if unlimited else credits(max(0, account.remaining() - account.overage), pool.scale)
        return Balance(
            customer.record.id, pool.name, remaining, credits(0 if unlimited else account.overage,
            pool.scale), credits(account.used(), pool.scale), next_change(account), account.as_of,
        )  # fmt: skip

    # Leases.

    def lend(self, customer: str, pool: str) -> Terms:
        """The open lease of an account, or a new one. Raises `UnknownCustomer`, `UnknownPool`."""
        checked = name(customer, "customer")

        def job(books: Books) -> Terms:
            accounts = self._accounts(books)
            return accounts.lend(books.customer(_number(books, checked)), accounts.pool(pool))

        return self._run(job)

    def relend(self, finals: Sequence[Totals], accounts_wanted: Sequence[tuple[int, str]]) -> list[Terms]:
        """Closes leases with their final totals and lends the accounts wanted anew; those of deleted
        customers and of pools that the catalog no longer has are left out."""

        def job(books: Books) -> list[Terms]:
            accounts = self._accounts(books)
            accounts.settle(finals)
            found = []
            for number, pool in accounts_wanted:
                stored = books.customer(number)
                if not stored.record.deleted and pool in self._product.pools:
                    found.append(accounts.lend(stored, self._product.pools[pool]))
            return found

        return self._run(job)

    def settle(self, totals: Sequence[Totals]) -> None:
        """Books what a host used; absolute totals, so that repeating it changes nothing."""
        if totals:
            self._run(lambda books: self._accounts(books).settle(totals))

    def give_back(
        self, key: str, number: int, pool: str, lease: int, given: int, *, totals: Totals | None = None
    ) -> tuple[Terms | None, bool]:
        """Books units that a hold gave back after its lease was closed; `key` is the hold's own, and booking
        it again changes nothing. Answers like `Accounts.raise_lease`."""

        def job(books: Books) -> tuple[Terms | None, bool]:
            accounts = self._accounts(books)
            if not books.put_late_return(key, number, pool, lease, given, accounts.now):
                return None, False
            known = self._product.pools.get(pool)
            if known is None:
                return None, False  # The catalog lost the pool; there is nobody to give it to.
            accounts.settle([] if totals is None else [totals])
            stored = books.customer(number)
            return accounts.raise_lease(stored, known, accounts.give_back(stored, known, given))

        return self._run(job)

    def open_leases(self) -> list[Lease]:
        """Every lease that is out."""
        return self._run(lambda books: list(books.open_leases()))

    # Usage records, records for hosts, audit.

    def record_usage(
        self,
        records: Sequence[tuple[str, int, str, str, str, int, Sequence[tuple[str, int]]]],
    ) -> None:
        """Stores usage records: (position, at, event, customer, feature, units, [(quantity, n)…]). Those
        whose position is known are skipped."""
        rows = [(*record[:6], pack([tuple(one) for one in record[6]])) for record in records]
        self._run(lambda books: books.put_usage(rows))

    def list_usage(
        self, cursor: str | None = None, limit: int = 100
    ) -> Page[tuple[int, str, str, str, int, Any]]:
        """Usage records in the order in which they were stored."""
        count, after = _limit(limit), 0 if cursor is None else _number_cursor(cursor)

        def job(books: Books) -> Page[tuple[int, str, str, str, int, Any]]:
            found = books.usage_after(after, count + 1)
            items = tuple((*row[1:6], unpack(row[6])) for row in found[:count])
            return Page(items, str(found[count - 1][0]) if len(found) > count else None)

        return self._run(job)

    def seq(self) -> int:
        """The number of the last change."""
        return self._run(lambda books: books.seq())

    def records(self, *, since_seq: int = -1) -> Iterator[bytes]:
        """Chunks of customer records: all, or those changed after `since_seq` with deletions."""
        number = 0
        while True:
            rows = self._run(_Chunk(number, since_seq))
            if not rows:
                return
            number = rows[-1][0]
            yield b"".join(packed for _, packed in rows)

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Changes, newest first."""
        count = _limit(limit)
        below = AMOUNT_MAX if cursor is None else _number_cursor(cursor)

        def job(books: Books) -> Page[AuditEntry]:
            found = books.audit_before(below, subject, count + 1)
            items = tuple(AuditEntry(*row[:6], _plain(row[6]), _plain(row[7])) for row in found[:count])
            return Page(items, str(items[-1].number) if len(found) > count else None)

        return self._run(job)

    # Explanations.

    def explain(self, customer: str, feature: str, at: int | None = None) -> Explanation:
        """Every source of a feature for a customer at an instant (default: now), and which one won."""
        key, checked = name(customer, "customer"), name(feature, "feature")

        def job(books: Books) -> Explanation:
            one = self._product.features.get(checked)
            if one is None:
                raise self._unknown_feature(checked)
            accounts = self._accounts(books)
            stored = books.customer(_number(books, key))
            moment = accounts.now if at is None else at
            value, source = accounts.catalog.resolve(stored.packed, moment)[checked]
            considered = tuple(
                _consideration(found) for found in accounts.catalog.explain(stored.packed, checked, moment)
            )
            pool = None if one.pool is None else self._product.pools.get(one.pool)
            balance = None if pool is None or at is not None else self._balance(accounts, stored, pool)
            return Explanation(
                stored.record.id,
                checked,
                one.kind,
                moment,
                self._shown(value, checked),
                source,
                considered,
                balance,
            )

        return self._run(job)


def _number(books: Books, key: str) -> int:
    number = books.number_of(key)
    if number is None:
        raise UnknownCustomer(f"no customer has the id or alias {key!r:.80}: make them with put_customer")
    return number


def _grant(books: Books, id: str) -> Grant:
    grant = books.grant(id)
    if grant is None:
        raise UnknownGrant(f"there is no grant {id!r:.80}: see list_grants")
    return grant


def _find(account: Account, id: str) -> Grant:
    return next(grant for grant in account.grants if grant.id == id)


def _with_grant(account: Account, grant: Grant, pool: Pool) -> Account:
    return settle_overage(replace(account, grants=(*account.grants, grant)), pool.rules)


def _limit(limit: int) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE_ITEMS_MAX:
        raise RecordError(f"limit must be an int from 1 to {PAGE_ITEMS_MAX}")
    return limit


def _number_cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RecordError("cursor must be one that an earlier page gave")
    return int(cursor)


def _customer(record: CustomerRecord) -> Customer:
    trial = record.trial
    return Customer(
        record.id, record.plan, record.version, record.since_ms,
        tuple(AddonState(*addon) for addon in record.addons), record.aliases,
        None if trial is None else TrialState(trial.plan, trial.version or 0, trial.until_ms),
    )  # fmt: skip


def _summary(record: CustomerRecord) -> dict[str, Any]:
    trial = record.trial
    return {
        "plan": record.plan,
        "version": record.version,
        "since_ms": record.since_ms,
        "addons": record.addons,
        "aliases": record.aliases,
        "trial": None if trial is None else (trial.plan, trial.version, trial.until_ms),
    }


def _override_summary(one: StoredOverride) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "setting": one.setting,
        "starts_at": one.starts_at,
        "expires_at": one.expires_at,
        "reason": one.reason,
    }


def _grant_state(grant: Grant, customer: str, scale: int) -> GrantState:
    return GrantState(
        grant.id, customer, grant.pool, credits(grant.amount, scale), credits(grant.remaining, scale),
        grant.priority, grant.effective_at, grant.expires_at, grant.kind.value, grant.reason, grant.source,
        grant.created_at, grant.voided_at,
    )  # fmt: skip


def _consideration(found: dict[str, Any]) -> Consideration:
    return Consideration(
        str(found["source"]), str(found.get("name") or ""), str(found.get("setting")),
        bool(found.get("active")), found.get("starts_at_ms"), found.get("ends_at_ms"), bool(found.get("won")),
        str(found.get("why") or ""),
    )  # fmt: skip


def _plain(packed: bytes | None) -> dict[str, Any] | None:
    return None if packed is None else unpack(packed)


__all__ = ["Changed", "Granted", "Service", "Terms", "Totals"]
