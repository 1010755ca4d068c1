"""Webhooks: who is told of events, with which secret, and what became of it.

Signing and sending need the extra `webhooks`, which is loaded only where somebody asks for it."""

from __future__ import annotations

import secrets as chance
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastcheck.errors import Conflict, MissingExtra, UnknownDelivery, UnknownWebhook
from fastcheck.hub.store.statements import StoredDelivery, StoredWebhook
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.loading import LOADING
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.operations.webhooks import (
    DeleteWebhook,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    PutWebhook,
    ReplayDead,
    ReplayDelivery,
    RotateWebhookSecret,
)
from fastcheck.wire.shapes import Count

if TYPE_CHECKING:
    from fastcheck.hub.webhooks.sign import ActiveSecret

SHOWN_CHARACTERS = 8
"""Of a secret, once it is made."""
GONE = "the endpoint is disabled"


def put(call: Call, request: PutWebhook) -> WebhookState:
    """Makes a webhook, or changes which events the one of that address gets and turns it on. Raises
    `MissingExtra`, `NameInvalid`."""
    url, kinds = request.url, request.kinds
    check_extra()
    with LOADING:
        from fastcheck.hub.webhooks.http import check_url
        from fastcheck.hub.webhooks.sign import new_secret

    check_url(url)
    known = call.statements.webhook_at(url)
    if known is not None:
        known = call.statements.webhook(known.id) or known
        new, secret = replace(known, kinds=kinds, enabled=True), None
    else:
        secret = new_secret().reveal()
        new = StoredWebhook(
            f"wh_{chance.token_hex(8)}", url, kinds, ((secret, None),), True, call.by.author, call.now
        )
    if new != known:
        call.statements.put_webhook(new)
        call.note("put_webhook", new.id, None if known is None else _summary(known), _summary(new))
    return _shown(new, secret)


def check_extra() -> None:
    """Raises `MissingExtra` where webhooks cannot be signed or sent."""
    try:
        with LOADING:
            import httpx  # noqa: F401
            import standardwebhooks  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"webhooks need the package {error.name}: pip install 'fastcheck[webhooks]'"
        ) from error


def rotate(call: Call, request: RotateWebhookSecret) -> WebhookState:
    """Gives a webhook another secret; the old one signs as well until the overlap has passed. Raises
    `MissingExtra`, `UnknownWebhook`."""
    check_extra()
    with LOADING:
        from fastcheck.hub.webhooks.sign import new_secret, rotated

    known, secret = _webhook(call, request.id), new_secret()
    both = rotated(active(known.secrets), secret, call.now, request.overlap_ms)
    new = replace(known, secrets=tuple((one.secret.reveal(), one.until_at) for one in both))
    call.statements.put_webhook(new)
    call.note("rotate_webhook_secret", known.id, None, _summary(new))
    return _shown(new, secret.reveal())


def active(stored: Sequence[tuple[str, int | None]]) -> tuple[ActiveSecret, ...]:
    """Secrets as they sign."""
    with LOADING:
        from fastcheck.hub.webhooks.sign import ActiveSecret, Secret

    return tuple(ActiveSecret(Secret(secret), until_at) for secret, until_at in stored)


def delete(call: Call, request: DeleteWebhook) -> None:
    """Removes a webhook with what was on its way. Raises `UnknownWebhook`."""
    call.note("delete_webhook", request.id, _summary(_webhook(call, request.id)), None)
    call.statements.remove_webhook(request.id)


def _current(call: Call, request: DeleteWebhook) -> WebhookState | None:
    found = call.statements.webhook(request.id)
    return None if found is None else _shown(found)


def listed(call: Call, request: ListWebhooks) -> Page[WebhookState]:
    """All, in the order in which they were made."""
    return Page(tuple(_shown(one) for one in call.statements.webhooks()), None)


def get(call: Call, request: GetWebhook) -> WebhookState:
    """One. Raises `UnknownWebhook`."""
    return _shown(_webhook(call, request.id))


def disable(call: Call, id: str) -> None:
    """The receiver wants nothing more: what waits for it becomes dead."""
    known = call.statements.webhook(id)
    if known is None:
        return
    call.statements.end_deliveries(id, GONE, call.now)
    if known.enabled:
        call.statements.put_webhook(replace(known, enabled=False))
        call.note("disable_webhook", id, _summary(known), _summary(replace(known, enabled=False)))


def deliveries(call: Call, request: ListDeliveries) -> Page[DeliveryState]:
    """Deliveries in the order of their ids."""
    count = request.limit
    found = call.statements.deliveries_after(request.cursor or "", count + 1, request.state, request.webhook)
    part = tuple(_delivery(one) for one in found[:count])
    return Page(part, part[-1].id if len(found) > count else None)


def replay(call: Call, request: ReplayDelivery) -> DeliveryState:
    """A dead delivery is sent again, from its first attempt on. Raises `UnknownDelivery`, `Conflict` (it is
    not dead, or its webhook is off)."""
    id = request.id
    known = call.statements.delivery(id)
    if known is None:
        raise UnknownDelivery(f"there is no delivery {id!r:.120}: see list_deliveries")
    _check_enabled(_webhook(call, known.webhook))
    if not call.statements.replay_delivery(id, call.now):
        raise Conflict(f"delivery {id} is not dead: only what was given up can be sent again")
    call.note("replay_delivery", known.webhook, None, {"delivery": id})
    return _delivery(call.statements.delivery(id) or known)


def replay_dead(call: Call, request: ReplayDead) -> Count:
    """Everything dead of a webhook is sent again. Raises `UnknownWebhook`, `Conflict`."""
    _check_enabled(_webhook(call, request.id))
    count = call.statements.replay_dead(request.id, call.now)
    call.note("replay_dead", request.id, None, {"deliveries": count})
    return Count(count)


def _delivery(one: StoredDelivery) -> DeliveryState:
    return DeliveryState(
        one.id, one.webhook, one.event, one.kind, one.state, one.attempts, one.next_at, one.why
    )


def _webhook(call: Call, id: str) -> StoredWebhook:
    found = call.statements.webhook(id)
    if found is None:
        raise UnknownWebhook(f"there is no webhook {id!r:.80}: see list_webhooks")
    return found


def _check_enabled(one: StoredWebhook) -> None:
    if not one.enabled:
        raise Conflict(f"webhook {one.id} is off: turn it on with put_webhook")


def _shown(one: StoredWebhook, secret: str | None = None) -> WebhookState:
    return WebhookState(
        one.id,
        one.url,
        one.kinds,
        one.enabled,
        one.created_at,
        one.author,
        one.secrets[0][0][:SHOWN_CHARACTERS],
        secret,
    )


def _summary(one: StoredWebhook) -> dict[str, object]:
    # Only the host: the rest of an address may hold a token.
    return {"host": urlsplit(one.url).hostname, "kinds": one.kinds, "enabled": one.enabled}


USE_CASES = (
    UseCase(PutWebhook, put),
    UseCase(ListWebhooks, listed),
    UseCase(GetWebhook, get),
    UseCase(DeleteWebhook, delete, current=_current),
    UseCase(RotateWebhookSecret, rotate),
    UseCase(ReplayDead, replay_dead),
    UseCase(ListDeliveries, deliveries),
    UseCase(ReplayDelivery, replay),
)
