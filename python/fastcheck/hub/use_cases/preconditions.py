"""What a caller takes for granted about what they change, checked inside the change's own transaction: nobody
comes in between. Whether it holds is for the caller to say; here is what there is, read and held."""

from __future__ import annotations

from collections.abc import Callable

from fastcheck.hub.use_cases import webhooks
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.event_answers import WebhookState

Expects = Callable[[Call], None]
"""Raises `PreconditionFailed`; run before anything is changed."""


def catalog(check: Callable[[str | None], None]) -> Expects:
    """`check` is told the digest of the catalog in force, or None. Whoever changes the catalog is alone."""

    def expects(call: Call) -> None:
        stored = call.books.catalog()
        check(None if stored is None else stored.digest)

    return expects


def webhook(id: str, check: Callable[[WebhookState | None], None]) -> Expects:
    """`check` is told of the webhook, or of None."""

    def expects(call: Call) -> None:
        row = call.books.webhook(id)
        check(None if row is None else webhooks.shown(row))

    return expects
