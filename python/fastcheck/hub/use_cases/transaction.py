"""What every use case is given: one transaction's tables, the catalog in force, the clock, and who asks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fastcheck.clock import Clock, SystemClock
from fastcheck.errors import CatalogError, FastcheckError, UnknownCustomer
from fastcheck.hub.catalog.product import Product
from fastcheck.hub.store import Again
from fastcheck.hub.store.statements import Statements, StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts, Terms, Totals
from fastcheck.hub.use_cases.timeline import Catalogs
from fastcheck.hub.use_cases.upcoming_ends import NOTICE_MS
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.catalog import CatalogLike


@dataclass(frozen=True)
class Changed:
    """Customer records that a call changed, as the native module reads them."""

    seq: int
    """Number of the change."""
    records: bytes
    ids: tuple[str, ...]
    deleted: bool = False
    """Whether these customers are gone."""


@dataclass
class Effects:
    """What a use case did besides its answer: for an owner, whose rows and cells must follow."""

    changed: list[Changed] = field(default_factory=list)
    """Records that hosts are to be shown, in the order of their numbers."""
    terms: Terms | None = None
    """The open lease of the account that gained, raised; None: see `reopen`."""
    reopen: bool = False
    """Whether the lease of the account that gained must be closed and lent anew."""
    catalog: CatalogLike | None = None
    """A catalog that is in force from now on."""
    rows_anew: bool = False
    """Whether all rows must be loaded anew, whatever changed."""
    refused: tuple[str, ...] = ()
    """Customers who could not take what a segment gives them."""
    clock_confirmed: bool = False
    """Whether the clock is right as it is."""
    clock_repaired: int | None = None
    """The instant after which nothing was time."""


@dataclass(frozen=True)
class Call:
    """One call of the service, inside its transaction."""

    statements: Statements
    now: int
    """The instant of the call: one for all it does."""
    product: Product
    parsed: CatalogLike | None
    """The catalog in force; None where there is none yet."""
    moved: Callable[[Call, int], Call]
    """Makes the call at another instant; see `at`."""
    catalogs: Catalogs
    """Every catalog there was."""
    parse: Callable[[bytes, str], CatalogLike]
    """Reads a catalog's text; the filename is for messages. Raises `CatalogError`."""
    by: By = ANYBODY
    notice_ms: int = NOTICE_MS
    """How long before something ends it is told."""
    streams: bool = False
    """Whether changes are logged for hosts that follow a hub."""
    totals: Sequence[Totals] = ()
    """What leases have used so far, as their host says: final totals of leases that were closed for this
    change, or totals to this moment of an account that gains."""
    effects: Effects = field(default_factory=Effects)
    """What is done besides the answer."""
    clock: Clock = field(default_factory=SystemClock)
    """Where `now` is from."""

    def at(self, instant: int) -> Call:
        """The call at another instant: in the past, everything as it was stored then; in the future, as it
        will be if nobody changes anything. Raises `CatalogError` before there was a catalog."""
        return self.moved(self, instant)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the call that is undone alone where it raises an error of ours, which is raised on."""
        changed, refused = len(self.effects.changed), self.effects.refused
        try:
            with self.statements.attempt():
                yield
        except FastcheckError:
            del self.effects.changed[changed:]
            self.effects.refused = refused
            raise

    @property
    def catalog(self) -> CatalogLike:
        """The catalog in force. Raises `CatalogError` where there is none."""
        return in_force(self.parsed)

    def accounts(self) -> Accounts:
        """The accounts as of now. Raises `CatalogError` where there is no catalog."""
        return self.accounts_at(self.now)

    def accounts_at(self, at: int) -> Accounts:
        """The accounts as of an instant, for a change that counts from there."""
        return Accounts(
            self.statements,
            self.catalog,
            self.product,
            self.catalogs,
            at,
            self.now,
            self.by.author,
            self.notice_ms,
        )

    def note(
        self, action: str, subject: str, before: object, after: object, *, reason: str | None = None
    ) -> None:
        """Notes a change in the audit log; `reason`: default the caller's."""
        why = self.by.reason if reason is None else reason
        self.statements.put_audit(self.now, self.by.author, action, subject, why, before, after)

    def number(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        number = self.statements.number_of(key)
        if number is None:
            raise UnknownCustomer(f"no customer has the id or alias {key!r:.80}: make them with put_customer")
        return number

    def customer(self, key: str) -> StoredCustomer:
        """The customer behind an id or alias. Raises `UnknownCustomer`."""
        return self.statements.customer(self.number(key))

    def held(self, key: str, finals: Sequence[Totals | None] | None = None) -> StoredCustomer:
        """`customer`, and nobody else changes them, nor those of the totals, until the transaction ends."""
        number = self.number(key)
        others = self.totals if finals is None else finals
        self.statements.lock([number, *(one.number for one in others if one is not None)])
        if self.number(key) != number:
            raise Again  # The key went to another customer while we waited.
        return self.statements.customer(number)


def in_force(catalog: CatalogLike | None) -> CatalogLike:
    """The catalog, if there is one. Raises `CatalogError`."""
    if catalog is None:
        raise CatalogError(["there is no catalog yet: open the directory with catalog=…"])
    return catalog
