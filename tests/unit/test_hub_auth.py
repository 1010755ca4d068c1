"""The hub's door: what is remembered of tokens, how often each may ask, what is noted of refusals."""

from __future__ import annotations

import pytest

from fastcheck.errors import Forbidden, RateLimited, StoreError
from fastcheck.hub.access import auth
from fastcheck.hub.access.auth import Authenticator, TokenState, Unauthorized
from rig.stream_ledger import NOW_MS, MemoryLedger


class Door:
    """An authenticator with clocks that stand still."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.now_s = 100.0
        self.denied: list[str] = []
        self.authenticator = Authenticator(
            self.ledger, "live", lambda: NOW_MS, denied=self.denied.append, clock_s=lambda: self.now_s
        )

    def state_of(self, text: str) -> TokenState:
        found = self.authenticator.remembered(text)
        return self.authenticator.look_up(text) if found is None else found


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_token_is_looked_up_once_a_second_however_often_it_is_used(door: Door) -> None:
    text = door.ledger.make_token("stream")
    for _ in range(100):
        door.state_of(text)
    assert door.ledger.reads == 1
    door.now_s += auth.FRESH_S
    door.state_of(text)
    assert door.ledger.reads == 2


def test_a_revocation_counts_after_a_second_and_at_once_where_a_recheck_found_it(door: Door) -> None:
    text = door.ledger.make_token("stream")
    id = door.state_of(text).id
    door.ledger.revoke(text)
    assert door.state_of(text).id == id
    assert door.authenticator.over([id]) == {id: "the token was revoked: ask for another"}
    with pytest.raises(Unauthorized, match="revoked"):
        door.state_of(text)


def test_a_token_that_expires_is_refused_from_memory_too(door: Door) -> None:
    text = door.ledger.make_token("stream", expires_at=NOW_MS + 1)
    door.state_of(text)
    door.authenticator._now_ms = lambda: NOW_MS + 1
    with pytest.raises(Unauthorized, match="expired"):
        door.state_of(text)


def test_refusals_are_remembered_like_answers_and_neither_without_bound(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_MAX", 3)
    for number in [*range(4), 3, 2, 1]:
        with pytest.raises(Unauthorized, match="unknown"):
            door.state_of(f"fc_live_{number}_x")
    assert door.ledger.reads == 4
    with pytest.raises(Unauthorized):
        door.state_of("fc_live_0_x")  # Forgotten: it was the oldest.
    assert door.ledger.reads == 5


def test_nothing_is_remembered_of_a_look_up_that_failed(door: Door) -> None:
    text = door.ledger.make_token("stream")
    door.ledger.failing = True
    with pytest.raises(StoreError):
        door.state_of(text)
    door.ledger.failing = False
    assert door.state_of(text).scopes == ("stream",)


def test_what_is_remembered_is_no_secret(door: Door) -> None:
    text = door.ledger.make_token("stream")
    door.state_of(text)
    assert text.rpartition("_")[2] not in repr(door.authenticator._answers)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, "no token"),
        ("", "must be"),
        ("Basic dXNlcjpwdw==", "must be"),
        ("Bearer", "must be"),
        ("Bearer  ", "must be"),
        ("Bearer " + "x" * 513, "malformed"),
        ("Bearer fc_live_é", "malformed"),
    ],
)
def test_a_header_without_a_token_is_refused_unread(header: str | None, why: str) -> None:
    with pytest.raises(Unauthorized, match=why):
        Authenticator.bearer(header)


def test_the_scheme_is_taken_in_any_case() -> None:
    assert Authenticator.bearer("bEARER fc_live_1_x ") == "fc_live_1_x"


def test_each_token_has_its_own_rate(door: Door) -> None:
    slow = door.state_of(door.ledger.make_token("stream", rate_per_s=1))
    other = door.state_of(door.ledger.make_token("stream"))
    for _ in range(2):
        assert door.authenticator.spend(slow).id == slow.id
    with pytest.raises(RateLimited, match="1 requests a second") as limited:
        door.authenticator.spend(slow)
    assert 0 < limited.value.retry_after_s <= 1
    for _ in range(int(auth.PER_S)):
        door.authenticator.spend(other)
    door.now_s += 1
    door.authenticator.spend(slow)


def test_refusals_are_noted_but_not_those_about_how_often(door: Door) -> None:
    note = door.authenticator.refused
    note(Unauthorized("unknown"), "10.0.0.1", "", "GET /v1/stream")
    note(Forbidden("no scope"), "10.0.0.1", "abc", "PUT /v1/catalog")
    note(RateLimited("too often"), "10.0.0.1", "abc", "GET /v1/customers")
    assert door.denied == ["token", "scope", "rate"]
    assert door.ledger.denied == [
        ("10.0.0.1", "", "GET /v1/stream", "unknown"),
        ("10.0.0.1", "abc", "PUT /v1/catalog", "no scope"),
    ]


def test_tokens_in_use_are_checked_in_reads_of_a_bounded_size(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "STATES_MAX", 2)
    texts = [door.ledger.make_token("stream") for _ in range(5)]
    ids = [door.state_of(text).id for text in texts]
    reads = door.ledger.reads
    door.ledger.revoke(texts[4])
    assert door.authenticator.over([*ids, "gone"]) == {
        ids[4]: "the token was revoked: ask for another",
        "gone": "the token was removed",
    }
    assert door.ledger.reads == reads + 3
