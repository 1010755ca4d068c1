"""`fastcheck grant` against a running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.cli.grant import standing
from fastcheck.wire.answers import GrantState
from rig.cli_service import Service

DAY_MS = 86_400_000
NOW = 1_800_000_000_000


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    service.ents.admin.put_customer("acme", plan="pro")
    yield service
    service.ents.close()


def a_grant(
    *,
    remaining: int = 100,
    effective_at: int = NOW,
    expires_at: int | None = None,
    voided_at: int | None = None,
) -> GrantState:
    return GrantState(
        "g",
        "acme",
        "ai_credits",
        100,
        remaining,
        100,
        effective_at,
        expires_at,
        "paid",
        "",
        None,
        effective_at,
        voided_at,
        None,
        None,
    )


AROUND_NOW = st.integers(NOW - 3, NOW + 3)


@given(st.integers(0, 100), AROUND_NOW, st.none() | AROUND_NOW, st.none() | AROUND_NOW)
def test_a_grant_is_active_from_its_start_until_the_first_end(
    remaining: int, effective_at: int, expires_at: int | None, voided_at: int | None
) -> None:
    grant = a_grant(
        remaining=remaining, effective_at=effective_at, expires_at=expires_at, voided_at=voided_at
    )
    ends = [end for end in (expires_at, voided_at) if end is not None]
    inside = effective_at <= NOW < min(ends, default=NOW + 1)
    assert (standing(grant, NOW) in ("active", "used up")) == inside
    if inside:
        assert standing(grant, NOW) == ("active" if remaining else "used up")


def test_what_a_grant_is_called() -> None:
    assert standing(a_grant(effective_at=NOW + 1), NOW) == "upcoming"
    assert standing(a_grant(expires_at=NOW), NOW) == "expired"
    assert standing(a_grant(expires_at=NOW, voided_at=NOW), NOW) == "voided"


def test_add_takes_every_term(service: Service) -> None:
    made = service.json(
        "grant add",
        "acme",
        "ai_credits",
        "50_000.5",
        "--id",
        "order_17",
        "--priority",
        "-5",
        "--effective",
        "2100-01-01",
        "--expires",
        "2100-02-01",
        "--kind",
        "promotional",
        "--reason",
        "top-up",
        "--author",
        "jo",
    )
    assert made["grant"] == "order_17"
    grants = {one.id: one for one in service.ents.admin.list_grants("acme", "ai_credits")}
    grant = grants["order_17"]
    assert (grant.amount, grant.priority, grant.kind, grant.reason) == (
        Decimal("50000.5"),
        -5,
        "promotional",
        "top-up",
    )
    assert grant.expires_at is not None
    assert grant.expires_at - grant.effective_at == 31 * DAY_MS
    [entry] = service.ents.admin.audit(subject="acme", limit=1).items
    assert (entry.action, entry.author) == ("grant", "jo")


def test_add_tells_what_is_left_now(service: Service) -> None:
    service.told("grant add", "acme", "ai_credits", "1000", "--id", "g1")
    assert service.told("grant add", "acme", "ai_credits", "0.25", "--id", "g2") == (
        "g2: granted 0.25 ai_credits to acme, 1,000.25 left now\n"
    )


def test_repeated_with_a_key_or_an_id_credits_are_granted_once(service: Service) -> None:
    with_key = ["grant add", "acme", "ai_credits", "70", "--once", "k1"]
    with_id = ["grant add", "acme", "ai_credits", "7", "--id", "order_17"]
    first = service.json(*with_key)["grant"]
    assert service.json(*with_key)["grant"] == first
    service.told(*with_id)
    service.told(*with_id)
    assert service.ents.admin.balance("acme", "ai_credits").remaining == 77
    assert service.refused("grant add", "acme", "ai_credits", "71", "--once", "k1")[0] == 1
    assert service.refused("grant add", "acme", "ai_credits", "8", "--id", "order_17")[0] == 1


def test_a_key_and_an_instant_counted_from_now_do_not_go_together(service: Service) -> None:
    """The second try would be another request, and refused: an operator would take a new key, and grant
    twice."""
    code, told = service.refused("grant add", "acme", "ai_credits", "70", "--once", "k1", "--expires", "+1mo")
    assert code == 2
    assert "whole instants" in told
    service.told("grant add", "acme", "ai_credits", "70", "--once", "k1", "--expires", "2100-01-01")


def test_list_tells_what_became_of_each(service: Service) -> None:
    admin = service.ents.admin
    admin.grant("acme", "ai_credits", 5, id="first", priority=1)
    admin.grant("acme", "ai_credits", 10, id="second", priority=2)
    service.told("grant add", "acme", "ai_credits", "20", "--id", "later", "--effective", "+1d")
    admin.grant("acme", "ai_credits", 30, id="gone")
    admin.void("gone")
    assert service.ents.consume("acme", "gpt-4o", 8)
    listed = {one["id"]: one for one in service.json("grant list", "acme", "ai_credits")}
    assert {id: (one["state"], one["remaining"], one["burned"]) for id, one in listed.items()} == {
        "first": ("used up", "0", "5"),
        "second": ("active", "7", "3"),
        "later": ("upcoming", "20", "0"),
        "gone": ("voided", "0", "0"),
    }
    assert listed["gone"]["voided"] == "30"
    told = service.told("grant list", "acme")
    assert [line for line in told.splitlines() if not line.startswith(" ") and line] == [
        "ai_credits",
        "api_calls",
    ]
    assert [line.split() for line in told.splitlines() if "second" in line] == [
        ["second", "paid", "active", "-", "2", "10", "7", "3"]
    ]


def test_nobody_without_grants_is_an_error(service: Service) -> None:
    service.ents.admin.put_customer("empty")
    assert service.told("grant list", "empty") == "no grants\n"
    assert service.json("grant list", "empty") == []
    assert service.refused("grant list", "nobody")[0] == 2


def test_void_asks_and_again_changes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.ents.admin.grant("acme", "ai_credits", 100, id="g1")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert service.refused("grant void", "g1")[0] == 2
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "", raising=False)
    assert service.run("grant void", "g1")[0] == 1
    assert service.ents.admin.balance("acme", "ai_credits").remaining == 100
    for _ in range(2):
        assert service.json("grant void", "g1", "--yes", "--reason", "refunded")["state"] == "voided"
    assert service.ents.admin.balance("acme", "ai_credits").remaining == 0


def test_what_is_used_up_cannot_be_voided(service: Service) -> None:
    service.ents.admin.grant("acme", "ai_credits", 5, id="g1")
    assert service.ents.consume("acme", "gpt-4o", 5)
    code, told = service.refused("grant void", "g1", "--yes")
    assert code == 1
    assert "used up" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody", "ai_credits", "5"], "nobody"),
        (["acme", "credits", "5"], "it has: ai_credits"),
        (["acme", "ai_credits", "0"], "more than zero"),
        (["acme", "ai_credits", "0.0000001"], "scale"),
        (["acme", "ai_credits", "9223372036855"], "largest amount"),
        (["acme", "ai_credits", "5", "--expires", "2020-01-01"], "passed already"),
        (["acme", "ai_credits", "5", "--id", "plan:x"], "take another"),
    ],
)
def test_mistakes_are_2_and_say_what_to_do(service: Service, arguments: list[str], told: str) -> None:
    code, said = service.refused("grant add", *arguments)
    assert code == 2
    assert told in said
    assert service.refused("grant void", "nope", "--yes")[0] == 2


def test_what_was_paid_is_said_in_minor_units(service: Service) -> None:
    service.told("grant add", "acme", "ai_credits", "10", "--id", "g", "--cost", "4_900EUR")
    service.told("grant add", "acme", "ai_credits", "10", "--id", "g", "--cost", "4900EUR")
    assert "other terms" in service.refused("grant add", "acme", "ai_credits", "10", "--id", "g")[1]
    for wrong in ("49.00EUR", "4900", "EUR", "-1EUR", "4900eur"):
        assert service.run("grant add", "acme", "ai_credits", "10", f"--cost={wrong}")[0] == 2
