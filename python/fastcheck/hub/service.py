"""The use cases of the hub. The only module that opens transactions; one call is one transaction.

When a call returns, what it did is on disk. When it raises, nothing of it was done. Whoever lends to a host
first passes the final totals of the leases that a change lowers (`finals`), so that use and change are booked
together.

Here names and cursors are checked, and each use case gets its transaction; what it does in it is in the
module of its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..answers import AuditEntry, Balance, Customer, Explanation, GrantState, Override, Page
from ..clock import Clock
from ..ledger.model import AMOUNT_MAX
from ..wire import name, note, pack
from . import catalogs, customers, explanations, grants, leases, overrides, reports
from .accounts import Terms, Totals
from .call import Call, in_force
from .customers import RECORDS_PER_CHUNK, Changed
from .grants import Granted
from .product import EMPTY, CatalogLike, Product, product
from .requests import MakeGrant, PutCustomer, PutOverride
from .store import Store
from .store.books import Books, Lease, StoredCatalog

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = TypeVar("Answer")


class Service:
    """The use cases over one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
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
        return in_force(self._catalog)

    def _run(self, job: Callable[[Call], Answer], author: str = "") -> Answer:
        """Runs a use case that changes something, under the catalog in force, which stays so meanwhile."""

        def work(connection: Connection) -> Answer:
            call = self._call(connection, author)
            call.books.lock_catalog(exclusive=False)
            return job(call)

        return self._store.run(work)

    def _read(self, job: Callable[[Call], Answer]) -> Answer:
        """Runs a use case that changes nothing."""
        return self._store.read(lambda connection: job(self._call(connection)))

    def _call(self, connection: Connection, author: str = "") -> Call:
        return Call(Books(connection), self._clock, self._product, self._catalog, author)

    # The catalog.

    def stored_catalog(self) -> StoredCatalog | None:
        """The catalog in force, as it was given."""
        return self._read(lambda call: call.books.catalog())

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
        changed = self._store.run(
            lambda connection: catalogs.put(
                self._call(connection, author), catalog, document, new, source, filename, finals, reason
            )
        )
        self._catalog, self._product = catalog, new
        return changed

    def catalog_problems(self, catalog: CatalogLike) -> list[str]:
        """What `set_catalog` would refuse; nothing is written."""
        new = product(catalog.document())
        return self._read(lambda call: catalogs.problems(call, catalog, new))

    # Customers.

    def number_of(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._read(lambda call: call.number(checked))

    def id_of(self, number: int) -> str | None:
        """The id behind a number; None for a deleted customer."""
        record = self._read(lambda call: call.books.customer(number).record)
        return None if record.deleted else record.id

    def changing(self, requests: Sequence[PutCustomer]) -> list[int]:
        """The numbers of known customers whose record these requests would change. Raises as
        `put_customers`."""
        return self._read(lambda call: customers.changing(call, requests))

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
        return self._run(lambda call: customers.put(call, requests, finals, reason), author)

    def delete_customer(
        self, key: str, *, finals: Sequence[Totals] = (), author: str = "", reason: str = ""
    ) -> Changed:
        """Removes a customer: overrides, aliases and add-ons go, grants are voided. Their history stays."""
        checked = name(key, "customer")
        note(reason, "reason")
        return self._run(lambda call: customers.delete(call, checked, finals, reason), author)

    def get_customer(self, key: str) -> Customer:
        """A customer by id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._read(lambda call: customers.shown(call.customer(checked).record))

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids."""
        count = reports.items(limit)
        return self._read(lambda call: customers.page(call, cursor, count))

    # Overrides.

    def put_override(
        self, request: PutOverride, *, finals: Sequence[Totals] = (), author: str = ""
    ) -> Changed:
        """Makes an exception for one customer. Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`."""
        return self._run(lambda call: overrides.put(call, request, finals), author)

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
        return self._run(lambda call: overrides.remove(call, key, checked, finals, reason), author)

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included."""
        checked = name(customer, "customer")
        return self._read(lambda call: overrides.of(call, checked))

    # Grants and balances.

    def grant(self, request: MakeGrant, *, totals: Totals | None = None, author: str = "") -> Granted:
        """Puts an amount into a pool. `totals`: what the open lease has used so far, booked before the grant
        so that earlier use is not paid from it. With an `id` of the caller's, asking again changes nothing;
        the same id with other terms is a `Conflict`."""
        return self._run(lambda call: grants.put(call, request, totals), author)

    def account_of(self, grant_id: str) -> tuple[int, str]:
        """(customer number, pool) of a grant. Raises `UnknownGrant`."""
        checked = name(grant_id, "a grant's id")
        grant = self._read(lambda call: grants.stored_grant(call, checked))
        return grant.customer, grant.pool

    def void(
        self, grant_id: str, *, finals: Sequence[Totals] = (), author: str = "", reason: str = ""
    ) -> GrantState:
        """Takes back what is left of a grant. Again: no change. Raises `Conflict` for one that is used up or
        over."""
        checked = name(grant_id, "a grant's id")
        note(reason, "reason")
        return self._run(lambda call: grants.void(call, checked, finals, reason), author)

    def list_grants(self, customer: str, pool: str | None = None) -> list[GrantState]:
        """A customer's grants as of now, oldest first, ended ones included."""
        checked = name(customer, "customer")
        return self._read(lambda call: grants.of(call, checked, pool))

    def balance(self, customer: str, pool: str) -> Balance:
        """What a customer has in a pool now, by what was settled so far."""
        checked = name(customer, "customer")

        def job(call: Call) -> Balance:
            accounts = call.accounts()
            return grants.balance(accounts, call.customer(checked), accounts.pool(pool))

        return self._read(job)

    # Leases.

    def lend(self, customer: str, pool: str) -> Terms:
        """The open lease of an account, or a new one. Raises `UnknownCustomer`, `UnknownPool`."""
        checked = name(customer, "customer")
        return self._run(lambda call: leases.lend(call, checked, pool))

    def relend(self, finals: Sequence[Totals], accounts_wanted: Sequence[tuple[int, str]]) -> list[Terms]:
        """Closes leases with their final totals and lends the accounts wanted anew; those of deleted
        customers and of pools that the catalog no longer has are left out."""
        return self._run(lambda call: leases.relend(call, finals, accounts_wanted))

    def settle(self, totals: Sequence[Totals]) -> None:
        """Books what a host used; absolute totals, so that repeating it changes nothing."""
        if totals:
            self._run(lambda call: call.accounts().settle(totals))

    def give_back(
        self, key: str, number: int, pool: str, lease: int, given: int, *, totals: Totals | None = None
    ) -> tuple[Terms | None, bool]:
        """Books units that a hold gave back after its lease was closed; `key` is the hold's own, and booking
        it again changes nothing. Answers like `Accounts.raise_lease`."""
        return self._run(lambda call: leases.give_back(call, key, number, pool, lease, given, totals))

    def open_leases(self) -> list[Lease]:
        """Every lease that is out."""
        return self._read(lambda call: list(call.books.open_leases()))

    # Usage records, records for hosts, audit.

    def record_usage(
        self,
        records: Sequence[tuple[str, int, str, str, str, int, Sequence[tuple[str, int]]]],
    ) -> None:
        """Stores usage records: (position, at, event, customer, feature, units, [(quantity, n)…]). Those
        whose position is known are skipped."""
        rows = [(*record[:6], pack([tuple(one) for one in record[6]])) for record in records]
        self._run(lambda call: call.books.put_usage(rows))

    def list_usage(
        self, cursor: str | None = None, limit: int = 100
    ) -> Page[tuple[int, str, str, str, int, Any]]:
        """Usage records in the order in which they were stored."""
        count, after = reports.items(limit), reports.place(cursor, 0)
        return self._read(lambda call: reports.usage(call, after, count))

    def seq(self) -> int:
        """The number of the last change."""
        return self._read(lambda call: call.books.seq())

    def records(self, *, since_seq: int = -1) -> Iterator[bytes]:
        """Chunks of customer records: all, or those changed after `since_seq` with deletions. A transaction
        for each."""
        number = 0

        def chunk(call: Call) -> list[tuple[int, bytes]]:
            return call.books.records_after(number, RECORDS_PER_CHUNK, since_seq=since_seq)

        while rows := self._read(chunk):
            number = rows[-1][0]
            yield b"".join(packed for _, packed in rows)

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Changes, newest first."""
        count, below = reports.items(limit), reports.place(cursor, AMOUNT_MAX)
        return self._read(lambda call: reports.audit(call, below, subject, count))

    # Explanations.

    def explain(self, customer: str, feature: str, at: int | None = None) -> Explanation:
        """Every source of a feature for a customer at an instant (default: now), and which one won."""
        key, checked = name(customer, "customer"), name(feature, "feature")
        return self._read(lambda call: explanations.explain(call, key, checked, at))


__all__ = ["Changed", "Granted", "Service", "Terms", "Totals"]
