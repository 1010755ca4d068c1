"""The sender against real servers on this machine: what it takes, what it refuses, what it never tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from fastcheck import errors
from fastcheck.clock import ManualClock, SystemClock
from fastcheck.hub.webhooks import http
from fastcheck.hub.webhooks.delivery import Courier, Endpoint
from fastcheck.hub.webhooks.http import RESPONSE_BYTES_MAX, HttpSender, check_url, is_public
from fastcheck.hub.webhooks.retry import Outcome
from fastcheck.hub.webhooks.sign import ActiveSecret, Secret, new_secret
from fastcheck.wire.events import Event, Kind
from models.slow_deliveries import SlowDeliveries

TLS = Path(__file__).parents[1] / "rig" / "tls"
"""A certificate for hooks.test that nobody trusts, and its key: for tests only, for a hundred years."""
GENEROUS_S = 60
SOON_S = 0.3
"""A sender's patience with servers that never finish."""


@dataclass
class Receiver:
    """A server and what it was sent."""

    port: int
    answer: Callable[[BaseHTTPRequestHandler], object]
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """(path, headers in lower case, body)."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/token-in-the-path?key=in-the-query"


@contextlib.contextmanager
def receiver(
    answer: Callable[[BaseHTTPRequestHandler], object], tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            here.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            with contextlib.suppress(OSError):
                here.answer(self)

        do_GET = do_POST

        def log_message(self, *words: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *about: Any) -> None:
            pass  # Clients that hang up are what is tested.

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    here = Receiver(server.server_port, answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"content-length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def each(*answers: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], None]:
    waiting = list(answers)
    return lambda handler: waiting.pop(0)(handler)


def post(*urls: str, **options: Any) -> list[Outcome]:
    """One sender, one webhook to each address in turn."""

    async def run() -> list[Outcome]:
        async with HttpSender(**options) as sender:
            return [await sender.send(url, {"webhook-id": "evt_1"}, b"{}") for url in urls]

    return asyncio.run(asyncio.wait_for(run(), GENEROUS_S))


class Post:
    """Events to one endpoint, all the way: store, courier, sender."""

    def __init__(self, url: str) -> None:
        self.secret: Secret = new_secret()
        self.store = SlowDeliveries()
        self.store.add(Endpoint("there", url, (ActiveSecret(self.secret),)))
        self.clock = ManualClock(SystemClock().now_ms())

    def put(self, id: str) -> None:
        data: Mapping[str, str | int] = {"pool": "ai_credits", "percent": 100, "remaining": 0}
        self.store.put(Event(id, Kind.LIMIT_REACHED, self.clock.now_ms(), "acme-secret-customer", data))

    def drain(self) -> None:
        async def run() -> None:
            async with HttpSender(timeout_s=GENEROUS_S) as sender:
                courier = Courier(self.store, sender, self.clock, Random(1))
                await asyncio.wait_for(courier.drain(), GENEROUS_S)

        asyncio.run(run())

    def next_attempt(self) -> None:
        """Lets the time pass until one is due, and makes it."""
        self.clock.set(min(row.due_at for row in self.store.rows if row.state == "waiting"))
        self.drain()


def test_an_event_arrives_at_the_third_attempt_signed_each_time_under_one_id() -> None:
    with receiver(each(status(500), status(429, retry_after="60"), status(204))) as there:
        post = Post(there.url)
        post.put("evt_1")
        post.drain()
        assert post.store.row("evt_1/there").attempts == 1
        post.next_attempt()
        post.next_attempt()
        assert post.store.of("delivered") == ["evt_1/there"]
    assert len(there.seen) == 3
    first = there.seen[0]
    assert Webhook(post.secret.reveal()).verify(first[2], first[1])["type"] == "limit_reached"
    for path, headers, body in there.seen:
        assert there.url.endswith(path)
        assert (headers["webhook-id"], headers["content-type"]) == ("evt_1", "application/json")
        assert body == first[2], "the same bytes each time"
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
        assert headers["webhook-signature"] == Webhook(post.secret.reveal()).sign("evt_1", at, body.decode())
    times = [int(headers["webhook-timestamp"]) for _, headers, _ in there.seen]
    assert times[1] - times[0] >= 5
    assert times[2] - times[1] >= 300


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    with receiver(status(410)) as there:
        post = Post(there.url)
        post.put("evt_1")
        post.put("evt_2")
        post.drain()
        post.put("evt_3")
        post.drain()
        assert len(there.seen) == 1
        assert post.store.of("dead") == ["evt_1/there", "evt_2/there"]


def test_a_dead_letter_arrives_when_it_is_replayed_under_the_same_id() -> None:
    with receiver(status(503)) as there:
        post = Post(there.url)
        post.put("evt_1")
        post.drain()
        while post.store.of("waiting"):
            post.next_attempt()
        assert post.store.of("dead") == ["evt_1/there"]
        there.answer = status(200)
        assert post.store.replay("evt_1/there", post.clock.now_ms())
        post.drain()
        assert post.store.of("delivered") == ["evt_1/there"]
    assert [headers["webhook-id"] for _, headers, _ in there.seen] == ["evt_1"] * 9


def test_a_redirect_is_not_followed() -> None:
    with receiver(status(200)) as other, receiver(status(307, location=other.url)) as there:
        assert post(there.url) == [Outcome(307)]
        assert other.seen == []


def test_retry_after_is_passed_on() -> None:
    with receiver(status(503, retry_after="17")) as there:
        assert post(there.url) == [Outcome(503, retry_after="17")]


def test_a_server_that_never_answers_or_drips_is_left() -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        done.wait(GENEROUS_S)

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(SOON_S / 10):
            handler.wfile.write(b"x-more: 1\r\n")

    done = threading.Event()
    with receiver(each(silent, dripping)) as there:
        try:
            outcomes = post(there.url, there.url, timeout_s=SOON_S)
        finally:
            done.set()
        assert outcomes == [Outcome(None, "no answer within 0.3 s")] * 2
        assert len(there.seen) == 2


def test_an_endless_answer_is_read_to_its_bound() -> None:
    written = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                written.append(handler.wfile.write(bytes(65_536)))
        ended.set()

    ended = threading.Event()
    with receiver(endless) as there:
        assert post(there.url) == [Outcome(200)]
        assert ended.wait(GENEROUS_S)
        assert RESPONSE_BYTES_MAX < sum(written) < 10_000 * 65_536


def test_a_server_that_is_not_there_or_talks_nonsense_is_a_failure() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        (refused,) = post(f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert refused.status is None
    assert refused.why.startswith("could not connect")
    with receiver(lambda handler: handler.wfile.write(b"\0garbage\r\n\r\n")) as there:
        assert post(there.url) == [Outcome(None, "the connection failed: RemoteProtocolError")]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "http://10.0.0.1/", "ftp://example.com/", "example.com", "https://", "",
        "https://user:password@example.com/", "https://user@example.com/", "https://example.com/#part",
        "https://example.com:99999/", "https://[::1", "https://exämple.com/", "https://a b/", "https://a\n/",
        "https://example.com/" + "x" * 2_048, "http://localhost.example.com/", "http://0.0.0.0/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_https_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(errors.NameInvalid) as caught:
        check_url(url)
    assert "password@" not in str(caught.value)
    (outcome,) = post(url)
    assert outcome == Outcome(None, str(caught.value)), "the sender refuses it too"


@pytest.mark.parametrize("url", [None, b"https://example.com", 7])
def test_an_address_is_a_str(url: Any) -> None:
    with pytest.raises(errors.WrongType):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "https://10.0.0.1:8443/a?b=c", "http://localhost:1/", "http://127.8.9.1/",
     "http://[::1]:80/"],
)  # fmt: skip
def test_an_address_is_https_or_on_this_machine(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1", False), ("fd00::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("2001:0:4136:e378::", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_private_addresses_are_refused_if_asked() -> None:
    with receiver(status(200)) as there:
        named = there.url.replace("127.0.0.1", "localhost")
        refused = Outcome(None, "the endpoint's address is not a public one")
        assert post(there.url, named, public_only=True) == [refused] * 2
        assert there.seen == []
        assert post(there.url, named) == [Outcome(200)] * 2


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with receiver(status(200)) as there:
        assert post(there.url) == [Outcome(200)]


def test_nothing_logs_the_address_the_secret_or_the_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver(each(status(500), status(200))) as there:
        sent = Post(there.url)
        sent.put("evt_1")
        sent.drain()
        hidden = [sent.secret.reveal(), "token-in-the-path", "in-the-query", "acme-secret-customer"]
        assert "attempt 1: answered 500" in caplog.text
        assert not [one for one in hidden if one in caplog.text]
        httpx.get(there.url, headers={"content-length": "0"})
        assert "token-in-the-path" in caplog.text, "the logs of others who use httpx are theirs"


# TLS, with a certificate for hooks.test.


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "hooks.test.pem")


@pytest.fixture
def secured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A server on this machine to which every name resolves, and which passes for a public one."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(http, "addresses_of", here)
    monkeypatch.setattr(http, "is_public", lambda address: True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "hooks.test.pem", TLS / "hooks.test.key")
    with receiver(status(200), context) as there:
        yield there


def test_the_checked_address_is_called_under_the_name_that_was_asked_for(secured: Receiver) -> None:
    url = f"https://hooks.test:{secured.port}/hook"
    assert post(url, public_only=True, tls=trusting()) == [Outcome(200)]
    [(path, headers, _)] = secured.seen
    assert (path, headers["host"]) == ("/hook", f"hooks.test:{secured.port}")


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Receiver) -> None:
    (refused,) = post(f"https://hooks.test:{secured.port}/", public_only=True)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.why
    assert secured.seen == []


def test_a_certificate_of_another_name_is_refused_at_the_same_address_too(secured: Receiver) -> None:
    names = ("hooks.test", "other.test")
    taken, refused = post(
        *(f"https://{name}:{secured.port}/" for name in names), public_only=True, tls=trusting()
    )
    assert taken == Outcome(200)
    assert refused.status is None
    assert len(secured.seen) == 1


def test_tls_that_does_not_verify_is_refused() -> None:
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(errors.WrongType):
        HttpSender(tls=careless)


def test_the_body_is_json_as_receivers_read_it() -> None:
    with receiver(status(200)) as there:
        sent = Post(there.url)
        sent.put("evt_1")
        sent.drain()
        body = json.loads(there.seen[0][2])
    assert body["data"] == {
        "customer": "acme-secret-customer",
        "pool": "ai_credits",
        "percent": 100,
        "remaining": "0",
    }
