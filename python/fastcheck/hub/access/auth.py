"""Who asks: tokens, their scopes, how much each may ask.

A token is looked up at most once a second, however many requests carry it, so a revocation counts within a
second everywhere. What is remembered is the hash of a token's text, never the text."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fastcheck.errors import Forbidden, RateLimited
from fastcheck.hub.access.rate import Buckets

FRESH_S: Final = 1.0
"""How long an answer about a token counts."""
REMEMBERED_MAX: Final = 4_096
"""Answers that are remembered, refusals included."""
TOKEN_BYTES_MAX: Final = 512
"""Of a token's text; a longer one is refused unread."""
PER_S: Final = 500.0
"""Requests a second of a token that says nothing else."""
BURST_S: Final = 2.0
STATES_MAX: Final = 500
"""Tokens asked for in one read."""


class TokenState(Protocol):
    """A token as stored, without its secret."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def scopes(self) -> Sequence[str]: ...
    @property
    def rate_per_s(self) -> float | None:
        """Requests a second; None: the default."""
        ...

    @property
    def expires_at(self) -> int | None: ...
    @property
    def revoked_at(self) -> int | None: ...


class Tokens(Protocol):
    """What is asked of the service; each call may block."""

    def token_of(self, text: str, environment: str, now: int) -> TokenState:
        """The token with this text. Raises `Forbidden`, whose message names the reason and not the text."""
        ...

    def token_states(self, ids: Sequence[str]) -> Mapping[str, TokenState]:
        """Id → token, in one read, at most `STATES_MAX`; unknown ids are left out."""
        ...

    def audit_denied(self, *, source: str, author: str, subject: str, reason: str) -> bool:
        """Notes a denied attempt, within bounds for each `source`. `author`: the token's id; "" where there
        is none."""
        ...


class Unauthorized(Forbidden):
    """There is no token, or it is not in force: 401. `Forbidden` itself, its scopes do not allow this, is
    403."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    id: str
    """Of the token."""
    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Answer:
    state: TokenState | None
    refusal: str
    until_s: float


class Authenticator:
    """Tokens of one environment. Any thread may ask."""

    def __init__(
        self,
        tokens: Tokens,
        environment: str,
        now_ms: Callable[[], int],
        *,
        denied: Callable[[str], None] = lambda reason: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`denied` is told each refusal: `token`, `scope` or `rate`."""
        self._tokens = tokens
        self._environment = environment
        self._now_ms = now_ms
        self._denied = denied
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._buckets = Buckets(BURST_S)

    @staticmethod
    def bearer(header: str | None) -> str:
        """The token's text in an Authorization header. Raises `Unauthorized`."""
        if header is None:
            raise Unauthorized("there is no token: send the header Authorization: Bearer fc_…")
        scheme, _, text = header.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Unauthorized("the Authorization header must be: Bearer fc_…")
        if len(text) > TOKEN_BYTES_MAX or not text.isascii():
            raise Unauthorized("the token is malformed: take it as it was given out")
        return text

    def remembered(self, text: str) -> TokenState | None:
        """The token, if it was looked up a moment ago; None where it must be looked up. Does not block.
        Raises `Unauthorized`."""
        key = _key(text)
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or answer.until_s <= self._clock_s():
            return None
        return self._in_force(answer)

    def look_up(self, text: str) -> TokenState:
        """The token; may block. Raises `Unauthorized`, or `StoreError` and its like where tokens cannot be
        read."""
        try:
            answer = _Answer(
                self._tokens.token_of(text, self._environment, self._now_ms()), "", self._clock_s() + FRESH_S
            )
        except Forbidden as error:
            answer = _Answer(None, str(error), self._clock_s() + FRESH_S)
        with self._lock:
            self._answers[_key(text)] = answer
            self._answers.move_to_end(_key(text))
            if len(self._answers) > REMEMBERED_MAX:
                self._answers.popitem(last=False)
        return self._in_force(answer)

    def _in_force(self, answer: _Answer) -> TokenState:
        state = answer.state
        if state is None:
            raise Unauthorized(answer.refusal)
        if over := why_over(state, self._now_ms()):
            raise Unauthorized(over)
        return state

    def spend(self, state: TokenState) -> Principal:
        """Counts one request of the token. Raises `RateLimited`."""
        rate = PER_S if state.rate_per_s is None else state.rate_per_s
        with self._lock:
            wait_s = self._buckets.take(state.id, rate, self._clock_s())
        if wait_s:
            raise RateLimited(
                f"the token {state.name!r:.80} may make {rate:g} requests a second: "
                f"ask again in {wait_s:.2f} s",
                wait_s,
            )
        return Principal(state.id, state.name, frozenset(state.scopes))

    def refused(self, error: Forbidden | RateLimited, source: str, who: str, what: str) -> None:
        """Counts a refusal, and notes it in the audit log unless it is about how often; may block.
        `source`: the caller's address; `who`: the token's id, "" where there is none; `what`: was asked."""
        if isinstance(error, RateLimited):
            self._denied("rate")
            return
        self._denied("token" if isinstance(error, Unauthorized) else "scope")
        self._tokens.audit_denied(source=source, author=who, subject=what, reason=str(error))

    def over(self, ids: Sequence[str]) -> dict[str, str]:
        """Of tokens in use, those that are not in force any more, and why; may block."""
        found: dict[str, TokenState] = {}
        for begin in range(0, len(ids), STATES_MAX):
            found.update(self._tokens.token_states(ids[begin : begin + STATES_MAX]))
        now = self._now_ms()
        reasons = {id: "the token was removed" if id not in found else why_over(found[id], now) for id in ids}
        over = {id: why for id, why in reasons.items() if why}
        if over:
            with self._lock:
                for key, answer in list(self._answers.items()):
                    if answer.state is not None and answer.state.id in over:
                        del self._answers[key]
        return over


def why_over(state: TokenState, now_ms: int) -> str:
    """Why a token is not in force; "" where it is."""
    if state.revoked_at is not None:
        return "the token was revoked: ask for another"
    if state.expires_at is not None and state.expires_at <= now_ms:
        return "the token has expired: ask for another"
    return ""


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
