"""Tokens: who may speak to a hub. Only a hub has them: `ents.admin` does not."""

from __future__ import annotations

from collections.abc import Iterable

from fastcheck.admin.base import AdminBase
from fastcheck.errors import WrongType
from fastcheck.wire.answers import Page
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.tokens import ListTokens, MakeToken, RevokeToken
from fastcheck.wire.token_answers import MadeToken, TokenState


class TokenMethods(AdminBase):
    """Makes, lists and revokes tokens."""

    def make_token(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        environment: str = "live",
        expires_at: Instant | None = None,
        rate_per_s: int | None = None,
        reason: str = "",
    ) -> MadeToken:
        """Makes a token for hubs of an environment; its text is in this answer and never again. `scopes`:
        some of stream, spend, admin, support. This request is never repeated by itself.

        Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError`."""
        if isinstance(scopes, (str, bytes)):
            raise WrongType("scopes must be a list of str, not one str")
        end = at_ms(expires_at, "expires_at")
        return self._ask(MakeToken(name, tuple(scopes), environment, end, rate_per_s), reason)

    def list_tokens(self, cursor: str | None = None, limit: int = 100) -> Page[TokenState]:
        """All tokens, those that are over included; `page.cursor` asks for the rest."""
        return self._ask(ListTokens(cursor, limit))

    def revoke_token(self, id: str, *, reason: str = "") -> TokenState:
        """Ends a token for good; again: no change. Streams that it opened end within a second. Raises
        `UnknownToken`."""
        return self._ask(RevokeToken(id), reason)
