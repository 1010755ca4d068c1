"""The hub as an ASGI application: what stands around its HTTP endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from fastcheck.hub.http import health, snapshots
from fastcheck.hub.http.access_log import Access
from fastcheck.hub.http.api import application
from fastcheck.hub.http.permission import Permission
from fastcheck.hub.parts import Hub
from fastcheck.hub.service import Service


def make_app(hub: Hub, service: Service | None = None) -> Starlette:
    """The application. It starts the hub, and stops it. `service`: whom its API asks; None: it has none."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()

    # The log is the outermost: it sees every request.
    around = [Middleware(Access, metrics=hub.metrics)]
    app = application(service, [*health.ROUTES, snapshots.ROUTE], around, lifespan)
    app.state.hub = hub
    permission = Permission(hub.authenticator)
    app.state.principal_of, app.state.note_refusal = permission.principal_of, permission.note_refusal
    return app
