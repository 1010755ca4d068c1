"""How administrators' requests reach the owner, in whose name, and under which idempotency key."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

from fastcheck.clock import instant_ms
from fastcheck.wire.by import By
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name, note
from fastcheck.wire.operation import Asks, Request
from fastcheck.wire.operations import OPERATIONS

Answer = TypeVar("Answer")
Self = TypeVar("Self", bound="AdminBase")


class AdminBase:
    """Who asks, and how."""

    def __init__(self, ask: Asks, owns: Callable[[], bool], author: str = "", key: str | None = None) -> None:
        self._answers = ask
        self._owns = owns
        self._author = author
        self._key = key

    def by(self: Self, author: str) -> Self:
        """The same, in somebody's name, which is noted in the audit log with every change.

        >>> ents.admin.by("jo@example.com").put_override("acme", "seats", 40, reason="pilot")
        >>> ents.admin.audit(subject="acme", limit=1).items[0].author
        'jo@example.com'
        """
        return self._with(note(author, "author"), self._key)

    def once(self: Self, key: str) -> Self:
        """The same, for one change that is made only once, however often it is asked for: the next call with
        this key and the same arguments answers as the first did, one with other arguments is a `Conflict`.
        Keys are remembered for 30 days.

        >>> ents.admin.once("order_18").grant("acme", "ai_credits", 100, reason="top-up")
        'g_1c43373e2db67acecaaa05e6'
        >>> ents.admin.once("order_18").grant("acme", "ai_credits", 100, reason="top-up")
        'g_1c43373e2db67acecaaa05e6'
        >>> ents.admin.balance("acme", "ai_credits").remaining
        50100
        """
        return self._with(self._author, name(key, "the idempotency key"))

    def _with(self: Self, author: str, key: str | None) -> Self:
        other = copy.copy(self)
        other._author, other._key = author, key
        return other

    def _ask(self, request: Request[Answer], reason: str = "", part: int | str | None = None) -> Answer:
        """Asks in this one's name. What a request makes gets its id here, so that a repetition makes
        nothing twice. `part` tells the parts of one large change apart."""
        by = self._by(reason, part)
        return self._answers(OPERATIONS.of(request).named(request, by.key), by)

    def _by(self, reason: str = "", part: int | str | None = None) -> By:
        """Who asks and why; `part` tells the parts of one large request apart."""
        key = self._key if self._key is None or part is None else f"{self._key}/{part}"
        return By(self._author, note(reason, "reason"), key)


def instant_of(at: Instant | None) -> int | None:
    """An instant, checked; None = now."""
    return None if at is None else instant_ms(at, "at")


def cursor_of(cursor: object) -> str | None:
    """A page's cursor, checked."""
    return None if cursor is None else name(cursor, "cursor")
