"""`fastcheck customer restore | deleted | free-id | merge` against a running service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.cli_service import Service


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    service.ents.admin.put_customer("acme", plan="pro", aliases=["a1"])
    yield service
    service.ents.close()


def test_a_deletion_is_listed_and_undone(service: Service) -> None:
    assert service.told("customer deleted") == "no deleted customers\n"
    service.told("customer delete", "acme", "--yes", "--reason", "left", "--author", "jo")
    header, row = service.told("customer deleted").splitlines()
    assert header.split()[:2] == ["customer", "plan"]
    assert row.split()[:2] == ["acme", "pro"]
    assert row.split()[-2:] == ["left", "jo"]
    [one] = service.json("customer deleted", "--limit", "1")
    assert (one["id"], one["plan"], one["reason"]) == ("acme", "pro", "left")
    assert service.told("customer restore", "acme") == "acme: restored, on pro@2\n"
    assert service.ents.admin.get_customer("a1").id == "acme"
    assert service.refused("customer restore", "acme")[0] == 1
    assert service.refused("customer restore", "nobody")[0] == 2


def test_an_alias_that_went_to_another(service: Service) -> None:
    service.told("customer delete", "acme", "--yes")
    service.told("customer put", "other", "--alias", "a1")
    code, told = service.refused("customer restore", "acme")
    assert (code, "a1" in told) == (1, True)
    assert service.json("customer restore", "acme", "--without-aliases")["aliases"] == []


def test_an_id_is_freed(service: Service) -> None:
    assert service.refused("customer free-id", "acme", "--yes")[0] == 1
    service.told("customer delete", "acme", "--yes")
    assert service.refused("customer free-id", "acme")[0] == 2  # It asks, and there is no terminal.
    assert service.told("customer free-id", "acme", "--yes") == "acme: names nobody now\n"
    assert service.refused("customer restore", "acme")[0] == 2
    service.told("customer put", "acme", "--plan", "free")


def test_two_become_one(service: Service) -> None:
    service.told("customer put", "other", "--plan", "free")
    service.told("grant add", "other", "ai_credits", "5", "--id", "g")
    assert service.json("customer merge", "other", "--into", "a1", "--yes") == {
        "changed": True, "customer": "other", "into": "a1",
    }  # fmt: skip
    again = service.told("customer merge", "other", "--into", "acme", "--yes")
    assert again == "other: was merged already\n"
    assert service.ents.admin.balance("other", "ai_credits").remaining == 5
    assert service.refused("customer merge", "acme", "--into", "acme", "--yes")[0] == 1
