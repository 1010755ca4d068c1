"""The courier over the slow model of the store, with a sender that answers as it is told and a clock that
stands still."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.clock import ManualClock
from fastcheck.hub.webhooks import delivery as module
from fastcheck.hub.webhooks.delivery import CLAIM_MS, Courier, Delivery, Endpoint
from fastcheck.hub.webhooks.retry import ATTEMPTS_MAX, Outcome
from fastcheck.hub.webhooks.sign import ActiveSecret, new_secret
from fastcheck.wire.events import FIELDS, Event, Kind
from models.slow_deliveries import SlowDeliveries
from rig.samples import examples

NOW_MS = 1_714_521_600_000
GENEROUS_S = 60
Answer = Callable[[str, str], Awaitable[Outcome]]


def event(id: str, kind: Kind = Kind.LIMIT_REACHED, at: int = NOW_MS) -> Event:
    return Event(id, kind, at, "acme", dict.fromkeys(FIELDS[kind]))


def endpoint(id: str) -> Endpoint:
    return Endpoint(id, f"https://{id}.test/hook", (ActiveSecret(new_secret()),))


class ToldSender:
    """`answer(endpoint, event id)` says what comes of an attempt."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.turns = Random(1)
        self.sent: list[tuple[str, str]] = []
        """(endpoint, event id), as attempts began."""
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        place, id = url.removeprefix("https://").partition(".")[0], headers["webhook-id"]
        self.sent.append((place, id))
        for key in (place, "all"):
            self.at_once[key] += 1
            self.most[key] = max(self.most[key], self.at_once[key])
        try:
            for _ in range(self.turns.randrange(200)):
                await asyncio.sleep(0)  # some attempts take longer than others
            return await self.answer(place, id)
        finally:
            for key in (place, "all"):
                self.at_once[key] -= 1

    async def close(self) -> None:
        pass


class House:
    """A store, a sender, a clock, and the courier between them."""

    def __init__(self, places: Sequence[str], answer: Answer, workers: int = 4) -> None:
        self.store = SlowDeliveries()
        for place in places:
            self.store.add(endpoint(place))
        self.sender = ToldSender(answer)
        self.clock = ManualClock(NOW_MS)
        self.courier = Courier(self.store, self.sender, self.clock, Random(1), workers=workers)

    def drain(self) -> None:
        asyncio.run(asyncio.wait_for(self.courier.drain(), GENEROUS_S))

    def until_all_is_done(self) -> None:
        """Lets the time pass from one attempt to the next."""
        self.drain()
        while waiting := [row.due_at for row in self.store.rows if row.state == "waiting"]:
            assert min(waiting) > self.clock.now_ms(), "what is due was not sent"
            self.clock.set(min(waiting))
            self.drain()


def always(status: int) -> Answer:
    async def answer(place: str, id: str) -> Outcome:
        return Outcome(status)

    return answer


STATUSES = st.sampled_from([200, 204, 302, 404, 410, 429, 500])


@examples(20)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 8), st.lists(STATUSES), st.integers(0, 2**32))
def test_every_delivery_ends_whatever_is_answered(
    workers: int, places: int, count: int, script: list[int], seed: int
) -> None:
    random = Random(seed)
    answered: dict[tuple[str, str], list[int]] = defaultdict(list)

    async def answer(place: str, id: str) -> Outcome:
        status = random.choice(script or [500])
        answered[place, id].append(status)
        return Outcome(status)

    house = House([f"p{n}" for n in range(places)], answer, workers)
    for n in range(count):
        house.store.put(event(f"e{n}"))
    house.until_all_is_done()
    for row in house.store.rows:
        place = row.place.endpoint.id
        statuses = answered[place, row.event.id]
        assert all(status >= 300 and status != 410 for status in statuses[:-1]), "sent again after its end"
        assert len(statuses) <= ATTEMPTS_MAX
        if row.state == "delivered":
            assert statuses[-1] < 300
        else:
            assert row.state == "dead"
            assert row.why
            assert len(statuses) == ATTEMPTS_MAX or not row.place.on
    gone = {place for (place, _), statuses in answered.items() if 410 in statuses}
    assert gone == {one.endpoint.id for one in house.store.places if not one.on}
    most = house.sender.most
    assert most["all"] <= workers
    assert all(most[one.endpoint.id] <= 1 for one in house.store.places)


def test_events_come_in_order_while_nothing_fails_and_go_on_when_one_does() -> None:
    async def answer(place: str, id: str) -> Outcome:
        return Outcome(500 if id == "e2" and house.clock.now_ms() == NOW_MS else 200)

    house = House(["a"], answer)
    for n in range(5):
        house.store.put(event(f"e{n}"))
    house.until_all_is_done()
    assert [id for _, id in house.sender.sent] == ["e0", "e1", "e2", "e3", "e4", "e2"]


def test_as_many_are_under_way_as_there_are_workers_and_no_more() -> None:
    house = House([f"p{n}" for n in range(10)], always(200), workers=3)
    for n in range(5):
        house.store.put(event(f"e{n}"))
    house.drain()
    assert len(house.store.of("delivered")) == 50
    assert house.sender.most["all"] == 3


def test_an_endpoint_that_hangs_holds_up_nobody_else() -> None:
    async def answer(place: str, id: str) -> Outcome:
        if place == "slow" and len(house.store.of("delivered")) < 20:
            await asyncio.wait_for(free.wait(), GENEROUS_S)
        if len(house.store.of("delivered")) == 19:
            free.set()
        return Outcome(200)

    async def run() -> None:
        await asyncio.wait_for(house.courier.drain(), GENEROUS_S)

    free = asyncio.Event()
    house = House(["slow", "quick"], answer, workers=2)
    for n in range(20):
        house.store.put(event(f"e{n}"))
    asyncio.run(run())
    assert len(house.store.of("delivered")) == 40
    quick_last = max(n for n, (place, _) in enumerate(house.sender.sent) if place == "quick")
    assert [place for place, _ in house.sender.sent[:quick_last]].count("slow") == 1


def test_a_dead_letter_is_replayed_with_its_id() -> None:
    house = House(["a"], always(503))
    house.store.put(event("e0"))
    house.until_all_is_done()
    assert house.store.of("dead") == ["e0/a"]
    assert house.store.row("e0/a").why == "answered 503"
    assert house.sender.sent == [("a", "e0")] * ATTEMPTS_MAX
    house.sender.answer = always(200)
    house.drain()
    assert len(house.sender.sent) == ATTEMPTS_MAX, "the dead stay dead until somebody asks"
    assert house.store.replay("e0/a", house.clock.now_ms())
    assert not house.store.replay("e0/a", house.clock.now_ms())
    house.drain()
    assert house.store.of("delivered") == ["e0/a"]
    assert house.sender.sent[-1] == ("a", "e0")


def test_an_endpoint_that_is_gone_gets_nothing_more_until_it_is_enabled() -> None:
    house = House(["a", "b"], always(410))
    for n in range(3):
        house.store.put(event(f"e{n}"))
    house.drain()
    assert sorted(house.sender.sent) == [("a", "e0"), ("b", "e0")]
    assert len(house.store.of("dead")) == 6
    house.store.put(event("e3"))
    assert len(house.store.rows) == 6
    assert not house.store.replay("e1/a", NOW_MS)
    house.store.enable("a")
    house.sender.answer = always(200)
    assert house.store.replay("e1/a", NOW_MS)
    house.store.put(event("e4"))
    house.drain()
    assert house.store.of("delivered") == ["e1/a", "e4/a"]


def test_endpoints_get_the_kinds_they_want_and_an_event_once() -> None:
    store = SlowDeliveries()
    store.add(endpoint("all"))
    store.add(endpoint("some"), [Kind.TOPPED_UP])
    for one in (event("e0"), event("e1", Kind.TOPPED_UP), event("e1", Kind.TOPPED_UP)):
        store.put(one)
    assert [row.id for row in store.rows] == ["e0/all", "e1/all", "e1/some"]


def test_an_outcome_that_could_not_be_kept_is_found_out_by_the_claim(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(["a"], always(200))
    house.store.put(event("e0"))
    house.store.put(event("e1"))

    def broken(id: str) -> None:
        raise OSError("the disk")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "delivered", broken)
        house.drain()
    assert "will be sent again" in caplog.text
    house.clock.advance(CLAIM_MS - 1)
    house.drain()
    assert house.sender.sent == [("a", "e0")], "the claim holds its endpoint"
    house.clock.advance(1)
    house.drain()
    assert house.sender.sent == [("a", "e0"), ("a", "e0"), ("a", "e1")]
    assert len(house.store.of("delivered")) == 2


def test_a_store_that_cannot_be_read_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        running = asyncio.ensure_future(house.courier.run(stop, asyncio.Event()))
        while not house.store.of("delivered"):
            await asyncio.sleep(0.001)
        stop.set()
        await running

    house = House(["a"], always(200))
    house.store.put(event("e0"))
    due, troubles = house.store.due, [OSError("the disk"), OSError("the disk")]

    def sometimes(now: int, limit: int) -> Sequence[Delivery]:
        if troubles:
            raise troubles.pop()
        return due(now, limit)

    monkeypatch.setattr(house.store, "due", sometimes)
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.001)
    asyncio.run(asyncio.wait_for(run(), GENEROUS_S))


def test_news_wake_the_courier_and_a_stop_waits_for_what_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(place: str, id: str) -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome(200)

    async def run() -> None:
        stop, news = asyncio.Event(), asyncio.Event()
        running = asyncio.ensure_future(house.courier.run(stop, news))
        await asyncio.sleep(0)
        for n in range(2):
            house.store.put(event(f"e{n}"))
        news.set()
        await begun.wait()
        stop.set()
        await asyncio.sleep(0.01)
        assert not running.done()
        go_on.set()
        await running
        assert house.store.of("delivered") == ["e0/a"]
        assert house.store.of("waiting") == ["e1/a"], "nothing new is begun after the stop"

    monkeypatch.setattr(module, "LOOK_AGAIN_S", 3_600)
    begun, go_on = asyncio.Event(), asyncio.Event()
    house = House(["a"], answer)
    asyncio.run(asyncio.wait_for(run(), GENEROUS_S))


def test_a_sender_that_breaks_and_an_endpoint_without_a_secret_are_failures() -> None:
    async def answer(place: str, id: str) -> Outcome:
        raise RuntimeError("https://a.test/hook?token=hidden")

    house = House(["a"], answer)
    house.store.add(Endpoint("bare", "https://bare.test", (ActiveSecret(new_secret(), until_at=NOW_MS),)))
    house.store.put(event("e0"))
    house.drain()
    assert house.store.row("e0/a").why == "the sender failed: RuntimeError"
    assert house.store.row("e0/bare").why == "the endpoint has no secret in force"
    assert house.sender.sent == [("a", "e0")]


def test_failures_are_logged_without_address_secret_or_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house = House(["a"], always(500))
    house.store.put(event("e0"))
    house.drain()
    assert "delivery e0/a to endpoint a, attempt 1: answered 500; again" in caplog.text
    secret: Any = house.store.places[0].endpoint.secrets[0].secret.reveal()
    for hidden in (secret, "a.test", "acme"):
        assert hidden not in caplog.text
