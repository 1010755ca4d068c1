"""Errors as problem documents (RFC 9457): one table from our classes to HTTP, and nothing internal in any."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fastcheck import errors
from fastcheck.errors import FastcheckError
from fastcheck.wire.forms import Malformed
from fastcheck.wire.headers import PROBLEM, PROBLEM_TYPE

log = logging.getLogger("fastcheck.hub.api")

RETRY_AFTER_S = 1
"""Said with a 503: a database that comes back, a commit whose outcome will be known."""
PROBLEMS_TOLD_MAX = 100
"""Mistakes that one document lists."""

STATUS: Mapping[type[FastcheckError], int] = {
    errors.CatalogError: 422,
    errors.UnknownFeature: 404,
    errors.UnknownCustomer: 404,
    errors.UnknownPool: 404,
    errors.UnknownGrant: 404,
    errors.UnknownMove: 404,
    errors.UnknownPurchase: 404,
    errors.UnknownReservation: 404,
    errors.UnknownWebhook: 404,
    errors.UnknownDelivery: 404,
    errors.UnknownSegment: 404,
    errors.UnknownUsage: 404,
    errors.UnknownToken: 404,
    errors.NotCountable: 422,
    errors.WrongType: 422,
    errors.NameInvalid: 422,
    errors.AmountError: 422,
    errors.InstantError: 422,
    errors.RecordError: 422,
    errors.DirectoryError: 503,
    errors.StoreError: 503,
    errors.LedgerError: 500,
    errors.OutcomeUnknown: 503,
    errors.MissingExtra: 501,
    errors.ArenaError: 500,
    errors.Closed: 503,
    errors.OwnerUnavailable: 503,
    errors.HubUnavailable: 503,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.NotYet: 503,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.StaleIds: 409,
    errors.TooManyReservations: 503,
    errors.ProtocolError: 500,
    FastcheckError: 500,
}
"""Of every class of the tree, also of those that no request of this API meets today."""

_UNUSABLE = "the hub's ledger cannot be used at the moment: ask again, and look at the hub's log"
INSTEAD: Mapping[type[FastcheckError], str] = {
    errors.DirectoryError: _UNUSABLE,
    errors.StoreError: _UNUSABLE,
    errors.OutcomeUnknown: (
        "whether the change is stored is not known: ask again with the same Idempotency-Key, which changes "
        "nothing twice"
    ),
    errors.Closed: "the hub is closing: ask another, or again",
}
"""What is said in place of a message that tells paths and addresses of the hub."""

NAMED = {
    401: "Forbidden",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    429: "RateLimited",
}
"""Codes of what HTTP itself refuses."""


class NotJson(ValueError):
    """A body is not JSON."""


def problem(
    status: int, code: str, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem document. `more`: fields of its own."""
    document = {"type": PROBLEM_TYPE + code, "title": title, "status": status, "detail": detail, "code": code}
    # Lone surrogates that a request named would not be UTF-8; ASCII takes everything.
    body = json.dumps(document | more, ensure_ascii=True).encode()
    return Response(body, status, headers=dict(headers or {}), media_type=PROBLEM)


def of_error(error: FastcheckError) -> Response:
    """The document of one of our errors."""
    kind = next(one for one in type(error).__mro__ if one in STATUS)
    status, code = STATUS[kind], kind.__name__
    title = (kind.__doc__ or code).split(".")[0].split(":")[0].strip()
    title = " ".join(title.split())
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    detail = INSTEAD.get(kind) or str(error) or title
    if isinstance(error, Malformed):
        title, more["problems"] = "The request is not of its form", error.problems
    if isinstance(error, errors.CatalogError):
        more["problems"] = error.problems[:PROBLEMS_TOLD_MAX]
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(max(1, -int(-error.retry_after_s // 1)))
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status >= 500 or kind in INSTEAD:
        log.warning("%s: %s", code, error)
    return problem(status, code, title, detail, headers=headers, **more)


def unauthenticated(detail: str) -> HTTPException:
    """To be raised where nobody is known to ask. `detail` says why, and never repeats the token."""
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FastcheckError)
    return of_error(error)


async def _on_no_json(request: Request, error: Exception) -> Response:
    return problem(400, "Malformed", "The body is no JSON", f"the body is not JSON: {error}")


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status, detail = error.status_code, str(error.detail)
    code = NAMED.get(status, "Malformed" if status == 400 else "Refused")
    return problem(status, code, detail, detail, headers=error.headers)


async def _on_anything(request: Request, error: Exception) -> Response:
    id = secrets.token_hex(8)
    # The trace follows: whoever serves the application logs what it raised.
    log.error("request %s failed: %s", id, type(error).__name__)
    detail = f"the hub failed at this request; its log says why under {id}"
    return problem(500, "InternalError", "The hub failed", detail, id=id)


HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    FastcheckError: _on_error,
    NotJson: _on_no_json,
    HTTPException: _on_http,
    Exception: _on_anything,
}
"""Answers every error of an application with a problem document."""
