"""Who asks, by their token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from ...errors import Forbidden

ADMIN = "admin"
"""The scope that may do everything."""


@dataclass(frozen=True)
class Principal:
    """A token that is in force."""

    id: str
    name: str
    scopes: frozenset[str]


def allowed(*scopes: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that yields who asks. Raises `Forbidden` where their token has none of the scopes."""

    async def dependency(request: Request) -> Principal:
        principal: Principal = await request.app.state.principal_of(request)
        if ADMIN in principal.scopes or principal.scopes.intersection(scopes):
            return principal
        raise Forbidden(f"this needs a token with the scope {' or '.join(scopes)}")

    return dependency
