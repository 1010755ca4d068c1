"""What a new catalog does to the lines of offers, in words."""

from __future__ import annotations

from dataclasses import replace

from fastcheck.hub.catalog.effects import effects
from fastcheck.hub.catalog.product import EMPTY, Offer, PlanGrant, Pool, Product
from fastcheck.ledger.model import DEFAULT_ORDER, Cost, GrantKind, Rollover, Rules
from fastcheck.ledger.periods import Anchor, Span, Unit

MONTH = Span(1, Unit.MONTH)
NOTHING = Rollover(0, 0, 100, False)
POOLS = {name: Pool(name, 2, Rules(DEFAULT_ORDER, 0), False) for name in "cd"}


def line(id: str, amount: int, every: Span | None = None, pool: str = "c") -> PlanGrant:
    return PlanGrant(pool, amount, 0, GrantKind.PLAN, every, Anchor.CALENDAR, None, NOTHING, None, id)


ONCE, MONTHLY = line("0", 100_000), line("monthly", 5_000, MONTH)


def offer(*grants: PlanGrant, sold: bool = False) -> Offer:
    return Offer(frozenset(), grants, sold=sold)


def plan(*grants: PlanGrant) -> Product:
    return replace(EMPTY, pools=POOLS, plans={("pro", 1): offer(*grants)})


def addon(*grants: PlanGrant, sold: bool = False) -> Product:
    return replace(EMPTY, pools=POOLS, addons={"pack": offer(*grants, sold=sold)})


def told(old: Product, new: Product) -> list[str]:
    """In words; those that concern customers who are there have a mark."""
    return [f"{'! ' if one.concerns else ''}{one.what}" for one in effects(old, new)]


def change(was: PlanGrant, **terms: object) -> list[str]:
    return told(plan(was), plan(replace(was, **terms)))  # type: ignore[arg-type]


def test_lines_that_come() -> None:
    assert told(plan(), plan(ONCE, MONTHLY, replace(ONCE, id="1", existing=True))) == [
        "line 0 (1,000 c once) is new: for customers who come later",
        "! line monthly (50 c every month) is new: begins now, for every customer of it",
        "! line 1 (1,000 c once) is new: given now, for every customer of it",
    ]


def test_lines_that_leave() -> None:
    assert told(plan(ONCE, MONTHLY), plan()) == [
        "line 0 (1,000 c once) leaves: stays with those who have it",
        "! line monthly (50 c every month) leaves: ends at the next refill",
    ]


def test_amounts() -> None:
    assert change(MONTHLY, amount=6_050) == [
        "! line monthly rises from 50 to 60.5 c now, for every customer of it"
    ]
    assert change(MONTHLY, amount=0) == [
        "! line monthly falls from 50 to 0 c at the next refill, for every customer of it"
    ]
    assert change(ONCE, amount=1) == ["line 0 gives 0.01 c instead of 1,000: for customers who come later"]


def test_other_terms() -> None:
    terms = {"priority": 3, "rollover": Rollover(0, 5, 100, False), "lasts": MONTH, "cost": Cost(1, "USD")}
    words = "priority, rollover, expires_after, cost"
    assert change(ONCE, **terms) == [f"line 0 changes its {words}: for customers who come later"]
    assert change(MONTHLY, **terms) == [f"! line monthly changes its {words}: now, for every customer of it"]
    assert change(MONTHLY, prorated=True) == [
        "! line monthly changes its proration: now, for every customer of it"
    ]
    assert change(MONTHLY, kind=GrantKind.PAID, amount=5_001) == [
        "! line monthly rises from 50 to 50.01 c now, for every customer of it",
        "! line monthly changes its kind: now, for every customer of it",
    ]


def test_periods_pools_and_names() -> None:
    assert change(MONTHLY, every=Span(2, Unit.WEEK), anchor=Anchor.ANNIVERSARY) == [
        "! line monthly changes from 50 c every month to 50 c every 2 weeks from the anniversary: now, "
        "for every customer of it"
    ]
    assert change(MONTHLY, pool="d", kind=GrantKind.PROMOTIONAL) == [
        "! line monthly (50 c every month) leaves: ends at the next refill",
        "! line monthly (50 d every month, promotional) is new: begins now, for every customer of it",
    ]
    assert change(MONTHLY, every=None) == [
        "! line monthly (50 c every month) leaves: ends at the next refill",
        "line monthly (50 c once) is new: for customers who come later",
    ]
    assert change(ONCE, name="welcome") == ["line 0 is called welcome now, and stays the same line"]
    assert change(replace(ONCE, name="welcome"), name=None) == []


def test_who_came_before_a_line() -> None:
    later = replace(ONCE, added_at=5)
    assert change(later, existing=True) == ["! line 0 is given now to customers who came before it"]
    assert change(ONCE, existing=True) == [], "it was there before any customer"
    assert change(replace(later, existing=True), existing=False) == [
        "line 0 goes from now on only to customers who come later"
    ]


def test_offers_come_and_leave() -> None:
    assert [str(one) for one in effects(plan(ONCE), addon(ONCE))] == [
        "plan pro version 1: leaves the catalog",
        "add-on pack: is new",
    ]


def test_what_is_sold() -> None:
    assert told(addon(ONCE), addon(ONCE, sold=True)) == ["is sold from now on: customers buy it"]
    assert told(addon(ONCE, sold=True), addon(ONCE)) == ["is had from now on, and not bought"]
    more = addon(replace(ONCE, amount=1, priority=1), line("1", 5), sold=True)
    assert told(addon(ONCE, sold=True), more) == [
        "line 0 gives 0.01 c instead of 1,000: in purchases from now on",
        "line 0 changes its priority: in purchases from now on",
        "line 1 (0.05 c once) is new: in purchases from now on",
    ]
    assert told(addon(ONCE, sold=True), addon(sold=True)) == [
        "line 0 (1,000 c once) leaves: stays with those who bought it"
    ]


def test_nothing_changes() -> None:
    both = replace(plan(ONCE, MONTHLY), addons=addon(ONCE).addons)
    assert effects(both, both) == []
    turned = replace(both, plans=plan(MONTHLY, ONCE).plans)
    assert effects(both, turned) == []
