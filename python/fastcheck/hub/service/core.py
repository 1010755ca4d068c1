"""What answers requests, and what every part of the service stands on: one call is one transaction; one with
a key is done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product as pairs_of
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from fastcheck.clock import Clock, instant_ms
from fastcheck.directory.clock import SteadyClock
from fastcheck.errors import CatalogError, Conflict, UnknownCustomer, UnknownPool
from fastcheck.hub.catalog.product import EMPTY, Product
from fastcheck.hub.service.catalogs import CatalogsInCall, KnownCatalogs
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import PastStatements, Statements, Told
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.all import case_of
from fastcheck.hub.use_cases.transaction import Call, Effects, in_force
from fastcheck.hub.use_cases.upcoming_ends import NOTICE_MS
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Operation, Request, Touches
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.packing import pack, unpack

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)
Self = TypeVar("Self", bound="Core")

PARSED_MAX = 2
"""Texts of catalogs that stay parsed: the one in force, and the next."""


class InForce(NamedTuple):
    """A catalog of the ledger."""

    number: int
    catalog: CatalogLike | None
    product: Product


@dataclass(frozen=True)
class News:
    """What happened in a transaction."""

    told: tuple[Told, ...]
    top_ups_due: bool
    """Whether automatic top-ups are due."""


@dataclass(frozen=True)
class Done(Generic[Answer_co]):
    """What became of a request."""

    answer: Answer_co
    effects: Effects
    """For an owner: what its rows and cells must follow."""


class Core:
    """A store, a clock, and the catalog in force."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        parse: Callable[[bytes, str], CatalogLike],
        *,
        notice_ms: int = NOTICE_MS,
        streams: bool = False,
    ) -> None:
        """`parse` reads a stored catalog. `notice_ms`: how long before something ends it is told. `streams`:
        whether changes are logged for hosts, as a hub does; see `begin_streaming`."""
        self._notice_ms = notice_ms
        self._streams = streams
        self.committed: Callable[[int], None] | None = None
        """Called with the number of the last change after each transaction that logged some, once it is on
        disk; as `listener`. Several threads may call at once, and so not in the order of the numbers."""
        self.listener: Callable[[News], None] | None = None
        """Called with what happened after each transaction in which something did, once it is on disk; by the
        thread that asked, which may hold locks: it must not wait, and not call the service."""
        self.store = store
        # The last texts stay parsed, so that one is parsed before the transaction that puts it in force.
        self._parse = lru_cache(maxsize=PARSED_MAX)(parse)
        self._catalogs = KnownCatalogs(self._parse)
        self.clock = clock
        self._in_force = InForce(0, None, EMPTY)

    @property
    def product(self) -> Product:
        """The catalog in force."""
        return self._in_force.product

    @property
    def catalog(self) -> CatalogLike:
        """The catalog in force, parsed. Raises `CatalogError` where there is none."""
        return in_force(self._in_force.catalog)

    def write(self, job: Callable[[Call], Answer], by: By = ANYBODY, *, exclusive: bool = False) -> Answer:
        """Runs a use case that changes something, under the catalog in force, which stays so meanwhile.
        `exclusive`: nobody else changes anything meanwhile, for who changes the catalog itself."""

        def work(connection: Connection) -> tuple[Answer, News, int]:
            statements = Statements(connection)
            call = self._call(statements, statements.lock_catalog(exclusive=exclusive), by)
            answer = job(call)
            statements.flush_events()
            return answer, News(tuple(statements.told), statements.top_ups_due), statements.logged_seq

        answer, news, logged_seq = self.store.run(work)
        if self.committed is not None and logged_seq:
            self.committed(logged_seq)
        if self.listener is not None and (news.told or news.top_ups_due):
            self.listener(news)
        return answer

    def read(self, job: Callable[[Call], Answer]) -> Answer:
        """Runs a use case that changes nothing."""

        def work(connection: Connection) -> Answer:
            statements = Statements(connection)
            return job(self._call(statements, statements.catalog_number(), ANYBODY))

        return self.store.read(work)

    def _call(self, statements: Statements, number: int, by: By) -> Call:
        """A call under the catalog of that number, which this or another hub may just have put in force. The
        call has its own, because another thread may be about an older or newer one."""
        known = self._in_force
        if number != known.number:
            stored = statements.catalog()
            if stored is not None:
                parsed = self._parse(stored.source, stored.filename)
                known = InForce(number, parsed, stored.product())
                if number > self._in_force.number:
                    self._in_force = known
        now = self.clock.now_ms()
        return Call(
            statements,
            now,
            known.product,
            known.catalog,
            self._at,
            CatalogsInCall(self._catalogs, number),
            self._parse,
            by,
            self._notice_ms,
            self._streams,
            clock=self.clock,
        )

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """Answers a request: a change in one transaction, once per idempotency key. Raises what the request's
        use case raises; a call that raised changed nothing."""
        return self.run(request, by).answer

    def run(
        self,
        request: Request[Answer],
        by: By = ANYBODY,
        totals: Sequence[Totals] = (),
        expects: Callable[[Any], None] | None = None,
    ) -> Done[Answer]:
        """`ask`, for an owner or an endpoint. `totals`: what the leases that the request concerns have used.
        `expects` is given what there is of the thing that the request changes, or None, inside the
        transaction and before anything else of it, and raises `PreconditionFailed`."""
        row, case = OPERATIONS.of(request), case_of(request)
        if not row.changes:
            return Done(self.read(lambda call: case.run(self._seen(call, request), request)), Effects())
        asked = row.named(request, by.key)

        def job(call: Call) -> Done[Answer]:
            if expects is not None:
                assert case.current is not None
                expects(case.current(call, asked))
            answer = case.run(replace(call, totals=totals), asked)
            return Done(answer, call.effects)

        if by.key is None:
            done = self.write(job, by, exclusive=case.exclusive)
        else:
            once = self._once(by.key, _body(row, asked), job, row, case, asked)
            done = self.write(once, by, exclusive=case.exclusive)
        if done.effects.catalog is not None:
            self.load_catalog()
        if isinstance(self.clock, SteadyClock):
            if done.effects.clock_confirmed:
                self.clock.confirm()
            if done.effects.clock_repaired is not None:
                self.clock.forget(done.effects.clock_repaired)
        return done

    def known(self, request: Request[Answer], by: By) -> Done[Answer] | None:
        """How a request was answered that was made under the same key before; None where it was not, or has
        no key. Raises `Conflict` for another request."""
        row, key = OPERATIONS.of(request), by.key
        if key is None or not row.changes:
            return None
        body = _body(row, row.named(request, key))
        return self.read(lambda call: _known(call, key, body, row))

    def concerns(self, request: Request[Any]) -> Concerns:
        """Whose leases a request concerns. Raises as its use case does for what is not there."""
        case = case_of(request)
        return self.read(lambda call: case.concerns(call, request))

    def _seen(self, call: Call, request: Request[Any]) -> Call:
        """The call at the instant that a request asks about."""
        return self._at(call, getattr(request, "at", None))

    def _once(
        self,
        key: str,
        body: bytes,
        job: Callable[[Call], Done[Answer]],
        row: Operation[Answer],
        case: UseCase[Answer],
        request: Request[Answer],
    ) -> Callable[[Call], Done[Answer]]:
        """A change that is made once: asked again with the same body, it is answered as it was then; with
        another body it is a `Conflict`. The key and the answer are stored with the change itself."""
        digest, of = hashlib.sha256(body).digest(), shape(row.answer)

        def once(call: Call) -> Done[Answer]:
            known = _known(call, key, body, row)
            if known is not None:
                if row.touches is Touches.RAISES:
                    _raise_again(call, case.concerns, request)
                return replace(known, effects=call.effects)
            done = job(call)
            call.statements.put_answer(key, call.now, digest, pack(write(case.kept(done.answer), of)))
            return done

        return once

    def _at(self, call: Call, at: int | None) -> Call:
        """The call at another instant: in the past, everything as it was stored then; in the future, as it
        will be if nobody changes anything. Raises `CatalogError` before there was a catalog."""
        if at is None:
            return call
        instant = instant_ms(at, "at")
        if instant >= call.now:
            return replace(call, now=instant)
        began, number = next(iter(call.catalogs.since(call.statements, instant)), (instant + 1, 0))
        if began > instant:
            raise CatalogError([f"there was no catalog at {instant} ms: the ledger begins later"])
        parsed, known = call.catalogs.get(call.statements, number)
        past = PastStatements(call.statements.connection, instant)
        return replace(call, statements=past, now=instant, parsed=parsed, product=known)

    def parse(self, source: bytes, filename: str) -> CatalogLike:
        """A catalog's text as this service reads it. Raises `CatalogError`."""
        return self._parse(source, filename)

    def load_catalog(self) -> CatalogLike | None:
        """The catalog in force, read from the ledger if need be; None where there is none."""
        return self.read(lambda call: call.parsed)


def _body(row: Operation[Any], request: Request[Any]) -> bytes:
    """What tells a request from another under the same key."""
    return pack([row.name, write(request, shape(row.request))])


def _known(call: Call, key: str, body: bytes, row: Operation[Answer]) -> Done[Answer] | None:
    """The answer that is stored under a key. Raises `Conflict` where it is another request's."""
    known = call.statements.answered(key)
    if known is None:
        return None
    if known[0] != hashlib.sha256(body).digest():
        raise Conflict(f"the idempotency key {key!r:.80} was used for another request: take a new key")
    return Done(read(unpack(known[1]), shape(row.answer)), Effects())


def _raise_again(
    call: Call, concerns: Callable[[Call, Request[Any]], Concerns], request: Request[Any]
) -> None:
    """What the lease gained was told with the first answer, which may be lost. Nothing is booked, so that a
    repetition leaves no trace in the grants."""
    accounts = call.accounts()
    try:
        concerned = concerns(call, request)
        for number, name in pairs_of(concerned.numbers, concerned.pools or ()):
            stored, pool = call.statements.customer(number), accounts.pool(name)
            account = accounts.current(stored, pool)[1]
            call.effects.terms, call.effects.reopen = accounts.raise_lease(stored, pool, account)
    except (UnknownCustomer, UnknownPool):
        return  # Gone since.
