"""Names in paths. An id may hold any character, a slash too: a path is cut at its slashes first and each part
decoded then, or `a%2Fb` would be two parts."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastcheck.hub.http.problems import NAMED, problem
from fastcheck.wire.headers import BODY_BYTES_MAX, CATALOG_BYTES_MAX, PREFIX

CATALOG_PATHS = frozenset({f"{PREFIX}/catalog", f"{PREFIX}/catalog:check"})
"""Whose body is the text of a catalog."""


class NameConvertor(Convertor[str]):
    """One part of a path, decoded. What is not UTF-8 becomes lone surrogates, which no name may hold."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote_to_bytes(value).decode("utf-8", "surrogateescape")

    def to_string(self, value: str) -> str:
        raise NotImplementedError("paths are not made from routes")


IN_PATH: Final = "name"
"""How routes call such a part: `{customer:name}`."""
register_url_convertor(IN_PATH, NameConvertor())


class Bounds:
    """In front of the API: paths stay encoded, and a body is counted while it is read.

    Bodies are JSON, but the catalog's: another media type is refused before the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX + "/"):
            await self._app(scope, receive, send)
            return
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        path = raw.decode("latin-1")
        is_catalog = path in CATALOG_PATHS
        most = CATALOG_BYTES_MAX if is_catalog else BODY_BYTES_MAX
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        has_body = length != "0" or "transfer-encoding" in headers
        if has_body and not is_catalog and not _is_json(headers.get("content-type", "")):
            detail = "a body must be JSON: send Content-Type: application/json"
            await _refused(415, "The media type is not supported", detail)(scope, receive, send)
            return
        if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > most:
            await _too_large(most)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise HTTPException(413, f"a body has at most {most} bytes")
            return message

        scope["path"] = path  # In place: whoever stands in front reads there which route it was.
        await self._app(scope, counted, send)


def _is_json(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().lower() == "application/json"


def _too_large(most: int) -> Any:
    return _refused(413, "The body is too large", f"a body has at most {most} bytes: send it in parts")


def _refused(status: int, title: str, detail: str) -> Any:
    return problem(status, NAMED[status], title, detail, headers={"Connection": "close"})
