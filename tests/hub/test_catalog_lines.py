"""Lines of plans and add-ons at the service, with the native catalog: their identities, what is sold, what a
new catalog does to whom."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from fastcheck import Catalog
from fastcheck.clock import ManualClock
from fastcheck.errors import CatalogError, RecordError
from fastcheck.hub.store import Store
from fastcheck.hub.store.tables import catalogs
from fastcheck.wire.operations.catalog import CheckCatalog
from fastcheck.wire.packing import pack, unpack
from fastcheck.wire.shapes import CatalogEffect
from rig.requests import put_customer
from rig.serving import Service

HEAD = "fastcheck: 1\npools: {c: {scale: 0}, d: {scale: 0}}\n"
WITH_PACKS = f"""{HEAD}plans: {{pro: {{}}}}
addons:
  pack: {{sold: once, grants: {{credits: {{pool: c, amount: 5}}}}}}
  more: {{grants: [{{pool: c, amount: 5}}]}}
"""


@pytest.fixture
def lines(store: Store, clock: ManualClock) -> Service:
    """A service without a catalog."""
    return Service(store, clock, Catalog.parse)


def set_catalog(service: Service, text: str) -> bool:
    return service.set_catalog(None, text.encode(), "catalog.yaml")


def put(service: Service, id: str, **fields: Any) -> None:
    service.put_customers([put_customer(id, **fields)])


def test_what_is_sold_is_refused_where_it_would_be_had(lines: Service) -> None:
    set_catalog(lines, WITH_PACKS)
    put(lines, "acme", plan="pro", addons={"more": 1})
    with pytest.raises(RecordError, match=r"add-on 'pack' is sold once.*admin\.buy\('acme', 'pack'\)"):
        put(lines, "acme", plan="pro", addons={"more": 1, "pack": 1})
    with pytest.raises(RecordError, match=r"admin\.buy\('new', 'pack'\)"):
        put(lines, "new", plan="pro", addons={"pack": 1})
    assert [addon.name for addon in lines.get_customer("acme").addons] == ["more"]


def with_plan(grants: str, version: int = 1, more: str = "") -> str:
    """A catalog with one plan; `more` are further versions."""
    return f"{HEAD}plans:\n  pro: {{versions: {{{version}: {{grants: {grants}}}{more}}}}}\n"


def ids(service: Service, version: int = 1) -> list[tuple[str, int]]:
    """Identity and beginning of each line of the plan, as the ledger has them."""
    stored = service.read(lambda call: call.statements.catalog())
    assert stored is not None
    offer = stored.product().plans["pro", version]
    assert stored.product() == service.read(lambda call: call.product)
    return [(grant.id, grant.added_at) for grant in offer.grants]


WELCOME, MONTHLY = "{pool: c, amount: 100}", "{pool: c, amount: 40, every: month}"


def test_lines_keep_their_identity_through_edits(lines: Service, clock: ManualClock) -> None:
    set_catalog(lines, with_plan(f"[{WELCOME}, {MONTHLY}]"))
    assert ids(lines) == [("0", 0), ("1", 0)]
    clock.advance(1000)
    set_catalog(lines, with_plan(f"[{{pool: d, amount: 1}}, {MONTHLY}, {WELCOME}]"))
    assert ids(lines) == [("2", clock.now_ms()), ("1", 0), ("0", 0)]
    added = clock.now_ms()
    clock.advance(1000)
    named = f"{{monthly: {MONTHLY}, x: {{pool: d, amount: 2}}, welcome: {WELCOME}}}"
    set_catalog(lines, with_plan(named))
    assert ids(lines) == [("1", 0), ("2", added), ("0", 0)]
    set_catalog(lines, with_plan(f"[{WELCOME}]"))
    assert ids(lines) == [("0", 0)]
    set_catalog(lines, with_plan(named, more=f", 2: {{grants: {named}}}"))
    now = clock.now_ms()
    assert ids(lines) == [("1", now), ("2", now), ("0", 0)]
    assert ids(lines, 2) == [("1", 0), ("2", 0), ("0", 0)]


def test_the_same_text_twice_has_its_own_lines_each_time(lines: Service, clock: ManualClock) -> None:
    """What a catalog is depends on those before it, and an instant of the past is asked under its own."""
    one, other = with_plan(f"[{MONTHLY}]"), with_plan("[]")
    first = clock.now_ms()
    for text in (one, other, one):
        set_catalog(lines, text)
        clock.advance(1000)
    assert ids(lines) == [("1", first + 2000)]
    known = {
        at: lines.read(lambda call, at=at: call.at(at).product.plans["pro", 1].grants)  # type: ignore[misc]
        for at in (first, first + 1000, first + 2500)
    }
    assert [[grant.id for grant in grants] for grants in known.values()] == [["0"], [], ["1"]]


def test_a_catalog_that_may_mean_two_things_is_refused_with_who_is_concerned(lines: Service) -> None:
    two = "[{pool: c, amount: 1, every: month}, {pool: c, amount: 2, every: month}]"
    other = two.replace("amount: 1", "amount: 3").replace("amount: 2", "amount: 4")
    set_catalog(lines, with_plan(two))
    problem = (
        "plan pro version 1: the lines [1 c every month; 2 c every month] become [3 c every month; "
        "4 c every month], and nothing says which was which{}: give them names as they are, then change them"
    )
    assert lines.ask(CheckCatalog(with_plan(other).encode())).problems == (problem.format(""),)
    put(lines, "acme", plan="pro")
    put(lines, "bravo", plan="pro")
    used = problem.format("; used by customers (customer 'acme' and 1 more)")
    checked = lines.ask(CheckCatalog(with_plan(other).encode()))
    assert (checked.problems, checked.effects) == ((used,), ())
    with pytest.raises(CatalogError) as caught:
        set_catalog(lines, with_plan(other))
    assert caught.value.problems == [used]
    assert ids(lines) == [("0", 0), ("1", 0)]
    named = two.replace("[{", "{a: {").replace(", {", ", b: {").replace("]", "}")
    set_catalog(lines, with_plan(named))
    set_catalog(lines, with_plan(named.replace("amount: 1", "amount: 3").replace("amount: 2", "amount: 4")))
    assert ids(lines) == [("0", 0), ("1", 0)]


def test_a_new_version_that_may_mean_two_things_is_refused_too(lines: Service) -> None:
    two = "[{pool: c, amount: 1, every: month}, {pool: c, amount: 2, every: month}]"
    other = two.replace("amount: 1", "amount: 3").replace("amount: 2", "amount: 4")
    text = with_plan(two, more=f", 2: {{grants: {other}}}")
    with pytest.raises(CatalogError) as caught:
        set_catalog(lines, text)
    assert caught.value.problems == [
        "plan pro version 2: nothing says which of its lines [3 c every month; 4 c every month] is which of "
        "version 1 [1 c every month; 2 c every month]: give them the same names in both versions"
    ]
    set_catalog(lines, with_plan(two))
    put(lines, "acme", plan="pro")
    assert "(customer 'acme')" in lines.ask(CheckCatalog(text.encode())).problems[0]


def test_what_becomes_sold_must_not_be_had(lines: Service) -> None:
    set_catalog(lines, WITH_PACKS.replace("sold: once, ", ""))
    put(lines, "acme", plan="pro", addons={"pack": 1})
    with pytest.raises(CatalogError, match=r"add-on pack is sold once.*had by customers \(customer 'acme'\)"):
        set_catalog(lines, WITH_PACKS)
    put(lines, "acme", plan="pro")
    assert set_catalog(lines, WITH_PACKS)


def test_a_check_tells_what_a_catalog_would_do_to_whom(lines: Service) -> None:
    set_catalog(lines, with_plan(f"[{WELCOME}, {MONTHLY}]"))
    put(lines, "acme", plan="pro")
    put(lines, "bravo", trial_plan="pro", trial_until=lines.clock.now_ms() + 1000)
    seq = lines.seq()
    text = with_plan(f"[{{pool: d, amount: 7}}, {MONTHLY.replace('40', '20')}, {WELCOME}]").encode()
    checked = lines.ask(CheckCatalog(text))
    assert checked.problems == ()
    assert checked.effects == (
        CatalogEffect(
            "plan pro version 1", "2", "line 2 (7 d once) is new: for customers who come later", 0, None
        ),
        CatalogEffect(
            "plan pro version 1",
            "1",
            "line 1 falls from 40 to 20 c at the next refill, for every customer of it",
            2,
            "acme",
        ),
    )
    assert lines.seq() == seq
    set_catalog(lines, text.decode())
    assert lines.ask(CheckCatalog(text)).effects == ()


def test_ledgers_of_an_earlier_build_go_on(lines: Service, store: Store) -> None:
    """Its rows have no lines and another digest: the same text is no change, and the next catalog follows
    from the places of the lines."""
    text = with_plan(f"[{WELCOME}, {MONTHLY}]")
    set_catalog(lines, text)

    def earlier(connection: Connection) -> None:
        document = unpack(connection.execute(select(catalogs.c.document)).scalar_one())
        grants = document["plans"]["pro"]["1"]["grants"]
        for grant in grants:
            for key in ("name", "existing", "proration"):
                grant.pop(key)
        connection.execute(update(catalogs).values(lines=None, digest="old", document=pack(document)))

    store.run(earlier)
    again = Service(store, lines.clock, Catalog.parse)
    assert ids(again) == [("0", 0), ("1", 0)]
    assert not set_catalog(again, text)
    assert again.ask(CheckCatalog(text.encode())).effects == ()
    set_catalog(again, with_plan(f"[{MONTHLY}, {WELCOME}, {{pool: d, amount: 1}}]"))
    assert [id for id, _ in ids(again)] == ["1", "0", "2"]


def test_a_check_lists_a_thousand_effects_and_counts_the_rest(lines: Service) -> None:
    def many(amount: int) -> str:
        named = ", ".join(f"n{n}: {{pool: c, amount: {amount}}}" for n in range(1_010))
        return with_plan(f"{{{named}}}")

    set_catalog(lines, many(1))
    checked = lines.ask(CheckCatalog(many(2).encode()))
    assert (len(checked.effects), checked.more) == (1_000, 10)
