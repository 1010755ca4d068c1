"""The model of the law (`models.law`): every row of the law's table, and cases that were wrong once, with the
right values worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from models.law import DAY_MS, Catalog, Keep, Law, Line, Meter, Offer, Pool

MONTH = (1, "month")


def day(month: int, of_month: int, year: int = 2026) -> int:
    return int(datetime(year, month, of_month, tzinfo=timezone.utc).timestamp()) * 1000


def monthly(amount: int, **terms: Any) -> Line:
    return Line("c", amount, MONTH, **terms)


def once(amount: int, **terms: Any) -> Line:
    return Line("c", amount, **terms)


def catalog(
    plans: Mapping[str, Any] | None = None,
    addons: Mapping[str, Any] | None = None,
    meters: Mapping[str, Meter] | None = None,
    pool: Pool | None = None,
) -> Catalog:
    """Of a plan's lines, or of its versions' (`{1: {…}}`)."""
    offers = {}
    for name, one in (plans or {}).items():
        for version, lines in (one if 1 in one else {1: one}).items():
            offers[(name, version)] = lines if isinstance(lines, Offer) else Offer(lines)
    found = {name: one if isinstance(one, Offer) else Offer(one) for name, one in (addons or {}).items()}
    return Catalog({"c": pool or Pool()}, meters or {}, offers, found)


def begin(*args: Any, at: int = day(3, 1), **terms: Any) -> Law:
    law = Law(at)
    law.set_catalog(catalog(*args, **terms))
    return law


def left(law: Law, at: int | None = None, pool: str = "c") -> int:
    balance = law.balance("a", pool, at)
    assert balance is not None
    return balance.remaining


def spend(law: Law, units: int, pool: str = "c") -> None:
    assert law.spend("a", pool, units)


# the table, recurring lines


def test_a_stay_begins_with_its_amount_or_its_part_of_the_period() -> None:
    law = begin({"pro": {"full": monthly(300), "part": monthly(310, prorated=True)}}, at=day(3, 11))
    law.put("a", plan="pro")
    assert law.balance("a", "c").left == {"plan:pro:full": 300, "plan:pro:part": 210}  # type: ignore[union-attr]
    assert left(law, day(4, 1)) == 610


def test_an_anniversary_begins_with_a_whole_period() -> None:
    law = begin({"pro": {"m": monthly(310, prorated=True, anchor="anniversary")}}, at=day(3, 11))
    law.put("a", plan="pro")
    assert left(law) == 310
    spend(law, 10)
    assert (left(law, day(4, 11) - 1), left(law, day(4, 11))) == (300, 310)


def test_a_line_added_to_a_version_in_use() -> None:
    law = begin({"pro": {}})
    law.put("a", plan="pro")
    law.wait(day(3, 5))
    lines = {"m": monthly(40), "w": once(100), "g": once(7, existing=True)}
    law.set_catalog(catalog({"pro": lines}))
    law.put("b", plan="pro")
    assert (left(law), law.balance("b", "c").remaining) == (47, 147)  # type: ignore[union-attr]


def test_a_line_removed_from_a_version_in_use() -> None:
    law = begin({"pro": {"m": monthly(40), "w": once(100)}})
    law.put("a", plan="pro")
    spend(law, 10)
    law.set_catalog(catalog({"pro": {}}))
    assert (left(law), left(law, day(4, 1))) == (130, 100)


def test_a_line_that_leaves_and_comes_again_is_the_same() -> None:
    law = begin({"pro": {"m": monthly(40), "w": once(100)}})
    law.put("a", plan="pro")
    spend(law, 135)  # All of m, which ends first.
    law.set_catalog(catalog({"pro": {}}))
    law.wait(day(3, 9))
    law.set_catalog(catalog({"pro": {"m": monthly(40), "w": once(100, existing=True)}}))
    assert (left(law), left(law, day(4, 1))) == (5, 45)


def test_an_amount_that_changes_in_the_catalog() -> None:
    law = begin({"pro": {"m": monthly(40), "w": once(100)}})
    law.put("a", plan="pro")
    spend(law, 10)
    law.set_catalog(catalog({"pro": {"m": monthly(50), "w": once(500)}}))
    assert left(law) == 140
    law.set_catalog(catalog({"pro": {"m": monthly(20), "w": once(5)}}))
    assert (left(law), left(law, day(4, 1))) == (140, 120)


def test_other_terms_change_now() -> None:
    law = begin({"pro": {"m": monthly(40), "n": monthly(40, priority=1)}})
    law.put("a", plan="pro")
    spend(law, 10)
    keep = Keep(max=5)
    law.set_catalog(catalog({"pro": {"m": monthly(40, priority=2, keep=keep), "n": monthly(40, priority=1)}}))
    spend(law, 10)
    assert law.balance("a", "c").left == {"plan:pro:m": 30, "plan:pro:n": 30}  # type: ignore[union-attr]
    assert left(law, day(4, 1)) == 85
    law.set_catalog(catalog({"pro": {"m": monthly(40, lasts=(10, "day")), "n": monthly(40)}}))
    assert left(law, day(3, 11)) == 30


def test_an_add_on_of_another_quantity() -> None:
    law = begin({"pro": {}}, {"pack": {"m": monthly(30), "w": once(10)}})
    law.put("a", plan="pro", addons={"pack": (2, None)})
    spend(law, 60)  # m; w is there.
    law.put("a", plan="pro", addons={"pack": (1, None)})
    assert left(law) == 10
    law.put("a", plan="pro", addons={"pack": (3, None)})
    assert left(law) == 60  # 30 more of m, and w from 10 to 30.
    assert left(law, day(4, 1)) == 120


def test_a_paid_quantity_decreases_at_the_next_refill() -> None:
    law = begin({"pro": {}}, {"pack": {"m": monthly(30, paid=True), "w": once(10, paid=True)}})
    law.put("a", plan="pro", addons={"pack": (2, None)})
    law.put("a", plan="pro", addons={"pack": (1, None)})
    assert (left(law), left(law, day(4, 1))) == (80, 50)
    law.put("a", plan="pro", addons={"pack": (2, None)})
    assert (left(law), left(law, day(4, 1))) == (80, 80)


def test_another_version_of_the_plan() -> None:
    versions = {1: {"m": monthly(100), "w": once(10)}, 2: {"m": monthly(150), "w": once(5), "n": monthly(7)}}
    law = begin({"pro": versions})
    law.put("a", plan="pro", version=1)
    spend(law, 60)
    law.migrate("pro", 1, 2)
    assert left(law) == 102  # 150 - 60, 5, 7.
    law.migrate("pro", 2, 1)
    assert left(law) == 50  # 100 - 60; w rose from 5 to 10.
    law.migrate("pro", 1, 2)
    assert left(law) == 102


def test_the_plan_changes() -> None:
    law = begin({"a": {"m": monthly(30), "w": once(5)}, "b": {"m": monthly(50), "w": once(9)}})
    law.put("a", plan="a")
    spend(law, 20)
    law.move("a", "b")
    assert left(law) == 44  # 50 - 20, 5 and 9.
    spend(law, 5)
    law.wait(day(3, 20))
    law.move("a", "a")
    assert left(law) == 19  # 30 - 25, 5 and 9.
    law.move("a", None)
    assert left(law) == 14
    law.wait(day(4, 3))
    law.move("a", "a")
    assert left(law) == 44


def test_what_is_over_is_carried_to_the_last() -> None:
    law = begin({"a": {"m": monthly(30)}, "b": {"x": monthly(10), "y": monthly(10, priority=1)}})
    law.put("a", plan="a")
    spend(law, 25)
    law.move("a", "b")
    assert left(law) == 0
    law.wait(day(3, 2))
    catalog_ = catalog({"a": {"m": monthly(30)}, "b": {"x": monthly(12), "y": monthly(10, priority=1)}})
    law.set_catalog(catalog_)
    assert left(law) == 2
    catalog_ = catalog({"a": {"m": monthly(30)}, "b": {"x": monthly(12), "y": monthly(17, priority=1)}})
    law.set_catalog(catalog_)
    assert left(law) == 4


def test_back_to_a_plan_later_is_a_new_stay() -> None:
    law = begin({"a": {"m": monthly(30, anchor="anniversary")}, "b": {}}, at=day(3, 10))
    law.put("a", plan="a")
    spend(law, 20)
    law.wait(day(3, 20))
    law.move("a", "b")
    law.wait(day(4, 9))
    law.move("a", "a")
    assert (left(law), left(law, day(4, 10))) == (10, 30)  # With its anchor.
    law.move("a", "b")
    law.wait(day(4, 15))
    law.move("a", "a")
    spend(law, 1)
    assert (left(law, day(5, 15) - 1), left(law, day(5, 15))) == (29, 30)


def test_an_add_on_is_removed_and_put_again() -> None:
    law = begin({"p": {}}, {"pack": {"m": monthly(30, anchor="anniversary"), "w": once(10)}}, at=day(3, 10))
    law.put("a", plan="p", addons={"pack": (1, None)})
    spend(law, 7)
    law.put("a", plan="p")
    assert left(law) == 10
    law.wait(day(4, 9))
    law.put("a", plan="p", addons={"pack": (1, None)})
    assert (left(law), left(law, day(4, 10))) == (33, 40)
    law.wait(day(4, 11))
    spend(law, 7)
    law.put("a", plan="p")
    law.wait(day(4, 12))
    law.put("a", plan="p", addons={"pack": (1, None)})
    assert left(law) == 33
    law.wait(day(4, 13))
    law.put("a", plan="p")
    law.wait(day(6, 1))
    law.put("a", plan="p", addons={"pack": (1, None)})
    spend(law, 1)
    assert (left(law, day(7, 1) - 1), left(law, day(7, 1))) == (39, 40)


def test_an_add_on_cut_short_comes_back_until_the_end_that_it_had() -> None:
    law = begin({"p": {}}, {"pack": {"d": Line("c", 5, (1, "day"), "anniversary")}})
    law.put("a", plan="p", addons={"pack": (1, day(4, 1))})
    law.wait(day(3, 10))
    law.put("a", plan="p")
    law.wait(day(3, 20) + 3_600_000)
    law.put("a", plan="p", addons={"pack": (1, day(4, 1))})
    spend(law, 5)
    assert (left(law), left(law, day(3, 21) - 1), left(law, day(3, 21))) == (0, 0, 5)


def test_an_add_on_that_ended_by_itself_is_put_again() -> None:
    law = begin({"p": {}}, {"pack": {"m": monthly(100, anchor="anniversary"), "w": once(10)}}, at=day(1, 10))
    law.put("a", plan="p", addons={"pack": (1, day(2, 10))})
    spend(law, 90)
    law.wait(day(2, 20))
    assert left(law) == 0
    law.put("a", plan="p", addons={"pack": (1, day(3, 20))})
    assert left(law) == 110
    spend(law, 100)
    assert (left(law, day(3, 10)), left(law, day(3, 20))) == (10, 0)


def test_its_end_is_moved() -> None:
    law = begin({"p": {"w": once(10)}})
    law.put("a", trial=("p", 1, day(3, 15)))
    spend(law, 1)
    law.put("a", trial=("p", 1, day(3, 31)))
    assert (left(law, day(3, 20)), left(law, day(3, 31))) == (9, 0)
    law.put("a", trial=("p", 1, day(3, 15)))
    assert (left(law), left(law, day(3, 15))) == (9, 0)


def test_a_trial_becomes_the_plan() -> None:
    law = begin({"p": {"m": monthly(20), "w": once(10)}})
    law.put("a", trial=("p", 1, day(3, 15)))
    spend(law, 25)
    law.wait(day(3, 10))
    law.put("a", plan="p")
    assert (left(law), left(law, day(3, 15))) == (30, 30)


def test_a_second_trial_is_full() -> None:
    law = begin({"p": {"m": monthly(20), "w": once(10)}})
    law.put("a", trial=("p", 1, day(3, 15)))
    spend(law, 25)
    law.wait(day(3, 20))
    law.put("a", trial=("p", 1, day(3, 30)))
    assert left(law) == 30


def test_a_customer_is_deleted_and_the_id_put_again() -> None:
    law = begin({"p": {"m": monthly(20), "w": once(10)}}, {"pack": {"w": once(3)}})
    law.put("a", plan="p", addons={"pack": (1, None)})
    law.grant("a", "paid", Line("c", 100, kind="paid", priority=100))
    law.grant("a", "gift", Line("c", 1_000, kind="promotional", priority=100))
    law.buy("a", "pack", 2, "order")
    spend(law, 24)  # m, then 3 of those with the oldest first: the line that comes first by its id.
    law.delete("a")
    assert law.balance("a", "c") is None
    law.wait(day(3, 5))
    law.put("a", plan="p")
    assert left(law) == 0 + 9 + 100 + 6
    law.delete("a")
    law.wait(day(4, 5))
    law.put("a", plan="p")
    assert left(law) == 20 + 9 + 100 + 6


def test_restore_and_free_id() -> None:
    law = begin({"p": {"m": monthly(20), "w": once(10)}})
    law.put("a", plan="p")
    law.grant("a", "gift", Line("c", 5, kind="promotional"))
    spend(law, 15)
    law.delete("a")
    law.wait(day(3, 20))
    law.restore("a")
    assert (left(law), left(law, day(4, 1))) == (20, 35 - 5 + 5)
    law.delete("a")
    law.free_id("a")
    law.put("a", plan="p")
    assert law.balance("a", "c") == (30, 0, 0, {"plan:p:m": 20, "plan:p:w": 10})


# proration


def test_prorated_amounts_rise_and_fall_by_the_rest_of_the_period() -> None:
    law = begin({"p": {}}, {"pack": {"m": monthly(62, prorated=True)}})
    law.put("a", plan="p", addons={"pack": (1, None)})
    law.wait(day(3, 16) + DAY_MS // 2)  # Half of March.
    law.put("a", plan="p", addons={"pack": (2, None)})
    assert left(law) == 62 + 31
    law.put("a", plan="p", addons={"pack": (1, None)})
    assert left(law) == 62
    law.put("a", plan="p", addons={"pack": (2, None)})
    assert left(law) == 93
    assert left(law, day(4, 1)) == 124


# meters


def test_what_was_used_counts_against_whatever_the_quota_becomes() -> None:
    plans = {"a": Offer({}, {"m": 10}), "b": Offer({}, {"m": 4})}
    law = begin({name: {1: offer} for name, offer in plans.items()}, meters={"m": Meter(MONTH)})
    law.put("a", plan="a")
    spend(law, 8, "m")
    law.move("a", "b")
    assert law.balance("a", "m") == (0, 4, 8, {})
    assert law.balance("a", "m", day(4, 1)) == (4, 0, 8, {"meter:m": 4})
    law.move("a", "a")
    assert law.balance("a", "m") == (2, 0, 8, {"meter:m": 2})


@pytest.mark.parametrize(("anchor", "after"), [("calendar", 2), ("anniversary", 10)])
def test_a_trial_that_becomes_a_plan_and_its_meter(anchor: str, after: int) -> None:
    law = begin({"a": {1: Offer({}, {"m": 10})}}, meters={"m": Meter(MONTH, anchor)})
    law.put("a", trial=("a", 1, day(3, 20)))
    spend(law, 8, "m")
    law.wait(day(3, 10))
    law.put("a", plan="a")
    assert left(law, pool="m") == after
    assert left(law, day(4, 1), "m") == 10
    assert left(law, day(4, 10), "m") == 10


# purchases


def test_purchases() -> None:
    law = begin({"p": {}}, {"pack": {"w": once(20, kind="paid", lasts=(1, "year"))}})
    law.put("a", plan="p")
    law.buy("a", "pack", 1, "one", paid=False)
    assert left(law) == 0
    law.wait(day(3, 5))
    law.pay("a", "one")
    law.wait(day(3, 6))
    law.buy("a", "pack", 2, "two")
    assert left(law) == 60
    spend(law, 25)
    assert law.balance("a", "c").left == {"purchase:two": 35}  # type: ignore[union-attr]
    law.refund_purchase("a", "two", 10)
    assert left(law) == 25
    law.charge_back("a", "one")
    assert left(law) == 5
    assert (left(law, day(3, 6, 2027) - 1), left(law, day(3, 6, 2027))) == (5, 0)


# cases


@pytest.mark.parametrize("again", [("p", 0), ("q", 5)])
def test_case_1_deleted_and_made_again(again: tuple[str, int]) -> None:
    offer = Offer({"m": monthly(30)}, {"m": 100})
    law = begin(
        {"p": {1: offer}, "q": {1: replace(offer, lines={"m": monthly(35)})}},
        {"pack": {"w": once(200)}},
        {"m": Meter(MONTH)},
    )
    law.put("a", plan="p")
    spend(law, 1, "m")
    spend(law, 30)
    law.delete("a")
    law.put("a", plan=again[0])
    assert (left(law, pool="m"), left(law)) == (99, again[1])
    assert (left(law, day(4, 1), "m"), left(law, day(4, 1))) == (100, again[1] + 30)
    law.put("a", plan=again[0], addons={"pack": (1, None)})
    assert left(law) == 200 + again[1]


@pytest.mark.parametrize(
    ("before", "after", "now", "in_april"),
    [
        ("W M", "M W", 0, 40), ("W", "X W", 0, 0), ("W", "M W", 40, 40), ("W M", "M", 0, 40),
    ],
)  # fmt: skip
def test_case_2_lines_that_change_their_places(before: str, after: str, now: int, in_april: int) -> None:
    lines = {"W": once(100), "M": monthly(40), "X": Line("other", 5)}
    law = begin({"p": {name: lines[name] for name in before.split()}})
    law.put("a", plan="p")
    spend(law, left(law))
    law.set_catalog(catalog({"p": {name: lines[name] for name in after.split()}}))
    assert (left(law), left(law, day(4, 1))) == (now, in_april)


def test_case_3_looking_changes_nothing() -> None:
    law = begin({"p": {"w": once(1_000)}, "q": {}}, {"pack": {"w": once(2_000, paid=True)}})
    law.put("a", plan="p", addons={"pack": (1, None)})
    law.put("a", plan="p")
    assert left(law) == 3_000
    law.move("a", "q")
    assert left(law) == 3_000
    law.wait(day(3, 2))
    law.set_catalog(catalog({"p": {"w": once(5)}, "q": {}}, {"pack": {"w": once(2_000, paid=True)}}))
    assert left(law) == 3_000


def test_case_3_a_raise_in_june() -> None:
    keep = Keep(max=10_000)
    law = begin({"p": {"m": monthly(100, keep=keep)}}, at=day(1, 1))
    law.put("a", plan="p")
    law.wait(day(6, 15))
    assert left(law) == 600
    law.set_catalog(catalog({"p": {"m": monthly(1_000, keep=keep)}}))
    assert left(law) == 1_500
    assert left(law, day(7, 1)) == 2_500


def test_case_3_and_8_a_trial_is_over_where_the_plan_begins() -> None:
    law = begin({"p": {"w": once(1_000)}})
    law.put("a", trial=("p", 1, day(3, 15)))
    law.wait(day(3, 10))
    law.put("a", plan="p")
    assert left(law) == 1_000


def test_case_6_a_pack_bought_twice() -> None:
    pack = once(2_000, kind="top_up", lasts=(1, "year"), paid=True)
    law = begin({"free": {}}, {"pack": {"w": pack}})
    law.put("a", plan="free")
    law.buy("a", "pack", 1, "one")
    spend(law, 2_000)
    law.buy("a", "pack", 1, "two")
    assert left(law) == 2_000
    law.wait(day(9, 1))
    law.buy("a", "pack", 1, "three")
    assert (left(law, day(3, 1, 2027)), left(law, day(9, 1, 2027))) == (2_000, 0)


def test_case_7_down_and_up_again() -> None:
    law = begin({"p": {}}, {"pack": {"m": monthly(30)}})
    for quantity in (2, 1, 2, 1, 2):
        law.put("a", plan="p", addons={"pack": (quantity, None)})
        if quantity == 2 and left(law):
            spend(law, 60)
    assert (left(law), law.balance("a", "c").used) == (0, 60)  # type: ignore[union-attr]


def test_case_8_an_add_on_with_an_end_is_extended() -> None:
    law = begin({"p": {}}, {"pack": {"w": once(1_000)}})
    law.put("a", plan="p", addons={"pack": (1, day(3, 15))})
    spend(law, 1)
    law.wait(day(3, 10))
    law.put("a", plan="p", addons={"pack": (1, day(3, 31))})
    assert (left(law, day(3, 20)), left(law, day(3, 31))) == (999, 0)


def test_case_25_bought_again_twice_over_and_a_trial_again() -> None:
    law = begin({"p": {"w": once(1_000)}}, {"pack": {"m": monthly(100, anchor="anniversary")}}, at=day(1, 10))
    law.put("a", trial=("p", 1, day(1, 20)), addons={"pack": (1, day(2, 10))})
    spend(law, 1_100)
    law.wait(day(2, 20))
    law.put("a", addons={"pack": (2, day(3, 20))})
    assert left(law) == 200
    law.put("a", trial=("p", 1, day(3, 1)), addons={"pack": (2, day(3, 20))})
    assert left(law) == 1_200


def test_case_26_a_move_at_the_instant_of_one_that_came_due() -> None:
    law = begin({"p": {"m": monthly(10)}, "q": {"m": monthly(20)}, "r": {"m": monthly(30)}})
    law.put("a", plan="p")
    law.move("a", "q", at=day(3, 10))
    spend(law, 5)
    law.wait(day(3, 10))
    law.move("a", "r")
    assert left(law) == 25


def test_case_27_the_future_knows_moves_ahead() -> None:
    law = begin({"p": {"d": Line("c", 10, (1, "day"))}})
    law.put("a", plan="p")
    law.move("a", None, at=day(5, 30))
    assert (left(law, day(5, 29)), left(law, day(6, 20))) == (10, 0)
