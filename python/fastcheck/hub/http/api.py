"""The HTTP API as an application: an endpoint for each operation, the bounds in front of them, problem
documents for every error, and the OpenAPI document.

Bodies and answers are JSON; credits are decimal text, instants ms since 1970. See docs/api.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from fastcheck.hub.http import openapi
from fastcheck.hub.http.bounds import Bounds
from fastcheck.hub.http.catalog import BY_HAND
from fastcheck.hub.http.endpoints import routes
from fastcheck.hub.http.problems import HANDLERS
from fastcheck.hub.service import Service
from fastcheck.wire.operations import OPERATIONS

THREADS: Final = 32
"""Requests that are at work at once: they wait for the database, which takes fewer. More wait their turn."""


def application(
    service: Service | None,
    more: Iterable[BaseRoute] = (),
    around: Iterable[Middleware] = (),
    lifespan: Callable[[Starlette], Any] | None = None,
) -> Starlette:
    """The application. `service`: whom the API asks; None: there is no API. `more`: other routes. `around`:
    what stands in front of it all. Call `size_threads` when it starts.

    Who asks is told by `app.state.principal_of`; see `permission.permitted`."""
    api = [] if service is None else [*routes(OPERATIONS.rows, BY_HAND), openapi.ROUTE]
    app = Starlette(
        routes=[*more, *api],
        middleware=[*around, Middleware(Bounds)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.state.service = service
    return app


async def size_threads() -> None:
    """Bounds the threads of this event loop in which endpoints run."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
