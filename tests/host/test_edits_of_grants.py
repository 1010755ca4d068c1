"""What an edit of a catalog does to customers whose credits are used, on a directory with real files: a grant
is known by its name or by what it says, and not by its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fastcheck import Entitlements
from fastcheck.clock import ManualClock
from fastcheck.errors import CatalogError

W, M, X = "{pool: c, amount: 100}", "{pool: c, amount: 40, every: month}", "{pool: x, amount: 7}"


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1_000)


def catalog(grants: str) -> str:
    """`grants` is a list or a map of the plan `pro`."""
    return f"""
fastcheck: 1
pools: {{c: {{scale: 0}}, x: {{scale: 0}}}}
features: {{call: {{kind: credit, pool: c, rate: 1}}}}
plans: {{pro: {{features: {{call: true}}, grants: {grants}}}}}
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(instant("2026-03-01"))


@pytest.fixture
def opened(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[[str], Entitlements]]:
    """Opens a directory on a catalog, with one customer, `acme`."""
    found: list[Entitlements] = []

    def open_(grants: str) -> Entitlements:
        ents = Entitlements.open(tmp_path / "state", catalog=catalog(grants), clock=clock)
        found.append(ents)
        ents.admin.put_customer("acme", plan="pro")
        return ents

    yield open_
    for one in found:
        one.close()


def left(ents: Entitlements, pool: str = "c") -> int:
    remaining = ents.admin.balance("acme", pool).remaining
    assert remaining is not None
    return int(remaining)


@pytest.mark.parametrize(
    ("before", "after", "then", "in_april"),
    [
        (f"[{W}, {M}]", f"[{M}, {W}]", 0, 40),
        (f"[{W}]", f"[{X}, {W}]", 0, 0),
        (f"[{W}]", f"[{M}, {W}]", 40, 40),
        (f"[{W}]", f"[{M}]", 40, 40),
        (f"[{W}, {M}]", f"[{M}]", 0, 40),
        (f"[{W}, {M}]", f"[{W}]", 0, 0),
        (f"[{W}, {M}]", f"{{monthly: {M}, welcome: {W}}}", 0, 40),
        (f"{{w: {W}, m: {M}}}", f"[{M}, {W}]", 0, 40),
        (f"{{w: {W}, m: {M}}}", f"{{new: {X}, m: {M}, w: {W}}}", 0, 40),
        (f"{{w: {W}, m: {M}}}", f"{{m: {M.replace('40', '60')}, w: {W.replace('100', '900')}}}", 20, 60),
        (f"[{M}, {W}]", f"[{W.replace('100', '900')}, {M.replace('40', '60')}]", 20, 60),
    ],
)
def test_what_was_used_counts_after_an_edit(
    opened: Callable[[str], Entitlements],
    clock: ManualClock,
    before: str,
    after: str,
    then: int,
    in_april: int,
) -> None:
    ents = opened(before)
    assert ents.consume("acme", "call", left(ents))
    clock.advance(1_000)
    assert ents.admin.check_catalog(catalog(after)).problems == ()
    ents.admin.set_catalog(catalog(after))
    assert left(ents) == then
    assert left(ents, "x") == 0, "a line that is given once is for who comes later"
    clock.set(instant("2026-04-01"))
    assert left(ents) == in_april


def test_a_line_that_leaves_and_comes_again_is_given_once(
    opened: Callable[[str], Entitlements], clock: ManualClock
) -> None:
    named = f"{{w: {W[:-1]}, existing: give}}, x: {X}}}"
    ents = opened(named)
    ents.consume("acme", "call", 100)
    for grants in (f"{{x: {X}}}", named, f"[{X}, {W[:-1]}, existing: give}}]"):
        clock.advance(1_000)
        ents.admin.set_catalog(catalog(grants))
        assert left(ents) == 0, grants


def test_a_directory_refuses_an_edit_that_may_mean_two_things(
    opened: Callable[[str], Entitlements], tmp_path: Path, clock: ManualClock
) -> None:
    two = f"[{M}, {M.replace('40', '50')}]"
    ents = opened(two)
    ents.close()
    changed = catalog(f"[{M.replace('40', '41')}, {M.replace('40', '51')}]")
    with pytest.raises(CatalogError, match=r"which was which; used by customers \(customer 'acme'\)"):
        Entitlements.open(tmp_path / "state", catalog=changed, clock=clock)
