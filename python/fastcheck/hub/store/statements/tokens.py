"""Tokens. Of a secret only the SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from fastcheck.hub.store.statements.key_list import KeyListQuery
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import tokens
from fastcheck.wire.token_answers import TokenState


@dataclass(frozen=True)
class StoredToken:
    """A token's row."""

    state: TokenState
    secret_sha256: bytes = field(repr=False)


_all = select(
    tokens.c.id,
    tokens.c.environment,
    tokens.c.name,
    tokens.c.scopes,
    tokens.c.author,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
    tokens.c.last_used_at,
    tokens.c.rate_per_s,
    tokens.c.secret_sha256,
)
_ONE = _all.where(tokens.c.id == bindparam("of"))
_MANY = KeyListQuery(_all, tokens.c.id)
_AFTER = _all.where(tokens.c.id > bindparam("after")).order_by(tokens.c.id).limit(bindparam("count"))
_PUT = insert(tokens)
_REVOKE = (
    update(tokens)
    .where(tokens.c.id == bindparam("of"), tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
    .execution_options(preserve_rowcount=True)
)
_USED = (
    update(tokens)
    .where(
        tokens.c.id == bindparam("of"),
        tokens.c.last_used_at.is_(None) | (tokens.c.last_used_at < bindparam("now")),
    )
    .values(last_used_at=bindparam("now"))
)


class Tokens(Subject):
    """Who may speak to a hub."""

    def token(self, id: str) -> StoredToken | None:
        """A token by its id."""
        row = self._db.execute(_ONE, {"of": id}).first()
        return None if row is None else _stored(row)

    def tokens(self, ids: Sequence[str]) -> list[StoredToken]:
        """Those of the ids that there are; at most a few hundred at once."""
        return [_stored(row) for row in _MANY.run(self._db, ids)]

    def tokens_after(self, id: str, limit: int) -> list[StoredToken]:
        """Tokens in the order of their ids, which is none that means anything."""
        return [_stored(row) for row in self._db.execute(_AFTER, {"after": id, "count": limit})]

    def put_token(self, one: StoredToken) -> None:
        """Writes a new token."""
        state = one.state
        row = {**vars(state), "scopes": " ".join(state.scopes), "secret_sha256": one.secret_sha256}
        self._db.execute(_PUT, row)

    def revoke_token(self, id: str, now: int) -> bool:
        """Ends a token; False if somebody already did."""
        return self._db.execute(_REVOKE, {"of": id, "now": now}).rowcount == 1

    def use_token(self, id: str, now: int) -> None:
        """Notes that a token was used."""
        self._db.execute(_USED, {"of": id, "now": now})


def _stored(row: Any) -> StoredToken:
    *values, secret_sha256 = row
    values[3] = tuple(values[3].split())
    return StoredToken(TokenState(*values), secret_sha256)
