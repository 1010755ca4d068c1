"""Secrets and signatures: what proves to a receiver that a webhook is ours.

A receiver, with the library `standardwebhooks` and the secret it was shown once:

>>> from fastcheck.clock import SystemClock
>>> from standardwebhooks import Webhook
>>> secret = new_secret()
>>> body = b'{"type":"limit_reached","timestamp":"2024-05-01T00:00:00.000Z","data":{"customer":"acme"}}'
>>> headers = signed_headers("evt_1", SystemClock().now_ms(), body, [secret])
>>> sorted(headers)
['webhook-id', 'webhook-signature', 'webhook-timestamp']
>>> Webhook(secret.reveal()).verify(body, headers)["data"]
{'customer': 'acme'}

It verifies the bytes as they came, before it parses them; takes any exception for a refusal (a header that
is no signature at all raises `ValueError`); and remembers `webhook-id` to tell repeats:

>>> Webhook(secret.reveal()).verify(body.replace(b"acme", b"evil"), headers)
Traceback (most recent call last):
standardwebhooks.webhooks.WebhookVerificationError: No matching signature found

A secret is replaced without a gap: for a while webhooks carry a signature of the new one and of the old one.

>>> now = SystemClock().now_ms()
>>> both = rotated([ActiveSecret(secret)], new_secret(), now, overlap_ms=86_400_000)
>>> headers = signed_headers("evt_2", now, body, in_force(both, now))
>>> for one in both:
...     assert Webhook(one.secret.reveal()).verify(body, headers)
>>> len(in_force(both, now + 86_400_000))
1
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from standardwebhooks import Webhook

from fastcheck.errors import NameInvalid, WrongType
from fastcheck.wire.events import EPOCH

PREFIX = "whsec_"
SECRET_BYTES = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
"""What the standard allows for secrets that come from elsewhere."""
SECRETS_MAX = 4
"""Secrets in force at once: the header stays short."""


class Secret:
    """A signing secret that does not show itself in logs and messages."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """`text`: "whsec_" and base64 of 24 to 64 bytes. Raises `WrongType`, `NameInvalid`."""
        if not isinstance(text, str):
            raise WrongType(f"a secret must be a str, not {type(text).__name__}")
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
            raise NameInvalid(f"a webhook secret is {PREFIX} and base64 of 24 to 64 bytes")
        self._text = text

    def reveal(self) -> str:
        """The text: for the store, and once for the person who sets up the receiver."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({PREFIX}…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled: store what reveal() says, where secrets belong")


@dataclass(frozen=True)
class ActiveSecret:
    """A secret of an endpoint."""

    secret: Secret
    until_at: int | None = None
    """The instant from which it is used no more; None: the current one."""


def new_secret() -> Secret:
    """A secret from the system's random source."""
    return Secret(PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


def rotated(
    known: Sequence[ActiveSecret], new: Secret, now: int, overlap_ms: int
) -> tuple[ActiveSecret, ...]:
    """A new secret first; those in force end after the overlap, unless they end sooner. Beyond `SECRETS_MAX`
    the oldest go."""
    end = now + overlap_ms
    older = [
        replace(one, until_at=end if one.until_at is None else min(one.until_at, end))
        for one in known
        if one.until_at is None or now < one.until_at
    ]
    return (ActiveSecret(new), *older)[:SECRETS_MAX]


def in_force(known: Sequence[ActiveSecret], now: int) -> list[Secret]:
    """The secrets to sign with."""
    return [one.secret for one in known if one.until_at is None or now < one.until_at]


def signed_headers(id: str, now: int, body: bytes, with_secrets: Sequence[Secret]) -> dict[str, str]:
    """The headers of one attempt: the event's id, the time of the attempt, a signature for each secret.
    Raises `NameInvalid` where there is no secret."""
    if not with_secrets:
        raise NameInvalid("the endpoint has no secret in force: give it one")
    seconds = now // 1_000
    moment = EPOCH + timedelta(seconds=seconds)
    text = body.decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(Webhook(one.reveal()).sign(id, moment, text) for one in with_secrets),
    }
