"""The OpenAPI document of the API: what every operation says of itself, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastcheck._fastcheck import __version__
from fastcheck.hub.http import snapshots
from fastcheck.hub.http.description import Description, responses
from fastcheck.hub.http.routing import NamedRoute
from fastcheck.wire.headers import PREFIX
from fastcheck.wire.operations import SUBJECTS

_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of the hub (`fc_<environment>_<id>_<secret>`). Scopes: `support` reads, `spend` "
    "reserves, burns and meters, `admin` may do everything.",
}


@cache
def document() -> Mapping[str, Any]:
    """The document."""
    described = Description()
    refusals = responses()
    tags = {
        subject.__name__.rpartition(".")[2]: (subject.__doc__ or "").partition(": ")[2].strip()
        for subject in SUBJECTS
    }
    of_tags = zip(tags, SUBJECTS, strict=True)
    paths = described.paths((tag, row) for tag, subject in of_tags for row in subject.OPERATIONS)
    paths[snapshots.PATH] = {"get": snapshots.DESCRIPTION}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fastcheck hub",
            "version": __version__,
            "description": "Customers, plans, credits and entitlements, and the stream that brings them to "
            "hosts.",
        },
        "paths": paths,
        "components": {
            "schemas": described.schemas,
            "responses": refusals,
            "securitySchemes": {"bearer": _BEARER},
        },
        "security": [{"bearer": []}],
        "tags": [
            {"name": name, "description": told}
            for name, told in (tags | {"stream": "What hosts read to begin with."}).items()
        ],
    }


async def get_document(request: Request) -> Response:
    """`GET /v1/openapi.json`, without a token: it tells nothing about customers."""
    return JSONResponse(await run_in_threadpool(document))


ROUTE: Final = NamedRoute(f"{PREFIX}/openapi.json", get_document)
