"""Leases taken back around a change: nobody spends meanwhile what the change takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fastcheck.host.embedded.arena import Key
from fastcheck.host.embedded.stripes import Stripes
from fastcheck.hub.service import Done, Totals
from fastcheck.hub.use_cases.transaction import Effects
from fastcheck.hub.use_cases.use_case import Concerns
from fastcheck.wire.operation import Answer


class Recall:
    """Closes the leases that a change concerns, makes the change with their final totals, shows the rows that
    it changed, and lends anew. Whoever changes rows holds the publication meanwhile."""

    def __init__(
        self,
        stripes: Stripes,
        keys: Callable[[Concerns], list[Key]],
        close: Callable[[Iterable[Key]], list[Totals]],
        reopen: Callable[[Sequence[Key], Sequence[Totals]], None],
        show: Callable[[Effects], None],
    ) -> None:
        """`keys`: the leases that are out of those concerned. `close`, `reopen`: them. `show`: brings rows to
        what a change did."""
        self._stripes: Final = stripes
        self._keys: Final = keys
        self._close: Final = close
        self._reopen: Final = reopen
        self._show: Final = show

    def around(self, concerned: Concerns, change: Callable[[Sequence[Totals]], Done[Answer]]) -> Done[Answer]:
        """Makes a change. Raises what it raises."""
        with self._stripes.hold(None if concerned.all else concerned.numbers):
            keys = self._keys(concerned)
            finals = self._close(keys)
            try:
                done = change(finals)
                self._show(done.effects)
            finally:
                # After a refused change, too: the cells are closed either way.
                if keys:
                    self._reopen(keys, finals)
        return done
