"""Segments: customers who are treated alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, delete, func, select

from fastcheck.hub.store.statements.conflict import InsertOnce, Upsert
from fastcheck.hub.store.statements.overrides import StoredOverride, override_row
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import customers, segment_members, segment_overrides, segments
from fastcheck.wire.packing import unpack


@dataclass(frozen=True)
class StoredSegment:
    """A segment's row."""

    name: str
    reason: str
    author: str
    created_at: int
    behind: int | None = None
    """Members with a greater number are still to get what changed; None: nobody is behind."""
    ending: bool = False
    """Whether it goes once nobody is behind."""


_NAMES = [field.name for field in fields(StoredSegment)]
_all = select(*(segments.c[name] for name in _NAMES)).order_by(segments.c.name)
_SEGMENT = _all.where(segments.c.name == bindparam("key"))
_HELD = _SEGMENT.with_for_update()
_AFTER = _all.where(segments.c.name > bindparam("after")).limit(bindparam("count"))
_BEHIND = select(segments.c.name).where(segments.c.behind.is_not(None)).order_by(segments.c.name)
_PUT = Upsert(segments)
_DROP = [delete(one).where(one.c.name == bindparam("key")) for one in (segment_members, segments)]

_of = segment_members.c.name == bindparam("key")
_MEMBERS = (
    select(segment_members.c.number, customers.c.id)
    .join(customers, customers.c.number == segment_members.c.number)
    .where(_of, segment_members.c.number > bindparam("after"))
    .order_by(segment_members.c.number)
    .limit(bindparam("count"))
)
_COUNT = select(func.count()).select_from(segment_members).where(_of)
_KNOWN = select(segment_members.c.number).where(
    _of, segment_members.c.number.in_(bindparam("numbers", expanding=True))
)
_JOIN = InsertOnce(segment_members)
_REMOVE = delete(segment_members).where(_of, segment_members.c.number == bindparam("of"))
_OF_MEMBER = (
    select(segment_members.c.name)
    .where(segment_members.c.number == bindparam("of"))
    .order_by(segment_members.c.name)
)
_LEAVE_ALL = delete(segment_members).where(segment_members.c.number == bindparam("of"))

_override = (
    segment_overrides.c.feature, segment_overrides.c.setting, segment_overrides.c.starts_at,
    segment_overrides.c.expires_at, segment_overrides.c.reason, segment_overrides.c.author,
    segment_overrides.c.created_at,
)  # fmt: skip
_OVERRIDES = (
    select(*_override)
    .where(segment_overrides.c.name == bindparam("key"))
    .order_by(segment_overrides.c.feature)
)
_OVERRIDES_OF_MEMBER = (
    select(segment_overrides.c.name, *_override)
    .join(segment_members, segment_members.c.name == segment_overrides.c.name)
    .where(segment_members.c.number == bindparam("of"))
    .order_by(segment_overrides.c.created_at, segment_overrides.c.name, segment_overrides.c.feature)
)
_PUT_OVERRIDE = Upsert(segment_overrides)
_REMOVE_OVERRIDES = delete(segment_overrides).where(segment_overrides.c.name == bindparam("key"))
_REMOVE_OVERRIDE = _REMOVE_OVERRIDES.where(segment_overrides.c.feature == bindparam("named"))
_FEATURES = select(segment_overrides.c.feature, func.min(segment_overrides.c.name)).group_by(
    segment_overrides.c.feature
)


class Segments(Subject):
    """Segments, who is in them, and the exceptions made for them."""

    def segment(self, name: str, *, held: bool = False) -> StoredSegment | None:
        """One segment; `held`: nobody else changes it until the transaction ends."""
        row = self._db.execute(_HELD if held else _SEGMENT, {"key": name}).first()
        return None if row is None else StoredSegment(*row)

    def segments_after(self, name: str, limit: int) -> list[StoredSegment]:
        """Segments in the order of their names."""
        return [StoredSegment(*row) for row in self._db.execute(_AFTER, {"after": name, "count": limit})]

    def segments_behind(self) -> list[str]:
        """Segments of which some members are still to get what changed."""
        return list(self._db.execute(_BEHIND).scalars())

    def put_segment(self, one: StoredSegment) -> None:
        """Writes a segment."""
        self._db.execute(_PUT.on(self._db), {name: getattr(one, name) for name in _NAMES})

    def drop_segment(self, name: str) -> None:
        """Removes a segment and who is in it."""
        for one in _DROP:
            self._db.execute(one, {"key": name})

    def members_after(self, name: str, number: int, limit: int) -> list[tuple[int, str]]:
        """(number, id) of members, in the order of their numbers."""
        found = self._db.execute(_MEMBERS, {"key": name, "after": number, "count": limit})
        return [(of, id) for of, id in found]

    def member_count(self, name: str) -> int:
        """How many customers are in a segment."""
        return int(self._db.execute(_COUNT, {"key": name}).scalar_one())

    def members_among(self, name: str, numbers: Sequence[int]) -> set[int]:
        """Which of these are in a segment; at most a few thousand at once."""
        return set(self._db.execute(_KNOWN, {"key": name, "numbers": numbers}).scalars())

    def add_members(self, name: str, numbers: Sequence[int]) -> None:
        """Puts customers into a segment."""
        self._many(_JOIN.on(self._db), [{"name": name, "number": number} for number in numbers])

    def remove_members(self, name: str, numbers: Sequence[int]) -> None:
        """Takes customers out of a segment."""
        self._many(_REMOVE, [{"key": name, "of": number} for number in numbers])

    def segments_of(self, number: int) -> list[str]:
        """The names of a customer's segments, in order."""
        return list(self._db.execute(_OF_MEMBER, {"of": number}).scalars())

    def leave_segments(self, number: int) -> None:
        """Takes a customer out of every segment."""
        self._db.execute(_LEAVE_ALL, {"of": number})

    def segment_overrides(self, name: str) -> list[StoredOverride]:
        """A segment's exceptions, in the order of their features."""
        rows = self._db.execute(_OVERRIDES, {"key": name})
        return [StoredOverride(row[0], unpack(row[1]), *row[2:]) for row in rows]

    def overrides_of_segments(self, number: int) -> list[tuple[str, StoredOverride]]:
        """(segment, exception) of a customer's segments, oldest first, then by name."""
        rows = self._db.execute(_OVERRIDES_OF_MEMBER, {"of": number})
        return [(row[0], StoredOverride(row[1], unpack(row[2]), *row[3:])) for row in rows]

    def put_segment_override(self, name: str, one: StoredOverride) -> None:
        """Writes an exception over an earlier one of the same feature."""
        self._db.execute(_PUT_OVERRIDE.on(self._db), {"name": name, **override_row(one)})

    def remove_segment_override(self, name: str, feature: str | None = None) -> None:
        """Removes one exception, or all of a segment's."""
        if feature is None:
            self._db.execute(_REMOVE_OVERRIDES, {"key": name})
        else:
            self._db.execute(_REMOVE_OVERRIDE, {"key": name, "named": feature})

    def features_of_segments(self) -> dict[str, str]:
        """Feature -> a segment that has an exception for it."""
        return {row[0]: row[1] for row in self._db.execute(_FEATURES)}
