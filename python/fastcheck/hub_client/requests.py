"""Requests to the hub as bytes: paths with encoded names, bodies without floats, headers of a change."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from fastcheck.errors import AmountError, WrongType
from fastcheck.hub_client.exchange import Request
from fastcheck.wire.by import By
from fastcheck.wire.headers import AUTHOR, IDEMPOTENCY_KEY, PREFIX, REASON
from fastcheck.wire.json import decimal_text

DIGITS_MAX = 40
"""Of an amount before and after the point: far beyond what any pool holds."""


def path(*parts: str) -> str:
    """A path of names; each is encoded, whatever it holds."""
    # "." and ".." as they are would be taken out of the path on its way.
    return PREFIX + "".join("/" + quote(part, safe=":").replace(".", "%2E") for part in parts)


def path_of(template: str, plain: Mapping[str, Any]) -> str:
    """An operation's path with the fields that it names."""
    return path(*(_filled(part, plain) for part in template.strip("/").split("/")))


def _filled(part: str, plain: Mapping[str, Any]) -> str:
    return str(plain[part[1:-1]]) if part.startswith("{") else part


def get(where: str, **query: object) -> Request:
    """A request that changes nothing. What is None is left out."""
    given = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }
    return Request("GET", f"{where}?{urlencode(given, quote_via=quote)}" if given else where)


def asking(where: str, body: object) -> Request:
    """A POST that changes nothing, since what is asked for does not fit a path."""
    return Request("POST", where, packed(body), {"Content-Type": "application/json"})


def change(method: str, where: str, body: object, by: By | None, *, keyed: bool = True) -> Request:
    """A request that changes something. One without a key gets one, so that it can be sent again where its
    answer was lost; `keyed` False: it names what it makes, and needs none."""
    headers = author(by)
    key = None if by is None else by.key
    if key is None and keyed:
        key = f"auto_{secrets.token_hex(16)}"
    if key is not None:
        headers[IDEMPOTENCY_KEY] = encoded(key)
    if body is None:
        return Request(method, where, None, headers)
    return Request(method, where, packed(body), {"Content-Type": "application/json", **headers})


def author(by: By | None) -> dict[str, str]:
    """The headers of who asks and why."""
    found = {} if by is None else {AUTHOR: by.author, REASON: by.reason}
    return {name: encoded(text) for name, text in found.items() if text}


def encoded(text: str) -> str:
    """Text as a header has it. Any but what is plain is percent-encoded; spaces too, which a header loses at
    its ends."""
    return quote(text, safe="/:@,;=+-_.~()<>")


def packed(body: object) -> bytes:
    """A body as JSON. Raises `WrongType` for what JSON has no exact form of."""
    try:
        return json.dumps(body, ensure_ascii=True, allow_nan=False, default=_no_form).encode()
    except (ValueError, RecursionError) as error:
        raise WrongType(f"the request holds what cannot be sent: {error}") from None


def _no_form(value: object) -> Any:
    raise WrongType(f"the request holds a {type(value).__name__}, which cannot be sent")


def amount(value: object, what: str = "the amount") -> str:
    """Credits as decimal text. Raises `WrongType`, `AmountError`."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise WrongType(f"{what} must be an int or a decimal.Decimal, not {type(value).__name__}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise AmountError(f"{what} is {value}: give a number")
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        fits = value.adjusted() < DIGITS_MAX - 1 and exponent > -DIGITS_MAX
    else:
        fits = abs(value) < 10 ** (DIGITS_MAX - 1)
    if not fits:
        raise AmountError(f"{what} has more digits than any pool holds: round or split it")
    return decimal_text(value)
