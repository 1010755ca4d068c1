"""`fastcheck ledger`, and the forms that it shares with `explain`, `check` and `status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from fastcheck import cli
from fastcheck.admin import Admin
from fastcheck.cli import pages
from fastcheck.cli.audit import change
from fastcheck.cli.instants import instant
from fastcheck.wire.answers import Balance, Problem
from rig.cli_service import Service


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    service.ents.admin.put_customer("acme", plan="pro", aliases=["stripe:cus_9"])
    service.ents.admin.grant(
        "acme", "ai_credits", 1_000, id="g1", expires_at=datetime(2100, 1, 1, tzinfo=timezone.utc)
    )
    yield service
    service.ents.close()


def test_balance_of_one_pool_or_all(service: Service) -> None:
    assert service.ents.consume("acme", "gpt-4o", 12)
    [balance] = service.json("ledger balance", "stripe:cus_9", "ai_credits")
    assert (balance["remaining"], balance["used"]) == ("988", "12")
    assert balance["next_change_at"] == "2100-01-01T00:00:00.000Z"
    told = service.told("ledger balance", "acme").splitlines()
    assert told[1].split() == ["ai_credits", "2100-01-01", "988", "12"]
    assert told[2].split()[0] == "api_calls"
    service.ents.admin.put_customer("empty")
    assert service.told("ledger balance", "empty") == "no balances\n"


def test_balance_at_another_instant(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def balance(self: Admin, customer: str, pool: str, at: Any = None) -> Balance:
        asked.append((customer, pool, at))
        return Balance(customer, pool, 5, 2, 7, None, 0)

    monkeypatch.setattr(Admin, "balance", balance)
    told = service.told("ledger balance", "acme", "ai_credits", "--at", "2026-02-01T10:00:00+02:00")
    assert asked == [("acme", "ai_credits", datetime(2026, 2, 1, 8, tzinfo=timezone.utc))]
    assert told.splitlines()[1].split() == [
        "ai_credits",
        "-",
        "5",
        "7",
        "2",
    ]  # overage only where there is any


def test_audit_goes_on_past_a_page_newest_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ITEMS", 2)
    for seats in range(5):
        service.ents.admin.put_override("acme", "seats", seats)
    numbers = [one["number"] for one in service.json("ledger audit")]
    assert numbers == sorted(numbers, reverse=True)
    actions = [one["action"] for one in service.json("ledger audit", "--subject", "stripe:cus_9")]
    assert actions == ["put_override"] * 5 + ["grant", "put_customer"]
    lines = service.told("ledger audit", "--limit", "2").splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("acme  put_override: seats, 3 -> 4")
    assert "acme" not in service.told("ledger audit", "--subject", "acme", "--limit", "1")
    assert service.told("ledger audit", "--subject", "nobody") == "nothing was changed\n"


def test_instants_within_a_change_are_told_like_all_others(service: Service) -> None:
    service.told("override put", "acme", "seats", "4", "--expires", "2100-01-01")
    [entry] = service.json("ledger audit", "--limit", "1")
    assert entry["after"]["expires_at"] == "2100-01-01T00:00:00.000Z"
    assert "expires 2100-01-01" in service.told("ledger audit", "--limit", "1")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {"plan": "pro", "version": 1, "addons": (), "trial": None}, "plan pro, version 1"),
        ({"plan": "free", "version": 1}, {"plan": "pro", "version": 1}, "plan free -> pro"),
        ({"aliases": ()}, {"aliases": ("a", "b")}, "aliases none -> a b"),
        ({"addons": ()}, {"addons": (("pack", 2, 0),)}, "addons none -> pack=2@1970-01-01"),
        ({"trial": None}, {"trial": ("pro", 1, 0)}, "trial none -> pro@1 until 1970-01-01"),
        ({"feature": "f", "setting": (3, 5)}, {"feature": "f", "setting": (2,)}, "f, 5 -> unlimited"),
        ({"grant": "g", "units": 5}, {"grant": "g", "units": 0}, "g, pool units 5 -> 0"),
        ({"plan": "pro"}, None, "plan pro"),
        (None, None, "-"),
    ],
)  # fmt: skip
def test_a_change_is_told_by_what_is_different(before: Any, after: Any, told: str) -> None:
    assert change(before, after) == told


def test_explain_is_the_same_by_both_names(service: Service) -> None:
    arguments = ["stripe:cus_9", "seats", "--at", "2100-01-01"]
    assert service.json("ledger explain", *arguments) == service.json("explain", *arguments)
    explained = service.json("explain", *arguments)
    assert (explained["customer"], explained["value"], explained["source"]) == ("acme", 25, "plan")
    assert explained["at"] == "2100-01-01T00:00:00.000Z"
    assert service.told("explain", *arguments).startswith(
        "seats (limit) for acme at 2100-01-01 00:00:00 UTC\n"
    )


def test_amounts_and_instants_have_one_form_for_programs(service: Service) -> None:
    checked = service.json("check", "acme", "gpt-4o")
    assert (checked["remaining"], checked["resets_at"]) == ("1000", "2100-01-01T00:00:00.000Z")
    [balance] = service.json("ledger balance", "acme", "ai_credits")
    assert {balance[name] for name in ("reserved", "overage")} == {"0"}
    explained = service.json("explain", "acme", "gpt-4o")["balance"]
    assert {**balance, "as_of": None} == {**explained, "as_of": None}
    status = service.json("status")
    assert instant(status["as_of"]).tzinfo is not None
    assert service.told("check", "acme", "gpt-4o") == (
        "allowed (source plan, remaining 1000, resets_at 2100-01-01 00:00:00 UTC)\n"
    )


@pytest.mark.parametrize("feature", ["export", "seats", "retention_days"])
def test_check_takes_features_that_are_not_countable(service: Service, feature: str) -> None:
    assert service.told("check", "acme", feature) == "allowed (source plan)\n"
    code, told = service.refused("check", "acme", feature, "1")
    assert (code, "nothing to spend" in told) == (2, True)


def test_mistakes_are_2(service: Service) -> None:
    assert service.refused("ledger balance", "nobody")[0] == 2
    code, told = service.refused("ledger balance", "acme", "credits")
    assert code == 2
    assert "it has: ai_credits" in told
    assert service.refused("ledger explain", "acme", "seat")[0] == 2


def test_a_ledger_that_adds_up_says_so(service: Service) -> None:
    assert service.ents.consume("acme", "gpt-4o", 12)
    assert service.told("ledger check") == "the ledger adds up: 1 accounts and the sums of every pool\n"
    assert service.told("ledger check", "--quick") == "the ledger adds up: the sums of every pool\n"
    assert service.json("ledger check") == {"sound": True, "accounts": 1, "problems": []}


def test_a_broken_law_is_told_and_is_an_exit_code(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    law = "used: the postings say 5, the account says 4"
    monkeypatch.setattr(Admin, "check_ledger", lambda self, **how: [Problem("acme", "ai_credits", law)])
    code, out, err = service.run("ledger check")
    assert (code, err) == (1, "")
    assert out.splitlines()[1].split(maxsplit=2) == ["acme", "ai_credits", law]
    code, out, _ = service.run("ledger check", "--json")
    assert (code, json.loads(out)["problems"][0]["law"]) == (1, law)


def test_an_unlimited_meter_of_the_plan_is_among_the_balances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        "fastcheck: 1\nfeatures: {calls: {kind: meter, period: month}}\n"
        "plans: {all: {features: {calls: unlimited}}}\n"
    )
    directory = str(tmp_path / "made")
    assert cli.main(["init", directory, "--catalog", str(catalog)]) == 0
    assert cli.main(["customer", "put", directory, "acme", "--plan", "all"]) == 0
    capsys.readouterr()
    assert cli.main(["ledger", "balance", directory, "acme"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "calls"


def test_init_makes_a_directory_once_and_none_for_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, right = tmp_path / "wrong.yaml", tmp_path / "right.yaml"
    wrong.write_text("fastcheck: 7\n")
    right.write_text("fastcheck: 1\nfeatures: {export: {kind: switch}}\n")
    directory = tmp_path / "made"
    assert cli.main(["init", str(directory), "--catalog", str(wrong)]) == 2
    assert cli.main(["init", str(directory), "--catalog", str(tmp_path / "none.yaml")]) == 2
    assert not directory.exists()
    assert cli.main(["init", str(directory), "--catalog", str(right), "--json"]) == 0
    assert (directory / "ledger.db").exists()
    capsys.readouterr()
    assert cli.main(["init", str(directory), "--catalog", str(right)]) == 1
    assert "already" in capsys.readouterr().err


def test_an_export_through_a_running_owner_has_what_was_just_used(service: Service, tmp_path: Path) -> None:
    assert service.ents.consume("acme", "gpt-4o", 12)
    found = service.json("ledger export", str(tmp_path / "books"), "--format", "parquet")
    assert found["sums"]["used"] == {"ai_credits": 12_000_000}
    assert sorted(found["files"]) == [
        "balances.parquet",
        "movements.parquet",
        "revenue.parquet",
        "usage.parquet",
    ]
    out = str(tmp_path / "books")
    told = service.told("ledger export", out, "--since", "2020-01-01", "--until", "2020-02-01")
    assert told.splitlines()[-1].startswith("2020-01-01 to 2020-02-01 (UTC)")
    assert service.refused("ledger export", out, "--since", "+1d", "--until", "+1h")[0] == 2
