"""Automatic top-ups."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import top_ups
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.top_ups import ToppedUp


class TopUps(Core):
    """Accounts whose rules are due."""

    def top_ups_due(self, limit: int) -> Sequence[tuple[int, str]]:
        """(customer's number, pool) of the rules to look at now."""
        return self._read(lambda call: top_ups.due_now(call, limit))

    def top_up(self, number: int, pool: str, *, totals: Totals | None = None) -> ToppedUp:
        """Tops an account up if its rule is due and its balance is low; asked again, nothing. `totals`: what
        the open lease has used so far."""
        return self._run(lambda call: top_ups.run(call, number, pool, totals))
