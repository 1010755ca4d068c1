"""What a caller takes for granted about what they change, checked inside the change's own transaction: nobody
comes in between. Whether it holds is for the caller to say; here is what there is, read and held."""

from __future__ import annotations

from collections.abc import Callable

from fastcheck.hub.use_cases import customers, segments, webhooks
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.answers import Customer, Segment
from fastcheck.wire.event_answers import WebhookState

Expects = Callable[[Call], None]
"""Raises `PreconditionFailed`; run before anything is changed."""


def customer(key: str, check: Callable[[Customer | None], None]) -> Expects:
    """`check` is told of the customer, or of None where there is none."""

    def expects(call: Call) -> None:
        if call.books.number_of(key) is None:
            # There is no row to hold. Whoever makes a customer takes a number, and waits now until this ends.
            call.books.take_numbers(0)
        known = call.books.number_of(key) is not None
        check(customers.shown(call.held(key).record) if known else None)

    return expects


def segment(name: str, check: Callable[[Segment | None], None]) -> Expects:
    """`check` is told of the segment, or of None."""

    def expects(call: Call) -> None:
        row = call.books.segment(name, held=True)
        check(None if row is None or row.ending else segments.shown(call, row))

    return expects


def webhook(id: str, check: Callable[[WebhookState | None], None]) -> Expects:
    """`check` is told of the webhook, or of None."""

    def expects(call: Call) -> None:
        row = call.books.webhook(id)
        check(None if row is None else webhooks.shown(row))

    return expects
