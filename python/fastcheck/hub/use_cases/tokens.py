"""Tokens: who may speak to a hub, and what for.

A token is ``fc_<environment>_<id>_<secret>``: the id is told to anybody, of the secret (256 random bits) only
the SHA-256 is kept. A hash that is slow on purpose would protect a guessable secret; this one is not."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import replace
from typing import Final, NamedTuple

from fastcheck.clock import at_utc
from fastcheck.errors import Forbidden, InstantError, UnknownToken
from fastcheck.hub.store.statements import StoredToken
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.wire.answers import Page
from fastcheck.wire.operations.tokens import ListTokens, MakeToken, RevokeToken
from fastcheck.wire.token_answers import MadeToken, TokenState

TEXT_CHARACTERS_MAX: Final = 128
"""Of a token's text; whatever is longer is not looked at."""
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
USED_EVERY_MS: Final = 60_000
"""How often the use of a token is written down, at most."""

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


def make(call: Call, request: MakeToken) -> MadeToken:
    """Makes a token; its text is in this answer alone, and nowhere else. Raises `InstantError` where it would
    be over already."""
    end = request.expires_at
    if end is not None and end <= call.now:
        raise InstantError(f"expires_at = {end} ms has passed: give a later instant, or none")
    text, id, secret_sha256 = new(request.environment)
    state = TokenState(
        id,
        request.environment,
        request.name,
        request.scopes,
        call.by.author,
        call.now,
        end,
        None,
        None,
        request.rate_per_s,
    )
    call.statements.put_token(StoredToken(state, secret_sha256))
    call.note("make_token", state.id, None, _summary(state))
    return MadeToken(text, state)


def without_text(made: MadeToken) -> MadeToken:
    """What is kept of the answer for repetitions."""
    return replace(made, token=None)


def listed(call: Call, request: ListTokens) -> Page[TokenState]:
    """All, in the order of their ids, those that are over included."""
    found = call.statements.tokens_after(request.cursor or "", request.limit + 1)
    part = tuple(one.state for one in found[: request.limit])
    return Page(part, part[-1].id if len(found) > request.limit else None)


def revoke(call: Call, request: RevokeToken) -> TokenState:
    """Ends a token for good; again: no change. Raises `UnknownToken`."""
    id = request.id
    stored = call.statements.token(id)
    if stored is None:
        raise UnknownToken(f"no token has the id {id!r:.80}: see list_tokens")
    if stored.state.revoked_at is None and call.statements.revoke_token(id, call.now):
        call.note("revoke_token", id, _summary(stored.state), None)
        stored = call.statements.token(id)
        assert stored is not None  # Tokens are never removed.
    return stored.state


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


USE_CASES = (
    UseCase(MakeToken, make, kept=without_text),
    UseCase(ListTokens, listed),
    UseCase(RevokeToken, revoke),
)
