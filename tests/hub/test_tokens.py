"""Tokens: who may speak to a hub; and who was refused."""

from __future__ import annotations

import copy
import hashlib
import pickle
import re
from collections.abc import Iterator

import pytest

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.access.denials import IN_ALL_MAX, PER_SOURCE_MAX, WINDOW_MS, Denials
from fastcheck.hub.store import Store
from fastcheck.hub.store.statements import Statements
from fastcheck.wire.by import By
from fastcheck.wire.token_answers import MadeToken
from rig.fake_catalog import parse
from rig.instants import MAY_2024_MS
from rig.serving import Service
from store.test_store_suite import at_once

LIVE = "live"
ME = By("me", "because")


@pytest.fixture
def hub(any_store: Store, clock: ManualClock) -> Service:
    return Service(any_store, clock, parse)


def made(hub: Service, *scopes: str, **terms: object) -> tuple[str, str]:
    """(text, id) of a new token."""
    token = hub.make_token("ci", scopes or ("stream",), environment=LIVE, by=ME, **terms)
    assert token.token is not None
    return token.token, token.state.id


def everything(store: Store) -> Iterator[str]:
    """Every value of every table, as text."""
    for table in ("tokens", "audit", "answers", "events", "meta"):
        rows = store.read(lambda c, table=table: c.exec_driver_sql(f"SELECT * FROM {table}").all())  # type: ignore[misc]
        for row in rows:
            for value in row:
                yield value.decode("latin-1") if isinstance(value, bytes) else str(value)


def test_a_token_is_known_by_its_text(hub: Service, clock: ManualClock) -> None:
    made_ = hub.make_token(
        "billing worker",
        ["spend", "stream", "spend"],
        environment=LIVE,
        expires_at=MAY_2024_MS + 5,
        rate_per_s=50,
        by=ME,
    )
    text, state = made_.token, made_.state
    assert text is not None
    assert re.fullmatch(r"fc_live_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", text)
    assert text.split("_")[2] == state.id
    assert (state.name, state.scopes, state.environment) == ("billing worker", ("stream", "spend"), LIVE)
    assert (state.author, state.created_at, state.rate_per_s) == ("me", MAY_2024_MS, 50)
    assert hub.token_of(text, LIVE, MAY_2024_MS + 4) == state
    assert hub.token_states([state.id, "other"])[state.id].last_used_at == MAY_2024_MS + 4
    assert hub.token_states([]) == {}


def test_who_is_refused_is_told_why_and_never_the_secret(hub: Service) -> None:
    text, id = made(hub, expires_at=MAY_2024_MS + 1_000)
    other = hub.make_token("t", ["stream"], environment="test").token
    assert other is not None
    gone, gone_id = made(hub)
    hub.revoke_token(gone_id, by=ME)
    nobody = f"fc_live_{'0' * 16}_{'x' * 43}"
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    borrowed = other.replace("fc_test_", "fc_live_")
    cases = [
        ("", "malformed"), ("nonsense", "malformed"), (text + "x", "malformed"), (text + "\n", "malformed"),
        (text.upper(), "malformed"), ("x" * 10_000_000, "malformed"), (f"Bearer {text}", "malformed"),
        (text.replace("live", "lіve"), "malformed"), (other, "environment 'test'"), (nobody, "not known"),
        (wrong, "not known"), (borrowed, "not known"),
        (gone, f"{gone_id} was revoked at 2024-05-01 00:00:00"),
        (text, f"{id} expired at 2024-05-01 00:00:01 UTC"),
    ]  # fmt: skip
    for given, match in cases:
        with pytest.raises(errors.Forbidden, match=match) as caught:
            hub.tokens.token_of(given, LIVE, MAY_2024_MS + 1_000)
        assert len(str(caught.value)) < 200
        assert given == "" or given not in str(caught.value)
        assert given[-43:] == "" or given[-43:] not in repr(caught.value)
    assert hub.token_of(text, LIVE, MAY_2024_MS + 999).id == id


def test_what_cannot_be_a_token_costs_no_look_into_the_ledger(hub: Service, any_store: Store) -> None:
    text, _ = made(hub)
    any_store.close()
    for given in (None, 5, "", "fc_live_x", "fc_test" + text[7:]):
        with pytest.raises(errors.Forbidden):
            hub.tokens.token_of(given, LIVE, MAY_2024_MS)  # type: ignore[arg-type]
    with pytest.raises(errors.Closed):
        hub.token_of(text, LIVE, MAY_2024_MS)


def test_a_secret_is_nowhere_but_in_the_answer(
    hub: Service, any_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    token = hub.make_token("t", ["admin"], environment=LIVE, by=By("me", "why", "key-1"))
    assert token.token is not None
    secret = token.token[25:]
    assert len(secret) == 43
    hub.token_of(token.token, LIVE, MAY_2024_MS)
    hub.revoke_token(token.state.id)
    stored = list(everything(any_store))
    assert not any(secret in one for one in stored)
    assert any(hashlib.sha256(secret.encode()).digest().decode("latin-1") == one for one in stored)
    assert secret not in repr(token)
    assert secret not in caplog.text
    assert "secret" not in any_store.read(
        lambda connection: repr(Statements(connection).token(token.state.id))
    )


def test_a_token_asked_for_again_under_its_key_is_made_once_and_not_shown_again(hub: Service) -> None:
    by = By("me", "", "key")
    first, second = (hub.make_token("t", ["stream"], environment=LIVE, by=by) for _ in range(2))
    assert (second.token, second.state) == (None, first.state)
    assert len(hub.list_tokens().items) == 1
    with pytest.raises(errors.Conflict):
        hub.make_token("t", ["admin"], environment=LIVE, by=by)


def test_a_revoked_token_stays_so_and_is_noted_once(hub: Service, clock: ManualClock) -> None:
    _, id = made(hub)
    clock.advance(10)
    first = hub.revoke_token(id, by=ME)
    clock.advance(10)
    assert hub.revoke_token(id, by=ME) == first
    assert first.revoked_at == MAY_2024_MS + 10
    assert hub.token_states([id]) == {id: first}
    noted = [(one.action, one.author, one.subject, one.reason) for one in hub.audit().items]
    assert noted == [("revoke_token", "me", id, "because"), ("make_token", "me", id, "because")]
    with pytest.raises(errors.UnknownToken, match="list_tokens"):
        hub.revoke_token("nobody")


def test_tokens_are_listed_in_pages(hub: Service) -> None:
    ids = sorted(made(hub)[1] for _ in range(5))
    first = hub.list_tokens(limit=3)
    second = hub.list_tokens(first.cursor, 3)
    assert [one.id for one in (*first.items, *second.items)] == ids
    assert second.cursor is None


def test_use_is_written_down_at_most_once_a_minute(hub: Service) -> None:
    text, id = made(hub)
    for later, noted in ((0, 0), (59_999, 0), (60_000, 60_000), (30_000, 60_000), (119_999, 60_000)):
        hub.token_of(text, LIVE, MAY_2024_MS + later)
        assert hub.token_states([id])[id].last_used_at == MAY_2024_MS + noted


def test_whether_use_can_be_written_down_decides_nothing(
    hub: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, id = made(hub)

    def full(*_: object, **__: object) -> None:
        raise errors.StoreError("here", "the disk is full", "free some")

    monkeypatch.setattr(hub, "write", full)
    assert hub.token_of(text, LIVE, MAY_2024_MS).id == id


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"name": ""}, errors.NameInvalid, "empty"),
        ({"scopes": []}, errors.NameInvalid, "at least one"),
        ({"scopes": ["root"]}, errors.NameInvalid, "no scope 'root'"),
        ({"scopes": "admin"}, errors.WrongType, "list"),
        ({"scopes": 5}, errors.WrongType, "list"),
        ({"environment": "Live"}, errors.NameInvalid, "such as live"),
        ({"environment": "a_b"}, errors.NameInvalid, "such as live"),
        ({"environment": None}, errors.WrongType, "str"),
        ({"expires_at": MAY_2024_MS}, errors.InstantError, "has passed"),
        ({"expires_at": "soon"}, errors.WrongType, "datetime"),
        ({"rate_per_s": 0}, errors.RecordError, "between 1"),
        ({"rate_per_s": True}, errors.WrongType, "int"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    wrong: dict[str, object], error: type[Exception], match: str, service: Service
) -> None:
    asked = {"name": "t", "scopes": ["stream"], "environment": LIVE, **wrong}
    with pytest.raises(error, match=match):
        service.make_token(**asked)
    assert service.list_tokens().items == ()


def test_too_many_states_at_once_are_refused(service: Service) -> None:
    with pytest.raises(errors.RecordError, match="501 tokens"):
        service.token_states(["x"] * 501)


def test_tokens_made_and_revoked_from_all_sides_are_noted_once(hub: Service) -> None:
    _, id = made(hub)
    at_once(lambda thread: (hub.revoke_token(id), made(hub)))
    actions = [one.action for one in hub.audit().items]
    assert (actions.count("revoke_token"), actions.count("make_token")) == (1, 9)


def test_a_made_token_travels(service: Service) -> None:
    token = service.make_token("t", ["stream"], environment=LIVE)
    assert pickle.loads(pickle.dumps(token)) == copy.deepcopy(token) == token
    assert isinstance(token, MadeToken)


# Refusals.


def test_refusals_are_audited_and_bounded(hub: Service, clock: ManualClock) -> None:
    def refused(source: str) -> bool:
        return hub.tokens.audit_denied(
            source=source, author="", subject="PUT /v1/customers\0\ud800", reason="the token is malformed"
        )

    assert [refused("10.0.0.1") for _ in range(PER_SOURCE_MAX + 5)].count(True) == PER_SOURCE_MAX
    assert refused("10.0.0.2")
    noted = hub.audit().items
    assert len(noted) == PER_SOURCE_MAX + 1
    assert (noted[0].action, noted[0].author, noted[0].reason) == ("denied", "", "the token is malformed")
    assert noted[0].subject == "PUT /v1/customers??"
    assert noted[0].after == {"source": "10.0.0.2", "dropped": 5}
    assert noted[1].after == {"source": "10.0.0.1"}
    assert not refused("10.0.0.1")
    assert hub.audit_denied_left() == 0, "the minute is not over"
    clock.advance(WINDOW_MS)
    assert hub.audit_denied_left() == 1
    assert hub.audit_denied_left() == 0
    assert hub.audit().items[0].after == {"dropped": 1}
    assert refused("10.0.0.1")


def test_many_sources_together_are_bounded_and_so_is_what_is_remembered() -> None:
    denials = Denials()
    written = [denials.admit(f"s{one}", 0) for one in range(IN_ALL_MAX + 7)]
    assert written.count(0) == IN_ALL_MAX
    assert len(denials._counts) == IN_ALL_MAX
    assert denials.admit("s0", WINDOW_MS) == 7
