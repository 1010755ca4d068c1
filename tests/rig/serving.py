"""The service and the owner of a directory with a method for each operation, as tests like to call them: the
arguments are the request's, or the request itself, and the answer is the bare value behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastcheck.hub import service as real
from fastcheck.hub.service import Changed, Done, Terms, Totals
from fastcheck.wire.answers import GrantState, Move
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
    count: int
    left: bool
    refused: tuple[str, ...] = ()


def _segmented(done: Done[Any]) -> Segmented:
    return Segmented(tuple(done.effects.changed), done.answer.count, done.answer.left, done.effects.refused)


def _changed(done: Done[Any]) -> Changed | None:
    return next(iter(done.effects.changed), None)


BARE: dict[str, Callable[[Done[Any]], Any]] = {
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
    "remove_cap": lambda done: done.answer.removed,
    "list_caps": lambda done: list(done.answer.items),
}
"""What tests want to see of a call of the service, where it is not the answer itself."""


def request_of(row: Operation[Any] | None, args: tuple[Any, ...], options: dict[str, Any]) -> Request[Any]:
    """The request itself, or one of these arguments."""
    if len(args) == 1 and isinstance(args[0], Request):
        return args[0]
    assert row is not None, "the request itself"
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


def _row(name: str) -> Operation[Any] | None:
    found = OPERATIONS._by_name.get(name)
    if found is None and name not in ("move", "put_members"):  # Of which there are several.
        raise AttributeError(name)
    return found
