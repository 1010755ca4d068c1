"""What a hub answers about tokens. Frozen; instants are ms since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TokenState:
    """Who may speak to a hub."""

    id: str
    environment: str
    """The hubs it is for, such as live or test."""
    name: str
    """What people call it."""
    scopes: tuple[str, ...]
    """What it allows: some of stream, spend, admin and support."""
    author: str
    created_at: int
    expires_at: int | None
    """Not in force from here on; None = for good."""
    revoked_at: int | None
    last_used_at: int | None
    """Exact to a minute."""
    rate_per_s: int | None
    """Requests it may make each second; None = as many as the hub allows by default."""


@dataclass(frozen=True)
class MadeToken:
    """A token that has just been made."""

    token: str | None = field(repr=False)
    """Its text, shown this once: nobody has it but the caller. None where the call was repeated with its
    idempotency key."""
    state: TokenState
