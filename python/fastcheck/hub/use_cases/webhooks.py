"""Webhooks: who is told of events, with which secret, and what became of it.

Signing and sending need the extra `webhooks`, which is loaded only where somebody asks for it."""

from __future__ import annotations

import secrets as chance
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastcheck.errors import Conflict, MissingExtra, NameInvalid, UnknownDelivery, UnknownWebhook, WrongType
from fastcheck.hub.store.statements import StoredDelivery, StoredWebhook
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.events import Kind

if TYPE_CHECKING:
    from fastcheck.hub.webhooks.sign import ActiveSecret

SHOWN_CHARACTERS = 8
"""Of a secret, once it is made."""
GONE = "the endpoint is disabled"


def checked_kinds(kinds: object) -> tuple[str, ...] | None:
    """Kinds of events, sorted. Raises `WrongType`, `NameInvalid`."""
    if kinds is None:
        return None
    if isinstance(kinds, (str, bytes)) or not isinstance(kinds, Sequence | set | frozenset):
        raise WrongType("kinds must be a list of str")
    known = [one.value for one in Kind]
    for one in kinds:
        if one not in known:
            raise NameInvalid(f"no event is of kind {one!r:.40}: use some of {', '.join(known)}")
    if not kinds:
        raise NameInvalid("kinds is empty: name at least one, or leave it out for all")
    return tuple(sorted({str(one) for one in kinds}))


def put(call: Call, url: str, kinds: tuple[str, ...] | None) -> WebhookState:
    """Makes a webhook, or changes which events the one of that address gets and turns it on. Raises
    `MissingExtra`, `WrongType`, `NameInvalid`."""
    check_extra()
    from fastcheck.hub.webhooks.http import check_url
    from fastcheck.hub.webhooks.sign import new_secret

    check_url(url)
    known = call.books.webhook_at(url)
    if known is not None:
        known = call.books.webhook(known.id) or known
        new, secret = replace(known, kinds=kinds, enabled=True), None
    else:
        secret = new_secret().reveal()
        new = StoredWebhook(
            f"wh_{chance.token_hex(8)}", url, kinds, ((secret, None),), True, call.by.author, call.now
        )
    if new != known:
        call.books.put_webhook(new)
        call.note("put_webhook", new.id, None if known is None else _summary(known), _summary(new))
    return shown(new, secret)


def check_extra() -> None:
    """Raises `MissingExtra` where webhooks cannot be signed or sent."""
    try:
        import httpx  # noqa: F401
        import standardwebhooks  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"webhooks need the package {error.name}: pip install 'fastcheck[webhooks]'"
        ) from error


def rotate(call: Call, id: str, overlap_ms: int) -> WebhookState:
    """Gives a webhook another secret; the old one signs as well until the overlap has passed."""
    check_extra()
    from fastcheck.hub.webhooks.sign import new_secret, rotated

    known, secret = _webhook(call, id), new_secret()
    both = rotated(active(known.secrets), secret, call.now, overlap_ms)
    new = replace(known, secrets=tuple((one.secret.reveal(), one.until_at) for one in both))
    call.books.put_webhook(new)
    call.note("rotate_webhook_secret", id, None, _summary(new))
    return shown(new, secret.reveal())


def active(stored: Sequence[tuple[str, int | None]]) -> tuple[ActiveSecret, ...]:
    """Secrets as they sign."""
    from fastcheck.hub.webhooks.sign import ActiveSecret, Secret

    return tuple(ActiveSecret(Secret(secret), until_at) for secret, until_at in stored)


def delete(call: Call, id: str) -> None:
    """Removes a webhook with what was on its way. Raises `UnknownWebhook`."""
    call.note("delete_webhook", id, _summary(_webhook(call, id)), None)
    call.books.remove_webhook(id)


def listed(call: Call) -> list[WebhookState]:
    """All, in the order in which they were made."""
    return [shown(one) for one in call.books.webhooks()]


def disable(call: Call, id: str) -> None:
    """The receiver wants nothing more: what waits for it becomes dead."""
    known = call.books.webhook(id)
    if known is None:
        return
    call.books.end_deliveries(id, GONE, call.now)
    if known.enabled:
        call.books.put_webhook(replace(known, enabled=False))
        call.note("disable_webhook", id, _summary(known), _summary(replace(known, enabled=False)))


def replay(call: Call, id: str) -> DeliveryState:
    """A dead delivery is sent again, from its first attempt on. Raises `UnknownDelivery`, `Conflict` (it is
    not dead, or its webhook is off)."""
    known = call.books.delivery(id)
    if known is None:
        raise UnknownDelivery(f"there is no delivery {id!r:.120}: see list_deliveries")
    _check_enabled(_webhook(call, known.webhook))
    if not call.books.replay_delivery(id, call.now):
        raise Conflict(f"delivery {id} is not dead: only what was given up can be sent again")
    call.note("replay_delivery", known.webhook, None, {"delivery": id})
    return delivery_state(call.books.delivery(id) or known)


def replay_dead(call: Call, webhook: str) -> int:
    """Everything dead of a webhook is sent again; how many. Raises `UnknownWebhook`, `Conflict`."""
    _check_enabled(_webhook(call, webhook))
    count = call.books.replay_dead(webhook, call.now)
    call.note("replay_dead", webhook, None, {"deliveries": count})
    return count


def delivery_state(one: StoredDelivery) -> DeliveryState:
    """A delivery as callers see it."""
    return DeliveryState(
        one.id, one.webhook, one.event, one.kind, one.state, one.attempts, one.next_at, one.why
    )


def _webhook(call: Call, id: str) -> StoredWebhook:
    found = call.books.webhook(id)
    if found is None:
        raise UnknownWebhook(f"there is no webhook {id!r:.80}: see list_webhooks")
    return found


def _check_enabled(one: StoredWebhook) -> None:
    if not one.enabled:
        raise Conflict(f"webhook {one.id} is off: turn it on with put_webhook")


def shown(one: StoredWebhook, secret: str | None = None) -> WebhookState:
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
