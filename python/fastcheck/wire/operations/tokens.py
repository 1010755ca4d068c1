"""Tokens: who may ask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from fastcheck.errors import NameInvalid, WrongType
from fastcheck.wire.answers import Page
from fastcheck.wire.fields import Called, Cursor, InstantMs, Kind, Limit, Name, Told, whole
from fastcheck.wire.operation import Operation, Repeat, Request
from fastcheck.wire.scopes import SCOPES
from fastcheck.wire.token_answers import MadeToken, TokenState

SCOPES_MAX: Final = 16
RATE_PER_S_MAX: Final = 1_000_000
_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9]{0,15}", re.ASCII)


def _scopes(value: object, what: str) -> tuple[str, ...]:
    """Scopes in their order, each once. Raises `WrongType`, `NameInvalid`."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise WrongType("scopes must be a list of str")
    asked = []
    for one in value:
        if one not in SCOPES:
            raise NameInvalid(f"there is no scope {one!r:.40}: use some of {', '.join(SCOPES)}")
        asked.append(one)
        if len(asked) > SCOPES_MAX:
            raise NameInvalid(f"scopes names more than {SCOPES_MAX}: name each once")
    if not asked:
        raise NameInvalid(f"scopes is empty: name at least one of {', '.join(SCOPES)}")
    return tuple(one for one in SCOPES if one in asked)


def _environment(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise WrongType(f"environment must be a str, not {type(value).__name__}")
    if _ENVIRONMENT.fullmatch(value) is None:
        raise NameInvalid(
            f"an environment is 1 to 16 of a-z and 0-9 and begins with a letter, such as live; not "
            f"{value!r:.40}"
        )
    return value


def _rate(value: object, what: str) -> int:
    return whole(value, what, 1, RATE_PER_S_MAX)


Scopes = Annotated[tuple[str, ...], Kind(_scopes, schema={"maxItems": SCOPES_MAX}), Told((["spend"],))]
Environment = Annotated[str, Kind(_environment, schema={"maxLength": 64}), Told(("live",))]
Rate = Annotated[int, Kind(_rate, schema={"minimum": 1, "maximum": RATE_PER_S_MAX})]


@dataclass(frozen=True)
class MakeToken(Request[MadeToken]):
    """Makes a token. `token` is in this answer and never again; repeated with its Idempotency-Key, the answer
    has none."""

    name: Annotated[Name, Called("a token's name"), Told(("billing",))]
    """What people call it."""
    scopes: Scopes
    """Some of stream, spend, admin and support."""
    environment: Environment = "live"
    """The hubs it is for."""
    expires_at: InstantMs | None = None
    """None: for good."""
    rate_per_s: Rate | None = None
    """Requests it may make each second; None: the hub's default."""


@dataclass(frozen=True)
class ListTokens(Request[Page[TokenState]]):
    """All tokens, those that are over included. For administrators."""

    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class RevokeToken(Request[TokenState]):
    """Ends a token for good, within a second on every hub; again changes nothing."""

    id: Annotated[Name, Called("a token's id")]


OPERATIONS = (
    # Repeated, it would answer without the token's text, or make another token.
    Operation(MakeToken, "POST", "/tokens", "tokens.write", repeat=Repeat.NEVER),
    Operation(ListTokens, "GET", "/tokens", "tokens.read"),
    Operation(RevokeToken, "DELETE", "/tokens/{id}", "tokens.write", repeat=Repeat.NAMES),
)
