"""One request and what comes of it: which attempt is made again, when, and what an answer means. Pure: time
and chance are arguments, whoever sends is elsewhere (`transport`).

Attempts are made again, with full jitter between them, where no answer came and where the hub said 502, 503
or 504, until the request's time is over. Only requests that may be repeated are: those that change nothing,
those that name what they make, and those with an idempotency key, which every other change is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastcheck import errors
from fastcheck.errors import FastcheckError, HubUnavailable, ProtocolError
from fastcheck.wire.headers import EPOCH, SEQ

BASE_S = 0.05
"""The most that is waited after the first attempt; twice as much after each next."""
PAUSE_S_MAX = 5.0
ANSWER_BYTES_MAX = 64 << 20
"""Of an answer: a catalog, or all grants of a customer who has very many."""
DETAIL_CHARACTERS_MAX = 4_096
AGAIN = frozenset({502, 503, 504})
"""Statuses after which the same request may fare better."""


@dataclass(frozen=True)
class Request:
    """What is asked of the hub."""

    method: str
    path: str
    """Encoded, below the hub's address, with its query."""
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether it may be sent again when nobody knows what became of it."""


@dataclass(frozen=True)
class Reply:
    """What the hub said."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Lost:
    """No answer came."""

    why: str
    sent: bool
    """Whether the hub may have got the request."""


class Patience:
    """How long one request is tried."""

    def __init__(self, length_s: float, now_s: float, chance: Callable[[], float]) -> None:
        """`chance`: a number of [0, 1)."""
        self._until_s = now_s + length_s
        self._chance = chance
        self._attempts = 0

    def left_s(self, now_s: float) -> float:
        """How long the next attempt may take."""
        return max(0.0, self._until_s - now_s)

    def pause_s(self, request: Request, outcome: Reply | Lost, now_s: float) -> float | None:
        """How long to wait before the request is sent again; None: that was the last attempt."""
        self._attempts += 1
        if isinstance(outcome, Lost):
            again = request.repeatable or not outcome.sent
            least_s = 0.0
        else:
            again = request.repeatable and outcome.status in AGAIN
            least_s = _retry_after_s(outcome)
        most_s: float = min(PAUSE_S_MAX, BASE_S * 2 ** min(self._attempts, 16))
        wait_s = max(least_s, self._chance() * most_s)
        return wait_s if again and wait_s < self.left_s(now_s) else None


def _retry_after_s(reply: Reply) -> float:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def document(reply: Reply) -> Any:
    """The JSON of an answer; None of an empty one. Raises `ProtocolError`."""
    if not reply.body:
        return None
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the hub's answer is not JSON ({str(error)[:100]}): is it a hub?") from None


def place(reply: Reply) -> tuple[int, int] | None:
    """(epoch, number of the last change) that the answer to a change tells."""
    texts = (reply.headers.get(EPOCH.lower(), ""), reply.headers.get(SEQ.lower(), ""))
    if all(one.isascii() and one.isdigit() and len(one) < 20 for one in texts):
        return int(texts[0]), int(texts[1])
    return None


def check(url: str, outcome: Reply | Lost) -> Reply:
    """The answer, if it is none of an error. Raises the error that the hub answered with, or
    `HubUnavailable`."""
    if isinstance(outcome, Lost):
        doubt = "; whether it is done is not known: ask again with the same key" if outcome.sent else ""
        raise HubUnavailable(f"the hub at {url} cannot be reached: {outcome.why}{doubt}")
    if 200 <= outcome.status < 300:
        return outcome
    raise refusal(url, outcome)


def refusal(url: str, reply: Reply) -> FastcheckError:
    """A refusal as the error that the hub raised."""
    found: Any = None
    if "json" in reply.headers.get("content-type", ""):
        try:
            found = document(reply)
        except ProtocolError:
            found = None
    if not isinstance(found, dict) or not isinstance(found.get("code"), str):
        return HubUnavailable(f"{url} answered {reply.status} and no problem document: is it a hub?")
    detail = str(found.get("detail") or found.get("title") or reply.status)[:DETAIL_CHARACTERS_MAX]
    kind = errors.by_name(found["code"])
    if kind is errors.CatalogError:
        told = found.get("problems")
        return errors.CatalogError([str(one) for one in told] if isinstance(told, list) else [detail])
    if kind is errors.RateLimited:
        return errors.RateLimited(detail, max(1.0, _retry_after_s(reply)))
    if kind in (errors.DirectoryError, errors.StoreError):
        return kind(url, detail)
    return kind(detail)
