"""What `admin` answers about webhooks and automatic top-ups. Frozen; amounts are credits; instants are ms
since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.amounts import Credits


@dataclass(frozen=True)
class WebhookState:
    """A place to which events are sent."""

    id: str
    url: str
    kinds: tuple[str, ...] | None
    """The events it gets; None = all."""
    enabled: bool
    """Off once the receiver answered 410 (gone)."""
    created_at: int
    author: str
    secret_begins: str
    """The first characters of the secret that signs."""
    secret: str | None = None
    """The whole of it, only where it has just been made; it is never shown again."""

    def __repr__(self) -> str:
        return f"WebhookState({self.id!r}, kinds={self.kinds}, enabled={self.enabled})"


@dataclass(frozen=True)
class DeliveryState:
    """An event on its way to a webhook."""

    id: str
    webhook: str
    event: str
    """The event's id, which receivers see as `webhook-id`."""
    kind: str
    state: str
    """waiting, delivered or dead."""
    attempts: int
    """Those that failed."""
    next_at: int
    """Of a waiting one: not before."""
    why: str
    """What came of the last attempt that failed."""


@dataclass(frozen=True)
class TopUpState:
    """A rule by which an account is topped up by itself."""

    customer: str
    pool: str
    threshold: Credits
    target: Credits
    monthly_cap: Credits | None
    cost: tuple[int, str] | None
    """(minor units, currency) of a top-up of `target`."""
    topped_up: Credits
    """In `month`."""
    month: int
    """The start of the month (UTC) that is counted."""
    reason: str
    author: str
    created_at: int
