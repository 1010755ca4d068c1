"""Identities of lines against a slow model that says the law word for word, over random edits."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import CatalogError
from fastcheck.hub.catalog.lines import Unclear, first, following
from fastcheck.hub.catalog.product import EMPTY, Offer, PlanGrant, Product, with_lines
from fastcheck.hub.catalog.registry import Registry, registry
from fastcheck.ledger.model import GrantKind, Rollover
from fastcheck.ledger.periods import Anchor, Span, Unit
from fastcheck.wire.packing import pack, unpack

MONTH = Span(1, Unit.MONTH)


def line(pool: str = "c", amount: int = 1, every: Span | None = None, name: str | None = None) -> PlanGrant:
    rollover = Rollover(0, 0, 100, False)
    return PlanGrant(pool, amount, 0, GrantKind.PLAN, every, Anchor.CALENDAR, None, rollover, None, name=name)


def catalog(versions: dict[int, list[PlanGrant]], plan: str = "pro") -> Product:
    plans = {(plan, version): Offer(frozenset(), tuple(grants)) for version, grants in versions.items()}
    return replace(EMPTY, plans=plans)


def stored(lines: Registry) -> Registry:
    """As a ledger gives it back."""
    return registry(unpack(pack(lines.plain())))


class History:
    """The catalogs of a ledger, one after the other."""

    def __init__(self) -> None:
        self.lines: Registry | None = None
        self.product, self.now = EMPTY, 0

    def put(self, product: Product) -> tuple[Unclear, ...]:
        self.now += 1
        lines, unclear = following(self.lines, self.product, product, self.now)
        if not unclear:
            self.lines = stored(lines)
            self.product = with_lines(product, self.lines)
        return unclear

    def ids(self, version: int = 1) -> list[str]:
        return [grant.id for grant in self.product.plans["pro", version].grants]

    def edit(self, *grants: PlanGrant) -> list[str]:
        assert self.put(catalog({1: list(grants)})) == ()
        return self.ids()


W, M = line(amount=100), line(amount=40, every=MONTH)


def test_the_cases_of_lists_that_were_edited() -> None:
    for before, after, expected in [
        ([W, M], [M, W], ["1", "0"]),
        ([W], [line("d"), W], ["1", "0"]),
        ([W], [M, W], ["1", "0"]),
        ([W], [M], ["1"]),
        ([W, M], [M], ["1"]),
        ([W, M], [replace(W, amount=5), replace(M, amount=5)], ["0", "1"]),
        ([W, W], [W, W, W], ["0", "1", "2"]),
        ([W, W], [W], ["0"]),
        ([W], [replace(W, amount=1), replace(W, amount=2)], ["1", "2"]),
        ([W, replace(W, amount=1)], [replace(W, amount=2)], ["2"]),
        ([W, replace(W, amount=1)], [W, replace(W, amount=2)], ["0", "1"]),
    ]:
        history = History()
        history.edit(*before)
        assert history.edit(*after) == expected, (before, after)


def test_a_number_is_never_given_twice() -> None:
    history = History()
    history.edit(W, M)
    history.edit()
    assert history.edit(M, W) == ["2", "3"]
    history.put(EMPTY)
    assert history.edit(W) == ["4"]


def test_names_are_identities_and_come_again() -> None:
    history = History()
    a, b = replace(W, name="a"), replace(M, name="b")
    assert history.edit(a, b) == ["a", "b"]
    new = replace(M, name="c")
    assert history.edit(replace(b, amount=1), new, replace(a, every=MONTH)) == ["b", "c", "a"]
    history.edit(b)
    history.put(EMPTY)
    assert history.edit(a, b) == ["a", "b"]
    assert history.edit(replace(W, name="d")) == ["d"], "another name is another line"


def test_lists_become_maps_and_maps_lists() -> None:
    history = History()
    assert history.edit(W, M) == ["0", "1"]
    assert history.edit(replace(M, name="m", amount=3), replace(W, name="w")) == ["1", "0"]
    assert history.edit(replace(W, name="w", amount=7), line("d", name="x")) == ["0", "x"]
    assert history.edit(line("d"), replace(W, amount=7)) == ["x", "0"]
    # Another name takes over; the first has it no more, and is a new line where it comes again.
    assert history.edit(replace(W, amount=7, name="v"), line("d", name="x")) == ["0", "x"]
    assert history.edit(replace(W, name="w"), replace(W, amount=7, name="v")) == ["w", "0"]
    assert history.edit(replace(W, name="m"), replace(W, name="v")) == ["1", "0"], "m is still itself"


def test_names_that_are_no_identities_get_a_number() -> None:
    history = History()
    assert history.edit(replace(W, name="7"), replace(M, name="a:b")) == ["0", "1"]
    assert history.edit(replace(M, name="a:b", amount=1), replace(W, name="7")) == ["1", "0"]
    history.edit(replace(W, name="a"))
    history.edit(W)
    assert history.edit(replace(W, name="b")) == ["a"]
    assert history.edit(replace(W, name="a"), replace(W, name="b")) == ["2", "a"]


def test_an_identity_holds_across_versions() -> None:
    history = History()
    history.put(catalog({1: [W, M], 2: [M, line("d"), replace(W, amount=1)]}))
    assert (history.ids(1), history.ids(2)) == (["0", "1"], ["1", "2", "0"])
    history.put(catalog({2: [M, line("d"), replace(W, amount=1)], 4: [replace(line("d"), amount=9), M]}))
    assert (history.ids(2), history.ids(4)) == (["1", "2", "0"], ["2", "1"])
    # The newest before it, not the newest; where there is none, the oldest after it.
    history.put(catalog({1: [W], 3: [line("d")], 4: [replace(line("d"), amount=9), M]}))
    assert (history.ids(1), history.ids(3), history.ids(4)) == (["0"], ["2"], ["2", "1"])


def test_a_name_in_use_in_one_version_keeps_its_line_from_names_of_another() -> None:
    history = History()
    history.put(catalog({1: [W], 2: [W]}))
    history.put(catalog({1: [W], 2: [replace(W, name="n")]}))
    history.put(catalog({1: [replace(W, name="m")], 2: [replace(W, name="n")]}))
    assert (history.ids(1), history.ids(2)) == (["m"], ["0"])
    history.put(catalog({1: [replace(W, name="m"), replace(W, name="n")]}))
    assert history.ids(1) == ["m", "0"]


def test_what_may_mean_two_things_is_unclear() -> None:
    history = History()
    history.put(catalog({1: [replace(M, amount=1), W, replace(M, amount=2)]}))
    (unclear,) = history.put(catalog({1: [replace(M, amount=3), W, replace(M, amount=4)]}))
    assert (unclear.plan, unclear.version, unclear.addon, unclear.since) == ("pro", 1, None, None)
    assert (len(unclear.before), len(unclear.after)) == (1, 1), "the pools are not there: they read alike"
    assert history.ids() == ["0", "1", "2"], "nothing was taken"
    (unclear,) = history.put(
        catalog({1: [replace(M, amount=1), W, replace(M, amount=2)], 3: [replace(M, amount=3)] * 2})
    )
    assert (unclear.version, unclear.since) == (3, 1)
    addon = replace(EMPTY, addons={"a": Offer(frozenset(), (M, replace(M, amount=2)))})
    history.put(addon)
    addon = replace(EMPTY, addons={"a": Offer(frozenset(), (replace(M, amount=3), replace(M, amount=4)))})
    (unclear,) = history.put(addon)
    assert (unclear.plan, unclear.addon) == (None, "a")
    assert unclear.told("used").startswith("add-on a: the lines [? c every month (2 times)] become")


def test_when_a_line_was_added() -> None:
    history = History()
    history.edit(W)
    history.edit(M, W)
    history.put(catalog({1: [M, W, line("d")], 2: [line("d"), line("e")]}))
    added = {
        version: [grant.added_at for grant in history.product.plans["pro", version].grants]
        for version in (1, 2)
    }
    assert added == {1: [2, 0, 3], 2: [0, 0]}
    history.put(catalog({1: [M, replace(W, amount=9)]}))
    assert [grant.added_at for grant in history.product.plans["pro", 1].grants] == [2, 0]


def test_what_is_not_a_registry_is_refused() -> None:
    wrong: tuple[Any, ...] = (None, 5, (2, {}, {}), (1, {"a": 5}, {}), (1, [], {}))
    for plain in wrong:
        with pytest.raises(CatalogError, match="lines cannot be read"):
            registry(plain)


# The model: each line of a history is an object, found again by reading the law aloud.


@dataclass(eq=False)
class Thing:
    """What an identity stands for."""

    name: str | None = None


@dataclass
class Model:
    """One plan with one version."""

    now: list[tuple[PlanGrant, Thing]] = field(default_factory=list)
    called: dict[str, Thing] = field(default_factory=dict)

    def put(self, news: list[PlanGrant]) -> list[Thing] | None:
        """The thing of each line; None where the law refuses."""
        found: dict[int, Thing] = {
            n: self.called[g.name] for n, g in enumerate(news) if g.name in self.called
        }
        left = [(old, thing) for old, thing in self.now if thing not in found.values()]
        if any(grant.name for grant in news):
            left = [(old, thing) for old, thing in left if old.name is None]
        for n, grant in enumerate(news):  # 1. An old line that says exactly the same.
            for place, (old, thing) in enumerate(left):
                if n not in found and replace(old, name=None) == replace(grant, name=None):
                    found[n] = thing
                    del left[place]
                    break
        shapes = {(grant.pool, grant.every) for grant in news}
        refused = False
        for shape in shapes:  # 2. An old line of the same shape.
            olds = [thing for old, thing in left if (old.pool, old.every) == shape]
            rest = [
                n for n, grant in enumerate(news) if n not in found and (grant.pool, grant.every) == shape
            ]
            if len(olds) == 1 and len(rest) == 1:
                found[rest[0]] = olds[0]
            elif len(olds) > 1 and len(rest) > 1:
                refused = True
        if refused:
            return None
        things = [found.get(n) or Thing() for n in range(len(news))]
        for grant, thing in zip(news, things, strict=True):
            if grant.name:
                self.called = {name: other for name, other in self.called.items() if other is not thing}
                self.called[grant.name] = thing
        self.now = list(zip(news, things, strict=True))
        return things


SAID = st.builds(line, st.sampled_from("cd"), st.integers(1, 3), st.sampled_from((None, MONTH)))
LISTS = st.lists(SAID, max_size=5)
MAPS = st.lists(st.tuples(st.sampled_from(("a", "b", "c", "0", "1", "x:y")), SAID), max_size=5).map(
    lambda pairs: [replace(grant, name=name) for name, grant in dict(pairs).items()]
)
EDITS = st.lists(st.one_of(LISTS, MAPS), min_size=1, max_size=12)


@given(EDITS)
def test_histories_agree_with_the_law(edits: list[list[PlanGrant]]) -> None:
    history, model = History(), Model()
    of: dict[str, Thing] = {}
    for grants in edits:
        unclear, things = history.put(catalog({1: grants})), model.put(grants)
        assert bool(unclear) == (things is None)
        if things is None:
            continue
        ids = history.ids()
        assert len(set(ids)) == len(ids)
        for id, thing in zip(ids, things, strict=True):
            assert of.setdefault(id, thing) is thing, "an identity never means two lines"
        assert len({*of.values()}) == len(of), "a line never has two identities"


@given(EDITS, st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_nothing(edits: list[list[PlanGrant]], chance: random.Random) -> None:
    """Of maps, and of lists of distinct lines."""
    one, other = History(), History()
    called: dict[str, str] = {}
    for grants in edits:
        distinct = list(dict.fromkeys(grants))
        shuffled = chance.sample(distinct, len(distinct))
        unclear = one.put(catalog({1: distinct}))
        assert bool(other.put(catalog({1: shuffled}))) == bool(unclear)
        if unclear:
            continue
        ids = dict(zip(distinct, one.ids(), strict=True))
        for grant, id in zip(shuffled, other.ids(), strict=True):
            assert called.setdefault(ids[grant], id) == id, "the same line, whatever it is called"


@given(st.lists(st.dictionaries(st.integers(1, 4), st.one_of(LISTS, MAPS), max_size=3), max_size=8))
def test_no_version_has_an_identity_twice_and_survivors_keep_theirs(edits: list[Any]) -> None:
    history = History()
    for versions in edits:
        before = history.product
        if history.put(catalog(versions)):
            continue
        for (_, version), offer in history.product.plans.items():
            ids = [grant.id for grant in offer.grants]
            assert len(set(ids)) == len(ids)
            was = before.plans.get(("pro", version))
            for grant in offer.grants:
                if was is not None and grant.name and grant.name in [old.name for old in was.grants]:
                    (kept,) = [old.id for old in was.grants if old.name == grant.name]
                    assert grant.id == kept
        named = [grant for offer in history.product.plans.values() for grant in offer.grants if grant.name]
        assert len({(grant.name, grant.id) for grant in named}) == len({grant.name for grant in named})
        # Put again, nothing changes.
        again = history.product
        history.put(catalog(versions))
        assert history.product == again


def test_a_first_catalog_has_lines_too() -> None:
    lines, unclear = first(catalog({1: [W, M]}))
    assert unclear == ()
    assert [one.id for one in lines.of_plan("pro", 1)] == ["0", "1"]
    assert [one.added_at for one in lines.of_plan("pro", 1)] == [0, 0]
