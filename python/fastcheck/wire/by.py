"""In whose name a change is asked for, why, and under which key it is made only once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from fastcheck.wire.names import name, note


@dataclass(frozen=True)
class By:
    """Who asks for a change, why, and under which key it is done only once."""

    author: str = ""
    reason: str = ""
    key: str | None = None
    """The idempotency key; None: each call is a change of its own."""

    def __post_init__(self) -> None:
        note(self.author, "author")
        note(self.reason, "reason")
        if self.key is not None:
            name(self.key, "the idempotency key")


ANYBODY: Final = By()


def own_id(prefix: str, key: str | None) -> str:
    """A new id for what is to be made; under an idempotency key the same at every repetition, since it is
    part of the request."""
    if key is None:
        return f"{prefix}_{secrets.token_hex(12)}"
    return f"{prefix}_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
