"""The owner of a directory with a method for each operation, as tests like to call it; see `serving`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.host.embedded import owner as real
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operations.catalog import SetCatalog
from rig.serving import _row, request_of

BARE: dict[str, Callable[[Any], Any]] = {
    "put_customers": lambda answer: answer.count,
    "remove_override": lambda answer: answer.removed,
    "move": lambda answer: (answer.moves, answer.after),
    "put_members": lambda answer: (answer.count, answer.left),
    "delete_segment": lambda answer: answer.left,
    "go_on_segment": lambda answer: answer.left,
    "put_segment_override": lambda answer: answer.left,
    "remove_segment_override": lambda answer: (answer.count > 0, answer.left),
    "remove_cap": lambda answer: answer.removed,
    "list_grants": lambda answer: list(answer.items),
    "list_top_ups": lambda answer: list(answer.items),
    "remove_top_up": lambda answer: answer.removed,
    "get_balance_history": lambda answer: list(answer.items),
    "list_caps": lambda answer: list(answer.items),
    "list_webhooks": lambda answer: list(answer.items),
    "replay_dead": lambda answer: answer.count,
}


class Owner(real.Owner):
    """The real owner; methods that it has not are operations."""

    def set_catalog(self, given: real.Given, by: By = ANYBODY) -> bool:
        """Puts a catalog in force."""
        return self.ask(SetCatalog(given.source, given.filename), by).changed

    def __getattr__(self, name: str) -> Any:
        row = _row(name)

        def call(*args: Any, by: By = ANYBODY, **options: Any) -> Any:
            if args and isinstance(args[-1], By):
                *args_, by = args
                args = tuple(args_)
            called = name if row is None else row.name
            return BARE.get(called, lambda one: one)(self.ask(request_of(row, args, options), by))

        return call
