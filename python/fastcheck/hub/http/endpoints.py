"""The endpoint of each operation, made from its row: who may ask, the request read from path, query and body,
the service asked, the answer written. The token is looked at before the body is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from fastcheck.errors import PreconditionFailed
from fastcheck.hub.access.auth import Principal
from fastcheck.hub.http.bounds import IN_PATH
from fastcheck.hub.http.permission import permitted
from fastcheck.hub.http.problems import NotJson
from fastcheck.hub.http.representation import body_of, check_tag, decoded, named, tag_of, tags
from fastcheck.hub.http.routing import NamedRoute
from fastcheck.hub.service import Service
from fastcheck.wire.by import By
from fastcheck.wire.forms import Form
from fastcheck.wire.headers import AUTHOR, EPOCH, IDEMPOTENCY_KEY, PREFIX, REASON, SEQ
from fastcheck.wire.json import Record, shape
from fastcheck.wire.operation import Operation, Request

IN_QUERY: Final = ("GET", "DELETE")
"""Methods whose fields travel in the query."""
JSON: Final = "application/json"


class Endpoint:
    """One operation over HTTP."""

    def __init__(self, row: Operation[Any]) -> None:
        self.row = row
        of = shape(row.request)
        assert isinstance(of, Record)
        self._fields = dict(of.fields)
        self._defaults = of.defaults
        self._rest = {name: one for name, one in self._fields.items() if name not in row.in_path}

    async def serve(self, http: HttpRequest) -> Response:
        """Answers a request. Raises what it is refused with; see `problems`."""
        principal = await permitted(http, self.row.verb)
        body = b"" if self.row.method in IN_QUERY else await http.body()
        return await run_in_threadpool(self._answer, http, principal, body)

    def _answer(self, http: HttpRequest, principal: Principal, body: bytes) -> Response:
        row, service = self.row, http.app.state.service
        if not row.changes:
            return self._read(http, service.ask(self.request(http, body, "")))
        by = by_of(http, principal)
        if_match, if_none_match = tags(http.headers, "If-Match"), tags(http.headers, "If-None-Match")
        conditional = if_match is not None or if_none_match is not None
        if conditional and row.tag_of is None:
            # To read over it would change what the caller wanted to be sure of.
            raise PreconditionFailed("what this changes has no entity tag: leave If-Match out")

        def expects(current: Any) -> None:
            check_tag(if_match, if_none_match, None if current is None else self.tag(current))

        request = self.request(http, body, by.reason)
        done = service.run(request, by, expects=expects if conditional else None)
        answer = done.answer
        response = Response(status_code=204) if answer is None else self.response(answer)
        return placed(response, service)

    def _read(self, http: HttpRequest, answer: Any) -> Response:
        response, seen = self.response(answer), tags(http.headers, "If-None-Match")
        if self.row.tagged and seen is not None and named(seen, response.headers["ETag"], weak=True):
            told = {name: text for name, text in response.headers.items() if not name.startswith("content-")}
            return Response(status_code=304, headers=told)
        return response

    def response(self, answer: Any) -> Response:
        """An answer as HTTP has it."""
        body = body_of(answer, self.row.answer)
        return Response(body, media_type=JSON, headers={"ETag": tag_of(body)} if self.row.tagged else {})

    def tag(self, current: Any) -> str:
        """The entity tag of what a change is about."""
        return tag_of(body_of(current))

    def request(self, http: HttpRequest, body: bytes, reason: str) -> Request[Any]:
        """The request that HTTP brings. `reason`: of the headers, where the body has none. Raises
        `Malformed`, `NotJson`, and what the request itself raises."""
        form = Form()
        found: dict[str, Any] = {
            name: form.text(http.path_params[name], self._fields[name], f"path.{name}", name)
            for name in self.row.in_path
        }
        if self.row.method in IN_QUERY:
            for name, of in self._rest.items():
                if name in http.query_params:
                    found[name] = form.text(http.query_params[name], of, f"query.{name}", name)
                elif name not in self._defaults:
                    form.wrong(f"query.{name}", "is missing")
        else:
            given = document(body) if body or self._rest else {}
            if isinstance(given, dict):
                if "reason" in self._rest and given.get("reason") is None:
                    given["reason"] = reason
                found |= form.fields(self._rest, self._defaults, given, "body")
            else:
                form.wrong("body", "must be an object")
        form.done()
        made: Request[Any] = self.row.request(**found)
        return made


def document(body: bytes) -> Any:
    """A body as JSON's own types. Raises `NotJson`."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotJson(str(error)[:200]) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, _NoNumber):
            raise NotJson(str(error)) from None
        raise NotJson("it is nested too deeply, or a number has too many digits") from None


def _no_constant(text: str) -> Any:
    raise _NoNumber(f"{text} is no number of JSON")


class _NoNumber(ValueError):
    """JSON has no such number."""


def by_of(http: HttpRequest, principal: Principal) -> By:
    """In whose name a change is made, why, and under which key. Raises `NameInvalid`."""
    key = http.headers.get(IDEMPOTENCY_KEY)
    return By(
        author_of(principal, decoded(http.headers.get(AUTHOR), AUTHOR)),
        decoded(http.headers.get(REASON), REASON),
        None if key is None else decoded(key, IDEMPOTENCY_KEY),
    )


def author_of(principal: Principal, author: str) -> str:
    """Who is noted for a change. A slash in a token's name is written otherwise, so that no token can pass
    for another with somebody's name behind it."""
    token = principal.name.replace("/", "%2F")
    return f"{token}/{author}" if author else token


def placed(response: Response, service: Service) -> Response:
    """An answer to a change, with where the ledger is after it."""
    # Read after the commit, so it may be past the change: a host that has come so far has the change too.
    at = service.streaming.position()
    response.headers[SEQ] = str(at.seq)
    response.headers[EPOCH] = str(at.epoch)
    return response


def routes(
    rows: Iterable[Operation[Any]], by_hand: Mapping[type[Request[Any]], type[Endpoint]]
) -> list[NamedRoute]:
    """The routes of operations, the fixed parts of paths first. `by_hand`: endpoints of another kind."""
    return [
        NamedRoute(
            template(row), by_hand.get(row.request, Endpoint)(row).serve, methods=[row.method], name=row.name
        )
        for row in rows
        if row.public
    ]


def template(row: Operation[Any]) -> str:
    """The path of an operation for the router: a name may hold what it likes, percent-encoded."""
    return PREFIX + row.path.replace("}", f":{IN_PATH}}}")
