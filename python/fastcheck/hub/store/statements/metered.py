"""Use that was metered elsewhere, and its corrections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, tuple_, update

from fastcheck.hub.store.statements.conflict import InsertOnce
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import usage_corrections, usage_events


class StoredEvent(NamedTuple):
    """A usage event's row."""

    id: str
    number: int
    feature: str
    at: int
    received_at: int
    units: int
    subject: str | None
    touched_at: int


class StoredCorrection(NamedTuple):
    """A correction's row."""

    event: str
    place: int
    at: int
    units: int | None


_EVENTS = select(*(usage_events.c[name] for name in StoredEvent._fields))
_BY_ID = _EVENTS.where(usage_events.c.id.in_(bindparam("ids", expanding=True)))
_PUT = InsertOnce(usage_events)
_of = (usage_events.c.number == bindparam("of"), usage_events.c.feature == bindparam("name"))
_DATED = (
    _EVENTS.where(
        *_of,
        usage_events.c.at >= bindparam("since"),
        usage_events.c.at < bindparam("until"),
        tuple_(usage_events.c.at, usage_events.c.id) > tuple_(bindparam("after_at"), bindparam("after")),
    )
    .order_by(usage_events.c.at, usage_events.c.id)
    .limit(bindparam("count"))
)
_LATE = (
    _EVENTS.where(
        *_of,
        usage_events.c.at < bindparam("since"),
        usage_events.c.touched_at >= bindparam("since"),
        tuple_(usage_events.c.touched_at, usage_events.c.id)
        > tuple_(bindparam("after_at"), bindparam("after")),
    )
    .order_by(usage_events.c.touched_at, usage_events.c.id)
    .limit(bindparam("count"))
)
_CORRECTIONS = (
    select(*(usage_corrections.c[name] for name in StoredCorrection._fields))
    .where(usage_corrections.c.event.in_(bindparam("ids", expanding=True)))
    .order_by(usage_corrections.c.event, usage_corrections.c.place)
)
_CORRECT = insert(usage_corrections)
_TOUCH = (
    update(usage_events)
    .where(usage_events.c.id == bindparam("event"), usage_events.c.touched_at < bindparam("at_last"))
    .values(touched_at=bindparam("at_last"))
)


class Metered(Subject):
    """Usage events and their corrections."""

    def usage_events(self, ids: Sequence[str]) -> dict[str, StoredEvent]:
        """Those of the ids that are known."""
        return {
            row[0]: StoredEvent(*row)
            for part in chunks(sorted(set(ids)))
            for row in self._db.execute(_BY_ID, {"ids": part})
        }

    def put_usage_events(self, events: Sequence[StoredEvent]) -> None:
        """Stores events; those whose id is there are left as they are."""
        self._many(_PUT.on(self._db), [one._asdict() for one in events])

    def metered(
        self,
        number: int,
        feature: str,
        since: int,
        until: int,
        after: tuple[int, str],
        limit: int,
        *,
        late: bool,
    ) -> list[StoredEvent]:
        """Events of a customer and feature in [since, until) by (at, id); `late`: those before `since` that
        were heard of from then on, by (heard of, id)."""
        asked = {
            "of": number, "name": feature, "since": since, "until": until, "after_at": after[0],
            "after": after[1], "count": limit,
        }  # fmt: skip
        return [StoredEvent(*row) for row in self._db.execute(_LATE if late else _DATED, asked)]

    def usage_corrections(self, ids: Sequence[str]) -> list[StoredCorrection]:
        """The corrections of events, in their order."""
        return [
            StoredCorrection(*row)
            for part in chunks(sorted(set(ids)))
            for row in self._db.execute(_CORRECTIONS, {"ids": part})
        ]

    def put_usage_correction(self, one: StoredCorrection, reason: str, author: str) -> None:
        """Stores a correction."""
        self._db.execute(_CORRECT, {**one._asdict(), "reason": reason, "author": author})
        self._db.execute(_TOUCH, {"event": one.event, "at_last": one.at})
