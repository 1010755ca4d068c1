"""Events: what happened, stored with the change that made it so; and what will end.

Events wait in memory until the job is done: `flush_events` gives them their places last of all, so that
places are in the order of the commits and whoever reads past a place has missed nothing before it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, bindparam, delete, insert, select, true, update

from fastcheck.hub.store.statements.catalogs import Catalogs
from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.subject import chunks
from fastcheck.hub.store.tables import deliveries, events, notices, webhooks
from fastcheck.wire.events import AMOUNTS, Event, Kind, Value
from fastcheck.wire.packing import pack, unpack


@dataclass(frozen=True)
class Told:
    """An event as it is being stored."""

    event: Event
    number: int | None
    """The customer's; None for what concerns all."""
    pool: str | None = None
    percent: int | None = None
    remaining: int | None = None
    """Pool units that were left."""


@dataclass(frozen=True)
class StoredNotice:
    """Something that will end."""

    number: int
    pool: str
    """'' = of the customer's record."""
    kind: str
    subject: str
    at: int
    """When it ends."""
    due_at: int
    """When to tell."""


_EVENT = (events.c.place, events.c.id, events.c.kind, events.c.at, events.c.customer, events.c.data)
_AFTER = (
    select(*_EVENT)
    .where(events.c.place > bindparam("after"))
    .order_by(events.c.place)
    .limit(bindparam("count"))
)
_kind, _of = events.c.kind == bindparam("of_kind"), events.c.number == bindparam("of")
_PAGES = {
    (False, False): _AFTER, (True, False): _AFTER.where(_kind), (False, True): _AFTER.where(_of),
    (True, True): _AFTER.where(_kind, _of),
}  # fmt: skip
_PUT = insert(events)
_ENABLED = select(webhooks.c.id, webhooks.c.kinds).where(webhooks.c.enabled == true())
_PUT_DELIVERIES = insert(deliveries)

_NOTICE = (
    notices.c.number, notices.c.pool, notices.c.kind, notices.c.subject, notices.c.at, notices.c.due_at,
)  # fmt: skip
_key = (
    notices.c.number == bindparam("of"), notices.c.pool == bindparam("of_pool"),
    notices.c.kind == bindparam("of_kind"), notices.c.subject == bindparam("of_subject"),
)  # fmt: skip
_RECORDS_NOTICES = select(*_NOTICE).where(
    notices.c.number.in_(bindparam("numbers", expanding=True)), notices.c.pool == ""
)
_PUT_NOTICES = Upsert(notices)
_REMOVE_NOTICE = delete(notices).where(*_key)
_REMOVE_NOTICES_OF = delete(notices).where(notices.c.number == bindparam("of"))
_DUE = (
    select(*_NOTICE)
    .where(notices.c.told_at.is_(None), notices.c.due_at <= bindparam("until"))
    .order_by(notices.c.due_at, notices.c.number)
    .limit(bindparam("count"))
)
_TELL = (
    update(notices)
    .where(*_key, notices.c.at == bindparam("ends_at"), notices.c.told_at.is_(None))
    .values(told_at=bindparam("now"))
    .execution_options(preserve_rowcount=True)
)


class Events(Catalogs):
    """Events, and what will become one."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.told: list[Told] = []
        """Events of this transaction, in order."""
        self.top_ups_due = False
        """Whether this transaction found that an automatic top-up is due."""

    def tell(
        self,
        kind: Kind,
        at: int,
        number: int | None,
        customer: str | None,
        data: Mapping[str, Value],
        remaining: int | None = None,
    ) -> None:
        """Adds an event. `remaining`: the pool units that its data say in credits."""
        event = Event(f"evt_{secrets.token_hex(12)}", kind, at, customer, data)
        pool, percent = data.get("pool"), data.get("percent")
        self.told.append(
            Told(
                event,
                number,
                pool if isinstance(pool, str) else None,
                percent if isinstance(percent, int) else None,
                remaining,
            )
        )

    def flush_events(self) -> None:
        """Stores the events of this transaction, and a delivery of each for every webhook that wants it. The
        last thing a transaction does."""
        if not self.told:
            return
        last = self._take("events", len(self.told))
        placed = list(enumerate(self.told, last - len(self.told) + 1))
        self._many(
            _PUT,
            [
                {
                    "place": place,
                    "id": one.event.id,
                    "kind": one.event.kind.value,
                    "at": one.event.at,
                    "number": one.number,
                    "customer": one.event.customer,
                    "data": _packed(one.event.data),
                }
                for place, one in placed
            ],
        )
        wanted = [(id, kinds and set(unpack(kinds))) for id, kinds in self._db.execute(_ENABLED)]
        self._many(
            _PUT_DELIVERIES,
            [
                {
                    "webhook": id,
                    "event": place,
                    "id": f"{one.event.id}/{id}",
                    "attempts": 0,
                    "next_at": one.event.at,
                    "claimed_until": 0,
                    "state": "waiting",
                    "why": "",
                    "changed_at": one.event.at,
                }
                for place, one in placed
                for id, kinds in wanted
                if kinds is None or one.event.kind.value in kinds
            ],
        )

    def events_after(
        self, place: int, limit: int, kind: str | None = None, number: int | None = None
    ) -> list[tuple[int, Event]]:
        """(place, event), oldest first, of one kind or customer or all."""
        asked: dict[str, object] = {"after": place, "count": limit}
        if kind is not None:
            asked["of_kind"] = kind
        if number is not None:
            asked["of"] = number
        found = self._db.execute(_PAGES[kind is not None, number is not None], asked)
        return [(row[0], stored_event(*row[1:])) for row in found]

    def replace_notices(self, known: Sequence[int], wanted: Sequence[StoredNotice]) -> None:
        """Makes `wanted` what is to be told of customers' records. `known`: those of the customers that may
        have notices already. One that was told for the same end is not told again."""
        old: dict[tuple[int, str, str], int] = {}
        for part in chunks(known):
            for row in self._db.execute(_RECORDS_NOTICES, {"numbers": part}):
                old[row[0], row[2], row[3]] = row[4]
        new = {(one.number, one.kind, one.subject): one for one in wanted}
        gone = [
            {"of": key[0], "of_pool": "", "of_kind": key[1], "of_subject": key[2]}
            for key in old
            if key not in new
        ]
        self._many(_REMOVE_NOTICE, gone)
        self.put_notices([one for key, one in new.items() if old.get(key) != one.at])

    def put_notices(self, rows: Sequence[StoredNotice]) -> None:
        """Writes what is to be told, in place of what was to be told of the same subjects."""
        self._many(_PUT_NOTICES.on(self._db), [{**vars(one), "told_at": None} for one in rows])

    def remove_notices(self, number: int) -> None:
        """Nothing more is told of a customer."""
        self._db.execute(_REMOVE_NOTICES_OF, {"of": number})

    def notices_due(self, until: int, limit: int) -> list[StoredNotice]:
        """What is to be told at an instant (inclusive) and was not."""
        return [StoredNotice(*row) for row in self._db.execute(_DUE, {"until": until, "count": limit})]

    def take_notice(self, one: StoredNotice, now: int) -> bool:
        """Notes that something was told; False if it was already, or will end at another instant by now."""
        key = {"of": one.number, "of_pool": one.pool, "of_kind": one.kind, "of_subject": one.subject}
        return self._db.execute(_TELL, {**key, "ends_at": one.at, "now": now}).rowcount == 1


def stored_event(id: str, kind: str, at: int, customer: str | None, data: bytes) -> Event:
    """A row as it was told."""
    values = {
        key: Decimal(value) if key in AMOUNTS and isinstance(value, str) else value
        for key, value in unpack(data).items()
    }
    return Event(id, Kind(kind), at, customer, values)


def _packed(data: Mapping[str, Value]) -> bytes:
    return pack({key: f"{value:f}" if isinstance(value, Decimal) else value for key, value in data.items()})
