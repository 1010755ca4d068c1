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


class Gained(NamedTuple):
    """What became of a change that puts units into a pool."""

    grant: GrantState
    terms: Terms | None
    reopen: bool


def _gained(done: Done[GrantState]) -> Gained:
    return Gained(done.answer, done.effects.terms, done.effects.reopen)


BARE: dict[str, Callable[[Done[Any]], Any]] = {
    "refund": _gained,
    "remove_cap": lambda done: done.answer.removed,
    "list_caps": lambda done: list(done.answer.items),
    "list_webhooks": lambda done: list(done.answer.items),
    "replay_dead": lambda done: done.answer.count,
    "check_pools": lambda done: done.answer.items,
    "check_accounts": lambda done: (done.answer.problems, done.answer.accounts, done.answer.cursor),
}
"""What tests want to see of a call of the service, where it is not the answer itself."""


def request_of(row: Operation[Any], args: tuple[Any, ...], options: dict[str, Any]) -> Request[Any]:
    """The request itself, or one of these arguments."""
    if len(args) == 1 and isinstance(args[0], Request):
        return args[0]
    return row.request(*args, **options)


class Service(real.Service):
    """The real service; methods that it has not are operations."""

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
            return BARE.get(name, lambda one: one.answer)(done)

        return call


def _row(name: str) -> Operation[Any]:
    found = OPERATIONS._by_name.get(name)
    if found is None:
        raise AttributeError(name)
    return found
