"""Webhooks without a socket: events and their JSON, secrets and signatures, when to try again."""

from __future__ import annotations

import doctest
import json
import pickle
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from fastcheck import errors
from fastcheck.clock import SystemClock
from fastcheck.hub.webhooks import retry, sign
from fastcheck.hub.webhooks.retry import ATTEMPTS_MAX, DELAYS_MS, Fate, Outcome, judge, retry_after_ms
from fastcheck.hub.webhooks.sign import (
    SECRETS_MAX,
    ActiveSecret,
    Secret,
    in_force,
    new_secret,
    rotated,
    signed_headers,
)
from fastcheck.wire import events as event_kinds
from fastcheck.wire.events import AMOUNTS, FIELDS, Event, Kind

MAY_2024_MS = 1_714_521_600_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

INSTANTS = st.integers(0, 4_000_000_000_000)
VALUES = st.one_of(st.none(), st.integers(-(2**63) + 1, 2**63 - 1), st.decimals(-(10**9), 10**9, places=6))


def event(kind: Kind = Kind.LIMIT_REACHED, **changes: Any) -> Event:
    data: dict[str, Any] = dict.fromkeys(FIELDS[kind]) | changes.pop("data", {})
    customer = None if kind is Kind.CATALOG_CHANGED else "acme"
    fields: dict[str, Any] = {"id": "evt_1", "at": MAY_2024_MS, "customer": customer}
    return Event(**(fields | {"kind": kind, "data": data} | changes))


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(Kind))
    data = {
        name: draw(
            VALUES if name in AMOUNTS else INSTANTS if name.endswith("_at") else st.text("aé☃", min_size=1)
        )
        for name in FIELDS[kind]
    }
    return event(kind, at=draw(INSTANTS), data=data)


@pytest.mark.parametrize("module", [event_kinds, sign, retry], ids=lambda one: one.__name__.split(".")[-1])
def test_the_examples_of_the_docstrings_run(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


# Events.


@given(events())
def test_a_body_holds_the_whole_event_and_no_float(event: Event) -> None:
    body = json.loads(event.body(), parse_float=lambda text: pytest.fail(f"a float: {text}"))
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == event.kind.value
    data = body["data"]
    assert data.pop("customer", None) == event.customer
    assert set(data) == set(FIELDS[event.kind])
    for name, value in event.data.items():
        if value is None:
            assert data[name] is None
        elif name in AMOUNTS:
            assert isinstance(data[name], str)
            assert Decimal(data[name]) == value
        elif name.endswith("_at"):
            assert data[name].endswith("Z")
        else:
            assert data[name] == value
    assert event.body() == event.body()
    assert len(event.body()) < 20_000


def test_a_body_as_a_receiver_sees_it() -> None:
    told = event(
        Kind.GRANT_EXPIRING,
        data={
            "pool": "ai_credits",
            "grant": "g1",
            "remaining": Decimal("12.500"),
            "expires_at": MAY_2024_MS + 1,
        },
    )
    assert told.body() == (
        b'{"type":"grant_expiring","timestamp":"2024-05-01T00:00:00.000Z","data":{"customer":"acme",'
        b'"pool":"ai_credits","grant":"g1","remaining":"12.500","expires_at":"2024-05-01T00:00:00.001Z"}}'
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": "a.b"}, errors.NameInvalid),
        ({"id": ""}, errors.NameInvalid),
        ({"id": "x" * 65}, errors.NameInvalid),
        ({"id": "evt_1\n"}, errors.NameInvalid),
        ({"kind": "limit_reached"}, errors.WrongType),
        ({"at": -1}, errors.InstantError),
        ({"customer": None}, errors.RecordError),
        ({"customer": ""}, errors.NameInvalid),
        ({"data": {"more": 1}}, errors.RecordError),
        ({"data": {"pool": "\ud800"}}, errors.NameInvalid),
        ({"data": {"pool": "x" * 1_000}}, errors.NameInvalid),
        ({"data": {"pool": 1.5}}, errors.WrongType),
        ({"data": {"pool": 2**64}}, errors.RecordError),
        ({"data": {"retry_at": "now"}}, errors.WrongType),
        ({"data": {"retry_at": -1}}, errors.InstantError),
    ],
    ids=str,
)
def test_a_bad_event_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    kind = Kind.TOP_UP_CAPPED
    data = dict.fromkeys(FIELDS[kind]) | changes.get("data", {})
    fields: dict[str, Any] = (
        {"id": "evt_1", "kind": kind, "at": 1, "customer": "acme"} | changes | {"data": data}
    )
    with pytest.raises(error):
        Event(**fields)


@pytest.mark.parametrize(
    "amount", [True, "5", 1.5, Decimal("NaN"), Decimal("Infinity"), Decimal("1e-13"), Decimal("1e99"), 2**63]
)
def test_a_bad_amount_is_refused(amount: Any) -> None:
    with pytest.raises((errors.WrongType, errors.RecordError)):
        event(Kind.LOW_BALANCE, data={"remaining": amount})


def test_events_about_everybody_have_no_customer() -> None:
    assert b"customer" not in event(Kind.CATALOG_CHANGED).body().replace(b"catalog", b"")
    with pytest.raises(errors.RecordError):
        event(Kind.CATALOG_CHANGED, customer="acme")


# Signatures.


@given(st.integers(1, SECRETS_MAX), events(), st.data())
def test_every_secret_in_force_verifies_and_no_other_and_nothing_may_be_changed(
    count: int, event: Event, data: st.DataObject
) -> None:
    known = [new_secret() for _ in range(count)]
    body = event.body()
    headers = signed_headers(event.id, SystemClock().now_ms(), body, known)
    for one in known:
        assert Webhook(one.reveal()).verify(body, headers)["type"] == event.kind.value
    receiver = Webhook(known[0].reveal())
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret().reveal()).verify(body, headers)
    at = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body[:at] + bytes([(body[at] + 1) % 128]) + body[at + 1 :], headers)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body, headers | {"webhook-id": "evt_other"})
    later = str(int(headers["webhook-timestamp"]) + 1)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body, headers | {"webhook-timestamp": later})


def test_an_old_webhook_is_refused_by_the_receiver() -> None:
    secret = new_secret()
    headers = signed_headers("evt_1", SystemClock().now_ms() - 10 * MINUTE_MS, b"{}", [secret])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret.reveal()).verify(b"{}", headers)


def test_a_signature_is_the_one_that_the_standard_describes() -> None:
    """The example of the standard's own libraries."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    id, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    assert signed_headers(id, 1_614_265_330_999, body, [secret]) == {
        "webhook-id": id,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_rotation_has_no_gap_and_ends() -> None:
    first, second, third = ActiveSecret(new_secret()), new_secret(), new_secret()
    both = rotated([first], second, 1_000, DAY_MS)
    assert in_force(both, 1_000 + DAY_MS - 1) == [second, first.secret]
    assert in_force(both, 1_000 + DAY_MS) == [second]
    three = rotated(both, third, 2_000, DAY_MS)
    assert [one.until_at for one in three] == [None, 2_000 + DAY_MS, 1_000 + DAY_MS]
    assert len(rotated(both, third, 1_000 + DAY_MS, DAY_MS)) == 2, "what is over is not kept"
    many: tuple[ActiveSecret, ...] = (first,)
    for n in range(10):
        many = rotated(many, new_secret(), n, DAY_MS)
    assert len(many) == SECRETS_MAX
    with pytest.raises(errors.NameInvalid):
        signed_headers("evt_1", 1, b"{}", [])


def test_a_secret_does_not_show_itself() -> None:
    secret = new_secret()
    key = secret.reveal().removeprefix("whsec_")
    for shown in (repr(secret), str(secret), f"{secret}", repr(ActiveSecret(secret))):
        assert key not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert new_secret() != secret
    assert Secret(secret.reveal()) == secret


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_é", f"whsec_{'A' * 88}"],
)
def test_a_bad_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(errors.NameInvalid) as caught:
        Secret(text)
    assert text in ("", "whsec_") or text not in str(caught.value)
    with pytest.raises(errors.WrongType):
        Secret(text.encode())  # type: ignore[arg-type]


# When to try again.

FAILURES = st.one_of(st.none(), st.integers(100, 199), st.integers(300, 409), st.integers(411, 599)).map(
    Outcome
)


@given(st.integers(0, 2**32), INSTANTS, st.data())
def test_a_delivery_that_always_fails_is_tried_by_the_schedule_and_given_up(
    seed: int, start: int, data: st.DataObject
) -> None:
    now, random, attempt = start, Random(seed), 1
    while (verdict := judge(data.draw(FAILURES), attempt, now, random)).fate is Fate.AGAIN:
        assert verdict.next_at is not None
        waited, delay = verdict.next_at - now, DELAYS_MS[attempt]
        assert delay <= waited <= delay + delay // 5
        now, attempt = verdict.next_at, attempt + 1
    assert verdict.fate is Fate.DEAD
    assert verdict.next_at is None
    assert attempt == ATTEMPTS_MAX == 8
    total = 5_000 + 35 * MINUTE_MS + 27 * HOUR_MS
    assert total <= now - start <= total * 6 // 5


@given(st.integers(1, ATTEMPTS_MAX), st.integers(200, 299))
def test_success_and_gone_are_final_at_any_attempt(attempt: int, status: int) -> None:
    assert judge(Outcome(status), attempt, 0, Random(0)).fate is Fate.DELIVERED
    assert judge(Outcome(410), attempt, 0, Random(0)).fate is Fate.GONE


def test_jitter_parts_what_failed_together() -> None:
    random = Random(1)
    assert len({judge(Outcome(500), 2, 0, random).next_at for _ in range(100)}) > 50


@given(st.text())
def test_no_retry_after_breaks_the_schedule(header: str) -> None:
    asked = retry_after_ms(header, MAY_2024_MS)
    assert asked is None or 0 <= asked <= DAY_MS


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0),
        ("120", 120_000),
        (" 7 ", 7_000),
        ("86401", DAY_MS),
        ("9" * 5_000, DAY_MS),
        ("Wed, 01 May 2024 00:00:30 GMT", 30_000),
        ("Wed, 01 May 2024 02:00:30 +0200", 30_000),
        ("Wed, 01 May 2024 00:00:30", 30_000),
        ("Tue, 30 Apr 2024 00:00:00 GMT", 0),
        ("Wed, 01 May 2999 00:00:00 GMT", DAY_MS),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        ("Wed, 99 May 2024 00:00:30 GMT", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, expected: int | None) -> None:
    assert retry_after_ms(header, MAY_2024_MS) == expected


def test_retry_after_puts_off_and_never_hastens() -> None:
    assert judge(Outcome(503, retry_after="3600"), 1, 0, Random(0)).next_at == HOUR_MS
    hurried = judge(Outcome(429, retry_after="1"), 3, 0, Random(0)).next_at
    assert hurried is not None
    assert hurried >= 30 * MINUTE_MS
