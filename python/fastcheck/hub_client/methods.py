"""What both clients offer: the methods of `ents.admin`, and what only a hub has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.admin import Admin
from fastcheck.admin.tokens import TokensAdmin
from fastcheck.clock import instant_ms
from fastcheck.errors import WrongType
from fastcheck.hub_client.routes import ROUTES, Routed, routed
from fastcheck.wire.answers import Explanation
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name as checked_name
from fastcheck.wire.operation import Answer, Asks, Request
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.shapes import CatalogText, FeatureCheck, LedgerPosition

Ask = Callable[[Routed], Any]
"""Sends a request and reads its answer."""


class HubMethods(Admin, TokensAdmin):
    """The methods over some way to ask a hub."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(asking(ask), calling(ask), lambda: False)

    def explain(self, customer: str, feature: str, at: Instant | None = None) -> Explanation:
        """Every source of a feature for a customer, at an instant (default: now), and which one won, by what
        was settled so far. Raises `UnknownCustomer`, `UnknownFeature`."""
        moment = None if at is None else instant_ms(at, "at")
        found: Explanation = self._call(
            "explain", checked_name(customer, "customer"), checked_name(feature, "feature"), moment
        )
        return found

    def check(self, customer: str, feature: str) -> FeatureCheck:
        """What a check of one use answers at the hub, by what was settled so far; true where it is allowed. A
        host answers in nanoseconds: this is for who has none. Raises `UnknownCustomer`, `UnknownFeature`."""
        found: FeatureCheck = self._call(
            "check_feature", checked_name(customer, "customer"), checked_name(feature, "feature")
        )
        return found

    def get_catalog(self) -> CatalogText:
        """The catalog in force, as it was put. Raises `CatalogError` where there is none."""
        found: CatalogText = self._call("get_catalog")
        return found

    def catalog_problems(self, source: bytes | str, *, filename: str = "<catalog>") -> list[str]:
        """What `set_catalog` would refuse a catalog for; nothing is changed."""
        if not isinstance(source, (bytes, str)):
            raise WrongType(f"a catalog is text or bytes, not {type(source).__name__}")
        data = source.encode("utf-8", "replace") if isinstance(source, str) else source
        return list(self._call("catalog_problems", data, filename))

    def position(self) -> LedgerPosition:
        """The ledger's epoch and the number of its last change."""
        found: LedgerPosition = self._call("position")
        return found


def calling(ask: Ask) -> Callable[..., Any]:
    """The seam of `Admin`: a request by its name."""

    def call(method: str, *args: Any, **kwargs: Any) -> Any:
        return ask(ROUTES[method](*args, **kwargs))

    return call


def asking(ask: Ask) -> Asks:
    """The seam of `Admin`: a request, sent and its answer read. What only a directory does is answered with
    None."""

    def answer(request: Request[Answer], by: By = ANYBODY) -> Answer:
        found: Any = ask(routed(request, by)) if OPERATIONS.of(request).public else None
        answered: Answer = found
        return answered

    return answer
