"""Webhooks, and what is on its way to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field, StrictInt, StrictStr
from starlette.responses import Response

from fastcheck.errors import UnknownWebhook
from fastcheck.hub.http.api.asked import Changes, ChangesTagged, Reads
from fastcheck.hub.http.api.bodies import Body, Cursor, Id, Limit, QueryText
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.hub.service.webhooks import OVERLAP_MS, OVERLAP_MS_MAX
from fastcheck.hub.use_cases import preconditions
from fastcheck.wire.answers import Page
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.shapes import Count

router = subject("webhooks")

URL_CHARACTERS_MAX = 2_048
KINDS_MAX = 64


class WebhookTerms(Body):
    """Where events are sent."""

    url: StrictStr = Field(
        min_length=1,
        max_length=URL_CHARACTERS_MAX,
        description="https://, or http:// to the hub's own machine.",
        examples=["https://example.com/hook"],
    )
    kinds: list[Annotated[StrictStr, Field(max_length=64)]] | None = Field(
        default=None,
        max_length=KINDS_MAX,
        description="Only events of these kinds; null: all.",
        examples=[["low_balance"]],
    )


class Rotation(Body):
    """Another secret."""

    overlap_ms: StrictInt = Field(
        default=OVERLAP_MS,
        description="How long the old one signs as well, 30 days at most.",
        json_schema_extra={"minimum": 0, "maximum": OVERLAP_MS_MAX},
    )


@router.post("/webhooks", **answers(WebhookState, changes=True))
def put_webhook(body: WebhookTerms, change: Changes) -> Response:
    """Sends events to an address, as Standard Webhooks. `secret` is in this answer and never again. Of an
    address that is known already, changes the kinds and turns it on."""
    kinds = None if body.kinds is None else tuple(body.kinds)
    return change.done(change.service.put_webhook(body.url, kinds, by=change.by))


@router.get("/webhooks", **answers(Page[WebhookState]))
def list_webhooks(asked: Reads) -> Response:
    """Where events are sent; on one page."""
    return asked.answer(Page(tuple(asked.service.list_webhooks()), None), Page[WebhookState])


@router.get("/webhooks/{id:name}", **answers(WebhookState, single=True))
def get_webhook(id: Id, asked: Reads) -> Response:
    """One webhook."""
    found = next((one for one in asked.service.list_webhooks() if one.id == id), None)
    if found is None:
        raise UnknownWebhook(f"there is no webhook {id!r:.80}: see list_webhooks")
    return asked.single(found)


@router.delete("/webhooks/{id:name}", **answers(None, changes=True))
def delete_webhook(id: Id, change: ChangesTagged) -> Response:
    """Sends nothing more there, and forgets what was on its way."""
    service = change.service
    if change.conditional:
        service = service.provided(preconditions.webhook(id, change.check))
    service.delete_webhook(id, by=change.by)
    return change.nothing()


@router.post("/webhooks/{id:name}/secret", **answers(WebhookState, changes=True))
def rotate_webhook_secret(id: Id, body: Rotation, change: Changes) -> Response:
    """Gives a webhook another secret, shown in this answer."""
    return change.done(change.service.rotate_webhook_secret(id, body.overlap_ms, by=change.by))


@router.post("/webhooks/{id:name}/replays", **answers(Count, changes=True))
def replay_dead(id: Id, change: Changes) -> Response:
    """Sends everything dead of a webhook again; how many."""
    return change.done(Count(change.service.replay_dead(id, by=change.by)))


@router.get("/deliveries", **answers(Page[DeliveryState]))
def list_deliveries(
    asked: Reads,
    cursor: Cursor = None,
    limit: Limit = 100,
    state: Annotated[
        QueryText | None, Query(max_length=64, description="waiting, delivered or dead.")
    ] = None,
    webhook: Annotated[
        QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only to this one.")
    ] = None,
) -> Response:
    """Events on their way."""
    return asked.answer(asked.service.list_deliveries(cursor, limit, state, webhook), Page[DeliveryState])


@router.post("/deliveries/{id:name}/replays", **answers(DeliveryState, changes=True))
def replay_delivery(id: Id, change: Changes) -> Response:
    """Sends a dead delivery again."""
    return change.done(change.service.replay_delivery(id, by=change.by))
