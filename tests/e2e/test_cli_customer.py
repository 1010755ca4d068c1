"""`fastcheck customer` against a running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck import cli
from fastcheck.cli import instants, pages
from fastcheck.cli.balances import WIDE_COLUMNS
from fastcheck.errors import UnknownCustomer
from rig.cli_service import Service


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    yield service
    service.ents.close()


def test_put_makes_a_customer_what_is_said(service: Service) -> None:
    told = service.told(
        "customer put",
        "acme",
        "--plan",
        "pro",
        "--version",
        "1",
        "--addon",
        "seats_pack=2@2100-01-01",
        "--alias",
        "stripe:cus_9",
        "--since",
        "2026-01-31",
        "--author",
        "jo",
        "--reason",
        "signup",
    )
    assert told.startswith("acme: changed\n")
    customer = service.ents.admin.get_customer("stripe:cus_9")
    assert (customer.id, customer.plan, customer.version) == ("acme", "pro", 1)
    assert [(one.name, one.quantity) for one in customer.addons] == [("seats_pack", 2)]
    assert instants.told(customer.since_at) == "2026-01-31"
    assert service.ents.limit("acme", "seats") == 20 + 2 * 5
    [entry] = service.ents.admin.audit(subject="acme").items
    assert (entry.author, entry.reason) == ("jo", "signup")


def test_what_is_not_said_the_customer_does_not_have(service: Service) -> None:
    service.told("customer put", "acme", "--plan", "pro", "--addon", "seats_pack")
    service.told("customer put", "acme", "--plan", "pro")
    assert service.ents.admin.get_customer("acme").addons == ()


def test_with_keep_everything_stays_that_is_not_named(service: Service) -> None:
    service.told(
        "customer put",
        "acme",
        "--plan",
        "pro",
        "--version",
        "1",
        "--addon",
        "seats_pack=2@2100-01-01",
        "--alias",
        "a1",
        "--trial",
        "free",
        "--trial-until",
        "2100-01-01",
        "--since",
        "2026-01-31",
    )
    before = service.ents.admin.get_customer("acme")
    assert service.json("customer put", "acme", "--keep")["changed"] is False
    assert service.ents.admin.get_customer("acme") == before
    service.told("customer put", "acme", "--keep", "--alias", "a2", "--addon", "seats_pack=3")
    after = service.ents.admin.get_customer("acme")
    assert after.aliases == ("a1", "a2")
    assert [(one.name, one.quantity, one.until_at) for one in after.addons] == [("seats_pack", 3, None)]
    assert (after.plan, after.version, after.trial) == (before.plan, before.version, before.trial)
    assert service.refused("customer put", "nobody", "--keep")[0] == 2


def test_with_keep_a_trial_is_moved_and_a_plan_is_never_turned_into_one(service: Service) -> None:
    service.told("customer put", "acme", "--plan", "free", "--trial", "pro", "--trial-until", "2100-01-01")
    moved = service.json("customer put", "acme", "--keep", "--trial-until", "2100-02-01")["customer"]
    assert (moved["plan"], moved["trial"]["plan"]) == ("free", "pro")
    assert moved["trial"]["until_at"] == "2100-02-01T00:00:00.000Z"
    service.told("customer put", "acme", "--plan", "free")
    code, told = service.refused("customer put", "acme", "--keep", "--trial-until", "2100-02-01")
    assert code == 2
    assert "--trial" in told
    assert service.ents.admin.get_customer("acme").plan == "free"


def test_a_trial_without_a_plan_of_its_own_is_the_plan_with_an_end(service: Service) -> None:
    put = service.json("customer put", "acme", "--plan", "pro", "--trial-until", "2100-01-01")
    assert put["customer"]["plan"] is None
    until = "2100-01-01T00:00:00.000Z"
    assert put["customer"]["trial"] == {"plan": "pro", "version": 2, "until_at": until, "number": 1}


def test_the_list_goes_on_past_a_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ITEMS", 3)
    ids = [f"c{number:02}" for number in range(20)]
    service.ents.admin.put_customers(
        [{"id": id, "plan": "pro" if place % 2 else "free"} for place, id in enumerate(ids)]
    )
    assert [one["id"] for one in service.json("customer list")] == ids
    assert [one["id"] for one in service.json("customer list", "--plan", "pro")] == ids[1::2]
    assert [one["id"] for one in service.json("customer list", "--plan", "pro@2", "--limit", "7")] == ids[
        1:15:2
    ]
    assert service.json("customer list", "--plan", "pro@1") == []
    assert "no customers" in service.told("customer list", "--plan", "pro@1")
    assert len(service.told("customer list", "--limit", "4").splitlines()) == 1 + 4


def test_show_tells_plan_overrides_and_every_balance(service: Service) -> None:
    admin = service.ents.admin
    admin.put_customer("acme", plan="pro", aliases=["stripe:cus_9"])
    admin.grant("acme", "ai_credits", 50_000)
    admin.put_override("acme", "storage", None)
    shown = service.json("customer show", "stripe:cus_9")
    assert shown["id"] == "acme"
    assert {one["pool"]: one["remaining"] for one in shown["balances"]} == {
        "ai_credits": "50000",
        "api_calls": "100000",
        "storage": None,
    }
    assert [(one["feature"], one["value"]) for one in shown["overrides"]] == [("storage", None)]
    told = service.told("customer show", "acme")
    for expected in ("pro@2", "stripe:cus_9", "50,000", "100,000", "unlimited"):
        assert expected in told
    assert "█" not in told


def test_show_draws_bars_on_a_wide_terminal(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.ents.admin.put_customer("acme", plan="pro")
    service.ents.admin.grant("acme", "ai_credits", 100)
    service.ents.admin.grant("acme", "ai_credits", 1_000, id="mistake")
    service.ents.admin.void("mistake")  # no part of what there was to burn
    assert service.ents.consume("acme", "gpt-4o", 50)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(WIDE_COLUMNS))
    told = service.told("customer show", "acme")
    assert "█" * 10 + "░" * 10 in told
    assert "█" * 20 in told
    assert service.ents.consume("acme", "gpt-4o", 49)
    # One of a hundred left does not look like nothing.
    assert "█" + "░" * 19 in service.told("customer show", "acme")
    monkeypatch.setenv("COLUMNS", "80")
    assert "█" not in service.told("customer show", "acme")


def test_delete_asks_and_needs_a_terminal_or_yes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.ents.admin.put_customer("acme", plan="pro")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert service.refused("customer delete", "acme") == (
        2,
        "there is no terminal to ask at: say --yes to go on",
    )
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "n\n", raising=False)
    code, out, err = service.run("customer delete", "acme")
    assert (code, out) == (1, "")
    assert "[y/N]" in err
    assert service.ents.admin.get_customer("acme").plan == "pro"
    monkeypatch.setattr(sys.stdin, "readline", lambda: "y\n", raising=False)
    assert service.run("customer delete", "acme")[:2] == (0, "acme: deleted\n")
    with pytest.raises(UnknownCustomer):
        service.ents.admin.get_customer("acme")


def test_history_is_newest_first_and_outlives_the_customer(service: Service) -> None:
    service.told("customer put", "acme", "--plan", "free", "--alias", "a1", "--author", "jo")
    service.told("customer put", "acme", "--plan", "pro", "--alias", "a1", "--author", "jo")
    told = service.told("customer history", "a1")
    assert "put_customer: plan free -> pro" in told.splitlines()[0]
    assert told.splitlines()[0].endswith("(by jo)")
    service.told("customer delete", "acme", "--yes", "--reason", "left")
    assert [one["action"] for one in service.json("customer history", "acme", "--limit", "2")] == [
        "delete_customer",
        "put_customer",
    ]
    code, told = service.refused("customer history", "nobody")
    assert code == 2
    assert "nobody" in told


def test_a_reason_cannot_pass_for_another_entry(service: Service) -> None:
    service.told("customer put", "acme", "--plan", "pro", "--reason", "x)\n2020-01-01 UTC  void\x1b[2J")
    [line] = service.told("customer history", "acme").splitlines()
    assert "\\n2020-01-01" in line
    assert "\x1b" not in line
    service.told("customer put", "a\x1b[2Jb")
    assert "a\\x1b[2Jb" in service.told("customer list")
    assert "a\\x1b[2Jb" in service.told("customer show", "a\x1b[2Jb")


def test_what_is_unknown_is_2_and_what_is_refused_is_1(service: Service) -> None:
    code, told = service.refused("customer put", "acme", "--plan", "gold")
    assert code == 2
    assert "it has: free, pro" in told
    assert service.refused("customer show", "nobody")[0] == 2
    assert service.refused("customer delete", "nobody", "--yes")[0] == 2
    service.told("customer put", "acme", "--alias", "a1")
    assert service.refused("customer put", "other", "--alias", "a1")[0] == 1


def test_with_a_key_a_change_is_made_once(service: Service) -> None:
    put = ["customer put", "acme", "--plan", "pro", "--once", "k1"]
    assert service.json(*put)["changed"] is True
    service.told("customer put", "acme", "--plan", "free")
    assert service.json(*put)["changed"] is True  # the first answer again
    assert service.ents.admin.get_customer("acme").plan == "free"
    code, told = service.refused("customer put", "acme", "--addon", "seats_pack=1@+7d", "--once", "k2")
    assert code == 2
    assert "whole instants" in told


def test_a_directory_that_is_no_state_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["customer", "list", str(tmp_path / "empty")]) == 2
    assert "is not a state directory" in capsys.readouterr().err
    assert not (tmp_path / "empty" / "ledger.db").exists()
