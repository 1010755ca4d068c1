"""Which request of the hub's HTTP API each request of `admin` is, and how its answer is read: one row for
each. `fastcheck.hub.http.endpoints` is the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fastcheck.hub_client.exchange import Reply, Request, document
from fastcheck.hub_client.requests import asking, change, encoded, get, path, path_of
from fastcheck.wire import shapes
from fastcheck.wire.by import By
from fastcheck.wire.headers import FILENAME
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Answer, Repeat
from fastcheck.wire.operation import Request as Asked
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.catalog import CheckCatalog, GetCatalog, SetCatalog

Read = Callable[[Reply], Any]


class Routed(NamedTuple):
    """A request, and how its answer is read."""

    request: Request
    read: Read


def routed(request: Asked[Answer], by: By) -> Routed:
    """An operation as its row says."""
    row = OPERATIONS.of(request)
    by_hand = _BY_HAND.get(type(request))
    if by_hand is not None:
        return by_hand(request, by)
    plain = write(request, shape(row.request))
    where = path_of(row.path, plain)
    given = {name: value for name, value in plain.items() if name not in row.in_path}
    hint = row.answer
    take = nothing if hint is type(None) else of(hint)
    if row.method == "GET":
        return Routed(get(where, **given), take)
    if row.method == "DELETE":
        where, given = get(where, **given).path, {}
    elif not row.changes:
        return Routed(asking(where, given), take)
    keyed = row.repeat is Repeat.KEYED
    sent = change(row.method, where, given or None, by, keyed=keyed)
    return Routed(replace(sent, repeatable=row.repeat is not Repeat.NEVER), take)


def _asked(request: SetCatalog | CheckCatalog, by: By) -> Routed:
    row = OPERATIONS.of(request)
    headers = change(row.method, "", None, by).headers if row.changes else {}
    named = {**headers, "Content-Type": "application/yaml", FILENAME: encoded(request.filename)}
    return Routed(Request(row.method, path_of(row.path, {}), request.source, named), of(row.answer))


def _told(request: GetCatalog, by: By) -> Routed:
    def text(reply: Reply) -> shapes.CatalogText:
        filename = unquote(reply.headers.get(FILENAME.lower(), ""))
        return shapes.CatalogText(reply.body, filename, reply.headers.get("etag", "").strip('"'))

    return Routed(get(path("catalog")), text)


_BY_HAND: Final[Mapping[type[Asked[Any]], Callable[[Any, By], Routed]]] = {
    GetCatalog: _told,
    SetCatalog: _asked,
    CheckCatalog: _asked,
}
"""The catalog's text is the body itself."""


def of(hint: Any, take: Callable[[Any], Any] = lambda answer: answer) -> Read:
    """Reads an answer of a type; `take`: what of it the library answers with. Raises `ProtocolError`."""
    return lambda reply: take(read(document(reply), shape(hint)))


def nothing(reply: Reply) -> None:
    """Of a change that has no answer."""
