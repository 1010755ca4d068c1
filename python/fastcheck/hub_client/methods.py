"""What both clients offer: the methods of `ents.admin`, and what only a hub has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.admin import Admin
from fastcheck.hub_client.routes import Routed, routed
from fastcheck.hub_client.tokens import TokenMethods
from fastcheck.wire.answers import Explanation
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operation import Answer, Asks, Request
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.catalog import GetCatalog
from fastcheck.wire.operations.epochs import GetPosition
from fastcheck.wire.operations.features import CheckFeature, Explain
from fastcheck.wire.shapes import CatalogText, FeatureCheck, LedgerPosition

Ask = Callable[[Routed], Any]
"""Sends a request and reads its answer."""


class HubMethods(Admin, TokenMethods):
    """The methods over some way to ask a hub."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(asking(ask), lambda: False)

    def explain(self, customer: str, feature: str, at: Instant | None = None) -> Explanation:
        """Every source of a feature for a customer, at an instant (default: now), and which one won, by what
        was settled so far. Raises `UnknownCustomer`, `UnknownFeature`."""
        return self._ask(Explain(customer, feature, at_ms(at, "at")))

    def check(self, customer: str, feature: str) -> FeatureCheck:
        """What a check of one use answers at the hub, by what was settled so far; true where it is allowed. A
        host answers in nanoseconds: this is for who has none. Raises `UnknownCustomer`, `UnknownFeature`."""
        return self._ask(CheckFeature(customer, feature))

    def get_catalog(self) -> CatalogText:
        """The catalog in force, as it was put. Raises `CatalogError` where there is none."""
        return self._ask(GetCatalog())

    def position(self) -> LedgerPosition:
        """The ledger's epoch and the number of its last change."""
        return self._ask(GetPosition())


def asking(ask: Ask) -> Asks:
    """The seam of `Admin`: a request, sent and its answer read. What only a directory does is answered with
    None."""

    def answer(request: Request[Answer], by: By = ANYBODY) -> Answer:
        found: Any = ask(routed(request, by)) if OPERATIONS.of(request).public else None
        answered: Answer = found
        return answered

    return answer
