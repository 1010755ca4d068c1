"""The REST API: a router for each subject of the service, and what stands in front of them.

Bodies and answers are JSON; credits are decimal text, instants ms since 1970. See docs/api.md."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, FastAPI

from fastcheck.clock import Clock, SystemClock
from fastcheck.hub.http.api import (
    epochs,
    events,
    finance,
    metering,
    money,
    records,
    tokens,
    top_ups,
    webhooks,
)
from fastcheck.hub.http.api.documented import REFUSALS
from fastcheck.hub.http.api.openapi import describe
from fastcheck.hub.http.api.paths import Bounds
from fastcheck.hub.http.endpoints import NotJson, not_json, routes
from fastcheck.hub.http.problems import install_problems
from fastcheck.hub.service import Service
from fastcheck.wire.headers import PREFIX
from fastcheck.wire.operations import OPERATIONS

THREADS = 32
"""Requests that are at work at once: they wait for the database, which takes fewer. More wait their turn."""

router = APIRouter(prefix=PREFIX, responses=REFUSALS)
for one in (money, top_ups, metering, events, webhooks, records, finance, epochs, tokens):
    router.include_router(one.router)


def install(app: FastAPI, service: Service, clock: Clock | None = None) -> None:
    """Makes the API part of an application: its endpoints, the bounds in front of them, problem documents for
    every error, and its part of the OpenAPI document. Call `size_threads` when the application starts."""
    app.state.service = service
    app.state.clock = SystemClock() if clock is None else clock
    app.include_router(router)
    app.router.routes.extend(routes(OPERATIONS.rows))
    app.add_middleware(Bounds)
    install_problems(app)
    app.add_exception_handler(NotJson, not_json)
    describe(app)


async def size_threads() -> None:
    """Bounds the threads of this event loop in which endpoints run."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS


__all__ = ["THREADS", "install", "router", "size_threads"]
