"""`fastcheck override` against a running service."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.cli.arguments import UsageError
from fastcheck.cli.override import parsed
from fastcheck.cli.screen import setting_text
from rig.cli_service import Service

SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "switch": st.booleans(),
    "credit": st.booleans(),
    "limit": st.none() | st.just(False) | st.integers(0, 2**63 - 1),
    "meter": st.none() | st.just(False) | st.decimals(0, 10**12, places=3),
}


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    service.ents.admin.put_customer("acme", plan="pro")
    yield service
    service.ents.close()


@given(st.sampled_from(sorted(SETTINGS)).flatmap(lambda kind: st.tuples(st.just(kind), SETTINGS[kind])))
def test_what_is_told_of_a_setting_sets_it_again(case: tuple[str, Any]) -> None:
    kind, value = case
    again = parsed(setting_text(value), kind, "feature")
    assert again == value
    assert isinstance(again, bool) == isinstance(value, bool)


@given(st.text())
def test_with_text_every_text_is_text(text: str) -> None:
    assert parsed(text, "value", "feature", text_only=True) == text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("switch", "ON", True),
        ("credit", "off", False),
        ("limit", "40", 40),
        ("limit", "unlimited", None),
        ("limit", "off", False),
        ("meter", "100_000", 100_000),
        ("meter", "1.25", Decimal("1.25")),
        ("value", "90", 90),
        ("value", "-1", -1),
        ("value", "true", True),
        ("value", "on", "on"),
        ("value", "eu-west", "eu-west"),
    ],
)
def test_values_are_read_as_the_kind_wants_them(kind: str, text: str, value: Any) -> None:
    found = parsed(text, kind, "feature")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"), [("switch", "1"), ("credit", "5"), ("limit", "many"), ("limit", "1.5"), ("meter", "-1")]
)
def test_values_of_another_kind_are_refused_with_what_to_say(kind: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"feature is a {kind}: say "):
        parsed(text, kind, "feature")


def test_text_that_looks_like_another_value_is_told_in_quotes() -> None:
    assert [setting_text(text) for text in ("90", "-1", "true", "eu-west", "on")] == [
        '"90"',
        '"-1"',
        '"true"',
        "eu-west",
        "on",
    ]


def test_put_takes_effect_and_says_what_it_was(service: Service) -> None:
    told = service.told("override put", "acme", "seats", "40", "--reason", "pilot", "--author", "jo")
    assert "it was 25 (plan), it is 40 now" in told
    assert service.ents.limit("acme", "seats") == 40
    [entry] = service.ents.admin.audit(subject="acme", limit=1).items
    assert (entry.author, entry.reason) == ("jo", "pilot")


@pytest.mark.parametrize(
    ("feature", "text", "value"),
    [
        ("export", "off", False),
        ("gpt-4o", "off", False),
        ("api_calls", "unlimited", None),
        ("storage", "12.5", Decimal("12.5")),
        ("retention_days", "90", 90),
    ],
)
def test_every_kind_can_be_overridden(service: Service, feature: str, text: str, value: Any) -> None:
    service.told("override put", "acme", feature, text)
    [override] = service.ents.admin.list_overrides("acme")
    assert (override.feature, override.value) == (feature, value)


def test_an_exception_ahead_holds_from_its_start_to_its_end(service: Service) -> None:
    told = service.told(
        "override put",
        "acme",
        "seats",
        "40",
        "--starts",
        "2100-01-01",
        "--expires",
        "2100-02-01T01:00:00+01:00",
    )
    assert "from 2100-01-01 UTC, until 2100-02-01 UTC" in told
    assert "it is 25 now" in told
    values = [
        service.json("explain", "acme", "seats", "--at", at)["value"]
        for at in ("2099-12-31T23:59:59.999Z", "2100-01-01", "2100-01-31T23:59:59.999Z", "2100-02-01")
    ]
    assert values == [25, 40, 40, 25]


def test_list_and_remove(service: Service) -> None:
    assert service.told("override list", "acme") == "no overrides\n"
    service.told("override put", "acme", "retention_days", "90", "--text", "--expires", "2100-01-01")
    [listed] = service.json("override list", "acme")
    assert (listed["value"], listed["expires_at"]) == ("90", "2100-01-01T00:00:00.000Z")
    assert '"90"' in service.told("override list", "acme")  # told apart from the number
    assert service.json("override remove", "acme", "retention_days") == {"removed": True}
    assert service.json("override remove", "acme", "retention_days") == {"removed": False}
    assert "was not overridden" in service.told("override remove", "acme", "retention_days")
    assert service.json("override list", "acme") == []


@pytest.mark.parametrize(
    ("command", "arguments", "told"),
    [
        ("override put", ["acme", "seat", "5"], "it has: api_calls"),
        ("override put", ["nobody", "seats", "5"], "nobody"),
        ("override put", ["acme", "seats", "many"], "say a number"),
        ("override put", ["acme", "seats", "5", "--starts", "+2d", "--expires", "+1d"], "never hold"),
        ("override put", ["acme", "seats", "5", "--expires", "+1d", "--once", "k"], "whole instants"),
        ("override remove", ["acme", "seat"], "it has: api_calls"),
        ("override list", ["nobody"], "nobody"),
    ],
)
def test_mistakes_are_2_and_say_what_to_do(
    service: Service, command: str, arguments: list[str], told: str
) -> None:
    code, said = service.refused(command, *arguments)
    assert code == 2
    assert told in said
