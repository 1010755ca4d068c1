"""Whether the process lives, whether it should be asked, and its figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastcheck.hub.http.routing import NamedRoute
from fastcheck.hub.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from fastcheck.hub.parts import Hub

TAIL_LAG_S_MAX: Final = 5.0
"""A hub whose hosts hear of changes later than this sends them elsewhere."""
FREE_BYTES_MIN: Final = 16 << 20


async def healthz(request: Request) -> Response:
    """The process lives: its loop answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 where this hub should be asked; else 503, with every reason why not."""
    hub: Hub = request.app.state.hub
    problems = not_ready(hub)
    body = {"status": "not ready" if problems else "ready", "problems": problems, "seq": hub.ring.seq}
    return JSONResponse(body, 503 if problems else 200)


async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    hub: Hub = request.app.state.hub
    return Response(hub.metrics.text(), media_type=CONTENT_TYPE)


ROUTES: Final = (
    NamedRoute("/healthz", healthz),
    NamedRoute("/readyz", readyz),
    NamedRoute("/metrics", metrics),
)


def not_ready(hub: Hub) -> list[str]:
    """Why this hub should not be asked; nothing where it should."""
    problems = list(hub.crashed)
    if hub.streams.draining:
        problems.append("the hub is going away")
    lag_s = hub.tail.lag_s
    if lag_s is None:
        problems.append("the ledger was not read yet")
    elif lag_s > TAIL_LAG_S_MAX:
        problems.append(f"the ledger was last read {lag_s:.0f} s ago")
    elif hub.ring.catalog is None:
        problems.append("there is no catalog: put one with --catalog, or over the API")
    if hub.spool.failed:
        problems.append(f"no snapshot can be made: {hub.spool.failed}")
    if unwritable := _unwritable(hub.settings.directory):
        problems.append(unwritable)
    return problems


def _unwritable(directory: Path) -> str:
    try:
        if not os.access(directory, os.W_OK):
            return "the hub's directory cannot be written"
        found = os.statvfs(directory)
    except OSError as error:
        return f"the hub's directory cannot be used: {error.strerror}"
    free = found.f_bavail * found.f_frsize
    return f"the hub's disk has only {free} bytes left" if free < FREE_BYTES_MIN else ""
