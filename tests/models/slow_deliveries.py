"""Webhook deliveries in a list, looked through from the start each time: the model that the tables are
compared with. See `fastcheck.hub.webhooks.delivery.Deliveries` for what each call means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from fastcheck.hub.webhooks.delivery import CLAIM_MS, Deliveries, Delivery, Endpoint
from fastcheck.wire.events import Event, Kind


@dataclass
class Place:
    """An endpoint as it is kept."""

    endpoint: Endpoint
    kinds: Collection[Kind]
    on: bool = True


@dataclass
class Row:
    """A delivery as it is kept."""

    id: str
    event: Event
    place: Place
    due_at: int
    state: str = "waiting"
    """waiting, delivered or dead."""
    attempts: int = 0
    claimed_until: int = 0
    why: str = ""


class SlowDeliveries(Deliveries):
    """In the order in which they were put."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.rows: list[Row] = []

    # What the hub does.

    def add(self, endpoint: Endpoint, kinds: Collection[Kind] = tuple(Kind)) -> None:
        self.places.append(Place(endpoint, kinds))

    def enable(self, endpoint: str) -> None:
        """Sends it events again. Those that died meanwhile wait for a replay."""
        self._place(endpoint).on = True

    def put(self, event: Event) -> None:
        """A delivery for each endpoint that wants the event; none if the event is known."""
        if any(row.event.id == event.id for row in self.rows):
            return
        for place in self.places:
            if place.on and event.kind in place.kinds:
                self.rows.append(Row(f"{event.id}/{place.endpoint.id}", event, place, event.at))

    def replay(self, id: str, now: int) -> bool:
        """A dead letter waits again, from its first attempt on; False for anything else, and for an endpoint
        that is off."""
        row = self.row(id)
        if row.state != "dead" or not row.place.on:
            return False
        row.state, row.attempts, row.due_at, row.claimed_until, row.why = "waiting", 0, now, 0, ""
        return True

    def row(self, id: str) -> Row:
        (found,) = [row for row in self.rows if row.id == id]
        return found

    def of(self, state: str) -> list[str]:
        return [row.id for row in self.rows if row.state == state]

    # What the courier does.

    def due(self, now: int, limit: int) -> Sequence[Delivery]:
        waiting = [row for row in self.rows if row.state == "waiting"]
        firsts: list[Row] = []
        for place in self.places:
            its = [row for row in waiting if row.place is place]
            ready = [row for row in its if row.due_at <= now]
            if place.on and ready and not any(now < row.claimed_until for row in its):
                firsts.append(ready[0])
        firsts.sort(key=lambda row: row.due_at)
        for row in firsts[:limit]:
            row.claimed_until = now + CLAIM_MS
        return [Delivery(row.id, row.event, row.place.endpoint, row.attempts) for row in firsts[:limit]]

    def delivered(self, id: str) -> None:
        self._end(id, "delivered", "")

    def failed(self, id: str, next_at: int, why: str) -> None:
        row = self.row(id)
        if row.state == "waiting":
            row.attempts, row.due_at, row.claimed_until, row.why = row.attempts + 1, next_at, 0, why

    def dead(self, id: str, why: str) -> None:
        self._end(id, "dead", why)

    def disabled(self, endpoint: str) -> None:
        place = self._place(endpoint)
        place.on = False
        for row in self.rows:
            if row.place is place and row.state == "waiting":
                self._end(row.id, "dead", "the endpoint is disabled")

    def _end(self, id: str, state: str, why: str) -> None:
        row = self.row(id)
        if row.state == "waiting":
            row.state, row.claimed_until, row.why = state, 0, why

    def _place(self, endpoint: str) -> Place:
        (found,) = [place for place in self.places if place.endpoint.id == endpoint]
        return found

    def rotate(self, endpoint: Endpoint) -> None:
        """Another address or other secrets for an endpoint."""
        place = self._place(endpoint.id)
        place.endpoint = replace(place.endpoint, url=endpoint.url, secrets=endpoint.secrets)
