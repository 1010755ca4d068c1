"""Use that was metered elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import metering
from fastcheck.hub.use_cases.metering import Cursor, Row
from fastcheck.ledger.model import checked_amount
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.names import name
from fastcheck.wire.requests import UsageEvent


class Metering(Core):
    """Usage events, corrections, and pages of them."""

    def meter_usage(self, events: Sequence[UsageEvent]) -> int:
        """As `metering.put`. Again with the same events: nothing is new."""
        return self._run(lambda call: metering.put(call, events)) if events else 0

    def correct_usage(self, id: str, units: int | None, *, by: By = ANYBODY) -> None:
        """As `metering.correct`."""
        checked = name(id, "the id of a usage event")
        instead = None if units is None else checked_amount(units, "units")
        self._change(lambda call: metering.correct(call, checked, instead), by, "correct_usage", id, units)

    def metered(
        self,
        customer: str,
        feature: str,
        since: int,
        until: int,
        cursor: Cursor | None = None,
        limit: int = 1_000,
    ) -> tuple[tuple[Row, ...], Cursor | None]:
        """As `metering.page`."""
        key, checked = name(customer, "customer"), name(feature, "feature")
        return self._read(lambda call: metering.page(call, key, checked, since, until, cursor, limit))
