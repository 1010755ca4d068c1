"""Which request of the hub's HTTP API each request of `admin` is, and how its answer is read: one row for
each. `fastcheck.hub.http.api` is the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fastcheck.hub_client.exchange import Reply, Request, document
from fastcheck.hub_client.requests import asking, change, encoded, get, path, path_of
from fastcheck.wire import answers, shapes
from fastcheck.wire.answers import Page
from fastcheck.wire.by import By
from fastcheck.wire.cut import Cut
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


def items(hint: Any) -> Read:
    """Reads a list that comes on one page."""
    return of(Page[hint], lambda page: list(page.items))


def nothing(reply: Reply) -> None:
    """Of a change that has no answer."""


# Finance.


def pools() -> Routed:
    return Routed(get(path("pools")), items(answers.PoolState))


def check_pools() -> Routed:
    return Routed(get(path("ledger", "problems")), items(answers.Problem))


def check(cursor: str | None) -> Routed:
    def page(one: shapes.CheckedAccounts) -> tuple[Any, int, str | None]:
        return one.problems, one.accounts, one.cursor

    return Routed(get(path("ledger", "accounts"), cursor=cursor), of(shapes.CheckedAccounts, page))


def book_due(what: str, cursor: tuple[str] | None) -> Routed:
    body = {"what": what, "cursor": None if cursor is None else cursor[0]}
    asked = change("POST", path("ledger", "bookings"), body, None, keyed=False)
    return Routed(asked, of(shapes.Booked, lambda one: None if one.cursor is None else (one.cursor,)))


def finance_cut(since: int | None, until: int | None) -> Routed:
    asked = change("POST", path("exports"), {"since": since, "until": until}, None, keyed=False)
    return Routed(asked, of(shapes.Export, shapes.cut_of))


def _rows(cut: Cut, what: str, hint: Any, cursor: str | None, limit: int) -> Routed:
    asked = get(path("exports", shapes.export_of(cut).id, what), cursor=cursor, limit=limit)

    def rows(page: Page[Any]) -> tuple[tuple[Any, ...], str | None]:
        return tuple(tuple(vars(one).values()) for one in page.items), page.cursor

    return Routed(asked, of(Page[hint], rows))


def finance_movements(cut: Cut, cursor: str | None, limit: int) -> Routed:
    return _rows(cut, "movements", shapes.Movement, cursor, limit)


def finance_usage(cut: Cut, cursor: str | None, limit: int) -> Routed:
    return _rows(cut, "usage", shapes.ExportedUse, cursor, limit)


def finance_sums(cut: Cut, after: int) -> Routed:
    asked = get(path("exports", shapes.export_of(cut).id, "sums"), after=after)

    def sums(one: shapes.ExportSums) -> tuple[Any, Any]:
        return (
            tuple(tuple(vars(part).values()) for part in one.postings),
            tuple(tuple(vars(part).values()) for part in one.records),
        )

    return Routed(asked, of(shapes.ExportSums, sums))


ROUTES: Mapping[str, Callable[..., Routed]] = {
    one.__name__: one
    for one in (
        pools,
        check_pools,
        check,
        book_due,
        finance_cut,
        finance_movements,
        finance_usage,
        finance_sums,
    )
}

LOCAL: Mapping[str, Any] = {"settle_held": None}
"""Requests that a hub has no part in, and what they answer: it holds no cells that could be settled."""
