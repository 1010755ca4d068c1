"""Histories in which the product once did otherwise than the law says, each as small as may be, and those in
which it still does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from models.grant_histories import History, Step, difference, sold
from models.law import DAY_MS, Catalog, Keep, Line, Offer

ONCE = Line("d", 20)
MONTHLY = Line("d", 20, (1, "month"))
YEARLY = replace(MONTHLY, anchor="anniversary")


def put(plan: str | None, version: int = 1, *, trial: Any = None, **addons: Any) -> Step:
    return Step("put", "a", {"plan": plan, "version": version, "trial": trial, "addons": addons})


def wait(days: float) -> Step:
    return Step("wait", "", {"until": int(days * DAY_MS)})


def move(plan: str | None, at: int | None = None, *, keep_since: bool = False) -> Step:
    return Step("move", "a", {"plan": plan, "version": 1, "at": at, "keep_since": keep_since})


def spend(units: int, pool: str = "d") -> Step:
    return Step("spend", "a", {"pool": pool, "units": units})


def catalog(line: Line | None, pack: Line | None = None) -> Catalog:
    """Plan p and add-on x, each with a line at most; plan q has none."""
    p = Offer() if line is None else Offer({"l": line})
    x = Offer() if pack is None else Offer({"w": pack})
    return sold({("p", 1): p, ("p", 2): Offer(), ("q", 1): Offer()}, {"x": x})


NEXT = Step("catalog", "", {"number": 1})
DELETE = Step("delete", "a")
X = (1, None)
LATER = 5 * DAY_MS

DIFFERENCES: dict[str, tuple[Sequence[Catalog], Sequence[Step]]] = {
    "a balance ahead of a move forgets what stays": (
        (catalog(ONCE),),
        (put("p"), wait(1), move(None, LATER)),
    ),
    "a balance ahead of a move has the old plan's line still": (
        (sold({("p", 1): Offer({"l": MONTHLY}), ("q", 1): Offer({"m": MONTHLY})}),),
        (put("p"), spend(1), move("q", LATER)),
    ),
    "leaving and coming back after a raise gives more of a line given once": (
        (catalog(ONCE), catalog(replace(ONCE, amount=30))),
        (put("p"), spend(20), wait(0.5), NEXT, wait(1), put("q"), wait(2), put("p")),
    ),
    "leaving and coming back after a cut takes from a line given once": (
        (catalog(ONCE), catalog(replace(ONCE, amount=5))),
        (put("p"), wait(0.5), NEXT, wait(1), put("q"), wait(2), put("p")),
    ),
    "a higher quantity after a cut takes from a line given once": (
        (catalog(None, Line("d", 10)), catalog(None, Line("d", 2))),
        (put("q", x=X), wait(1), NEXT, wait(2), put("q", x=(2, None))),
    ),
    "an id put again on no plan, after a catalog: what was given once is gone": (
        (catalog(ONCE), catalog(ONCE, MONTHLY)),
        (put("p"), wait(1), DELETE, wait(2), NEXT, wait(3), put(None)),
    ),
    "a line that the catalog took stays when the add-on is removed": (
        (catalog(None, MONTHLY), catalog(None)),
        (put("q", x=X), wait(2), NEXT, wait(3), put("q")),
    ),
    "a line that the catalog took stays when the plan changes": (
        (catalog(MONTHLY), catalog(None)),
        (put("p"), wait(2), NEXT, wait(3), put("q")),
    ),
    "a line that a catalog takes at the instant at which it began never ends": (
        (catalog(None, MONTHLY), catalog(None)),
        (put("q"), wait(2), put("q", x=X), NEXT, wait(40)),
    ),
    "a plan left and come back to at one instant has a new anniversary": (
        (catalog(replace(YEARLY, keep=Keep(8))),),
        (put("p"), wait(1), put("q"), put("p"), wait(31)),
    ),
    "a second trial does not give again what had expired before the first ended": (
        (catalog(replace(ONCE, lasts=(3, "day"))),),
        (put(None, trial=("p", 1, 4 * DAY_MS)), wait(33), put(None, trial=("p", 1, 38 * DAY_MS))),
    ),
    "a trial taken away and given again before its end is full again": (
        (catalog(MONTHLY),),
        (
            put(None, trial=("p", 1, LATER)),
            spend(15),
            wait(1),
            put("q"),
            wait(2),
            put(None, trial=("p", 1, LATER)),
        ),
    ),
    "what a trial gave once is gone where it is given again before its end": (
        (catalog(ONCE),),
        (
            put(None, trial=("p", 1, LATER)),
            spend(15),
            wait(1),
            put("q"),
            wait(2),
            put(None, trial=("p", 1, LATER)),
        ),
    ),
    "expires_after that has passed already ends nothing": (
        (catalog(MONTHLY), catalog(replace(MONTHLY, lasts=(3, "day")))),
        (put("p"), wait(5), NEXT),
    ),
    "a paid line that a version lacks is taken at once": (
        (catalog(replace(MONTHLY, paid=True)),),
        (put("p"), wait(1), put("p", 2)),
    ),
    "an unpaid line given once that a version lacks stays": (
        (catalog(ONCE),),
        (put("p"), wait(1), put("p", 2)),
    ),
    "an add-on without end, removed and put again with one: what stayed ends with it": (
        (catalog(None, ONCE),),
        (put("q", x=X), wait(1), put("q"), wait(2), put("q", x=(1, 20 * DAY_MS)), wait(21)),
    ),
    "a prorated line that comes back with a higher quantity rises in full": (
        (catalog(None, replace(YEARLY, prorated=True)),),
        (put("q", x=X), wait(1), put("q"), wait(15), put("q", x=(2, None))),
    ),
    "a prorated line of a plan that keeps the anniversary begins with more than is left of the month": (
        (catalog(replace(MONTHLY, prorated=True)),),
        (put("q"), wait(10), move("p", keep_since=True)),
    ),
    "an end that is moved to now, and the add-on put again, is full again": (
        (catalog(None, MONTHLY),),
        (put("q", x=X), spend(20), wait(1), put("q", x=(1, DAY_MS)), wait(2), put("q", x=X)),
    ),
    "a trial that becomes a plan at the instant at which it began: its meter does not start anew": (
        (catalog(None),),
        (put(None, trial=("p", 1, DAY_MS)), spend(1, "seats"), put("p")),
    ),
    "a trial that ended days ago becomes a plan: its meter starts anew": (
        (catalog(None),),
        (put("q", trial=("q", 1, 4 * DAY_MS)), spend(1, "seats"), wait(1), move(None), wait(7), put("q")),
    ),
}


STILL = (
    "a plan left and come back to at one instant has a new anniversary",
    "a trial that becomes a plan at the instant at which it began: its meter does not start anew",
)
"""What a customer was for no time at all is not kept: their accounts alone remember it."""


@pytest.mark.parametrize("name", [one for one in DIFFERENCES if one not in STILL])
def test_a_difference_that_was_mended(name: str) -> None:
    catalogs, steps = DIFFERENCES[name]
    assert difference(History(tuple(catalogs), tuple(steps))) == ""


@pytest.mark.xfail(reason="known", strict=True)
@pytest.mark.parametrize("name", STILL)
def test_a_difference_that_is_known(name: str) -> None:
    catalogs, steps = DIFFERENCES[name]
    assert difference(History(tuple(catalogs), tuple(steps))) == ""
