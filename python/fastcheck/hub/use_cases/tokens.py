"""Tokens: who may speak to a hub, and what for.

A token is ``fc_<environment>_<id>_<secret>``: the id is told to anybody, of the secret (256 random bits) only
the SHA-256 is kept. A hash that is slow on purpose would protect a guessable secret; this one is not."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

from fastcheck.clock import at_utc
from fastcheck.errors import Forbidden, InstantError, NameInvalid, RecordError, UnknownToken, WrongType
from fastcheck.hub.store.statements import StoredToken
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.token_answers import TokenState

SCOPES: Final = ("stream", "spend", "admin", "support")
"""stream: follow changes as a host. spend: reserve and burn. admin: everything. support: read, and small
mendings."""
TEXT_CHARACTERS_MAX: Final = 128
"""Of a token's text; whatever is longer is not looked at."""
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
RATE_PER_S_MAX: Final = 1_000_000
USED_EVERY_MS: Final = 60_000
"""How often the use of a token is written down, at most."""

_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9]{0,15}", re.ASCII)
_TEXT: Final = re.compile(r"fc_([a-z][a-z0-9]{0,15})_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODYS: Final = secrets.token_bytes(32)
"""Compared with where the id is nobody's, so that the time it takes says nothing."""
_UNKNOWN: Final = "the token is not known here: make one with `fastcheck token make`"


class TokenText(NamedTuple):
    """The parts of a token's text."""

    environment: str
    id: str
    secret_sha256: bytes


def parsed(text: object, environment: str) -> TokenText:
    """The parts of a token for this environment. Raises `Forbidden`; the message has nothing of the text."""
    found = _TEXT.fullmatch(text) if isinstance(text, str) and len(text) <= TEXT_CHARACTERS_MAX else None
    if found is None:
        raise Forbidden("the token is malformed: it must be fc_<environment>_<id>_<secret>, all of it")
    if found[1] != environment:
        raise Forbidden(
            f"the token is for the environment {found[1]!r}, this hub is {environment!r}: use one of its own"
        )
    return TokenText(found[1], found[2], _sha256(found[3]))


def judged(stored: StoredToken | None, text: TokenText, now: int) -> TokenState:
    """The token, if it is in force. Raises `Forbidden`. Only who knows the secret is told more than that the
    token is unknown."""
    same = hmac.compare_digest(_NOBODYS if stored is None else stored.secret_sha256, text.secret_sha256)
    if stored is None or not same or stored.state.environment != text.environment:
        raise Forbidden(_UNKNOWN)
    state = stored.state
    if state.revoked_at is not None:
        raise Forbidden(f"the token {state.id} was revoked at {_shown_at(state.revoked_at)}: use another")
    if state.expires_at is not None and state.expires_at <= now:
        raise Forbidden(f"the token {state.id} expired at {_shown_at(state.expires_at)}: make a new one")
    return state


def is_use_due(state: TokenState, now: int) -> bool:
    """Whether it is to be written down that the token is used."""
    return state.last_used_at is None or now - state.last_used_at >= USED_EVERY_MS


def new(environment: str) -> tuple[str, str, bytes]:
    """(text, id, SHA-256 of the secret) of a token to be made."""
    id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return f"fc_{environment}_{id}_{secret}", id, _sha256(secret)


def put(call: Call, token: StoredToken) -> TokenState:
    """Stores a token that was made. Raises `InstantError` where it would be over already."""
    state = token.state
    if state.expires_at is not None and state.expires_at <= call.now:
        raise InstantError(f"expires_at = {state.expires_at} ms has passed: give a later instant, or none")
    call.books.put_token(token)
    call.note("make_token", state.id, None, _summary(state))
    return state


def revoke(call: Call, id: str) -> TokenState:
    """Ends a token for good; again: no change. Raises `UnknownToken`."""
    stored = call.books.token(id)
    if stored is None:
        raise UnknownToken(f"no token has the id {id!r:.80}: see list_tokens")
    if stored.state.revoked_at is None and call.books.revoke_token(id, call.now):
        call.note("revoke_token", id, _summary(stored.state), None)
        stored = call.books.token(id)
        assert stored is not None  # Tokens are never removed.
    return stored.state


def checked_scopes(scopes: object) -> tuple[str, ...]:
    """Scopes in their order, each once. Raises `WrongType`, `NameInvalid`."""
    if isinstance(scopes, (str, bytes)) or not isinstance(scopes, Iterable):
        raise WrongType("scopes must be a list of str")
    asked = list(scopes)
    for one in asked:
        if one not in SCOPES:
            raise NameInvalid(f"there is no scope {one!r:.40}: use some of {', '.join(SCOPES)}")
    if not asked:
        raise NameInvalid(f"scopes is empty: name at least one of {', '.join(SCOPES)}")
    return tuple(one for one in SCOPES if one in asked)


def checked_environment(environment: object) -> str:
    """Raises `WrongType`, `NameInvalid`."""
    if not isinstance(environment, str):
        raise WrongType(f"environment must be a str, not {type(environment).__name__}")
    if _ENVIRONMENT.fullmatch(environment) is None:
        raise NameInvalid(
            f"an environment is 1 to 16 of a-z and 0-9 and begins with a letter, such as live; not "
            f"{environment!r:.40}"
        )
    return environment


def checked_rate(rate_per_s: object) -> int | None:
    """Raises `WrongType`, `RecordError`."""
    if rate_per_s is None:
        return None
    if isinstance(rate_per_s, bool) or not isinstance(rate_per_s, int):
        raise WrongType(f"rate_per_s must be an int, not {type(rate_per_s).__name__}")
    if not 1 <= rate_per_s <= RATE_PER_S_MAX:
        raise RecordError(f"rate_per_s must lie between 1 and {RATE_PER_S_MAX}")
    return rate_per_s


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _shown_at(at: int) -> str:
    return f"{at_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def _summary(state: TokenState) -> dict[str, object]:
    return {
        "name": state.name,
        "environment": state.environment,
        "scopes": state.scopes,
        "expires_at": state.expires_at,
        "rate_per_s": state.rate_per_s,
    }
