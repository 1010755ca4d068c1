"""What tokens may do: scopes as sets of verbs. An operation names its verb, `<subject>.<read|write|…>`; roles
can be made of verbs, too."""

from __future__ import annotations

from typing import Final

STREAM: Final = "stream"
SPEND: Final = "spend"
ADMIN: Final = "admin"
SUPPORT: Final = "support"
SCOPES: Final = (STREAM, SPEND, ADMIN, SUPPORT)

READ: Final = ".read"
"""The end of the verbs that change nothing."""
SPENDING: Final = frozenset(
    {
        "credits.spend",
        "usage.write",
        "balances.read",
        "features.read",
        "catalog.read",
        "pools.read",
        "position.read",
    }
)
"""What a program may do that spends credits."""
FOR_ADMIN: Final = frozenset({"tokens.read"})
"""Readings that are for administrators alone."""


def allows(scope: str, verb: str) -> bool:
    """Whether a token of a scope may do something."""
    if scope == ADMIN:
        return True
    if scope == STREAM:
        return verb == STREAM
    if scope == SPEND:
        return verb in SPENDING
    return scope == SUPPORT and verb not in FOR_ADMIN and verb.endswith(READ)


def scopes_of(verb: str) -> tuple[str, ...]:
    """The scopes below `admin` that allow a verb; `admin` where none does."""
    return tuple(one for one in (SUPPORT, SPEND, STREAM) if allows(one, verb)) or (ADMIN,)
