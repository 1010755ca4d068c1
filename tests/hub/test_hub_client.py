"""The clients of a hub: what is tried again and when, what an answer means, and what is never told."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from fastcheck import errors
from fastcheck.admin import UsageEvent
from fastcheck.clock import ManualClock
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub_client import AsyncHubClient, HubClient
from fastcheck.hub_client.exchange import (
    PAUSE_S_MAX,
    Lost,
    Patience,
    Reply,
    Request,
    check,
    document,
    place,
    refusal,
)
from fastcheck.hub_client.methods import HubMethods
from fastcheck.hub_client.requests import amount, encoded, get, packed, path
from fastcheck.wire.bearer import base_url, bearer
from fastcheck.wire.shapes import FeatureCheck
from rig.async_stub import STUB, made
from rig.hub_api import CATALOG, URL, asgi, make_app, make_service, served
from rig.instants import MAY_2024_MS

TOKEN = "fc_live_0123456789abcdef_averysecrettext"
PROBLEM = {"content-type": "application/problem+json"}

# Patience.

READ = Request("GET", "/v1/customers")
ONCE = Request("POST", "/v1/tokens", b"{}", repeatable=False)


def test_a_request_is_tried_again_with_full_jitter_until_its_time_is_over() -> None:
    patience = Patience(10.0, 100.0, lambda: 0.5)
    assert patience.left_s(104.0) == 6.0
    pauses = [patience.pause_s(READ, Lost("refused", sent=True), 100.0) for _ in range(10)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, *[PAUSE_S_MAX / 2] * 4]
    assert patience.pause_s(READ, Lost("refused", sent=True), 109.0) is None
    assert patience.left_s(111.0) == 0.0


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_that_may_fare_better_is_asked_for_again(status: int) -> None:
    assert Patience(10, 0, lambda: 0).pause_s(READ, Reply(status, {}, b""), 0) == 0
    assert Patience(10, 0, lambda: 0).pause_s(ONCE, Reply(status, {}, b""), 0) is None


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 404, 409, 412, 422, 429, 500, 501])
def test_any_other_answer_is_the_last(status: int) -> None:
    assert Patience(10, 0, lambda: 0).pause_s(READ, Reply(status, {}, b""), 0) is None


def test_what_may_have_been_done_is_repeated_only_where_that_changes_nothing() -> None:
    assert Patience(10, 0, lambda: 0).pause_s(ONCE, Lost("reset", sent=True), 0) is None
    assert Patience(10, 0, lambda: 0).pause_s(ONCE, Lost("refused", sent=False), 0) == 0


def test_the_hub_says_how_long_to_wait_at_least() -> None:
    later = Reply(503, {"retry-after": "3"}, b"")
    assert Patience(10, 0, lambda: 0).pause_s(READ, later, 0) == 3
    assert Patience(10, 0, lambda: 0).pause_s(READ, later, 8) is None
    for text in ("soon", "-1", "9" * 20, "٣"):
        assert Patience(10, 0, lambda: 0).pause_s(READ, Reply(503, {"retry-after": text}, b""), 0) == 0


# Answers.


def problem(status: int, code: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    body = {"code": code, "detail": "what to do", **more}
    return Reply(status, {**PROBLEM, **(headers or {})}, json.dumps(body).encode())


@pytest.mark.parametrize("code", sorted(name for name, one in vars(errors).items() if isinstance(one, type)))
def test_every_error_comes_back_as_its_class(code: str) -> None:
    error = refusal(URL, problem(409, code))
    assert type(error) is getattr(errors, code)
    assert "what to do" in str(error)


def test_errors_bring_what_they_know() -> None:
    catalog = refusal(URL, problem(422, "CatalogError", problems=["one", "two"]))
    assert isinstance(catalog, errors.CatalogError)
    assert catalog.problems == ["one", "two"]
    limited = refusal(URL, problem(429, "RateLimited", {"retry-after": "7"}))
    assert isinstance(limited, errors.RateLimited)
    assert limited.retry_after_s == 7
    store = refusal(URL, problem(503, "StoreError"))
    assert isinstance(store, errors.StoreError)
    assert store.place == URL


@pytest.mark.parametrize(
    "reply",
    [
        Reply(502, {"content-type": "text/html"}, b"<h1>Bad gateway</h1>"),
        Reply(302, {}, b""),
        Reply(500, PROBLEM, b"{"),
        Reply(500, PROBLEM, b"[]"),
        Reply(500, PROBLEM, b'{"code": 5}'),
        Reply(500, PROBLEM, b"[" * 100_000),
    ],
)
def test_what_is_no_problem_document_is_no_hub(reply: Reply) -> None:
    assert isinstance(refusal(URL, reply), errors.HubUnavailable)


def test_an_unknown_code_is_the_base_of_all() -> None:
    assert type(refusal(URL, problem(500, "InternalError"))) is errors.FastcheckError
    assert type(refusal(URL, Reply(500, PROBLEM, b'{"code": "NoSuch"}'))) is errors.FastcheckError


def test_a_lost_answer_says_whether_it_may_be_done() -> None:
    with pytest.raises(errors.HubUnavailable, match="whether it is done is not known"):
        check(URL, Lost("reset", sent=True))
    with pytest.raises(errors.HubUnavailable) as failed:
        check(URL, Lost("refused", sent=False))
    assert "whether" not in str(failed.value)
    assert check(URL, Reply(204, {}, b"")).status == 204
    with pytest.raises(errors.Conflict):
        check(URL, problem(409, "Conflict"))


def test_documents_and_places_are_not_taken_on_trust() -> None:
    assert document(Reply(204, {}, b"")) is None
    with pytest.raises(errors.ProtocolError):
        document(Reply(200, {}, b"{"))
    assert place(Reply(200, {"fastcheck-seq": "5", "fastcheck-epoch": "7"}, b"")) == (7, 5)
    for seq in ("", "-5", "x", "9" * 30):
        assert place(Reply(200, {"fastcheck-seq": seq, "fastcheck-epoch": "7"}, b"")) is None


# Addresses and tokens.


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://hub:8700/", "https://hub:8700"),
        ("wss://hub/behind/", "https://hub/behind"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("ws://localhost", "http://localhost"),
        ("http://[::1]:8700", "http://[::1]:8700"),
    ],
)
def test_addresses(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "http://hub:8700", "http://10.0.0.7", "http://localhost.evil.com", "http://[2001:db8::1]", "hub:8700",
        "ftp://hub", "https://", "https://u:p@hub", "https://hub?x=1", "https://hub#x", "https://hub:port",
        "https://[::1", "https://" + "h" * 3_000,
    ],
)  # fmt: skip
def test_addresses_to_which_no_token_is_sent(url: str) -> None:
    with pytest.raises(errors.NameInvalid):
        base_url(url)


def test_a_trusted_network_is_said_so() -> None:
    assert base_url("http://hub:8700", insecure=True) == "http://hub:8700"
    with pytest.raises(errors.WrongType):
        base_url(5)


@pytest.mark.parametrize("token", ["", "x\ny", "Bearer x", "ü", "x" * 2_000, 5, None, b"x"])
def test_what_is_no_token_is_refused_without_being_told(token: object) -> None:
    with pytest.raises((errors.NameInvalid, errors.WrongType)) as failed:
        bearer(token)
    assert "x\ny" not in str(failed.value)


# Requests.


def test_names_in_paths_are_encoded_whatever_they_hold() -> None:
    assert path("customers", "a/b ?#%..ü") == "/v1/customers/a%2Fb%20%3F%23%25%2E%2E%C3%BC"
    assert (
        get("/v1/moves", pending=True, cursor=None, customer="a&b").path
        == "/v1/moves?pending=true&customer=a%26b"
    )


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", float("nan")])
def test_what_json_has_no_form_of_is_refused(value: object) -> None:
    with pytest.raises(errors.WrongType):
        packed({"value": value})


def test_a_request_within_itself_is_refused() -> None:
    body: list[Any] = []
    body.append(body)
    with pytest.raises(errors.WrongType):
        packed(body)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.5, errors.WrongType), (True, errors.WrongType), ("1", errors.WrongType), (None, errors.WrongType),
        (Decimal("NaN"), errors.AmountError), (Decimal("1e50"), errors.AmountError),
        (Decimal("1e-50"), errors.AmountError), pytest.param(10**5_000, errors.AmountError, id="huge"),
    ],
)  # fmt: skip
def test_amounts_are_checked_before_they_are_written_out(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        amount(value)


def test_amounts_have_no_exponent() -> None:
    assert [amount(Decimal("1e3")), amount(Decimal("0.000001")), amount(-5)] == ["1000", "0.000001", "-5"]


# The client, over transports that do as they are told.

Answer = Callable[[httpx.Request], httpx.Response]


def scripted(*answers: httpx.Response | Exception, seen: list[httpx.Request]) -> httpx.MockTransport:
    """Answers in turn; the last again and again."""
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.MockTransport(handle)


def changed(**headers: str) -> httpx.Response:
    return httpx.Response(200, json={"changed": True}, headers=headers)


def busy(code: str = "StoreError") -> httpx.Response:
    return httpx.Response(503, json={"code": code, "detail": "later"}, headers=PROBLEM)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.mark.usefixtures("no_pauses")
def test_a_change_is_repeated_under_one_key_that_is_made_up() -> None:
    seen: list[httpx.Request] = []
    transport = scripted(
        httpx.ConnectError("refused"), httpx.ReadError("reset"), busy(), changed(), seen=seen
    )
    with HubClient(URL, TOKEN, transport=transport) as client:
        assert client.put_customer("acme") is True
        assert len({one.headers["idempotency-key"] for one in seen}) == 1
        assert len(seen) == 4
        client.put_customer("acme")
        assert seen[-1].headers["idempotency-key"] != seen[0].headers["idempotency-key"]
        client.once("order 18").put_customer("acme")
        assert seen[-1].headers["idempotency-key"] == "order%2018"
        client.once("ü%").put_customer("acme")
        assert seen[-1].headers["idempotency-key"] == "%C3%BC%25"


@pytest.mark.usefixtures("no_pauses")
def test_a_token_is_not_made_twice() -> None:
    seen: list[httpx.Request] = []
    with HubClient(URL, TOKEN, transport=scripted(httpx.ReadError("reset"), seen=seen)) as client:
        with pytest.raises(errors.HubUnavailable, match="not known"):
            client.make_token("billing", ["spend"])
        with pytest.raises(errors.WrongType):
            client.make_token("billing", "spend")
    assert len(seen) == 1


def test_a_hub_that_does_not_come_back_is_unavailable_in_time() -> None:
    seen: list[httpx.Request] = []
    client = HubClient(URL, TOKEN, timeout_s=0.2, transport=scripted(busy(), seen=seen))
    with client, pytest.raises(errors.StoreError, match="later"):
        client.get_customer("acme")
    assert len(seen) > 1
    transport = scripted(httpx.ConnectTimeout("x"), seen=seen)
    client = HubClient(URL, TOKEN, timeout_s=0.1, transport=transport)
    with client, pytest.raises(errors.HubUnavailable, match="no answer in time"):
        client.get_customer("acme")


def test_the_last_change_says_where_the_ledger_is() -> None:
    seen: list[httpx.Request] = []
    transport = scripted(
        changed(**{"Fastcheck-Seq": "9", "Fastcheck-Epoch": "5"}),
        changed(**{"Fastcheck-Seq": "8", "Fastcheck-Epoch": "5"}),
        changed(**{"Fastcheck-Seq": "3", "Fastcheck-Epoch": "6"}),
        changed(),
        seen=seen,
    )
    with HubClient(URL, TOKEN, transport=transport) as client:
        assert (client.last_seq, client.last_epoch) == (None, None)
        places = []
        for _ in range(4):
            client.by("jo").put_customer("acme")
            places.append((client.last_epoch, client.last_seq))
    assert places == [(5, 9), (5, 9), (6, 3), (6, 3)]


def test_nothing_shows_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[httpx.Request] = []
    with HubClient(URL, f"{TOKEN}\n", timeout_s=0.05, transport=scripted(busy(), seen=seen)) as client:
        shown = [repr(client), repr(client.by("jo")), repr(client._sender), client.url]
        with pytest.raises(errors.StoreError) as failed:
            client.get_customer("acme")
    assert seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "secret" not in " ".join([*shown, str(failed.value), caplog.text])


def test_after_close_nothing_is_asked() -> None:
    client = HubClient(URL, TOKEN, transport=scripted(changed(), seen=[]))
    client.close()
    client.close()
    with pytest.raises(errors.Closed):
        client.by("jo").get_customer("acme")


@pytest.mark.parametrize("timeout_s", [0, -1, 10_000, True, "5"])
def test_a_timeout_that_means_nothing_is_refused(timeout_s: Any) -> None:
    with pytest.raises(errors.WrongType):
        HubClient(URL, TOKEN, timeout_s=timeout_s)


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(errors.MissingExtra, match=r"fastcheck\[client\]"):
        HubClient(URL, TOKEN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"{}",
        b'{"changed": "true"}',
        b'{"changed": 1.0}',
        b'{"changed": 1}',
        b'{"changed": null}',
    ],
)
def test_an_answer_that_is_none_is_a_protocol_error(body: bytes) -> None:
    transport = scripted(httpx.Response(200, content=body), seen=[])
    with HubClient(URL, TOKEN, transport=transport) as client, pytest.raises(errors.ProtocolError):
        client.put_customer("acme")


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastcheck.hub_client.transport.ANSWER_BYTES_MAX", 1_000)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"x" * 2_000))
    client = HubClient(URL, TOKEN, timeout_s=0.1, transport=transport)
    with client, pytest.raises(errors.HubUnavailable, match="over 1000 bytes"):
        client.get_customer("acme")


def test_a_child_connects_anew() -> None:
    """What the parent connected stays the parent's."""
    client = HubClient(URL, TOKEN, transport=scripted(changed(), seen=[]))
    client.put_customer("acme")
    mine = client._sender._client
    child = os.fork()
    if child == 0:
        ok = client.put_customer("acme") is True and client._sender._client is not mine
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.close()


def test_a_client_loads_neither_the_hubs_server_nor_its_database() -> None:
    """A program that only asks must not need them; and httpx only once it asks."""
    program = (
        "import sys, fastcheck.hub_client\n"
        "heavy = {'sqlalchemy', 'starlette', 'pydantic', 'httpx', 'fastcheck.hub.service', "
        "'fastcheck.hub.http', 'fastcheck.hub.store'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Over TLS.


@pytest.fixture
def tls_url(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(the address of a hub whose certificate is of an authority of its own, that authority's file)."""
    authority = trustme.CA()
    cert = authority.issue_cert("127.0.0.1")
    cert.private_key_and_cert_chain_pem.write_to_path(tmp_path / "hub.pem")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    clock = ManualClock(MAY_2024_MS)
    store = SqliteStore.in_memory()
    service = make_service(store, clock)
    service.set_catalog(service.parse(CATALOG, "c"), CATALOG, "c")
    with served(make_app(service), tls=str(tmp_path / "hub.pem")) as url:
        yield url, str(tmp_path / "ca.pem")
    store.close()


def test_a_certificate_is_verified(tls_url: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    url, ca_file = tls_url
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # Not meant for this.
    with HubClient(url, "admin", ca_file=ca_file) as client:
        assert client.put_customer("a/b..", plan="pro") is True
        assert client.get_customer("a/b..").plan == "pro"
        assert client.last_seq == client.position().seq
    with (
        HubClient(url, "admin", timeout_s=0.3) as client,
        pytest.raises(errors.HubUnavailable, match="certificate"),
    ):
        client.get_customer("a/b..")
    with HubClient(url, "nobody", ca_file=ca_file) as client, pytest.raises(errors.Forbidden):
        client.get_customer("a/b..")


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for file in (tmp_path / "ca.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(errors.DirectoryError, match="PEM"):
            HubClient("https://hub", TOKEN, ca_file=file)


# What only a hub has.


@pytest.fixture
def hub() -> Iterator[Any]:
    """A hub's application with a customer."""
    clock = ManualClock(MAY_2024_MS)
    store = SqliteStore.in_memory()
    service = make_service(store, clock)
    service.set_catalog(service.parse(CATALOG, "catalog.yaml"), CATALOG, "catalog.yaml")
    yield make_app(service)
    store.close()


def test_the_catalog_checks_and_explanations_of_a_hub(hub: Any) -> None:
    with asgi(hub) as transport, HubClient(URL, "admin", transport=transport) as client:
        client.put_customer("acme", plan="pro")
        catalog = client.get_catalog()
        assert (catalog.source, catalog.filename) == (CATALOG, "catalog.yaml")
        assert client.check_catalog(CATALOG).problems == ()
        assert len(client.check_catalog("fastcheck: 2", filename="ü.yaml").problems) == 1
        with pytest.raises(errors.WrongType):
            client.check_catalog(5)  # type: ignore[arg-type]
        found = client.check("acme", "export")
        assert isinstance(found, FeatureCheck)
        assert bool(found) is True
        assert not client.check("acme", "gpt-4o")
        why = client.explain("acme", "export", at=MAY_2024_MS)
        assert (why.value, why.source) == (True, "plan")
        assert str(why).startswith("export (switch) for acme")
        with pytest.raises(errors.UnknownFeature):
            client.explain("acme", "nope")
        assert client.position().epoch == client.last_epoch


def test_tokens_are_made_listed_and_revoked(hub: Any) -> None:
    with asgi(hub) as transport, HubClient(URL, "admin", transport=transport) as client:
        made = client.make_token("billing", ["spend"], rate_per_s=5, expires_at=MAY_2024_MS + 1_000)
        assert made.token is not None
        assert made.token not in repr(made)
        assert (made.state.name, made.state.scopes, made.state.rate_per_s) == ("billing", ("spend",), 5)
        client.make_token("host", ["stream"])
        page = client.list_tokens(limit=1)
        assert len([*page.items, *client.list_tokens(page.cursor).items]) == 2
        ended = client.revoke_token(made.state.id, reason="leaked")
        assert ended.revoked_at == MAY_2024_MS
        assert client.revoke_token(made.state.id) == ended
        with pytest.raises(errors.UnknownToken):
            client.revoke_token("0" * 16)
        with pytest.raises(errors.NameInvalid):
            client.make_token("billing", ["everything"])


# On an event loop.


def test_the_async_client_has_the_methods_of_the_other_and_their_types() -> None:
    wanted = {name for name, _ in inspect.getmembers(HubMethods, inspect.isfunction) if name[:1] != "_"}
    for name in wanted - {"by", "once"}:
        assert inspect.iscoroutinefunction(getattr(AsyncHubClient, name)), name
    written = ast.dump(ast.parse(STUB.read_text()))
    assert written == ast.dump(ast.parse(made())), "run python tests/rig/async_stub.py"


def test_methods_run_at_once_on_one_loop(hub: Any) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(hub)
        async with AsyncHubClient(URL, "admin", transport=transport, timeout_s=60) as client:
            assert client.last_seq is None
            await asyncio.gather(*(client.by("jo").put_customer(f"c{n}", plan="pro") for n in range(50)))
            await client.put_customer("acme", plan="pro")
            assert client.last_seq == (await client.position()).seq
            assert client.last_epoch == (await client.position()).epoch
            assert await client.once("k").grant("acme", "ai_credits", 5) == await client.once("k").grant(
                "acme", "ai_credits", 5
            )
            assert (await client.balance("acme", "ai_credits")).remaining == 5
            events = [UsageEvent(f"e{n}", MAY_2024_MS, "acme", "api_calls") for n in range(1_500)]
            assert await client.record_usage(events) == 1_500
            [total] = await client.usage("acme", "api_calls")
            assert total.units == 1_500
            assert (await client.audit(limit=1)).items[0].author == "console"
            with pytest.raises(errors.UnknownCustomer):
                await client.get_customer("nobody")
            assert "secret" not in repr(client)
            assert client.url == URL
        with pytest.raises(errors.Closed):
            await client.get_customer("acme")
        await client.close()

    asyncio.run(run())


def test_a_cancelled_method_asks_nothing_more() -> None:
    asked: list[str] = []

    async def run() -> None:
        reached, cancelled = asyncio.Event(), asyncio.Event()

        async def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

        async with AsyncHubClient(URL, TOKEN, transport=httpx.MockTransport(handle)) as client:
            task = asyncio.create_task(client.put_customers([{"id": f"c{n}"} for n in range(5_000)]))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await cancelled.wait()

    asyncio.run(run())
    assert asked == ["/v1/customers:batch"]


@pytest.mark.usefixtures("no_pauses")
def test_the_async_client_repeats_as_the_other_does() -> None:
    seen: list[httpx.Request] = []
    transport = scripted(httpx.ConnectError("refused"), busy(), changed(), seen=seen)

    async def run() -> bool:
        async with AsyncHubClient(URL, TOKEN, transport=transport) as client:
            return await client.put_customer("acme")

    assert asyncio.run(run()) is True
    assert len(seen) == 3
    large = httpx.MockTransport(lambda request: httpx.Response(200, content=b"x"))

    async def fail() -> None:
        async with AsyncHubClient(URL, TOKEN, transport=large) as client:
            await client.get_customer("acme")

    with pytest.raises(errors.ProtocolError):
        asyncio.run(fail())


def test_a_header_keeps_spaces_at_its_ends() -> None:
    assert encoded(" a b ") == "%20a%20b%20"
