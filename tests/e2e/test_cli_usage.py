"""`fastcheck usage` against a running service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastcheck.cli import pages, state
from fastcheck.wire.answers import Page
from rig.cli_service import Service

DAY_MS = 86_400_000
JAN_31_MS = 1_769_817_600_000
"""2026-01-31T00:00:00Z."""


@pytest.fixture
def service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Service]:
    service = Service(tmp_path / "state", capsys)
    admin = service.ents.admin
    admin.put_customer("acme", plan="pro", aliases=["stripe:cus_9"])
    admin.put_customer("tiny", plan="free")
    admin.grant("acme", "ai_credits", 1_000)
    assert service.ents.consume("acme", "gpt-4o", {"input": 9, "output": 3}, event="r1")
    assert service.ents.consume("acme", "api_calls", event="r2")
    assert service.ents.consume("tiny", "api_calls", 4, event="r3")
    service.wait_for_records(3)
    yield service
    service.ents.close()


def events(found: list[dict[str, Any]]) -> set[str]:
    return {one["event"] for one in found}


def test_list_tells_each_record_with_its_event(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ITEMS", 2)
    by_event = {one["event"]: one for one in service.json("usage list")}
    assert set(by_event) == {"r1", "r2", "r3"}
    assert by_event["r1"]["quantities"] == {"input": 9, "output": 3}
    assert by_event["r1"]["pool_units"] == 18 * 10**6
    assert by_event["r1"]["at"].endswith("Z")
    assert "input 9 output 3" in service.told("usage list")
    assert len(service.json("usage list", "--limit", "2")) == 2


def test_filters(service: Service) -> None:
    assert events(service.json("usage list", "--customer", "acme")) == {"r1", "r2"}
    assert events(service.json("usage list", "--customer", "stripe:cus_9")) == {"r1", "r2"}
    assert events(service.json("usage list", "--feature", "api_calls")) == {"r2", "r3"}
    assert events(service.json("usage list", "--since", "-1h")) == {"r1", "r2", "r3"}
    assert service.json("usage list", "--until", "-1h") == []
    assert service.told("usage list", "--since", "+1h") == "no usage records\n"


def test_since_is_inclusive_and_until_is_not(service: Service) -> None:
    [at] = [one["at"] for one in service.json("usage list") if one["event"] == "r3"]
    mine = ["usage list", "--customer", "tiny"]
    assert events(service.json(*mine, "--since", at)) == {"r3"}
    assert events(service.json(*mine, "--until", at)) == set()


def test_totals_add_up_by_feature(service: Service) -> None:
    totals = service.json("usage totals", "--by", "all")
    assert totals == [
        {"period": "all", "feature": "api_calls", "records": 2, "pool_units": 5, "quantities": {"": 5}},
        {
            "period": "all",
            "feature": "gpt-4o",
            "records": 1,
            "pool_units": 18 * 10**6,
            "quantities": {"input": 9, "output": 3},
        },
    ]
    told = service.told("usage totals", "--by", "all", "--customer", "tiny")
    assert told.splitlines()[1].split() == ["all", "api_calls", "1", "4"]
    assert service.told("usage totals", "--feature", "seats") == "no usage records\n"


@pytest.mark.parametrize(
    ("by", "periods"),
    [
        ("hour", {"2026-01-31 00:00": 1, "2026-01-31 23:00": 1, "2026-02-01 00:00": 1}),
        ("day", {"2026-01-31": 2, "2026-02-01": 1}),
        ("month", {"2026-01": 2, "2026-02": 1}),
        ("year", {"2026": 3}),
        ("all", {"all": 3}),
    ],
)
def test_periods_end_at_their_boundary_in_utc(
    service: Service, monkeypatch: pytest.MonkeyPatch, by: str, periods: dict[str, int]
) -> None:
    rows = [
        (at, f"e{at}", "acme", "api_calls", 1, (("", 1),))
        for at in (JAN_31_MS, JAN_31_MS + DAY_MS - 1, JAN_31_MS + DAY_MS)
    ]
    admin = SimpleNamespace(list_usage=lambda cursor, limit, **filters: Page(tuple(rows), None))
    monkeypatch.setattr(
        state, "entitlements", lambda directory: SimpleNamespace(admin=admin, close=lambda: None)
    )
    totals = service.json("usage totals", "--by", by)
    assert Counter({one["period"]: one["records"] for one in totals}) == Counter(periods)
    assert [one["period"] for one in totals] == sorted(periods)
