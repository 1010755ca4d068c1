"""`fastcheck purchase` against a running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.cli_service import Service


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    service.ents.admin.put_customer("acme", plan="pro")
    yield service
    service.ents.close()


def test_buy_tells_what_was_bought(service: Service) -> None:
    told = service.told("purchase buy", "acme", "credit_pack", "2", "--id", "order_17")
    assert told == "order_17: paid, 2 credit_pack for acme, 3998USD, 4,000 ai_credits left\n"
    bought = service.json("purchase buy", "acme", "credit_pack", "--price", "1500EUR", "--reason", "sale")
    assert (bought["price"], bought["reason"]) == ([1_500, "EUR"], "sale")
    assert bought["grants"][0]["remaining"] == "2000"


def test_repeated_with_a_key_or_an_id_it_is_bought_once(service: Service) -> None:
    with_key = ["purchase buy", "acme", "credit_pack", "--once", "k1"]
    with_id = ["purchase buy", "acme", "credit_pack", "--id", "order_17"]
    assert service.json(*with_key) == service.json(*with_key)
    assert service.told(*with_id) == service.told(*with_id)
    assert service.ents.admin.balance("acme", "ai_credits").remaining == 4_000
    code, told = service.refused("purchase buy", "acme", "credit_pack", "3", "--id", "order_17")
    assert (code, "other terms" in told) == (1, True)


def test_what_is_pending_is_paid(service: Service) -> None:
    ordered = service.told("purchase buy", "acme", "credit_pack", "--id", "order_17", "--pending")
    assert ordered == "order_17: pending, 1 credit_pack for acme, 1999USD\n"
    assert service.refused("purchase refund", "order_17", "--yes")[0] == 1
    assert service.told("purchase pay", "order_17").startswith("order_17: paid, 1 credit_pack for acme")
    assert service.json("purchase pay", "order_17")["state"] == "paid"


def test_list_tells_what_became_of_each(service: Service) -> None:
    assert service.told("purchase list", "acme") == "no purchases\n"
    assert service.json("purchase list", "acme") == []
    for n in range(3):
        service.told("purchase buy", "acme", "credit_pack", "--id", f"order_{n}")
    service.told("purchase refund", "order_1", "500", "--yes")
    service.told("purchase charge-back", "order_2", "--yes")
    rows = {
        row[0]: row
        for row in map(str.split, service.told("purchase list", "acme").splitlines())
        if row[0].startswith("order_")
    }
    assert [rows[f"order_{n}"][2] for n in range(3)] == ["paid", "refunded", "charged_back"]
    assert rows["order_1"][-5:] == ["1", "1999USD", "499USD", "1,500", "ai_credits"]
    assert [one["id"] for one in service.json("purchase list", "acme", "--limit", "2")] == [
        "order_0",
        "order_1",
    ]
    assert service.refused("purchase list", "nobody")[0] == 2


def test_refund_and_charge_back_ask_and_tell_the_money(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.told("purchase buy", "acme", "credit_pack", "--id", "order_17")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    for command in ("purchase refund", "purchase charge-back"):
        assert service.refused(command, "order_17")[0] == 2
    assert service.told("purchase refund", "order_17", "500", "--once", "t1", "--yes") == (
        "order_17: took back 500 ai_credits; pay back 499USD\n"
    )
    again = service.json("purchase refund", "order_17", "500", "--once", "t1", "--yes")
    assert (again["money"], again["taken"]) == ([499, "USD"], [{"pool": "ai_credits", "amount": "500"}])
    code, told = service.refused("purchase refund", "order_17", "1501", "--pool", "ai_credits", "--yes")
    assert code == 2
    assert "1500 of purchase 'order_17' is not used" in told
    back = service.told("purchase charge-back", "order_17", "--reason", "disputed", "--yes")
    assert back == "order_17: charged back, 1 credit_pack of acme\n"
    assert service.json("purchase charge-back", "order_17", "--yes")["state"] == "charged_back"


@pytest.mark.parametrize(
    ("command", "arguments", "told"),
    [
        ("buy", ["acme", "seats_pack"], "not sold once"),
        ("buy", ["acme", "credit_pack", "11"], "up to quantity 10"),
        ("buy", ["acme", "credit_pack", "--price", "7"], "is not a cost"),
        ("pay", ["nope"], "no purchase 'nope'"),
    ],
)
def test_what_cannot_be_bought_says_why(
    service: Service, command: str, arguments: list[str], told: str
) -> None:
    code, _, err = service.run(f"purchase {command}", *arguments)
    assert code == 2
    assert told in err
