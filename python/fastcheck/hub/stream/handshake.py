"""The opening handshake of the stream: a request's bytes in; who asks and what is answered out. No socket."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from fastcheck.errors import FastcheckError, Forbidden, RateLimited
from fastcheck.hub.access.auth import Unauthorized

PATH: Final = "/v1/stream"
SCOPE: Final = "stream"
RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is not taken, as a problem document (RFC 9457)."""

    status: int
    code: str
    title: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    def serialize(self) -> bytes:
        """The whole HTTP response."""
        document = {
            "type": f"urn:fastcheck:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        body = json.dumps(document).encode()
        headers = Headers(self.headers)
        headers["Content-Type"] = "application/problem+json"
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "close"
        return bytes(Response(self.status, self.title, headers, body).serialize())


def refusal_of(error: FastcheckError) -> Refusal:
    """What is answered for an error met on the way."""
    if isinstance(error, Unauthorized):
        return Refusal(401, "Forbidden", "Unauthorized", str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, Forbidden):
        return Refusal(403, "Forbidden", "Forbidden", str(error))
    if isinstance(error, RateLimited):
        after = {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
        return Refusal(429, "RateLimited", "Too Many Requests", str(error), after)
    return unavailable("tokens cannot be checked at the moment: the hub's ledger does not answer")


def unavailable(detail: str, retry_after_s: int = RETRY_AFTER_S) -> Refusal:
    """The hub cannot take it now."""
    after = {"Retry-After": str(retry_after_s)}
    return Refusal(503, "HubUnavailable", "Service Unavailable", detail, after)


class Handshake:
    """One request to open a stream."""

    __slots__ = ("_protocol", "_request")

    def __init__(self) -> None:
        self._protocol = ServerProtocol(extensions=None, max_size=1)
        self._request: Request | None = None

    def receive(self, data: bytes) -> Refusal | str | None:
        """Bytes of the request: why it is refused; or the Authorization header, "" where there is none; None
        where its end has not come yet."""
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        if self._protocol.handshake_exc is not None:
            return Refusal(400, "Malformed", "Bad Request", "the request is no HTTP that is understood here")
        if not events:
            return None
        request = events[0]
        assert isinstance(request, Request)  # Before it there is no frame.
        self._request = request
        if request.path.partition("?")[0] != PATH:
            return Refusal(404, "NotFound", "Not Found", f"there is a stream at {PATH} and nowhere else")
        found = request.headers.get_all("Authorization")
        if len(found) > 1:
            return Refusal(400, "Malformed", "Bad Request", "there are two Authorization headers: send one")
        return found[0] if found else ""

    def accept(self) -> tuple[bool, bytes]:
        """Whether it is a WebSocket that can be opened, and the response."""
        assert self._request is not None
        response = self._protocol.accept(self._request)
        return response.status_code == 101, bytes(response.serialize())
