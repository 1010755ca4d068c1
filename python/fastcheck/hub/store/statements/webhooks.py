"""Where events are sent, and what is on its way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, select, text, true, update

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.events import Events, stored_event
from fastcheck.hub.store.tables import deliveries, events, webhooks
from fastcheck.wire.events import Event
from fastcheck.wire.packing import pack, unpack


@dataclass(frozen=True)
class StoredWebhook:
    """A webhook's row."""

    id: str
    url: str
    kinds: tuple[str, ...] | None
    """None = all."""
    secrets: tuple[tuple[str, int | None], ...]
    """(text, in force until), the newest first."""
    enabled: bool
    author: str
    created_at: int

    def __repr__(self) -> str:
        return f"StoredWebhook({self.id})"  # Neither the secrets nor the address, which may hold a token.


@dataclass(frozen=True)
class StoredDelivery:
    """A delivery's row, with what its event is."""

    id: str
    webhook: str
    event: str
    """The event's id."""
    kind: str
    state: str
    attempts: int
    next_at: int
    why: str


_COLUMNS = ("id", "url", "kinds", "secrets", "enabled", "author", "created_at")
_all = select(*(webhooks.c[name] for name in _COLUMNS))
_in_order = _all.order_by(webhooks.c.created_at, webhooks.c.id)
_ONE = _all.where(webhooks.c.id == bindparam("of")).with_for_update()
_AT_URL = _all.where(webhooks.c.url == bindparam("of"))
# One that somebody else is handing deliveries out of is left to them.
_TAKEN_FROM = _in_order.where(webhooks.c.enabled == true()).with_for_update(skip_locked=True)
_ANY = select(webhooks.c.id).where(webhooks.c.enabled == true()).limit(1)
_PUT = Upsert(webhooks)
_REMOVE = delete(webhooks).where(webhooks.c.id == bindparam("of"))
_REMOVE_DELIVERIES = delete(deliveries).where(deliveries.c.webhook == bindparam("of"))

# As text: SQLite takes a partial index only where its condition stands in the statement itself.
_waiting, _dead = text("deliveries.state = 'waiting'"), text("deliveries.state = 'dead'")
_claimed = text("deliveries.claimed_until > 0")
_at = deliveries.c.webhook == bindparam("of")
_NEXT_AT = select(func.min(deliveries.c.next_at)).where(_at, _waiting)
_TAKEN = (
    select(deliveries.c.id)
    .where(_at, _waiting, _claimed, deliveries.c.claimed_until > bindparam("now"))
    .limit(1)
)
_OLDEST = (
    select(
        deliveries.c.id,
        deliveries.c.attempts,
        deliveries.c.next_at,
        events.c.id,
        events.c.kind,
        events.c.at,
        events.c.customer,
        events.c.data,
    )
    .join(events, events.c.place == deliveries.c.event)
    # The sum keeps the index of `next_at` out: all that is due would be sorted for each one taken.
    .where(_at, _waiting, deliveries.c.next_at + 0 <= bindparam("now"))
    .order_by(deliveries.c.event)
    .limit(1)
)
_mine = deliveries.c.id == bindparam("of")
_CLAIM = update(deliveries).where(_mine).values(claimed_until=bindparam("until"))
_END = (
    update(deliveries)
    .where(_mine, _waiting)
    .values(state=bindparam("new"), claimed_until=0, why=bindparam("reason"), changed_at=bindparam("now"))
)
_AGAIN = (
    update(deliveries)
    .where(_mine, _waiting)
    .values(
        attempts=deliveries.c.attempts + 1,
        next_at=bindparam("next"),
        claimed_until=0,
        why=bindparam("reason"),
        changed_at=bindparam("now"),
    )
)
_DIE = (
    update(deliveries)
    .where(_at, _waiting)
    .values(state="dead", claimed_until=0, why=bindparam("reason"), changed_at=bindparam("now"))
)
_fresh: Mapping[str, Any] = {
    "state": "waiting", "attempts": 0, "claimed_until": 0, "why": "", "next_at": bindparam("now"),
    "changed_at": bindparam("now"),
}  # fmt: skip
_REPLAY = update(deliveries).where(_mine, _dead).values(_fresh).execution_options(preserve_rowcount=True)
_REPLAY_ALL = update(deliveries).where(_at, _dead).values(_fresh).execution_options(preserve_rowcount=True)
_RELEASE = update(deliveries).where(_waiting, _claimed).values(claimed_until=0)
_shown = (
    deliveries.c.id, deliveries.c.webhook, events.c.id, events.c.kind, deliveries.c.state,
    deliveries.c.attempts, deliveries.c.next_at, deliveries.c.why,
)  # fmt: skip
_DELIVERIES = select(*_shown).join(events, events.c.place == deliveries.c.event)
_DELIVERY = _DELIVERIES.where(_mine)
_AFTER = (
    _DELIVERIES.where(deliveries.c.id > bindparam("after"))
    .order_by(deliveries.c.id)
    .limit(bindparam("count"))
)
_in_state = deliveries.c.state == bindparam("in_state")
_PAGES = {
    (False, False): _AFTER, (True, False): _AFTER.where(_in_state), (False, True): _AFTER.where(_at),
    (True, True): _AFTER.where(_in_state, _at),
}  # fmt: skip


class Webhooks(Events):
    """Webhooks and deliveries."""

    def webhook(self, id: str) -> StoredWebhook | None:
        """One webhook, held until the end of the transaction."""
        row = self._db.execute(_ONE, {"of": id}).first()
        return None if row is None else _webhook(row)

    def webhook_at(self, url: str) -> StoredWebhook | None:
        """The webhook of an address."""
        row = self._db.execute(_AT_URL, {"of": url}).first()
        return None if row is None else _webhook(row)

    def webhooks(self) -> list[StoredWebhook]:
        """All, in the order in which they were made."""
        return [_webhook(row) for row in self._db.execute(_in_order)]

    def any_webhook(self) -> bool:
        """Whether one is enabled."""
        return self._db.execute(_ANY).first() is not None

    def put_webhook(self, one: StoredWebhook) -> None:
        """Writes a webhook."""
        row = {
            "id": one.id, "url": one.url, "kinds": None if one.kinds is None else pack(one.kinds),
            "secrets": pack(one.secrets), "enabled": one.enabled, "author": one.author,
            "created_at": one.created_at,
        }  # fmt: skip
        self._db.execute(_PUT.on(self._db), row)

    def remove_webhook(self, id: str) -> None:
        """Removes a webhook, and what was on its way."""
        self._db.execute(_REMOVE_DELIVERIES, {"of": id})
        self._db.execute(_REMOVE, {"of": id})

    def take_deliveries(
        self, now: int, until: int, limit: int
    ) -> list[tuple[StoredWebhook, str, int, Event]]:
        """(webhook, delivery, attempts, event): of each enabled webhook the oldest event that is due, unless
        another of its deliveries is claimed; the longest due first. They are claimed until `until`."""
        found = []
        for one in [_webhook(row) for row in self._db.execute(_TAKEN_FROM)]:
            asked = {"of": one.id, "now": now}
            next_at = self._db.execute(_NEXT_AT, {"of": one.id}).scalar()
            if next_at is None or next_at > now or self._db.execute(_TAKEN, asked).first() is not None:
                continue
            row = self._db.execute(_OLDEST, asked).one()
            found.append((row[2], (one, row[0], row[1], stored_event(*row[3:]))))
        taken = [one for _, one in sorted(found, key=lambda one: one[0])[:limit]]
        self._many(_CLAIM, [{"of": id, "until": until} for _, id, _, _ in taken])
        return taken

    def end_delivery(self, id: str, state: str, why: str, now: int) -> None:
        """A waiting delivery is delivered or dead."""
        self._db.execute(_END, {"of": id, "new": state, "reason": why, "now": now})

    def delay_delivery(self, id: str, next_at: int, why: str, now: int) -> None:
        """One attempt more of a waiting delivery failed."""
        self._db.execute(_AGAIN, {"of": id, "next": next_at, "reason": why, "now": now})

    def end_deliveries(self, webhook: str, why: str, now: int) -> None:
        """All that waits for a webhook becomes dead."""
        self._db.execute(_DIE, {"of": webhook, "reason": why, "now": now})

    def release_claims(self) -> None:
        """What was handed out is handed out again, for the only one who sends."""
        self._db.execute(_RELEASE)

    def delivery(self, id: str) -> StoredDelivery | None:
        """One delivery."""
        row = self._db.execute(_DELIVERY, {"of": id}).first()
        return None if row is None else StoredDelivery(*row)

    def deliveries_after(
        self, id: str, limit: int, state: str | None, webhook: str | None
    ) -> list[StoredDelivery]:
        """Deliveries in the order of their ids."""
        asked: dict[str, object] = {"after": id, "count": limit}
        if state is not None:
            asked["in_state"] = state
        if webhook is not None:
            asked["of"] = webhook
        rows = self._db.execute(_PAGES[state is not None, webhook is not None], asked)
        return [StoredDelivery(*row) for row in rows]

    def replay_delivery(self, id: str, now: int) -> bool:
        """A dead delivery waits again; False for any other."""
        return self._db.execute(_REPLAY, {"of": id, "now": now}).rowcount == 1

    def replay_dead(self, webhook: str, now: int) -> int:
        """All dead deliveries of a webhook wait again; how many."""
        return int(self._db.execute(_REPLAY_ALL, {"of": webhook, "now": now}).rowcount)


def _webhook(row: Sequence[Any]) -> StoredWebhook:
    id, url, kinds, secrets, enabled, author, created_at = row
    return StoredWebhook(
        id,
        url,
        None if kinds is None else tuple(unpack(kinds)),
        tuple((one[0], one[1]) for one in unpack(secrets)),
        bool(enabled),
        author,
        created_at,
    )
