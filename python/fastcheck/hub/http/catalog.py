"""The catalog over HTTP, by hand: its text is the body, its filename a header, its digest the entity tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from fastcheck.hub.http.endpoints import Endpoint
from fastcheck.hub.http.representation import decoded
from fastcheck.wire.headers import CATALOG_BYTES_MAX, FILENAME
from fastcheck.wire.names import REASON_BYTES_MAX
from fastcheck.wire.operation import Operation, Request
from fastcheck.wire.operations.catalog import UNNAMED, CheckCatalog, GetCatalog, SetCatalog
from fastcheck.wire.shapes import CatalogText

YAML: Final = "application/yaml"
_CONTENT: Final = {"schema": {"description": f"As docs/catalog.md says; at most {CATALOG_BYTES_MAX} bytes."}}
_CALLED: Final = "How messages call it. Percent-encoded UTF-8."


class TakesText(Endpoint):
    """Is asked with a catalog's text."""

    def request(self, http: HttpRequest, body: bytes, reason: str) -> Request[Any]:
        """The request that HTTP brings. Raises `NameInvalid`, and `CatalogError` for the text's mistakes."""
        given = http.headers.get(FILENAME)
        filename = UNNAMED if given is None else decoded(given, FILENAME)
        if self.row.request is CheckCatalog:
            return CheckCatalog(body, filename)
        made = SetCatalog(body, filename)
        # Parsed before the transaction, which keeps everybody else waiting and finds it parsed.
        http.app.state.service.parse(made.source, made.filename)
        return made

    def tag(self, current: CatalogText) -> str:
        """The entity tag of the catalog in force."""
        return f'"{current.digest}"'


class TellsText(Endpoint):
    """Answers with a catalog's text."""

    def response(self, answer: CatalogText) -> Response:
        """The text, its filename and its tag."""
        headers = {"ETag": f'"{answer.digest}"', FILENAME: quote(answer.filename)}
        return Response(answer.source, media_type=YAML, headers=headers)


BY_HAND: Final[Mapping[type[Request[Any]], type[Endpoint]]] = {
    GetCatalog: TellsText,
    SetCatalog: TakesText,
    CheckCatalog: TakesText,
}


def describe(row: Operation[Any], said: dict[str, Any]) -> None:
    """Completes the description of one of these operations."""
    if row.request is GetCatalog:
        told = said["responses"]["200"]
        told["content"] = {YAML: _CONTENT}
        told["headers"][FILENAME] = {"description": _CALLED, "schema": {"type": "string"}}
        return
    said["requestBody"] = {
        "required": True,
        "description": "The catalog's text.",
        "content": {YAML: _CONTENT, "application/json": _CONTENT},
    }
    schema = {"type": "string", "maxLength": 3 * REASON_BYTES_MAX, "default": UNNAMED}
    filename = {"name": FILENAME, "in": "header", "required": False, "description": _CALLED, "schema": schema}
    said["parameters"].insert(0, filename)
