"""What an endpoint is given, and how it answers: the service, in whose name a change is made, entity tags.

Endpoints are plain functions: they run in threads, since the service waits for the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, Request
from starlette.responses import Response

from fastcheck.clock import Clock
from fastcheck.errors import NameInvalid, PreconditionFailed
from fastcheck.hub.access.auth import Principal, allowed
from fastcheck.hub.service import Service
from fastcheck.wire.by import By, own_id
from fastcheck.wire.headers import AUTHOR, EPOCH, IDEMPOTENCY_KEY, REASON, SEQ
from fastcheck.wire.json import shape, write
from fastcheck.wire.names import NAME_BYTES_MAX, REASON_BYTES_MAX

TAG_CHARACTERS = 32
"""Of a SHA-256 in hex: enough that no two representations share a tag."""


def body_of(answer: Any, hint: Any = None) -> bytes:
    """An answer as JSON. `hint`: its type where the class does not say it all, as of a page."""
    plain = write(answer, shape(type(answer) if hint is None else hint))
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def tag_of(body: bytes) -> str:
    """The strong entity tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:TAG_CHARACTERS]}"'


def named(header: str, tag: str | None, *, weak: bool = False) -> bool:
    """Whether an If-Match or If-None-Match header names what there is; `tag` None: there is nothing. `weak`:
    a tag counts that a proxy on the way made a weak one, as only If-None-Match allows."""
    tags = {one.strip() for one in header.split(",")}
    return tag is not None and ("*" in tags or tag in tags or (weak and f"W/{tag}" in tags))


@dataclass(frozen=True)
class Asked:
    """A request."""

    service: Service
    clock: Clock
    if_match: str | None
    if_none_match: str | None

    def answer(self, answer: Any, hint: Any = None) -> Response:
        """What was asked for."""
        return Response(body_of(answer, hint), media_type="application/json")

    def single(self, answer: Any) -> Response:
        """One resource with its entity tag; 304 where the caller has it."""
        body = body_of(answer)
        return self.tagged(body, tag_of(body), "application/json")

    def tagged(
        self, body: bytes, tag: str, media_type: str, headers: dict[str, str] | None = None
    ) -> Response:
        """A representation with its entity tag; 304 where the caller has it."""
        told = {"ETag": tag, **(headers or {})}
        if self.if_none_match is not None and named(self.if_none_match, tag, weak=True):
            return Response(status_code=304, headers=told)
        return Response(body, media_type=media_type, headers=told)


@dataclass(frozen=True)
class Change(Asked):
    """A request that changes something."""

    by: By

    @property
    def conditional(self) -> bool:
        """Whether it is made only where something is as the caller saw it."""
        return self.if_match is not None or self.if_none_match is not None

    def reason(self, own: str | None) -> str:
        """Why: the body's own word, or the header's."""
        return self.by.reason if own is None else own

    def own_id(self, given: str | None, prefix: str, event: str | None = None) -> str:
        """The id of what is to be made: the caller's, or that of the event, or a new one; under an
        idempotency key the same at every repetition, since it is part of the request."""
        if given is not None:
            return given
        if event is not None:
            return f"{prefix}:{event}"
        return own_id(prefix, self.by.key)

    def check(self, current: Any) -> None:
        """Raises `PreconditionFailed` unless what there is (None: nothing) is what the request takes for
        granted."""
        self.check_tag(None if current is None else tag_of(body_of(current)))

    def check_tag(self, tag: str | None) -> None:
        """The same by its entity tag."""
        if self.if_match is not None and not named(self.if_match, tag):
            raise PreconditionFailed("it was changed since it was read: read it again, and decide anew")
        if self.if_none_match is not None and named(self.if_none_match, tag, weak=True):
            raise PreconditionFailed("it is there already: read it, and decide anew")

    def done(self, answer: Any, hint: Any = None) -> Response:
        """What was changed, with where the ledger is after it."""
        response = self.answer(answer, hint)
        return self._placed(response)

    def nothing(self) -> Response:
        """The change was made, and there is nothing else to say."""
        return self._placed(Response(status_code=204))

    def _placed(self, response: Response) -> Response:
        # Read after the commit, so it may be past the change: a host that has come so far has the change too.
        at = self.service.position()
        response.headers[SEQ] = str(at.seq)
        response.headers[EPOCH] = str(at.epoch)
        return response


Tag = Annotated[str | None, Header(max_length=4_096, description="Entity tags, as `ETag` gave them, or `*`.")]
Author = Annotated[
    str | None,
    Header(
        alias=AUTHOR,
        max_length=3 * REASON_BYTES_MAX,
        description="In whose name, for the audit log: noted as `<token's name>/<author>`. "
        "Percent-encoded UTF-8.",
    ),
]
Reason = Annotated[
    str | None,
    Header(
        alias=REASON,
        max_length=3 * REASON_BYTES_MAX,
        description="Why, for the audit log. Percent-encoded UTF-8.",
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        min_length=1,
        max_length=3 * NAME_BYTES_MAX,
        description="With a key the change is made once, however often it is asked for; the same request "
        "under it is answered as the first was, another is a conflict. Kept for 30 days. Percent-encoded "
        "UTF-8.",
    ),
]


def author_of(principal: Principal, author: str) -> str:
    """Who is noted for a change. A slash in a token's name is written otherwise, so that no token can pass
    for another with somebody's name behind it."""
    token = principal.name.replace("/", "%2F")
    return f"{token}/{author}" if author else token


def reading(*scopes: str) -> Callable[..., Awaitable[Asked]]:
    """A dependency for endpoints that change nothing."""
    who = Depends(allowed(*scopes))

    async def dependency(request: Request, principal: Principal = who, if_none_match: Tag = None) -> Asked:
        state = request.app.state
        return Asked(state.service, state.clock, None, if_none_match)

    return dependency


def changing(*scopes: str) -> Callable[..., Awaitable[Change]]:
    """A dependency for endpoints that change something which has no entity tag."""
    who = Depends(allowed(*scopes))

    async def dependency(
        request: Request,
        principal: Principal = who,
        author: Author = None,
        reason: Reason = None,
        key: Key = None,
    ) -> Change:
        if "if-match" in request.headers or "if-none-match" in request.headers:
            # To read over it would change what the caller wanted to be sure of.
            raise PreconditionFailed("what this changes has no entity tag: leave If-Match out")
        return _change(request, principal, author, reason, key, None, None)

    return dependency


def changing_tagged(*scopes: str) -> Callable[..., Awaitable[Change]]:
    """The same for something that has an entity tag."""
    who = Depends(allowed(*scopes))

    async def dependency(
        request: Request,
        principal: Principal = who,
        author: Author = None,
        reason: Reason = None,
        key: Key = None,
        if_match: Tag = None,
        if_none_match: Tag = None,
    ) -> Change:
        return _change(request, principal, author, reason, key, if_match, if_none_match)

    return dependency


def _change(
    request: Request,
    principal: Principal,
    author: str | None,
    reason: str | None,
    key: str | None,
    if_match: str | None,
    if_none_match: str | None,
) -> Change:
    by = By(
        author_of(principal, _decoded(author, AUTHOR)),
        _decoded(reason, REASON),
        None if key is None else _decoded(key, IDEMPOTENCY_KEY),
    )
    state = request.app.state
    return Change(state.service, state.clock, if_match, if_none_match, by)


def _decoded(header: str | None, name: str) -> str:
    if header is None:
        return ""
    try:
        return unquote(header, errors="strict")
    except UnicodeDecodeError:
        raise NameInvalid(f"{name} is not percent-encoded UTF-8") from None


Reads = Annotated[Asked, Depends(reading("support"))]
"""For who may look at everything."""
ReadsBalances = Annotated[Asked, Depends(reading("support", "spend"))]
"""For who spends as well."""
Changes = Annotated[Change, Depends(changing("admin"))]
"""For administrators."""
ChangesTagged = Annotated[Change, Depends(changing_tagged("admin"))]
"""For administrators who may say what they saw."""
