"""The hub as an ASGI application: what stands around its HTTP endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fastcheck._fastcheck import __version__
from fastcheck.hub.http import health, snapshots
from fastcheck.hub.http.access_log import Access
from fastcheck.hub.http.permission import Permission
from fastcheck.hub.parts import Hub


def make_app(hub: Hub, install: Callable[[FastAPI], None] = lambda app: None) -> FastAPI:
    """The application. It starts the hub, and stops it. `install` adds the API."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()

    app = FastAPI(
        title="fastcheck hub",
        version=__version__,
        description="Customers, plans, credits and entitlements, and the stream that brings them to hosts.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.hub = hub
    permission = Permission(hub.authenticator)
    app.state.principal_of, app.state.note_refusal = permission.principal_of, permission.note_refusal
    app.router.routes.extend([*health.ROUTES, snapshots.ROUTE])
    install(app)
    app.add_middleware(Access, metrics=hub.metrics)  # The outermost: it sees every request.
    return app
