"""Wrong answers that were met on the product, each with the right one: what plans, trials and add-ons give,
on a directory with real files. The law is decision 0012."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fastcheck import Entitlements
from fastcheck.clock import ManualClock
from fastcheck.errors import RecordError

DAY_MS = 86_400_000


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1_000)


Opened = Callable[[str], Entitlements]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(instant("2026-03-01"))


@pytest.fixture
def opened(tmp_path: Path, clock: ManualClock) -> Iterator[Opened]:
    """Opens a directory on a catalog with the pools `c` and `x` and the feature `call`."""
    found: list[Entitlements] = []

    def open_(offers: str) -> Entitlements:
        found.append(Entitlements.open(tmp_path / "state", catalog=catalog(offers), clock=clock))
        return found[-1]

    yield open_
    for one in found:
        one.close()


def catalog(offers: str) -> str:
    return f"""
fastcheck: 1
pools: {{c: {{scale: 0}}, x: {{scale: 0}}}}
features:
  call: {{kind: credit, pool: c, rate: 1}}
  m: {{kind: meter, period: month}}
  y: {{kind: meter, period: month, anchor: anniversary}}
{offers}
"""


def left(ents: Entitlements, customer: str = "D", pool: str = "c") -> int:
    remaining = ents.admin.balance(customer, pool).remaining
    assert remaining is not None
    return int(remaining)


def burn(ents: Entitlements, times: int, feature: str = "call", customer: str = "D") -> None:
    assert ents.consume(customer, feature, times)


# A customer who is deleted and made again.

MONTHLY = """
plans:
  pro: {features: {m: 100, call: true}, grants: {monthly: {pool: c, amount: 30, every: month}}}
addons:
  pack: {grants: {paid: {pool: c, amount: 200, kind: paid, cost: {amount: 5, currency: USD}}}}
"""


def test_an_id_that_is_put_again_goes_on(opened: Opened, clock: ManualClock) -> None:
    ents = opened(MONTHLY)
    ents.admin.put_customer("D", plan="pro")
    burn(ents, 1, "m")
    burn(ents, 10)
    ents.admin.delete_customer("D", reason="by mistake")
    ents.admin.put_customer("D", plan="pro")
    assert (left(ents, pool="m"), left(ents)) == (99, 20)
    clock.set(instant("2026-04-01"))
    assert (left(ents, pool="m"), left(ents)) == (100, 30)
    ents.admin.put_override("D", "m", 1_000)
    assert left(ents, pool="m") == 1_000
    burn(ents, 1_000, "m")


def test_what_was_paid_for_comes_back_with_the_id(opened: Opened, clock: ManualClock) -> None:
    ents = opened(MONTHLY)
    ents.admin.put_customer("D", plan="pro", addons={"pack": 1})
    burn(ents, 40)
    ents.admin.delete_customer("D")
    ents.admin.put_customer("D", plan="pro")
    assert left(ents) == 190


# Who looked changes nothing.

ONCE = """
plans:
  free: {features: {call: true}}
  pro: {features: {call: true}, grants: {welcome: {pool: c, amount: 1000}}}
  team: {features: {call: true}}
addons:
  pack:
    grants:
      paid: {pool: c, amount: 2000, kind: top_up, expires_after: year, cost: {amount: 20, currency: USD}}
"""


@pytest.mark.parametrize("looks", [False, True])
def test_an_addon_that_is_not_named_any_more_leaves_what_it_gave(opened: Opened, looks: bool) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", plan="free", addons={"pack": 1})
    if looks:
        assert ents.decide("D", "call").allowed
    ents.admin.put_customer("D", plan="free")
    assert left(ents) == 2_000


@pytest.mark.parametrize("looks", [False, True])
def test_what_was_given_once_stays_when_the_plan_changes(opened: Opened, looks: bool) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", plan="pro")
    if looks:
        assert ents.decide("D", "call").allowed
    ents.admin.move("D", "team")
    assert left(ents) == 1_000


@pytest.mark.parametrize("looks", [False, True])
def test_credits_given_once_keep_their_amount(opened: Opened, clock: ManualClock, looks: bool) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", plan="pro")
    if looks:
        assert ents.decide("D", "call").allowed
    clock.advance(1_000)
    ents.admin.set_catalog(catalog(ONCE.replace("amount: 1000", "amount: 5")))
    assert left(ents) == 1_000
    ents.admin.put_customer("E", plan="pro")
    assert left(ents, "E") == 5


@pytest.mark.parametrize("looks", [False, True])
def test_a_raised_grant_with_rollover_rises_from_now_on(
    opened: Opened, clock: ManualClock, looks: bool
) -> None:
    line = "{pool: c, amount: 100, every: month, rollover: {max: 100000}}"
    offers = f"plans: {{pro: {{features: {{call: true}}, grants: {{monthly: {line}}}}}}}"
    clock.set(instant("2026-01-01"))
    ents = opened(offers)
    ents.admin.put_customer("D", plan="pro")
    clock.set(instant("2026-06-15"))
    if looks:
        assert left(ents) == 600
        assert ents.decide("D", "call").allowed
    ents.admin.set_catalog(catalog(offers.replace("amount: 100,", "amount: 1000,")))
    assert left(ents) == 1_500


@pytest.mark.parametrize("looks", [False, True])
def test_a_trial_that_becomes_a_plan_starts_full(opened: Opened, clock: ManualClock, looks: bool) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-15"))
    if looks:
        assert ents.decide("D", "call").allowed
    clock.set(instant("2026-03-10"))
    ents.admin.put_customer("D", plan="pro")
    assert left(ents) == 1_000


def test_the_sale_is_in_its_months_export(opened: Opened, clock: ManualClock, tmp_path: Path) -> None:
    clock.set(instant("2026-01-10"))
    ents = opened(ONCE)
    ents.admin.put_customer("D", plan="free", addons={"pack": 1})
    clock.set(instant("2026-02-01"))
    ents.admin.export(tmp_path / "books", since=instant("2026-01-01"), until=instant("2026-02-01"))
    with (tmp_path / "books" / "revenue.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["currency"], row["sold"], row["deferred_end"]) == ("USD", "2000", "2000")


# What is bought is bought each time.

PACK = """
plans: {free: {features: {call: true}}}
addons:
  pack:
    sold: once
    max_quantity: 10
    grants: {credits: {pool: c, amount: 2000, expires_after: year, cost: {amount: 19.99, currency: USD}}}
"""


def test_a_pack_that_is_bought_again_is_there_again(opened: Opened, clock: ManualClock) -> None:
    ents = opened(PACK)
    ents.admin.put_customer("A", plan="free")
    with pytest.raises(RecordError, match="buy"):
        ents.admin.put_customer("A", plan="free", addons={"pack": 1})
    ents.admin.buy("A", "pack", id="order_1")
    burn(ents, 2_000, customer="A")
    clock.set(instant("2026-09-01"))
    ents.admin.buy("A", "pack", id="order_2")
    ents.admin.buy("A", "pack", id="order_2")
    assert left(ents, "A") == 2_000
    clock.set(instant("2027-03-02"))
    assert left(ents, "A") == 2_000, "each has its own year"
    clock.set(instant("2027-09-01"))
    assert left(ents, "A") == 0
    ents.admin.buy("A", "pack", 2, id="order_3")
    assert left(ents, "A") == 4_000


# Down and up again.

SEATS = """
plans:
  free: {features: {call: true}}
  pro:
    versions:
      1: {features: {call: true}, grants: {monthly: {pool: c, amount: 150, every: month}}}
      2: {features: {call: true}, grants: {monthly: {pool: c, amount: 50, every: month}}}
  gold: {features: {call: true}, grants: {monthly: {pool: c, amount: 200, every: month}}}
addons:
  more: {max_quantity: 10, grants: {monthly: {pool: c, amount: 30, every: month}}}
"""


def test_a_quantity_that_goes_down_and_up_mints_nothing(opened: Opened) -> None:
    ents = opened(SEATS)
    ents.admin.put_customer("D", plan="free", addons={"more": 2})
    burn(ents, 60)
    for _ in range(3):
        ents.admin.put_customer("D", plan="free", addons={"more": 1})
        assert left(ents) == 0
        ents.admin.put_customer("D", plan="free", addons={"more": 2})
        assert left(ents) == 0
    ents.admin.put_customer("D", plan="free", addons={"more": 3})
    assert left(ents) == 30


def test_versions_that_go_down_and_up_mint_nothing(opened: Opened) -> None:
    ents = opened(SEATS)
    ents.admin.put_customer("D", plan="pro", version=1)
    burn(ents, 150)
    for version in (2, 1, 2, 1):
        ents.admin.put_customer("D", plan="pro", version=version)
        assert left(ents) == 0
    ents.admin.migrate("pro", 1, 2)
    ents.admin.migrate("pro", 2, 1)
    assert left(ents) == 0


def test_plans_that_go_up_and_down_mint_nothing(opened: Opened, clock: ManualClock) -> None:
    ents = opened(SEATS)
    ents.admin.put_customer("D", plan="pro", version=1)
    burn(ents, 100)
    for expected in (100, 50, 100, 50):
        clock.advance(DAY_MS)
        ents.admin.move("D", "gold" if expected == 100 else "pro", version=1)
        assert left(ents) == expected
    burn(ents, 50)
    ents.admin.move("D", "free")
    ents.admin.move("D", "gold")
    assert left(ents) == 50


# Ends that are moved, and stays.


def test_a_trials_credits_end_when_the_trial_ends(opened: Opened, clock: ManualClock) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-15"))
    burn(ents, 1)
    clock.set(instant("2026-03-10"))
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-31"))
    clock.set(instant("2026-03-20"))
    assert left(ents) == 999
    clock.set(instant("2026-03-31"))
    assert left(ents) == 0


def test_an_addons_credits_end_when_the_addon_ends(opened: Opened, clock: ManualClock) -> None:
    ents = opened(
        "plans: {free: {features: {call: true}}}\naddons: {bonus: {grants: {once: {pool: c, amount: 1000}}}}"
    )
    ents.admin.put_customer("D", plan="free", addons={"bonus": (1, instant("2026-03-15"))})
    burn(ents, 1)
    clock.set(instant("2026-03-10"))
    ents.admin.put_customer("D", plan="free", addons={"bonus": (1, instant("2026-03-31"))})
    clock.set(instant("2026-03-20"))
    assert left(ents) == 999


@pytest.mark.parametrize("looks", [False, True])
def test_an_addon_that_ended_and_is_bought_again_is_full(
    opened: Opened, clock: ManualClock, looks: bool
) -> None:
    line = "{pool: c, amount: 100, every: month, anchor: anniversary}"
    addons = f"addons: {{more: {{max_quantity: 9, grants: {{monthly: {line}}}}}}}"
    offers = f"plans: {{free: {{features: {{call: true}}}}}}\n{addons}"
    clock.set(instant("2026-01-10"))
    ents = opened(offers)
    ents.admin.put_customer("D", plan="free", addons={"more": (1, instant("2026-02-10"))})
    if looks:
        burn(ents, 100)
    clock.set(instant("2026-02-20"))
    assert left(ents) == 0
    ents.admin.put_customer("D", plan="free", addons={"more": (2, instant("2026-03-20"))})
    assert left(ents) == 200
    clock.set(instant("2026-03-10"))
    assert left(ents) == 200, "the new stay has its own anchor"


def test_a_second_trial_is_full(opened: Opened, clock: ManualClock) -> None:
    ents = opened(ONCE)
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-15"))
    burn(ents, 700)
    clock.set(instant("2026-03-20"))
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-31"))
    assert left(ents) == 1_000
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-04-15"))
    trial = ents.admin.get_customer("D").trial
    assert trial is not None
    assert trial.number == 2


def test_a_meter_of_the_anniversary_starts_anew_where_a_trial_becomes_a_plan(
    opened: Opened, clock: ManualClock
) -> None:
    ents = opened("plans: {pro: {features: {m: 10, y: 10}}}")
    ents.admin.put_customer("D", trial_plan="pro", trial_until=instant("2026-03-15"))
    burn(ents, 4, "m")
    burn(ents, 4, "y")
    clock.set(instant("2026-03-10"))
    ents.admin.put_customer("D", plan="pro")
    assert (left(ents, pool="m"), left(ents, pool="y")) == (6, 10)


# Moves.


def test_a_move_beside_one_that_has_just_come_due_works(opened: Opened, clock: ManualClock) -> None:
    ents = opened(SEATS)
    ents.admin.put_customer("D", plan="pro", version=1)
    burn(ents, 10)
    ents.admin.move("D", "gold", when=clock.now_ms() + 5_000)
    clock.advance(5_010)
    ents.admin.move("D", "free")
    assert ents.admin.get_customer("D").plan == "free"
    assert [one.plan for one in ents.admin.list_moves("D", pending=False).items] == ["gold", "free"]


def test_the_future_knows_moves_ahead(opened: Opened, clock: ManualClock) -> None:
    ents = opened("plans: {pro: {features: {m: 10, call: true}}}")
    clock.set(instant("2026-05-20"))
    ents.admin.put_customer("D", plan="pro")
    burn(ents, 1, "m")
    ents.admin.move("D", None, when=instant("2026-05-30"))
    june = instant("2026-06-20")
    assert ents.explain("D", "m", at=june).reason == "not_entitled"
    assert ents.admin.balance("D", "m", at=june).remaining == 0
    assert ents.admin.balance("D", "m").next_change_at == instant("2026-05-30")


# The place in a list.

W = "{pool: c, amount: 100}"
M = "{pool: c, amount: 40, every: month}"
X = "{pool: x, amount: 7}"


@pytest.mark.parametrize(
    ("before", "after", "now", "april"),
    [
        ([W, M], [M, W], 0, 40),
        ([W], [X, W], 0, 0),
        ([W], [M, W], 40, 40),
        ([W, M], [M], 0, 40),
        ([M], [M, W], 0, 40),
    ],
)
@pytest.mark.parametrize("looks", [False, True])
def test_a_line_is_known_by_what_it_says(
    opened: Opened, clock: ManualClock, before: list[str], after: list[str], now: int, april: int, looks: bool
) -> None:
    def offers(lines: list[str]) -> str:
        return f"plans: {{pro: {{features: {{call: true}}, grants: [{', '.join(lines)}]}}}}"

    ents = opened(offers(before))
    ents.admin.put_customer("D", plan="pro")
    burn(ents, left(ents))
    clock.advance(DAY_MS)
    ents.admin.set_catalog(catalog(offers(after)))
    assert left(ents) == now
    if looks:
        burn(ents, now) if now else ents.decide("D", "call")
    clock.set(instant("2026-04-01"))
    assert left(ents) == april
