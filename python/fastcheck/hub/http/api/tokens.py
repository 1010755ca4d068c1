"""Tokens: who may ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Protocol, cast

from pydantic import Field, StrictInt, StrictStr
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Asked, Changes, ReadsAll
from fastcheck.hub.http.api.bodies import Body, Cursor, Id, Instant, Limit, Name, instant_of
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.wire.answers import Page
from fastcheck.wire.by import By
from fastcheck.wire.token_answers import MadeToken, TokenState

router = subject("tokens")

SCOPES_MAX = 16


class Tokens(Protocol):
    """What is asked of the service."""

    def make_token(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        environment: str,
        expires_at: int | None = None,
        rate_per_s: int | None = None,
        by: By = ...,
    ) -> MadeToken:
        """Makes a token."""
        ...

    def list_tokens(self, cursor: str | None = None, limit: int = 100) -> Page[TokenState]:
        """All tokens."""
        ...

    def revoke_token(self, id: str, *, by: By = ...) -> TokenState:
        """Ends a token."""
        ...


class TokenTerms(Body):
    """A token to be made."""

    name: Name = Field(description="What people call it.", examples=["billing"])
    scopes: list[Annotated[StrictStr, Field(max_length=32)]] = Field(
        max_length=SCOPES_MAX, description="Some of stream, spend, admin and support.", examples=[["spend"]]
    )
    environment: StrictStr = Field(
        default="live", max_length=64, description="The hubs it is for.", examples=["live"]
    )
    expires_at: Instant | None = Field(default=None, description="null: for good.")
    rate_per_s: StrictInt | None = Field(
        default=None, description="Requests it may make each second; null: the hub's default."
    )


def _tokens(asked: Asked) -> Tokens:
    return cast(Tokens, asked.service)


@router.post("/tokens", **answers(MadeToken, changes=True))
def make_token(body: TokenTerms, change: Changes) -> Response:
    """Makes a token. `token` is in this answer and never again; repeated with its Idempotency-Key, the answer
    has none."""
    made = _tokens(change).make_token(
        body.name,
        body.scopes,
        environment=body.environment,
        expires_at=instant_of(body.expires_at, "expires_at"),
        rate_per_s=body.rate_per_s,
        by=change.by,
    )
    return change.done(made)


@router.get("/tokens", **answers(Page[TokenState]))
def list_tokens(asked: ReadsAll, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """All tokens, those that are over included. For administrators."""
    return asked.answer(_tokens(asked).list_tokens(cursor, limit), Page[TokenState])


@router.delete("/tokens/{id:name}", **answers(TokenState, changes=True))
def revoke_token(id: Id, change: Changes) -> Response:
    """Ends a token for good, within a second on every hub; again changes nothing."""
    return change.done(_tokens(change).revoke_token(id, by=change.by))
