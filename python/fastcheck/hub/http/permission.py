"""Who makes an HTTP request, and whether their token allows what it asks for."""

from __future__ import annotations

from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from fastcheck.errors import FastcheckError, Forbidden, RateLimited
from fastcheck.hub.access.auth import Authenticator, Principal
from fastcheck.wire.scopes import allows, scopes_of


class Permission:
    """Tokens, as HTTP brings them."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def principal_of(self, request: Request) -> Principal:
        """Who makes this request, which counts as one. Raises `HTTPException` (401), `RateLimited`, and
        `StoreError` and its like."""
        known, who = self._authenticator, ""
        try:
            text = known.bearer(request.headers.get("authorization"))
            state = known.remembered(text)
            if state is None:
                state = await run_in_threadpool(known.look_up, text)
            who = state.id
            principal = known.spend(state)
        except (Forbidden, RateLimited) as error:
            await self.note_refusal(request, error, who)
            if isinstance(error, Forbidden):
                raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from error
            raise
        request.state.principal = principal
        return principal

    async def note_refusal(self, request: Request, error: Forbidden | RateLimited, who: str) -> None:
        """Counts a refusal, and notes it in the audit log. `who`: the token's id, "" where there is none."""
        source = "" if request.client is None else request.client.host
        what = f"{request.method} {request.url.path}"
        with suppress(FastcheckError):  # A refusal stands whether it can be written down or not.
            await run_in_threadpool(self._authenticator.refused, error, source, who, what)


async def permitted(request: Request, verb: str) -> Principal:
    """Who asks, if their token allows a verb. Raises `HTTPException` (401) where no token is in force,
    `RateLimited`, and `Forbidden` (403) where none of its scopes allows it.

    The application says who asks by `app.state.principal_of`, and notes a refusal by
    `app.state.note_refusal`, if it has one: `Permission` offers both."""
    state = request.app.state
    principal: Principal = await state.principal_of(request)
    if any(allows(scope, verb) for scope in principal.scopes):
        return principal
    error = Forbidden(
        f"the token {principal.name!r:.80} has the scopes {', '.join(sorted(principal.scopes))}: "
        f"this needs {' or '.join(scopes_of(verb))}"
    )
    note = getattr(state, "note_refusal", None)
    if note is not None:
        await note(request, error, principal.id)
    raise error
