"""The laws of decision 0012 over random histories: the product against the model, and what must hold of
every history, whatever the numbers are."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.finance.export import book, rows
from fastcheck.wire.operations.finance import BeginExport
from models.grant_histories import (
    ALL_POOLS,
    INSTANTS,
    METERS,
    POOLS,
    History,
    Product,
    Step,
    apart,
    difference,
    document,
    end_of,
    histories,
    of_seed,
    sold,
)
from models.law import DAY_MS, Line, Offer
from rig.samples import examples, sample

LOOKED = 20
"""Histories of a law that plays each of them twice or more."""

GAPS = ("apart", "full", "once-steady", "same-lasts", "lines-stay")
"""What the product does otherwise than the law says, or the law does not say: histories go round it. To be
taken away one by one, until none is left."""
MORE_GAPS = ((), ("no-delete",))
"""Of a history with an even and an odd seed."""


def tamed(seed: int) -> History:
    return of_seed(seed, tame=(*GAPS, *MORE_GAPS[seed % 2]))


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_the_product_does_what_the_law_says(first: int) -> None:
    for seed in range(first, first + sample(20, 100)):
        history = tamed(seed)
        assert difference(history) == "", f"seed {seed}:\n{history}"


@pytest.mark.parametrize("seed", range(1_000, 1_000 + LOOKED))
def test_looking_changes_nothing(seed: int) -> None:
    history = of_seed(seed)
    chance = random.Random(seed)
    looked = {number for number in range(len(history.steps)) if chance.random() < 0.4}
    ends = end_of(history, look=lambda number: number in looked)
    assert ends == end_of(history), f"looked after {looked}:\n{history}"


@pytest.mark.parametrize("seed", range(2_000, 2_000 + LOOKED))
def test_the_order_of_lines_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)

    def shuffled(lines: list[Any]) -> list[Any]:
        return chance.sample(lines, len(lines))

    history = of_seed(seed)
    assert end_of(history, order=shuffled) == end_of(history), f"{history}"


def put(plan: str | None, version: int = 1, **more: Any) -> Step:
    terms = {"plan": plan, "version": version, "trial": None, "addons": {}, **more}
    return Step("put", "a", terms)


def wait(until: int) -> Step:
    return Step("wait", "", {"until": until})


def remaining(product: Product, at: int | None = None) -> dict[str, int]:
    found = {pool: product.balance("a", pool, at) for pool in ALL_POOLS}
    return {pool: balance.remaining for pool, balance in found.items() if balance is not None}


versions_and_quantities = st.tuples(st.sampled_from((1, 2)), st.sampled_from((1, 2, 3)))


@examples(LOOKED)
@given(
    histories(),
    versions_and_quantities,
    st.lists(versions_and_quantities, min_size=1, max_size=4),
    st.lists(st.sampled_from(ALL_POOLS), max_size=2),
)
def test_down_and_up_again_gives_nothing(
    history: History, begun: tuple[int, int], changes: list[tuple[int, int]], used: list[str]
) -> None:
    """A millisecond apart, so that no period ends between them. The first time round something may be given
    for good: a higher quantity of a line that is paid for."""
    product = Product(history.catalogs)
    now = 23 * DAY_MS + DAY_MS // 2
    try:
        product.play(put("p", begun[0], addons={"x": (begun[1], None)}))
        product.play(wait(now))
        for again in (False, True):
            before = remaining(product)
            for version, quantity in [*changes, begun]:
                now += 1
                product.play(wait(now))
                product.play(put("p", version, addons={"x": (quantity, None)}))
            for pool in used if not again else ():
                product.play(Step("spend", "a", {"pool": pool, "units": 3}))
        after = remaining(product)
    finally:
        product.close()
    assert all(after[pool] <= before[pool] for pool in before), (before, after)


def monthly_plans(amounts: list[int]) -> dict[tuple[str, int], Offer]:
    """Four plan versions, each with a line or two of its own in one pool."""
    offers = [Offer({"m": Line("c", amount, (1, "month"))}) for amount in amounts]
    offers[1] = Offer({"m": Line("c", amounts[1], (1, "month")), "n": Line("c", 5, (1, "month"))})
    return dict(zip([("p", 1), ("p", 2), ("q", 1), ("q", 2)], offers, strict=True))


plans = st.sampled_from((("p", 1), ("p", 2), ("q", 1), ("q", 2), (None, 1), ("", 1)))


@examples(LOOKED)
@given(
    st.lists(st.sampled_from((4, 10, 20, 31)), min_size=4, max_size=4),
    st.lists(st.tuples(plans, st.sampled_from((0, 3, 8, 20))), min_size=1, max_size=8),
)
def test_a_month_gives_no_more_than_its_largest_amount(
    amounts: list[int], changes: list[tuple[tuple[str | None, int], int]]
) -> None:
    """However the month is divided among plans, versions, no plan at all, and deletions (the empty name)."""
    catalog = sold(monthly_plans(amounts))
    product, now, most, used = Product([catalog]), 0, 0, 0
    try:
        for (plan, version), units in changes:
            now += DAY_MS // 4
            product.play(wait(now))
            try:
                if plan == "":
                    product.play(Step("delete", "a"))
                    continue
                product.play(put(plan, version))
            except errors.UnknownCustomer:
                continue
            if plan is not None:
                most = max(most, sum(line.amount for line in catalog.plans[(plan, version)].lines.values()))
            if units and product.play(Step("spend", "a", {"pool": "c", "units": units})):
                used += units
            assert used + remaining(product)["c"] <= most
    finally:
        product.close()


@examples(LOOKED)
@given(histories(), st.sampled_from(("trial", "addon")), st.integers(1, 3), st.sampled_from(INSTANTS[8:40]))
def test_extend_then_shorten_changes_nothing(history: History, what: str, count: int, until: int) -> None:
    def having(end: int) -> Step:
        if what == "trial":
            return put(None, trial=("p", 1, end))
        return put("p", addons={"x": (1, end)})

    begin = (having(until), wait(until // 3))
    steps: list[Step] = list(begin)
    for n in range(count):
        steps += [having(until + (n + 1) * DAY_MS), wait(until // 3 + 2 * n + 1), having(until)]
        steps.append(wait(until // 3 + 2 * n + 2))
    plain = [*begin, wait(until // 3 + 2 * count)]
    spend = [Step("spend", "a", {"pool": pool, "units": 3}) for pool in (*POOLS, *METERS)]
    ends = [
        end_of(History(history.catalogs, tuple(one + spend + [wait(until + DAY_MS)])))
        for one in (steps, plain)
    ]
    assert ends[0] == ends[1]


COLUMNS = (
    *("place", "at", "booked_at", "customer", "pool", "grant", "grant_kind"),
    *("movement", "units", "credits", "class", "worth", "currency"),
)


def movements(product: Product) -> list[dict[str, Any]]:
    """What an export has of everything."""
    found: list[dict[str, Any]] = []

    def write(table: str, row: Any) -> None:
        if table == "movements":
            found.append(dict(zip(COLUMNS, row, strict=True)))

    book(product.service.ask)
    rows(product.service.ask, product.service.ask(BeginExport(None, None)), write)
    return found


@pytest.mark.parametrize("seed", range(3_000, 3_000 + LOOKED))
def test_what_is_sold_in_the_export_was_bought(seed: int) -> None:
    """GAP: only of purchases, whose price is 100 cents each. Of paid lines the model does not say how often
    they were sold."""
    history = of_seed(seed, tame=["no-moves-ahead"])
    product, price, paid = Product(history.catalogs), {}, set()
    try:
        for step in history.steps:
            try:
                product.play(step)
            except errors.FastcheckError:
                continue
            if step.what == "buy":
                price[step.terms["name"]] = 100 * step.terms["quantity"]
            if step.what == "pay" or (step.what == "buy" and not step.terms["pending"]):
                paid.add(step.terms["name"])
        exported: Counter[str] = Counter()
        for one in movements(product):
            if one["class"] == "sold" and one["grant"].startswith("purchase:"):
                exported[one["grant"].removeprefix("purchase:").partition("/")[0]] += one["worth"]
    finally:
        product.close()
    assert dict(exported) == {name: price[name] for name in paid}, f"{history}"


def test_a_document_has_every_line_under_its_name() -> None:
    history = of_seed(1)
    for catalog in history.catalogs:
        found = document(catalog)
        for (plan, version), offer in catalog.plans.items():
            grants = found["plans"][plan][str(version)]["grants"]
            assert [one["name"] for one in grants] == list(offer.lines)
    assert apart(apart(history)) == apart(history)
