"""Whether a token is in force, and who was refused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from fastcheck.errors import FastcheckError, RecordError
from fastcheck.hub.access.denials import Denials
from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import tokens
from fastcheck.wire.by import By
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.token_answers import TokenState

STATES_MAX: Final = 500
"""Tokens asked for at once."""


class Tokens:
    """Who may speak to a hub."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._denials = Denials()

    def token_states(self, ids: Sequence[str]) -> dict[str, TokenState]:
        """The states of tokens by their ids, in one read: to see which are still in force. At most 500;
        ids of nobody are left out."""
        if len(ids) > STATES_MAX:
            raise RecordError(
                f"{len(ids)} tokens are asked for at once, at most {STATES_MAX} are: ask in parts"
            )
        found = self._core.read(lambda call: call.statements.tokens(ids)) if ids else []
        return {one.state.id: one.state for one in found}

    def token_of(self, text: str, environment: str, now: int) -> TokenState:
        """The token of this text, if it is in force at `now`. Raises `Forbidden`, whose message says what is
        wrong with it and has nothing of the text. What cannot be a token costs no look into the ledger."""
        parts = tokens.parsed(text, environment)
        state = tokens.judged(self._core.read(lambda call: call.statements.token(parts.id)), parts, now)
        if tokens.is_use_due(state, now):
            # To be allowed does not depend on whether it can be written down.
            with contextlib.suppress(FastcheckError):
                self._core.write(lambda call: call.statements.use_token(state.id, now))
        return state

    def audit_denied(self, *, source: str, author: str, subject: str, reason: str) -> bool:
        """Writes to the audit log (action `denied`) that a request was refused; whether it was written: at
        most 10 a minute for each source, and 300 in all. How many were not is in the next that is.

        `source`: where it came from, such as an address. `author`: the token's id, "" where there is none.
        `subject`: what was asked for."""
        dropped = self._denials.admit(source, self._core.clock.now_ms())
        if dropped is None:
            return False
        self._note_denied(author, subject, reason, {"source": _clipped(source)}, dropped)
        return True

    def audit_denied_left(self) -> int:
        """Writes how many refusals were dropped in minutes that are over and not told of yet; how many."""
        dropped = self._denials.left(self._core.clock.now_ms())
        if dropped:
            self._note_denied("", "", "more requests were refused than are written down", {}, dropped)
        return dropped

    def _note_denied(
        self, author: str, subject: str, reason: str, more: dict[str, object], dropped: int
    ) -> None:
        after = {**more, "dropped": dropped} if dropped else more
        by = By(_clipped(author), _clipped(reason))
        self._core.write(lambda call: call.note("denied", _clipped(subject), None, after), by)


def _clipped(text: str) -> str:
    """What a stranger sent as text that every database takes."""
    known = text[:NAME_BYTES_MAX].encode("utf-8", "replace").replace(b"\0", b"?")
    return known[:NAME_BYTES_MAX].decode("utf-8", "ignore")
