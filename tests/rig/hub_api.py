"""The hub's HTTP API in this process: an application over a real store, and a transport that needs no
socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette
from starlette.requests import Request

from fastcheck import _fastcheck
from fastcheck.clock import Clock
from fastcheck.hub.access.auth import Principal
from fastcheck.hub.http.api import application
from fastcheck.hub.http.problems import unauthenticated
from fastcheck.hub.store import Store
from rig.serving import Service

URL = "http://127.0.0.1:8700"
TOKENS = {
    "admin": Principal("t_admin", "console", frozenset({"admin"})),
    "support": Principal("t_support", "desk", frozenset({"support"})),
    "spend": Principal("t_spend", "gateway", frozenset({"spend"})),
    "stream": Principal("t_stream", "host", frozenset({"stream"})),
}
"""By the text of the token."""

CATALOG = b"""\
fastcheck: 1
pools:
  ai_credits: {scale: 6, policy: hard}
features:
  export: {kind: switch}
  seats: {kind: limit}
  retention_days: {kind: value}
  api_calls: {kind: meter, period: month}
  storage: {kind: meter, period: month, scale: 2}
  gpt-4o: {kind: credit, pool: ai_credits, rate: 1}
plans:
  free: {features: {api_calls: 1_000}}
  pro:
    versions:
      1: {features: {export: true, seats: 20, api_calls: 50_000, gpt-4o: true}}
      2: {features: {export: true, seats: 25, retention_days: 30, api_calls: 100_000, gpt-4o: true}}
addons:
  seats_pack: {features: {seats: 5}}
  credit_pack:
    sold: once
    plans: [pro]
    max_quantity: 10
    grants: [{pool: ai_credits, amount: 2_000, expires_after: year, cost: {amount: "19.99", currency: USD}}]
"""


def make_service(store: Store, clock: Clock) -> Service:
    """A service with the native catalog."""
    return Service(store, clock, _fastcheck.Catalog.parse)


def make_app(service: Service) -> Starlette:
    """An application with nothing but the API."""
    app = application(service)
    app.state.principal_of = principal_of
    return app


async def principal_of(request: Request) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or token not in TOKENS:
        raise unauthenticated("there is no such token")
    return TOKENS[token]


class AsgiTransport(httpx.BaseTransport):
    """Runs an application on an event loop of its own thread, one request after the other or many at once."""

    def __init__(self, app: Any, portal: BlockingPortal) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._portal.call(self._handle, request)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        body = b"".join(request.stream)  # type: ignore[arg-type]
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=body)
        answer = await self._inner.handle_async_request(asked)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


@contextmanager
def asgi(app: Any) -> Iterator[AsgiTransport]:
    """A transport to an application."""
    with start_blocking_portal() as portal:
        yield AsgiTransport(app, portal)


@contextmanager
def http(app: Any, token: str = "admin") -> Iterator[httpx.Client]:
    """An HTTP client of an application, with one of `TOKENS`."""
    headers = {"Authorization": f"Bearer {token}"}
    with asgi(app) as transport, httpx.Client(transport=transport, base_url=URL, headers=headers) as client:
        yield client


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test's process has its own."""


@contextmanager
def served(app: Any, *, tls: str | None = None) -> Iterator[str]:
    """The address of an application that is served on a port of its own. `tls`: a file with key and
    certificates."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ssl_certfile=tls, log_level="critical", lifespan="off"
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    begun = threading.Event()
    while not server.started:
        assert thread.is_alive(), "it could not be served"
        begun.wait(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
