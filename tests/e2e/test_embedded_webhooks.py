"""Webhooks out of a directory, all the way: a burn, the ledger, the owner's courier, a receiver on this
machine. Whoever owns the directory sends; a kill in between delays and loses nothing."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from fastcheck import Entitlements
from rig.processes import GENEROUS_S, QUICKSTART, Child, in_fork, wait_for


class Receiver:
    """Keeps what comes; answers 204 while `answers` is set, and nothing until then."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[Mapping[str, str], bytes]] = queue.Queue()
        self.came = threading.Event()
        self.answers = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.put(({key.lower(): value for key, value in self.headers.items()}, body))
                outer.came.set()
                if outer.answers.wait(GENEROUS_S):
                    self.send_response(204)
                    self.end_headers()

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def next(self) -> tuple[Mapping[str, str], bytes]:
        return self.got.get(timeout=GENEROUS_S)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.answers.set()
    made.server.shutdown()
    made.server.server_close()


def couriers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "fastcheck-courier"]


def prepared(directory: Path) -> Entitlements:
    ents = Entitlements.open(directory, catalog=QUICKSTART)
    ents.admin.put_customer("acme", plan="pro")
    ents.admin.grant("acme", "ai_credits", 100)
    return ents


def test_a_burn_that_makes_a_balance_low_reaches_the_receiver_signed(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers.set()
    with prepared(tmp_path) as ents:
        assert couriers() == [], "a thread that nobody needs"
        made = ents.admin.put_webhook(receiver.url, ["low_balance"])
        heard: queue.Queue[Any] = queue.Queue()
        ents.on("low_balance", heard.put)
        assert ents.consume("acme", "gpt-4o", 95)
        headers, body = receiver.next()
        assert made.secret is not None
        told = Webhook(made.secret).verify(body, dict(headers))
        assert told["type"] == "low_balance"
        assert told["data"] == {"customer": "acme", "pool": "ai_credits", "percent": 90, "remaining": "5"}
        change = heard.get(timeout=GENEROUS_S)
        assert (change.customer, change.percent, change.remaining) == ("acme", 90, 5_000_000)
        [known] = ents.admin.list_events(kind="low_balance").items
        assert headers["webhook-id"] == known.id
        wait_for(lambda: ents.admin.list_deliveries(state="delivered").items)
        ents.admin.delete_webhook(made.id)
        wait_for(lambda: couriers() == [])
    assert receiver.got.empty()


OWNER = """
ents = Entitlements.open(sys.argv[1], catalog=sys.argv[2])
ents.admin.put_customer("acme", plan="pro")
ents.admin.grant("acme", "ai_credits", 100)
secret = ents.admin.put_webhook(sys.argv[3], ["low_balance"]).secret
say(ents.consume("acme", "gpt-4o", 95), secret)
sys.stdin.read()
"""


def test_an_owner_killed_while_it_sends_is_succeeded_under_the_same_id(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Child(OWNER, tmp_path, QUICKSTART, receiver.url) as owner:
        said, secret = owner.hear()
        assert said == "True"
        first, body = receiver.next()  # It has come, and is not answered yet.
        owner.kill()
    receiver.answers.set()
    with Entitlements.open(tmp_path) as ents:
        second, again = receiver.next()
        assert (second["webhook-id"], again) == (first["webhook-id"], body)
        assert Webhook(secret).verify(again, dict(second))["data"]["percent"] == 90
        wait_for(lambda: ents.admin.list_deliveries(state="delivered").items)
        assert len(ents.admin.list_events(kind="low_balance").items) == 1


def test_an_owner_killed_before_it_settled_leaves_the_event_to_its_successor(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answers.set()
    with Child(OWNER, tmp_path, QUICKSTART, receiver.url) as owner:
        owner.hear()
        owner.send(signal.SIGKILL)
    with Entitlements.open(tmp_path) as ents:
        receiver.next()
        wait_for(lambda: ents.admin.list_deliveries(state="delivered").items)
        assert len(ents.admin.list_events(kind="low_balance").items) == 1


def test_closing_does_not_wait_for_a_receiver_that_does_not_answer(
    tmp_path: Path, receiver: Receiver
) -> None:
    with prepared(tmp_path) as ents:
        ents.admin.put_webhook(receiver.url, ["low_balance"])
        assert ents.consume("acme", "gpt-4o", 95)
        receiver.next()
    assert couriers() == []
    receiver.answers.set()
    with Entitlements.open(tmp_path) as ents:
        receiver.next()
        wait_for(lambda: ents.admin.list_deliveries(state="delivered").items)


def test_a_forked_child_does_not_send(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers.set()
    with prepared(tmp_path) as ents:
        ents.admin.put_webhook(receiver.url, ["low_balance"])
        parent = os.getpid()

        def child() -> bool:
            spent = ents.consume("acme", "gpt-4o", 95)
            ents.admin.balance("acme", "ai_credits")
            return os.getpid() != parent and spent and couriers() == [] and ents.status().role == "worker"

        assert in_fork(child) == 0
        receiver.next()
        wait_for(lambda: ents.admin.list_deliveries(state="delivered").items)
    assert receiver.got.empty()
