"""The service and the owner of a directory with a method for each operation, as tests like to call them: the
arguments are the request's, or the request itself, and the answer is the bare value behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastcheck.hub import service as real
from fastcheck.hub.service import Done, Terms, Totals
from fastcheck.wire.answers import GrantState
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

BARE: dict[str, Callable[[Done[Any]], Any]] = {
    "refund": _gained,
    "list_grants": lambda done: list(done.answer.items),
    "list_top_ups": lambda done: list(done.answer.items),
    "remove_top_up": lambda done: done.answer.removed,
    "get_balance_history": lambda done: list(done.answer.items),
    "remove_cap": lambda done: done.answer.removed,
    "list_caps": lambda done: list(done.answer.items),
}
"""What tests want to see of a call of the service, where it is not the answer itself."""


def request_of(row: Operation[Any], args: tuple[Any, ...], options: dict[str, Any]) -> Request[Any]:
    """The request itself, or one of these arguments."""
    if len(args) == 1 and isinstance(args[0], Request):
        return args[0]
    return row.request(*args, **options)


class Service(real.Service):
    """The real service; methods that it has not are operations."""

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
            return BARE.get(row.name, lambda one: one.answer)(done)

        return call


def _row(name: str) -> Operation[Any]:
    found = OPERATIONS._by_name.get(CALLED.get(name, name))
    if found is None:
        raise AttributeError(name)
    return found
