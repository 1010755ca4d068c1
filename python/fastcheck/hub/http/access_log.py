"""Around every HTTP request: an id, a line in the log, a figure in the metrics."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from fastcheck.hub.logs import REQUEST_ID
from fastcheck.hub.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("fastcheck.hub.access")

_ID = re.compile(rb"[\w.-]{1,64}")
"""An id that a caller may give; any other is replaced."""
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: counted, not logged."""
METHODS: Final = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"})


class Access:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _id(scope)
        token = REQUEST_ID.set(id)
        began_s = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], (b"x-request-id", id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            self._note(scope, status, time.perf_counter() - began_s)
            REQUEST_ID.reset(token)

    def _note(self, scope: MutableMapping[str, Any], status: int, took_s: float) -> None:
        # Paths and methods come from callers: only the routes there are become labels.
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(method, route, status).observe(took_s)
        if route in QUIET:
            return
        principal = scope.get("state", {}).get("principal")
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(took_s * 1_000, 2),
            "token": "" if principal is None else principal.id,
        }
        log.info("%s %s %s %.2f ms", method, route, status, took_s * 1_000, extra={"fields": fields})


def _id(scope: MutableMapping[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)
