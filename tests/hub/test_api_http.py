"""The API as any HTTP client meets it: entity tags, idempotency, authors, scopes, bounds, refusals."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.access.auth import Principal
from fastcheck.hub.http import problems, snapshots
from fastcheck.hub.http.openapi import document
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.wire.fields import instant_form
from fastcheck.wire.headers import BODY_BYTES_MAX, CATALOG_BYTES_MAX
from fastcheck.wire.operations.customers import PutCustomer
from rig.hub_api import CATALOG, http, make_app, make_service
from rig.instants import MAY_2024_MS
from rig.requests import put_customer
from rig.serving import Service


@pytest.fixture
def service(clock: ManualClock) -> Iterator[Service]:
    store = SqliteStore.in_memory()
    service = make_service(store, clock)
    service.set_catalog(service.parse(CATALOG, "catalog.yaml"), CATALOG, "catalog.yaml")
    service.put_customers([put_customer("acme", plan="pro", aliases=["stripe:cus_9"])])
    yield service
    store.close()


@pytest.fixture
def app(service: Service, clock: ManualClock) -> Starlette:
    return make_app(service)


@pytest.fixture
def client(app: Starlette) -> Iterator[httpx.Client]:
    with http(app) as client:
        yield client


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["code"], document["status"]) == (code, status)
    assert document["type"] == f"urn:fastcheck:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return document


# Entity tags.


def test_a_customer_that_did_not_change_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/v1/customers/acme")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get("/v1/customers/stripe:cus_9", headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/v1/customers/acme", headers={"If-None-Match": '"other"'}).content == first.content


def test_a_customer_is_changed_only_as_they_were_read(client: httpx.Client, service: Service) -> None:
    tag = client.get("/v1/customers/acme").headers["etag"]
    assert (
        client.put("/v1/customers/acme", json={"plan": "free"}, headers={"If-Match": tag}).status_code == 200
    )
    seq = service.seq()
    for method, options in (("PUT", {"json": {"plan": "pro"}}), ("DELETE", {})):
        late = client.request(method, "/v1/customers/acme", headers={"If-Match": tag}, **options)  # type: ignore[arg-type]
        assert "changed since" in refused(late, 412, "PreconditionFailed")["detail"]
    assert service.seq() == seq
    assert service.get_customer("acme").plan == "free"
    now = client.get("/v1/customers/acme").headers["etag"]
    assert client.delete("/v1/customers/acme", headers={"If-Match": now}).status_code == 204
    client.put("/v1/customers/acme", json={})
    weak = "W/" + client.get("/v1/customers/acme").headers["etag"]
    refused(client.delete("/v1/customers/acme", headers={"If-Match": weak}), 412, "PreconditionFailed")
    client.delete("/v1/customers/acme")
    gone = client.put("/v1/customers/acme", json={}, headers={"If-Match": "*"})
    refused(gone, 412, "PreconditionFailed")


def test_a_customer_is_made_only_where_there_is_none(client: httpx.Client) -> None:
    make = {"If-None-Match": "*"}
    assert client.put("/v1/customers/new", json={"plan": "pro"}, headers=make).status_code == 200
    refused(client.put("/v1/customers/new", json={"plan": "free"}, headers=make), 412, "PreconditionFailed")


def test_the_check_of_a_tag_is_made_inside_the_change(app: Starlette, service: Service) -> None:
    """Somebody changes the customer after the request was taken and before its transaction."""
    with http(app) as client:
        tag = client.get("/v1/customers/acme").headers["etag"]
        run = service.run

        def overtaken(*asked: Any, **options: Any) -> Any:
            run(PutCustomer("acme", plan="free"))
            return run(*asked, **options)

        service.run = overtaken  # type: ignore[method-assign]
        late = client.put("/v1/customers/acme", json={"plan": None}, headers={"If-Match": tag})
        refused(late, 412, "PreconditionFailed")
    assert service.get_customer("acme").plan == "free"


def test_a_repeated_change_is_answered_as_the_first_though_its_tag_is_old_now(client: httpx.Client) -> None:
    headers = {"If-Match": client.get("/v1/customers/acme").headers["etag"], "Idempotency-Key": "k1"}
    for _ in range(2):
        answer = client.put("/v1/customers/acme", json={"plan": "free"}, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"changed": True})


def test_a_catalog_is_replaced_only_by_who_saw_it(client: httpx.Client) -> None:
    text = client.get("/v1/catalog")
    assert text.content == CATALOG
    assert text.headers["fastcheck-filename"] == "catalog.yaml"
    tag = text.headers["etag"]
    assert client.get("/v1/catalog", headers={"If-None-Match": tag}).status_code == 304
    yaml = {"Content-Type": "application/yaml", "If-Match": tag, "Fastcheck-Filename": "pr%C3%A9cis.yaml"}
    wider = CATALOG.replace(b"seats: 25", b"seats: 30")
    assert client.put("/v1/catalog", content=wider, headers=yaml).json() == {"changed": True}
    refused(client.put("/v1/catalog", content=CATALOG, headers=yaml), 412, "PreconditionFailed")
    assert client.get("/v1/catalog").content == wider
    assert client.get("/v1/catalog").headers["fastcheck-filename"] == "pr%C3%A9cis.yaml"


def test_segments_and_webhooks_have_tags(client: httpx.Client) -> None:
    client.put("/v1/segments/beta", json={"customers": ["acme"]})
    tag = client.get("/v1/segments/beta").headers["etag"]
    client.patch("/v1/segments/beta", json={"remove": ["acme"]})
    for method in ("PUT", "PATCH", "DELETE"):
        body: dict[str, Any] = (
            {} if method == "DELETE" else {"json": {"customers": []} if method == "PUT" else {}}
        )
        late = client.request(method, "/v1/segments/beta", headers={"If-Match": tag}, **body)
        refused(late, 412, "PreconditionFailed")
    now = client.get("/v1/segments/beta").headers["etag"]
    assert client.delete("/v1/segments/beta", headers={"If-Match": now}).status_code == 200
    refused(client.delete("/v1/segments/beta", headers={"If-Match": now}), 412, "PreconditionFailed")
    hook = client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/hook"}).json()["id"]
    first = client.get(f"/v1/webhooks/{hook}")
    assert first.json()["secret"] is None
    client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/hook", "kinds": ["low_balance"]})
    late = client.delete(f"/v1/webhooks/{hook}", headers={"If-Match": first.headers["etag"]})
    refused(late, 412, "PreconditionFailed")
    now = client.get(f"/v1/webhooks/{hook}").headers["etag"]
    assert client.delete(f"/v1/webhooks/{hook}", headers={"If-Match": now}).status_code == 204
    refused(client.get(f"/v1/webhooks/{hook}"), 404, "UnknownWebhook")


def test_a_tag_is_not_read_over_where_there_is_none(client: httpx.Client, service: Service) -> None:
    for header in ("If-Match", "If-None-Match"):
        answer = client.put(
            "/v1/customers/acme/overrides/seats", json={"value": 5}, headers={header: '"some"'}
        )
        refused(answer, 412, "PreconditionFailed")
    assert service.list_overrides("acme") == []


# Changes.


def test_every_change_says_where_the_ledger_is(client: httpx.Client, service: Service) -> None:
    answer = client.put("/v1/customers/new", json={})
    assert answer.headers["fastcheck-seq"] == str(service.seq())
    assert answer.headers["fastcheck-epoch"] == str(service.epoch())
    assert client.delete("/v1/customers/new").headers["fastcheck-seq"] == str(service.seq())
    assert client.get("/v1/position").json() == {"epoch": str(service.epoch()), "seq": service.seq()}
    assert "fastcheck-seq" not in client.get("/v1/customers/acme").headers


def test_a_key_makes_a_change_once(client: httpx.Client) -> None:
    grant = {"pool": "ai_credits", "amount": "12.5"}
    key = {"Idempotency-Key": "order%2018"}
    first = client.post("/v1/customers/acme/grants", json=grant, headers=key)
    again = client.post("/v1/customers/acme/grants", json=grant, headers=key)
    assert first.json() == again.json()
    assert client.get("/v1/customers/acme/balances/ai_credits").json()["remaining"] == "12.5"
    other = client.post("/v1/customers/acme/grants", json={**grant, "amount": 13}, headers=key)
    refused(other, 409, "Conflict")
    for _ in range(2):  # What names no id of its own is the same under a key.
        held = client.post(
            "/v1/customers/acme/reservations",
            json={"pool": "ai_credits", "amount": 2},
            headers={"Idempotency-Key": "h"},
        )
        assert held.json()["state"] == "open"
    assert client.get("/v1/customers/acme/balances/ai_credits").json()["reserved"] == "2"


def test_an_author_cannot_be_forged_beyond_the_token(client: httpx.Client, service: Service) -> None:
    named = {"Fastcheck-Author": "j%C3%B6%2Fadmin", "Fastcheck-Reason": "asked by mail%0Atwice"}
    client.put("/v1/customers/new", json={}, headers=named)
    entry = service.audit(limit=1).items[0]
    assert (entry.author, entry.reason) == ("console/jö/admin", "asked by mail\ntwice")
    client.delete("/v1/customers/new")
    assert service.audit(limit=1).items[0].author == "console"


def test_a_slash_in_a_tokens_name_does_not_look_like_an_author(app: Starlette, service: Service) -> None:
    async def principal_of(request: object) -> Principal:
        return Principal("t", "console/jo", frozenset({"admin"}))

    app.state.principal_of = principal_of
    with http(app) as client:
        client.put("/v1/customers/new", json={}, headers={"Fastcheck-Author": "eve"})
    assert service.audit(limit=1).items[0].author == "console%2Fjo/eve"


def test_headers_that_are_not_utf_8_are_refused(client: httpx.Client) -> None:
    for header in ("Fastcheck-Author", "Fastcheck-Reason", "Idempotency-Key"):
        refused(client.put("/v1/customers/new", json={}, headers={header: "%FF"}), 422, "NameInvalid")


def test_a_change_that_was_due_comes_before_what_is_put(client: httpx.Client, clock: ManualClock) -> None:
    """As in a directory: else the move would undo what was put after its instant."""
    move = {"customers": ["acme"], "plan": "free", "when": MAY_2024_MS + 10}
    assert client.post("/v1/moves", json=move).json()["moves"][0]["done_at"] is None
    clock.advance(20)
    client.put("/v1/customers/acme", json={"plan": "pro"})
    assert client.get("/v1/customers/acme").json()["plan"] == "pro"
    assert client.get("/v1/moves").json() == {"items": [], "cursor": None}


# Amounts and instants.


@pytest.mark.parametrize(
    "amount", [12.5, 1.0, True, None, [], {}, "1e3", "NaN", "", "1.", ".5", "١", "1" * 100]
)
def test_an_amount_is_a_whole_number_or_decimal_text(client: httpx.Client, amount: object) -> None:
    answer = client.post("/v1/customers/acme/grants", json={"pool": "ai_credits", "amount": amount})
    assert "body.amount" in refused(answer, 422, "WrongType")["problems"][0]


@pytest.mark.parametrize("amount", [0, -1, "-1", "0.0000001", 10**30, "9" * 40, 1 << 63])
def test_an_amount_that_no_pool_takes_is_an_amount_error(client: httpx.Client, amount: object) -> None:
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = client.post(
            "/v1/customers/acme/grants", json={"pool": "ai_credits", "amount": amount}, headers=headers
        )
        refused(answer, 422, "AmountError")


def test_amounts_are_answered_as_exact_text(client: httpx.Client) -> None:
    made = client.post(
        "/v1/customers/acme/grants", json={"pool": "ai_credits", "amount": "9007199254.740993"}
    )
    assert made.json()["amount"] == "9007199254.740993"


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        (5, 5),
        ("5", 5),
        ("2024-05-01T00:00:00Z", MAY_2024_MS),
        ("2024-05-01t02:00:00.25+02:00", MAY_2024_MS + 250),
        ("2024-05-01 00:00:00z", MAY_2024_MS),
    ],
)
def test_instants_are_ms_or_rfc_3339(given: int | str, ms: int) -> None:
    assert instant_form(given, "at") == ms


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("", errors.WrongType),
        ("soon", errors.WrongType),
        ("-5", errors.WrongType),
        ("2024-05-01T00:00:00", errors.InstantError),
        ("1969-12-31T23:59:59Z", errors.InstantError),
        ("9" * 19, errors.InstantError),
        ("2024-13-01T00:00:00Z", errors.InstantError),
    ],
)
def test_what_is_no_instant_is_refused_by_name(given: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="expires_at"):
        instant_form(given, "expires_at")


def test_an_instant_in_a_path_may_be_either(client: httpx.Client) -> None:
    for at in (
        str(MAY_2024_MS),
        datetime(2024, 5, 1, tzinfo=timezone.utc).isoformat(),
        "2024-05-01T00:00:00Z",
    ):
        assert client.get("/v1/customers/acme", params={"at": at}).json()["plan"] == "pro"
    refused(client.get("/v1/customers/acme", params={"at": "now"}), 422, "WrongType")
    refused(client.get("/v1/customers/acme", params={"at": "2024-05-01T"}), 422, "WrongType")
    refused(client.get("/v1/customers/acme", params={"at": "2024-05-01Tnoon"}), 422, "InstantError")


# Names in paths.


@pytest.mark.parametrize("path", ["%FF", "a%00b", "%ED%A0%80", "x" * 513])
def test_names_that_no_one_can_have_are_refused(client: httpx.Client, path: str) -> None:
    assert client.put(f"/v1/customers/{path}", json={}).status_code == 422


def test_an_id_may_look_like_a_path(client: httpx.Client) -> None:
    client.put("/v1/customers/a%2Foverrides", json={"aliases": ["customers:batch"]})
    assert client.get("/v1/customers/customers%3Abatch").json()["id"] == "a/overrides"
    assert client.get("/v1/customers/a%2Foverrides/overrides").json()["items"] == []


# Bodies.


def test_unknown_fields_are_named(client: httpx.Client) -> None:
    answer = client.put("/v1/customers/acme", json={"plan": "pro", "plam": "pro", "addons": {"x": {"n": 1}}})
    told = refused(answer, 422, "WrongType")["problems"]
    assert told == ["body.addons.x.n: there is no such field", "body.plam: there is no such field"]


def test_all_mistakes_of_a_body_are_named(client: httpx.Client) -> None:
    body = {"plan": 5, "version": "1", "aliases": "x", "since": 1.5}
    told = " ".join(refused(client.put("/v1/customers/acme", json=body), 422, "WrongType")["problems"])
    assert all(f"body.{name}" in told for name in body)


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5_000, b"NaN", b"null", b"[]", b'"x"'],
)
def test_what_is_no_object_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.put("/v1/customers/acme", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("Malformed", "WrongType")


def test_a_body_of_another_type_is_refused(client: httpx.Client) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/yaml", ""):
        answer = client.put("/v1/customers/acme", content=b"{}", headers={"Content-Type": media_type})
        refused(answer, 415, "UnsupportedMediaType")


def test_a_body_over_the_bound_is_refused_before_it_is_read(client: httpx.Client) -> None:
    body = b'{"plan": "' + b"x" * BODY_BYTES_MAX + b'"}'
    refused(
        client.put("/v1/customers/acme", content=body, headers={"Content-Type": "application/json"}),
        413,
        "TooLarge",
    )
    refused(client.put("/v1/catalog", content=b"x" * (CATALOG_BYTES_MAX + 1)), 413, "TooLarge")


def test_a_body_without_a_length_is_counted_while_it_is_read(app: Starlette) -> None:
    sent: list[dict[str, Any]] = []
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * (1 << 20), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "PUT", "path": "/v1/customers/acme", "raw_path": b"/v1/customers/acme",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("hub", 80),
        "headers": [
            (b"authorization", b"Bearer admin"), (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ],
    }  # fmt: skip
    anyio.run(app, scope, receive, send)
    assert sent[0]["status"] == 413
    assert asked <= BODY_BYTES_MAX // (1 << 20) + 1


def test_too_many_in_one_request_are_refused(client: httpx.Client) -> None:
    many = {"customers": [{"id": f"c{n}"} for n in range(2_001)]}
    refused(client.post("/v1/customers:batch", json=many), 422, "WrongType")
    many["customers"].pop()
    assert client.post("/v1/customers:batch", json=many).json() == {"count": 2_000}
    refused(client.post("/v1/customers:resolve", json={"keys": ["acme"] * 1_001}), 422, "WrongType")
    refused(client.put("/v1/segments/s", json={"customers": ["c1"] * 1_001}), 422, "WrongType")
    event = {"id": "e", "at": 5, "customer": "acme", "feature": "api_calls"}
    refused(client.post("/v1/usage-events", json={"events": [event] * 1_001}), 422, "WrongType")
    refused(client.get("/v1/customers", params={"limit": 1_001}), 422, "RecordError")


def test_pages_are_walked_by_their_cursor(client: httpx.Client) -> None:
    client.post("/v1/customers:batch", json={"customers": [{"id": f"c{n}"} for n in range(5)]})
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/customers", params={"limit": "2", **cursor}).json()
        found += [one["id"] for one in page["items"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert found == ["acme", "c0", "c1", "c2", "c3", "c4"]


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WzFd", "W3RydWUsLTIsIiJd", "W1tdXQ", "é", "WzEsMl0", "A" * 3_000]
)
def test_a_cursor_of_ones_own_is_refused(client: httpx.Client, cursor: str) -> None:
    for path in (
        "customers/acme/features/api_calls/usage-events",
        "ledger/accounts",
        "exports/0-1-1-1-1/movements",
    ):
        assert client.get(f"/v1/{path}", params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize("export", ["x", "1-2-3-4", "1-2-3-4-5-6", "1-2-3-4-" + "9" * 19, "1-2-3-4--5"])
def test_an_export_that_nobody_began_is_refused(client: httpx.Client, export: str) -> None:
    refused(client.get(f"/v1/exports/{export}/movements"), 422, "RecordError")


# Who may what.


def test_without_a_token_that_is_known_nothing_is_answered(app: Starlette) -> None:
    with http(app, "nobody") as client:
        answer = client.get("/v1/customers/acme")
        refused(answer, 401, "Forbidden")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("token", "may"),
    [
        ("admin", {"read", "balance", "spend", "change"}),
        ("support", {"read", "balance"}),
        ("spend", {"balance", "spend"}),
        ("stream", set()),
    ],
)
def test_scopes_bound_what_a_token_may(app: Starlette, service: Service, token: str, may: set[str]) -> None:
    pool = {"pool": "ai_credits", "amount": 1}
    asked = {
        "read": [("GET", "/v1/customers", None), ("GET", "/v1/audit", None), ("GET", "/v1/events", None)],
        "balance": [
            ("GET", "/v1/customers/acme/balances/ai_credits", None),
            ("GET", "/v1/customers/acme/features/export", None),
            ("GET", "/v1/catalog", None),
        ],
        "spend": [
            ("POST", "/v1/customers/acme/reservations", pool),
            ("POST", "/v1/customers/acme/debits", pool),
            ("POST", "/v1/usage-events", {"events": []}),
        ],
        "change": [
            ("PUT", "/v1/customers/acme", {"plan": "pro"}),
            ("POST", "/v1/customers/acme/grants", pool),
            ("GET", "/v1/tokens", None),
            ("PUT", "/v1/catalog", None),
        ],
    }
    with http(app, token) as client:
        for what, requests in asked.items():
            for method, path, body in requests:  # type: ignore[attr-defined]
                status = client.request(method, path, json=body).status_code
                assert (status != 403) == (what in may), (method, path, status)
    assert service.get_customer("acme").plan == "pro"


def test_every_endpoint_asks_who_it_is(app: Starlette) -> None:
    """One that forgot its scope would answer a stranger."""
    asked = 0
    with http(app, "nobody") as client:
        for path, methods in document()["paths"].items():
            if path == snapshots.PATH:  # It is the hub's.
                continue
            for method in methods:
                where = path.replace("{", "").replace("}", "").replace("/per", "/day")
                status = client.request(method, where, json={}).status_code
                assert status == 401, (method, path)
                asked += 1
    assert asked >= 60


# Refusals.


def test_every_error_of_the_tree_has_its_status() -> None:
    tree = {
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.FastcheckError)
    }
    assert set(problems.STATUS) == tree


def failing(app: Starlette, service: Service, error: Exception) -> httpx.Response:
    def fail(*_: object) -> Any:
        raise error

    service.ask = fail  # type: ignore[method-assign,assignment]
    with http(app) as client:
        return client.get("/v1/customers/acme")


def test_an_unforeseen_error_tells_an_id_and_nothing_of_the_hub(
    app: Starlette, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "fastcheck.hub.api")
    document = refused(failing(app, service, RuntimeError("/var/secret")), 500, "InternalError")
    assert "secret" not in json.dumps(document)
    assert document["id"] in caplog.text


def test_a_store_that_fails_is_503_without_its_address(app: Starlette, service: Service) -> None:
    answer = failing(app, service, errors.StoreError("postgresql://db.internal", "gone", "start it"))
    assert "db.internal" not in json.dumps(refused(answer, 503, "StoreError"))
    assert answer.headers["retry-after"] == "1"


def test_an_unknown_outcome_says_how_to_ask_again(app: Starlette, service: Service) -> None:
    answer = failing(app, service, errors.OutcomeUnknown("the connection was lost"))
    assert "same Idempotency-Key" in refused(answer, 503, "OutcomeUnknown")["detail"]


def test_who_asks_too_often_is_told_how_long_to_wait(app: Starlette, service: Service) -> None:
    answer = failing(app, service, errors.RateLimited("too many", 2.2))
    refused(answer, 429, "RateLimited")
    assert answer.headers["retry-after"] == "3"


def test_an_error_of_a_derived_class_is_answered_as_its_own(app: Starlette, service: Service) -> None:
    class Worse(errors.Conflict):
        """Not in the tree."""

    refused(failing(app, service, Worse("no")), 409, "Conflict")


def test_a_catalog_is_refused_with_every_mistake(client: httpx.Client) -> None:
    broken = b"fastcheck: 1\nplans: {x: {features: {nope: true, nay: true}}}"
    for answer in (client.put("/v1/catalog", content=broken), client.put("/v1/catalog", content=b"\xff\xfe")):
        assert refused(answer, 422, "CatalogError")["problems"]
    checked = client.post("/v1/catalog:check", content=broken).json()
    assert len(checked["problems"]) == 2
    assert client.post("/v1/catalog:check", content=CATALOG).json() == {
        "problems": [],
        "effects": [],
        "more": 0,
    }
    in_use = CATALOG.replace(b"      2: {", b"      3: {").replace(b"      1: {", b"      4: {")
    assert "acme" in str(client.post("/v1/catalog:check", content=in_use).json()["problems"])
    assert "acme" in str(refused(client.put("/v1/catalog", content=in_use), 422, "CatalogError")["problems"])


def test_a_hub_without_a_catalog_says_so(clock: ManualClock) -> None:
    store = SqliteStore.in_memory()
    with http(make_app(make_service(store, clock))) as client:
        refused(client.get("/v1/catalog"), 422, "CatalogError")
        refused(client.put("/v1/customers/acme", json={}), 422, "CatalogError")
        tag = {"If-None-Match": "*"}
        assert client.put("/v1/catalog", content=CATALOG, headers=tag).status_code == 200
        refused(client.put("/v1/catalog", content=CATALOG + b"\n", headers=tag), 412, "PreconditionFailed")
    store.close()


def test_paths_and_methods_that_there_are_not(client: httpx.Client) -> None:
    refused(client.get("/v1/nowhere"), 404, "NotFound")
    refused(client.get("/nowhere"), 404, "NotFound")
    refused(client.post("/v1/customers/acme", json={}), 405, "MethodNotAllowed")


@pytest.mark.parametrize("text", ["%ED%A0%80", "a%00b", "%F0%9F%92%A9", "%2E%2E", "a%2Fb", "%", "%zz"])
def test_no_name_in_a_path_or_query_makes_the_hub_fail(app: Starlette, text: str) -> None:
    with http(app) as client:
        for path, methods in document()["paths"].items():
            if path == snapshots.PATH:  # It is the hub's, and takes no name.
                continue
            for method, operation in methods.items():
                names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
                where = path
                for part in ("customer", "feature", "pool", "segment", "plan", "id", "export", "per"):
                    where = where.replace("{" + part + "}", text)
                query = "&".join(f"{name}={text}" for name in names)
                answer = client.request(method, f"{where}?{query}", json={})
                assert answer.status_code < 500, (method, where, answer.text)
