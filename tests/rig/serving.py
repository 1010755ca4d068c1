"""The service and the owner of a directory with a method for each operation, as tests like to call them: the
arguments are the request's, or the request itself, and the answer is the bare value behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastcheck.hub import service as real
from fastcheck.hub.service import Changed, Done, Terms, Totals
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.answers import GrantState, Move
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operation import Operation, Request
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.grants import MakeGrant


class Gained(NamedTuple):
    """What became of a change that puts units into a pool."""

    grant: GrantState
    terms: Terms | None
    reopen: bool


def _gained(done: Done[GrantState]) -> Gained:
    return Gained(done.answer, done.effects.terms, done.effects.reopen)


CALLED = {
    "audit": "list_audit",
    "grant": "make_grant",
    "void": "void_grant",
    "balance": "get_balance",
    "balance_history": "get_balance_history",
}
"""Operations that tests call by a shorter name."""


class Moved(NamedTuple):
    """What became of a request for moves."""

    moves: tuple[Move, ...]
    changed: tuple[Changed, ...]
    after: int | None


def _moved(done: Done[Any]) -> Moved:
    return Moved(done.answer.moves, tuple(done.effects.changed), done.answer.after)


class Segmented(NamedTuple):
    """What one part of a change of a segment did."""

    changed: tuple[Changed, ...]
    count: int  # type: ignore[assignment]
    left: bool
    refused: tuple[str, ...] = ()


def _segmented(done: Done[Any]) -> Segmented:
    return Segmented(tuple(done.effects.changed), done.answer.count, done.answer.left, done.effects.refused)


def _changed(done: Done[Any]) -> Changed | None:
    return next(iter(done.effects.changed), None)


BARE: dict[str, Callable[[Done[Any]], Any]] = {
    "make_grant": _gained,
    "put_customers": lambda done: done.effects.changed,
    "delete_customer": _changed,
    "put_override": _changed,
    "remove_override": _changed,
    "list_overrides": lambda done: list(done.answer.items),
    "move": _moved,
    "put_members": _segmented,
    "delete_segment": _segmented,
    "go_on_segment": _segmented,
    "put_segment_override": _segmented,
    "remove_segment_override": _segmented,
    "refund": _gained,
    "list_grants": lambda done: list(done.answer.items),
    "list_top_ups": lambda done: list(done.answer.items),
    "remove_top_up": lambda done: done.answer.removed,
    "get_balance_history": lambda done: list(done.answer.items),
    "remove_cap": lambda done: done.answer.removed,
    "list_caps": lambda done: list(done.answer.items),
    "list_webhooks": lambda done: list(done.answer.items),
    "replay_dead": lambda done: done.answer.count,
    "check_pools": lambda done: done.answer.items,
    "check_accounts": lambda done: (done.answer.problems, done.answer.accounts, done.answer.cursor),
}
"""What tests want to see of a call of the service, where it is not the answer itself."""


def request_of(row: Operation[Any] | None, args: tuple[Any, ...], options: dict[str, Any]) -> Request[Any]:
    """The request itself, or one of these arguments."""
    if len(args) == 1 and isinstance(args[0], Request):
        return args[0]
    assert row is not None, "the request itself"
    return row.request(*args, **options)


class Service(real.Service):
    """The real service; methods that it has not are its parts', or operations."""

    _expected: Callable[[Call], None] | None = None

    def provided(self, expects: Callable[[Call], None]) -> Service:
        """The same service, for changes that are made only where `expects` raises nothing."""
        other = copy.copy(self)
        other._expected = expects
        return other

    def _once(self, key: str, body: bytes, job: Any, row: Any, case: Any, request: Any) -> Any:
        """What is answered by a key was decided then."""
        return super()._once(key, body, self._after(job), row, case, request)

    def write(self, job: Any, by: By = ANYBODY, *, exclusive: bool = False) -> Any:
        return super().write(job if by.key else self._after(job), by, exclusive=exclusive)

    def _after(self, job: Callable[[Call], Any]) -> Callable[[Call], Any]:
        expects = self._expected

        def both(call: Call) -> Any:
            if expects is not None:
                expects(call)
            return job(call)

        return both

    def set_catalog(
        self, catalog: Any, source: bytes, filename: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> bool:
        """Puts a catalog in force; a fake one with `{}` for its text has another."""
        text = catalog.source() if source == b"{}" else source
        return self.run(SetCatalog(text, filename), by, finals).answer.changed

    def grant(self, request: MakeGrant, *, totals: Totals | None = None, by: By = ANYBODY) -> Gained:
        """Puts units into a pool; a test may break it."""
        return _gained(self.run(request, by, () if totals is None else (totals,)))

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            for part in (
                self.customers,
                self.lending,
                self.due,
                self.epochs,
                self.streaming,
                self.deliveries,
            ):
                if hasattr(part, name):
                    return getattr(part, name)
            if hasattr(self.tokens, name):
                return getattr(self.tokens, name)
        row = _row(name)

        def call(
            *args: Any,
            finals: Sequence[Totals] = (),
            totals: Totals | None = None,
            by: By = ANYBODY,
            **options: Any,
        ) -> Any:
            used = finals if totals is None else (totals,)
            done = self.run(request_of(row, args, options), by, used)
            called = name if row is None else row.name
            return BARE.get(called, lambda one: one.answer)(done)

        return call


def _row(name: str) -> Operation[Any] | None:
    found = OPERATIONS._by_name.get(CALLED.get(name, name))
    if found is None and name not in ("move", "put_members"):  # Of which there are several.
        raise AttributeError(name)
    return found
