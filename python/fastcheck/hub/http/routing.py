"""Routes that name themselves to logs and figures, instead of the path that a caller made."""

from __future__ import annotations

from starlette.routing import Match, Route
from starlette.types import Scope


class NamedRoute(Route):
    """A route that leaves itself in the request's scope, as `route`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As `Route.matches`."""
        match, child = super().matches(scope)
        return match, {**child, "route": self} if child else child
