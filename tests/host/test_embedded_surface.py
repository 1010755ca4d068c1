"""`Entitlements.open` as a program uses it: the quickstart's catalog, bad input, restarts. Needs the native
module."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "catalog.yaml"


@pytest.fixture
def ents(tmp_path: Path) -> Any:
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro", aliases=["stripe:cus_9"])
        yield ents


def test_the_quickstart(ents: Entitlements) -> None:
    assert ents.check("acme", "export")
    assert ents.limit("acme", "seats") == 25
    assert ents.value("acme", "retention_days") == 30
    assert ents.consume("acme", "api_calls", 12)
    assert not ents.consume("acme", "gpt-4o", 1)
    ents.admin.grant("acme", "ai_credits", 50, reason="top-up")
    assert ents.consume("stripe:cus_9", "gpt-4o", 12)
    assert ents.admin.balance("acme", "ai_credits").remaining == 38


def test_an_admin_change_is_seen_when_it_returns(ents: Entitlements) -> None:
    for _ in range(20):
        ents.admin.put_override("acme", "export", False)
        assert not ents.check("acme", "export")
        ents.admin.remove_override("acme", "export")
        assert ents.check("acme", "export")
    id = ents.admin.grant("acme", "ai_credits", 1)
    assert ents.consume("acme", "gpt-4o")
    assert not ents.consume("acme", "gpt-4o")
    with pytest.raises(errors.Conflict):
        ents.admin.void(id)
    second = ents.admin.grant("acme", "ai_credits", 1)
    ents.admin.void(second)
    assert not ents.consume("acme", "gpt-4o")
    ents.admin.put_customer("acme", plan="free")
    assert not ents.check("acme", "export")
    ents.admin.delete_customer("acme")
    assert not ents.check("acme", "api_calls")


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", Decimal("2.5"))
        assert ents.consume("acme", "gpt-4o", 2)
    with Entitlements.open(tmp_path) as ents:
        assert ents.admin.balance("acme", "ai_credits").remaining == Decimal("0.5")
        assert not ents.consume("acme", "gpt-4o")


def test_a_reservation_holds_and_settles(ents: Entitlements) -> None:
    ents.admin.grant("acme", "ai_credits", 100)
    with ents.reserve("acme", "gpt-4o", 60) as held:
        assert held.allowed
        assert not ents.consume("acme", "gpt-4o", 41)
        held.commit(10)
    assert ents.admin.balance("acme", "ai_credits").remaining == 90


def test_a_hold_outlives_the_lease_it_came_from(ents: Entitlements) -> None:
    """What a hold gives back after its lease was closed must reach the customer again."""
    ents.admin.grant("acme", "ai_credits", 100)
    held = ents.reserve("acme", "gpt-4o", 60)
    ents.admin.void(ents.admin.grant("acme", "ai_credits", 1))
    held.commit(10)
    began = time.monotonic()
    while not ents.consume("acme", "gpt-4o", 90):
        assert time.monotonic() - began < 30, "what was given back never came"
        time.sleep(0.05)
    assert not ents.consume("acme", "gpt-4o", 1)


def test_explain_and_status(ents: Entitlements) -> None:
    text = str(ents.explain("acme", "export"))
    assert "export (switch) for acme" in text
    assert "plan" in text
    status = ents.status()
    assert status.role == "owner"
    assert status.customers == 1
    with pytest.raises(errors.UnknownFeature):
        ents.explain("acme", "nothing")


def test_aconsume_and_prewarm_keep_the_loop_free(ents: Entitlements) -> None:
    async def run() -> None:
        assert await ents.aconsume("acme", "api_calls", 5)
        ents.admin.put_customer("other", plan="pro")
        assert await ents.prewarm(["other"]) == 2
        assert await ents.prewarm([("other", "api_calls")]) == 0
        assert await ents.aconsume("other", "api_calls", 5)
        assert not await ents.aconsume("other", "api_calls", 200_000)

    asyncio.run(run())


def test_watch(ents: Entitlements) -> None:
    async def run() -> str:
        async for change in ents.watch("acme"):
            return change.kind
        return ""

    async def both() -> str:
        task = asyncio.create_task(run())
        await asyncio.sleep(0.1)
        await asyncio.to_thread(ents.admin.put_override, "acme", "export", False)
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(both()) == "customer_changed"


def test_watching_begins_with_the_call(ents: Entitlements) -> None:
    """What happens between the call and the first step is delivered, on whichever loop the step is taken."""
    changes = ents.watch("acme")
    ents.admin.put_override("acme", "seats", 26)
    ents.admin.put_customer("other", plan="pro")

    async def take() -> tuple[str, str | None]:
        change = await asyncio.wait_for(anext(changes), 5)
        return change.kind, change.customer

    assert asyncio.run(take()) == ("customer_changed", "acme")
    ents.admin.delete_customer("acme")
    assert asyncio.run(take()) == ("customer_deleted", "acme")


def test_a_watch_ends_with_its_iterator_and_with_the_directory(ents: Entitlements) -> None:
    subscribed = ents._listener._subscriptions
    changes = ents.watch()
    assert len(subscribed) == 1
    del changes
    gc.collect()
    assert not subscribed

    async def ends(end: Callable[[Any], Any]) -> list[Any]:
        changes = ents.watch()
        step = asyncio.ensure_future(anext(changes, None))
        await asyncio.sleep(0.05)
        await end(changes)
        return [await asyncio.wait_for(step, 5), await anext(changes, None)]

    assert asyncio.run(ends(lambda changes: changes.aclose())) == [None, None]
    assert not subscribed
    assert asyncio.run(ends(lambda _: asyncio.to_thread(ents.close))) == [None, None]
    with pytest.raises(errors.Closed):
        ents.watch()


def test_what_an_open_directory_says_of_itself(ents: Entitlements) -> None:
    directory = ents.status().directory
    assert repr(ents) == f"Entitlements({directory!r}, role='owner', closed=False)"
    with Entitlements.attach(directory) as worker:
        assert repr(worker) == f"Entitlements({directory!r}, role='worker', closed=False)"
    ents.close()
    assert repr(ents) == f"Entitlements({directory!r}, role=None, closed=True)"


@pytest.mark.parametrize("bad", ["", "a\0b", "\ud800", "x" * 1_000_000, b"bytes", 7, None, 1.5])
def test_bad_names_in_the_hot_path(ents: Entitlements, bad: Any) -> None:
    """Never an exception outside the one tree, never an allowance."""
    for call in (ents.check, ents.consume, ents.decide):
        for args in ((bad, "export"), ("acme", bad)):
            # A wrong type may be refused by the interpreter's own argument check.
            allowed = (errors.FastcheckError,) if isinstance(bad, str) else (errors.FastcheckError, TypeError)
            with contextlib.suppress(*allowed):
                assert not call(*args)


@pytest.mark.parametrize("amount", [-1, 2**63, 2**200, 1.5, "1", None, {"input": -1}, {"nothing": 1}])
def test_bad_amounts_in_the_hot_path(ents: Entitlements, amount: Any) -> None:
    before = ents.admin.balance("acme", "api_calls")
    with pytest.raises((TypeError, ValueError, LookupError)):
        ents.consume("acme", "api_calls", amount)
    assert ents.admin.balance("acme", "api_calls").used == before.used


def test_unknown_names_are_denied_or_raised(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=QUICKSTART, strict=True) as ents:
        with pytest.raises(errors.UnknownFeature):
            ents.check("acme", "nothing")
        assert not ents.check("nobody", "export")


def test_a_closed_directory_says_so(tmp_path: Path) -> None:
    ents = Entitlements.open(tmp_path, catalog=QUICKSTART)
    ents.close()
    ents.close()
    assert ents.closed
    for call in (lambda: ents.check("acme", "export"), lambda: ents.admin.get_customer("acme"), ents.status):
        with pytest.raises(errors.Closed):
            call()


def test_places_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, catalog, error in [
        (tmp_path / "file", QUICKSTART, errors.DirectoryError),
        (tmp_path / "file" / "below", QUICKSTART, errors.DirectoryError),
        ("/proc/nothing", QUICKSTART, errors.DirectoryError),
        ("", QUICKSTART, errors.NameInvalid),
        ("a\0b", QUICKSTART, errors.NameInvalid),
        (7, QUICKSTART, errors.WrongType),
        (tmp_path / "a", None, errors.CatalogError),
        (tmp_path / "b", tmp_path / "missing.yaml", errors.DirectoryError),
        (tmp_path / "c", "pools: [\n", errors.CatalogError),
        (tmp_path / "d", 7, errors.WrongType),
    ]:
        with pytest.raises(error):
            Entitlements.open(place, catalog=catalog)  # type: ignore[arg-type]
    with pytest.raises(errors.DirectoryError):
        Entitlements.attach(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.OwnerUnavailable):
        Entitlements.attach(tmp_path / "empty")


def test_a_catalog_that_changes_the_kind_of_a_feature_in_use_is_refused(
    ents: Entitlements, tmp_path: Path
) -> None:
    text = QUICKSTART.read_text().replace("export: {kind: switch}", "export: {kind: limit}")
    text = text.replace("export: true", "export: 3")
    with pytest.raises(errors.CatalogError, match="export changes from switch to limit"):
        ents.admin.set_catalog(text)
    with pytest.raises(errors.CatalogError, match="export changes from switch to limit"):
        Entitlements.open(tmp_path / "state", catalog=text)
    assert ents.check("acme", "export")


def test_a_new_catalog_is_in_force_for_those_who_run(ents: Entitlements) -> None:
    assert ents.consume("acme", "api_calls", 10)
    assert ents.admin.set_catalog(QUICKSTART.read_text().replace("api_calls: 100_000", "api_calls: 15"))
    assert ents.consume("acme", "api_calls", 5)
    assert not ents.consume("acme", "api_calls", 1)


def test_usage_records_with_event_ids_reach_the_ledger_once(ents: Entitlements) -> None:
    ents.admin.grant("acme", "ai_credits", 100)
    for number in range(10):
        assert ents.consume("acme", "gpt-4o", 2, event=f"req_{number}")
    began = time.monotonic()
    while len(ents.admin.list_usage().items) < 10:
        assert time.monotonic() - began < 30, "the journal never arrived"
        time.sleep(0.02)
    items = ents.admin.list_usage().items
    assert [one[1] for one in items] == [f"req_{number}" for number in range(10)]
    assert sum(one[4] for one in items) == 20 * 10**6


def test_overrides_that_no_row_can_hold_are_refused_before_they_are_stored(tmp_path: Path) -> None:
    """What is stored and cannot be shown would stand in the way of every later change, and of opening."""
    features = "".join(f"  f{one}: {{kind: switch}}\n  t{one}: {{kind: value}}\n" for one in range(150))
    catalog = f"fastcheck: 1\nfeatures:\n{features}plans: {{pro: {{features: {{}}}}}}\n"
    with Entitlements.open(tmp_path / "state", catalog=catalog) as ents:
        ents.admin.put_customer("acme", plan="pro")
        end, kept = 4_102_444_800_000, 0
        ents.admin.put_customer("texts", plan="pro")
        with contextlib.suppress(errors.RecordError):
            for kept in range(150):
                ents.admin.put_override("acme", f"f{kept}", True, expires_at=end + kept)
        assert 90 < kept < 149
        with pytest.raises(errors.RecordError, match="more room than a row has"):
            ents.admin.put_override("acme", f"f{kept}", True, expires_at=end + kept)
        with contextlib.suppress(errors.RecordError):
            for one in range(150):
                ents.admin.put_override("texts", f"t{one}", "x" * 16_384)
        assert len(ents.admin.list_overrides("texts")) < 40
        # Nothing is in the way of others, nor of those two.
        ents.admin.put_customer("other", plan="pro")
        assert ents.check("acme", f"f{kept - 1}")
        assert ents.admin.remove_override("acme", "f0")
        ents.admin.put_override("acme", f"f{kept}", True, expires_at=end)
    with Entitlements.open(tmp_path / "state") as ents:
        assert ents.check("acme", f"f{kept}")
        assert len(ents.value("texts", "t0")) == 16_384
