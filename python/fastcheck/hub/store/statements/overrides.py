"""Overrides: exceptions for one customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import overrides
from fastcheck.wire.packing import pack, unpack


@dataclass(frozen=True)
class StoredOverride:
    """An override's row."""

    feature: str
    setting: tuple[Any, ...]
    starts_at: int | None
    expires_at: int | None
    reason: str
    author: str
    created_at: int


_of = overrides.c.number == bindparam("of")
_ALL = (
    select(
        overrides.c.feature,
        overrides.c.setting,
        overrides.c.starts_at,
        overrides.c.expires_at,
        overrides.c.reason,
        overrides.c.author,
        overrides.c.created_at,
    )
    .where(_of)
    .order_by(overrides.c.feature)
)
_PUT = Upsert(overrides)
_REMOVE_ALL = delete(overrides).where(_of)
_REMOVE = _REMOVE_ALL.where(overrides.c.feature == bindparam("name"))


def override_row(one: StoredOverride) -> dict[str, Any]:
    """An override as it is written, but for whose it is."""
    return {
        "feature": one.feature,
        "setting": pack(one.setting),
        "starts_at": one.starts_at,
        "expires_at": one.expires_at,
        "reason": one.reason,
        "author": one.author,
        "created_at": one.created_at,
    }


class Overrides(Subject):
    """Overrides."""

    def overrides(self, number: int) -> list[StoredOverride]:
        """A customer's overrides, in the order of their features."""
        rows = self._db.execute(_ALL, {"of": number})
        return [StoredOverride(row[0], unpack(row[1]), *row[2:]) for row in rows]

    def put_override(self, number: int, one: StoredOverride) -> None:
        """Writes an override over an earlier one of the same feature."""
        self._db.execute(_PUT.on(self._db), {"number": number, **override_row(one)})

    def remove_override(self, number: int, feature: str | None = None) -> None:
        """Removes one override, or all of a customer's."""
        if feature is None:
            self._db.execute(_REMOVE_ALL, {"of": number})
        else:
            self._db.execute(_REMOVE, {"of": number, "name": feature})
