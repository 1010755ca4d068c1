"""Automatic top-ups."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import top_ups
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.top_ups import ToppedUp
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.names import name
from fastcheck.wire.top_up_requests import PutTopUp


class TopUps(Core):
    """Rules by which accounts are topped up."""

    def put_top_up(self, request: PutTopUp, *, by: By = ANYBODY) -> TopUpState:
        """Makes or changes the rule of an account. Raises `UnknownCustomer`, `UnknownPool`, `AmountError`,
        `RecordError` (a meter's pool)."""
        return self._change(lambda call: top_ups.put(call, request), by, "put_top_up", request)

    def remove_top_up(self, customer: str, pool: str, *, by: By = ANYBODY) -> bool:
        """Takes a rule away; False if there is none. Raises `UnknownCustomer`."""
        key, checked = name(customer, "customer"), name(pool, "pool")
        return self._change(
            lambda call: top_ups.remove(call, key, checked), by, "remove_top_up", key, checked
        )

    def list_top_ups(self, customer: str | None = None) -> list[TopUpState]:
        """The rules of a customer, or all."""
        checked = None if customer is None else name(customer, "customer")
        return self._read(lambda call: top_ups.of(call, checked))

    def top_ups_due(self, limit: int) -> Sequence[tuple[int, str]]:
        """(customer's number, pool) of the rules to look at now."""
        return self._read(lambda call: top_ups.due_now(call, limit))

    def top_up(self, number: int, pool: str, *, totals: Totals | None = None) -> ToppedUp:
        """Tops an account up if its rule is due and its balance is low; asked again, nothing. `totals`: what
        the open lease has used so far."""
        return self._run(lambda call: top_ups.run(call, number, pool, totals))
