"""What every endpoint says of itself in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from fastcheck.hub.http import bounds as bounds
from fastcheck.hub.http.api.models import model
from fastcheck.wire.headers import EPOCH, PROBLEM, SEQ


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="`urn:fastcheck:problem:` and the code.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what to do.")
    code: str = Field(
        description="The name of the error's class in `fastcheck.errors`, or of HTTP's refusal."
    )
    problems: list[str] | None = Field(default=None, description="Every mistake, where there are several.")
    id: str | None = Field(default=None, description="Under which the hub's log has more.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:fastcheck:problem:UnknownCustomer",
                    "title": "No customer has that id or alias",
                    "status": 404,
                    "detail": "no customer has the id or alias 'nobody': make them with put_customer",
                    "code": "UnknownCustomer",
                }
            ]
        }
    )


_REFUSALS = {
    400: "The body is not JSON.",
    401: "No token, or one that is not in force.",
    403: "The token's scopes do not allow this.",
    404: "There is no such thing.",
    409: "It contradicts what is stored.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The request is not as it must be; `problems` names each field.",
    429: "More requests than the token may make; see `Retry-After`.",
    500: "The hub failed; its log says why under `id`.",
    501: "The hub lacks an optional package.",
    503: "The ledger cannot be used at the moment; see `Retry-After`.",
}
_PROBLEM_SCHEMA = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}


def _refusal(status: int, description: str) -> dict[str, Any]:
    found: dict[str, Any] = {"description": description, "content": {PROBLEM: _PROBLEM_SCHEMA}}
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
    return found


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: _refusal(status, description) for status, description in _REFUSALS.items()
}

_PLACE = {
    SEQ: {
        "description": "The ledger's number after the change, for `min_seq`.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    EPOCH: {"description": "The ledger's epoch.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}
_TAG = {"ETag": {"description": "The entity tag.", "schema": {"type": "string"}}}


def answers(answer: Any, *, changes: bool = False, single: bool = False) -> dict[str, Any]:
    """Keywords of an endpoint: what it answers with (None: nothing, 204), and with which headers."""
    status = 204 if answer is None else 200
    said: dict[str, Any] = {"description": "Done." if changes else "As asked."}
    headers = {**(_PLACE if changes else {}), **(_TAG if single else {})}
    if headers:
        said["headers"] = headers
    if answer is not None:
        said["model"] = model(answer)
    responses: dict[int | str, Any] = {status: said}
    if single:
        responses[304] = {"description": "As the caller has it.", "headers": _TAG}
    return {"status_code": status, "responses": responses}


def subject(tag: str) -> APIRouter:
    """A router for the endpoints of one subject."""
    return APIRouter(tags=[tag], generate_unique_id_function=lambda route: route.name)
