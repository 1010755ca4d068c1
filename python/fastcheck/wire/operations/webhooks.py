"""Webhooks: who is told of events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.errors import InstantError, NameInvalid, WrongType
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.fields import Called, Cursor, Kind, Limit, Name, Told
from fastcheck.wire.names import text_within
from fastcheck.wire.operation import Operation, Repeat, Request
from fastcheck.wire.operations.events import what_happened
from fastcheck.wire.shapes import Count

URL_CHARACTERS_MAX: Final = 2_048
KINDS_MAX: Final = 64
STATES: Final = ("waiting", "delivered", "dead")
"""Of a delivery."""
OVERLAP_MS: Final = 86_400_000
"""How long an old secret signs beside a new one unless said otherwise."""
OVERLAP_MS_MAX: Final = 30 * 86_400_000


def _url(value: object, what: str) -> str:
    """Text within bounds; what an address may be, the use case checks. Raises `WrongType`, `NameInvalid`."""
    if not isinstance(value, str):
        raise WrongType(f"an endpoint's url must be a str, not {type(value).__name__}")
    return text_within(value, "an endpoint's url", URL_CHARACTERS_MAX, empty=False)


def _kinds(value: object, what: str) -> tuple[str, ...]:
    """Kinds of events, sorted, each once. Raises `WrongType`, `NameInvalid`."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise WrongType("kinds must be a list of str")
    if not 1 <= len(value) <= KINDS_MAX:
        raise NameInvalid(f"kinds names 1 to {KINDS_MAX} kinds of events: leave it out for all")
    return tuple(sorted({what_happened(one, what) for one in value}))


def _overlap_ms(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not 0 <= value <= OVERLAP_MS_MAX:
        raise InstantError(f"{what} must lie between 0 and {OVERLAP_MS_MAX}")
    return value


def _state(value: object, what: str) -> str:
    if not isinstance(value, str) or value not in STATES:
        raise NameInvalid(f"no delivery is {value!r:.40}: use one of {', '.join(STATES)}")
    return value


Url = Annotated[
    str,
    Kind(_url, None, {"minLength": 1, "maxLength": URL_CHARACTERS_MAX}),
    Told(("https://example.com/hook",)),
]
Kinds = Annotated[tuple[str, ...], Kind(_kinds, schema={"maxItems": KINDS_MAX}), Told((["low_balance"],))]
Overlap = Annotated[int, Kind(_overlap_ms, schema={"minimum": 0, "maximum": OVERLAP_MS_MAX})]
State = Annotated[str, Kind(_state, schema={"maxLength": 64})]
WebhookId = Annotated[Name, Called("a webhook's id")]


@dataclass(frozen=True)
class PutWebhook(Request[WebhookState]):
    """Sends events to an address, as Standard Webhooks. `secret` is in this answer and never again. Of an
    address that is known already, changes the kinds and turns it on."""

    url: Url
    """https://, or http:// to the hub's own machine."""
    kinds: Kinds | None = None
    """Only events of these kinds; None: all."""


@dataclass(frozen=True)
class ListWebhooks(Request[Page[WebhookState]]):
    """Where events are sent; on one page."""


@dataclass(frozen=True)
class GetWebhook(Request[WebhookState]):
    """One webhook."""

    id: WebhookId


@dataclass(frozen=True)
class DeleteWebhook(Request[None]):
    """Sends nothing more there, and forgets what was on its way."""

    id: WebhookId


@dataclass(frozen=True)
class RotateWebhookSecret(Request[WebhookState]):
    """Gives a webhook another secret, shown in this answer."""

    id: WebhookId
    overlap_ms: Overlap = OVERLAP_MS
    """How long the old one signs as well, 30 days at most."""


@dataclass(frozen=True)
class ReplayDead(Request[Count]):
    """Sends everything dead of a webhook again; how many."""

    id: WebhookId


@dataclass(frozen=True)
class ListDeliveries(Request[Page[DeliveryState]]):
    """Events on their way."""

    cursor: Cursor | None = None
    limit: Limit = 100
    state: State | None = None
    """waiting, delivered or dead."""
    webhook: WebhookId | None = None
    """Only to this one."""


@dataclass(frozen=True)
class ReplayDelivery(Request[DeliveryState]):
    """Sends a dead delivery again."""

    id: Annotated[Name, Called("a delivery's id")]


_READ, _WRITE, _KEYED = "webhooks.read", "webhooks.write", Repeat.KEYED

OPERATIONS = (
    Operation(PutWebhook, "POST", "/webhooks", _WRITE, repeat=_KEYED),
    Operation(ListWebhooks, "GET", "/webhooks", _READ),
    Operation(GetWebhook, "GET", "/webhooks/{id}", _READ, tagged=True),
    Operation(DeleteWebhook, "DELETE", "/webhooks/{id}", _WRITE, repeat=_KEYED, tag_of=GetWebhook),
    Operation(RotateWebhookSecret, "POST", "/webhooks/{id}/secret", _WRITE, repeat=_KEYED),
    Operation(ReplayDead, "POST", "/webhooks/{id}/replays", _WRITE, repeat=_KEYED),
    Operation(ListDeliveries, "GET", "/deliveries", _READ),
    Operation(ReplayDelivery, "POST", "/deliveries/{id}/replays", _WRITE, repeat=_KEYED),
)
