"""`GET /v1/snapshot`: the newest snapshot's file over HTTP, for a bootstrap or a backup of a host."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fastcheck.hub.http.description import refused
from fastcheck.hub.http.permission import permitted
from fastcheck.hub.http.routing import NamedRoute
from fastcheck.hub.stream.admission import Entered
from fastcheck.hub.stream.session import PIECE_BYTES, TRANSFER_COST
from fastcheck.hub.stream.snapshot_files import File
from fastcheck.wire.headers import PREFIX

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fastcheck.hub.parts import Hub

MEDIA_TYPE: Final = "application/vnd.fastcheck.snapshot"
VERB: Final = "stream"
"""What a token must be allowed: what a host is."""
WAIT_S: Final = 60.0
"""For a snapshot that is being made."""


async def get_snapshot(request: Request) -> Response:
    """The newest snapshot. Changes after it come over the stream: its epoch and seq are in the `ETag`."""
    await permitted(request, VERB)
    hub: Hub = request.app.state.hub
    if_none_match = request.headers.get("if-none-match")
    file = await _opened(hub)
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if if_none_match is not None and file.etag in [one.strip() for one in if_none_match.split(",")]:
        hub.spool.give_back(file)
        return Response(status_code=304, headers=headers)
    try:
        return Sending(hub, file, headers)
    except HTTPException:
        hub.spool.give_back(file)
        raise


PATH: Final = f"{PREFIX}/snapshot"
ROUTE: Final = NamedRoute(PATH, get_snapshot)
DESCRIPTION: Final[dict[str, Any]] = {
    "tags": ["stream"],
    "operationId": "get_snapshot",
    "summary": "Everything a host needs, as one file",
    "description": "The newest snapshot. Changes after it come over the stream: its epoch and seq are in the "
    "`ETag`.\n\nFor tokens with the scope stream or admin.",
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "The `ETag` of a file one has.",
            "schema": {"type": "string"},
        }
    ],
    "responses": refused()
    | {
        "200": {
            "description": "The file (`docs/format/snapshot.md`).",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        "304": {"description": "It is the one named in `If-None-Match`."},
        "503": {"description": "More are being sent than may be; `Retry-After` says when to come again."},
    },
}
"""For the OpenAPI document."""


async def _opened(hub: Hub) -> File:
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[File] = loop.create_future()

    def done(file: File | None, why_not: str) -> None:
        if file is None:
            if not opened.done():
                opened.set_exception(_busy(why_not, 5))
        elif opened.done():  # Nobody waits for it any more.
            hub.spool.give_back(file)
        else:
            opened.set_result(file)

    hub.spool.open(done)
    try:
        return await asyncio.wait_for(opened, WAIT_S)
    except asyncio.TimeoutError:
        raise _busy("a snapshot is being made", 10) from None


def _busy(detail: str, retry_after_s: int) -> HTTPException:
    return HTTPException(503, detail, {"Retry-After": str(retry_after_s)})


class Sending(Response):
    """A file in pieces, each read when the socket has taken the one before. Holds a place while it lasts."""

    media_type = MEDIA_TYPE

    def __init__(self, hub: Hub, file: File, headers: dict[str, str]) -> None:
        """Raises `HTTPException` (503) where there is no place."""
        self._hub = hub
        self._file = file
        self._key = object()
        entered = hub.streams.enter(self._key, TRANSFER_COST)
        if entered is not Entered.ADMITTED:
            hub.streams.leave_place(self._key)
            wait_ms = entered if isinstance(entered, int) else 1_000
            raise _busy("more hosts are being sent snapshots than may be", -(-wait_ms // 1_000))
        super().__init__(headers=headers | {"Content-Length": str(file.info.size)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            size, offset = self._file.info.size, 0
            while offset < size and not gone.done():
                piece = await run_in_threadpool(partial(self._file.read, offset, PIECE_BYTES))
                offset += len(piece)
                more = bool(piece) and offset < size
                await send({"type": "http.response.body", "body": piece, "more_body": more})
                if not piece:
                    break
        finally:
            gone.cancel()
            self._hub.spool.give_back(self._file)
            self._hub.streams.leave_place(self._key)


async def _gone(receive: Receive) -> None:
    """Returns once the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
