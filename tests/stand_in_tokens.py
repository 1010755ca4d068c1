"""Tokens as the service keeps them, in memory: for a tree whose service has none yet. To be deleted with the
store's own (`hub/service/tokens.py`)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, ClassVar

from fastcheck.answers import Page
from fastcheck.errors import NameInvalid, UnknownToken
from fastcheck.hub.requests import ANYBODY, By
from fastcheck.hub.service import Service
from fastcheck.token_answers import MadeToken, TokenState


class ServiceWithTokens(Service):
    """Makes, lists and revokes tokens, and forgets them with the process."""

    _of_ledgers: ClassVar[dict[str, dict[str, TokenState]]] = {}

    def _kept(self) -> dict[str, TokenState]:
        return self._of_ledgers.setdefault(str(self.epoch()), {})

    def make_token(
        self,
        name: str,
        scopes: Any,
        *,
        environment: str,
        expires_at: int | None = None,
        rate_per_s: int | None = None,
        by: By = ANYBODY,
    ) -> MadeToken:
        if not scopes or not {"stream", "spend", "admin", "support"}.issuperset(scopes):
            raise NameInvalid("there is no such scope")
        state = TokenState(
            secrets.token_hex(8), environment, name, tuple(scopes), by.author, self._clock.now_ms(),
            expires_at, None, None, rate_per_s,
        )  # fmt: skip
        self._kept()[state.id] = state
        return MadeToken(f"fc_{environment}_{state.id}_{secrets.token_urlsafe(32)}", state)

    def list_tokens(self, cursor: str | None = None, limit: int = 100) -> Page[TokenState]:
        found = [one for id, one in sorted(self._kept().items()) if id > (cursor or "")]
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def revoke_token(self, id: str, *, by: By = ANYBODY) -> TokenState:
        if id not in self._kept():
            raise UnknownToken(f"no token has the id {id!r:.80}: see list_tokens")
        state = self._kept()[id]
        self._kept()[id] = replace(state, revoked_at=state.revoked_at or self._clock.now_ms())
        return self._kept()[id]
