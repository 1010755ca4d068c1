"""Segments: exceptions for many customers, which stand in each member's record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.record import unpack_record
from fastcheck.wire.shapes import PartOfSegment
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.requests import (
    destination,
    move_segment,
    put_customer,
    put_members,
    put_override,
    put_segment_override,
)
from rig.samples import examples
from rig.serving import Segmented, Service

NEXT_WEEK_MS = MAY_2024_MS + 7 * DAY_MS
CATALOG = FakeCatalog()


def put(service: Service, *ids: str, plan: str = "pro") -> None:
    service.put_customers([put_customer(id, plan=plan) for id in ids])


def join(service: Service, segment: str, *ids: str, **more: Any) -> Segmented:
    done: Segmented = service.put_members(put_members(segment, add=ids, **more))
    return done


def override(service: Service, segment: str, value: Any, by: By = ANYBODY, **terms: Any) -> Segmented:
    feature = terms.pop("feature", "seats")
    done: Segmented = service.put_segment_override(
        put_segment_override(segment, feature, value, **terms), by=by
    )
    return done


def seats(service: Service, id: str, at: int = MAY_2024_MS) -> Any:
    """What a host that knows only the record says at an instant."""
    return seats_of(service, [id], at)[0]


def seats_of(service: Service, ids: list[str], at: int = MAY_2024_MS) -> list[Any]:
    def records(call: Any) -> list[Any]:
        return [call.statements.customer(call.statements.number_of(id)).packed for id in ids]

    return [CATALOG.resolve(one, at)["seats"][0] for one in service.write(records)]


def test_an_exception_of_a_segment_begins_next_week_without_anybodys_doing(service: Service) -> None:
    ids = [f"c{n}" for n in range(10)]
    put(service, *ids, "other")
    join(service, "pilot", *ids)
    done = override(service, "pilot", 100, starts_at=NEXT_WEEK_MS, reason="pilot")
    assert {id for one in done.changed for id in one.ids} == set(ids)
    assert not done.left
    for id in ids:
        assert (seats(service, id, NEXT_WEEK_MS - 1), seats(service, id, NEXT_WEEK_MS)) == (25, 100)
    assert seats(service, "other", NEXT_WEEK_MS) == 25
    [one] = service.list_overrides("c3")
    assert (one.customer, one.segment, one.value, one.reason) == ("c3", "pilot", 100, "pilot")


def test_who_comes_later_gets_it_and_who_leaves_loses_it(service: Service) -> None:
    put(service, "acme", "bravo")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    assert join(service, "pilot", "bravo").count == 1
    assert (seats(service, "acme"), seats(service, "bravo")) == (100, 100)
    assert service.put_members(put_members("pilot", remove=["acme"])).count == 1
    assert (seats(service, "acme"), seats(service, "bravo")) == (25, 100)
    assert service.list_overrides("acme") == []
    assert service.get_segment("pilot").members == 1


def test_exactly_these_customers(service: Service) -> None:
    put(service, "acme", "bravo", "charlie")
    join(service, "pilot", "acme", "bravo")
    override(service, "pilot", 100)
    assert join(service, "pilot", "bravo", "charlie", only=True).count == 2
    assert [seats(service, one) for one in ("acme", "bravo", "charlie")] == [25, 100, 100]
    assert service.list_members("pilot").items == ("bravo", "charlie")
    assert join(service, "pilot", "bravo", "charlie", only=True) == Segmented((), 0, False)


def test_a_customers_own_exception_is_stronger_while_it_holds(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    end = NEXT_WEEK_MS + 5
    service.put_override(put_override("acme", "seats", 7, starts_at=NEXT_WEEK_MS, expires_at=end))
    found = [seats(service, "acme", at) for at in (MAY_2024_MS, NEXT_WEEK_MS, end)]
    assert found == [100, 7, 100]
    assert [one.segment for one in service.list_overrides("acme")] == [None, "pilot"]
    service.remove_override("acme", "seats")
    assert seats(service, "acme", NEXT_WEEK_MS) == 100


def test_of_several_segments_the_newest_exception_counts(service: Service, clock: ManualClock) -> None:
    put(service, "acme")
    for segment in ("alpha", "beta"):
        join(service, segment, "acme")
    override(service, "beta", 2)
    override(service, "alpha", 1)  # At the same instant: by name.
    assert seats(service, "acme") == 2
    clock.advance(1)
    override(service, "alpha", 3)
    assert seats(service, "acme") == 3
    service.remove_segment_override("alpha", "seats")
    assert seats(service, "acme") == 2


def test_what_put_customer_says_leaves_a_segments_exceptions(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    put(service, "acme", plan="free")
    assert seats(service, "acme") == 100


def test_deleting_a_segment(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    service.delete_segment("pilot")
    assert seats(service, "acme") == 25
    for gone in (service.get_segment, service.delete_segment, service.list_members):
        with pytest.raises(errors.UnknownSegment, match="make it with put_segment"):
            gone("pilot")
    join(service, "pilot", "acme")
    assert seats(service, "acme") == 25


def test_a_deleted_customer_is_in_no_segment_and_neither_is_who_takes_their_id(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    service.delete_customer("acme")
    assert service.get_segment("pilot").members == 0
    put(service, "acme")
    assert seats(service, "acme") == 25


def test_many_members_are_changed_in_parts_and_whoever_comes_next_goes_on(
    service: Service, clock: ManualClock
) -> None:
    ids = [f"c{n:04}" for n in range(2_100)]
    put(service, *ids)
    for start in range(0, len(ids), 1_000):
        join(service, "all", *ids[start : start + 1_000])
    first = override(service, "all", 100)
    assert (first.left, sum(len(one.ids) for one in first.changed)) == (True, 1_000)
    assert service.segments_behind() == ["all"]
    parts = []
    left = True
    while left:
        done = service.go_on_segment("all")
        parts.append(sum(len(one.ids) for one in done.changed))
        left = done.left
    assert parts == [1_000, 100]
    assert service.segments_behind() == []
    assert set(seats_of(service, ids)) == {100}
    assert service.delete_segment("all").left
    with pytest.raises(errors.Conflict, match="is being deleted"):
        join(service, "all", "c0000")
    assert service.list_segments().items == ()
    while service.go_on_segment("all").left:
        pass
    assert set(seats_of(service, ids)) == {25}
    assert not service.go_on_segment("all").left


def test_taking_out_more_than_one_part_takes_several_calls(service: Service) -> None:
    ids = [f"c{n:04}" for n in range(1_500)]
    put(service, *ids)
    join(service, "all", *ids[:1_000])
    join(service, "all", *ids[1_000:])
    first, second = (join(service, "all", "c0003", only=True) for _ in range(2))
    assert (first.count, first.left, second.count, second.left) == (1_000, True, 499, False)
    assert service.list_members("all").items == ("c0003",)


def test_a_customer_whose_row_has_no_room_stays_as_they_are_and_it_is_noted(service: Service) -> None:
    put(service, "acme", "bravo")
    for n in range(300):  # Each begins at an instant of its own, until a row has no room for more.
        join(service, f"s{n:03}", "acme", "bravo" if n > 50 else "acme")
        done = override(service, f"s{n:03}", n, starts_at=NEXT_WEEK_MS + n)
        if done.refused:
            break
    assert done.refused == ("acme",)
    assert n > 51
    assert [seats(service, one, NEXT_WEEK_MS + 999) for one in ("acme", "bravo")] == [n - 1, n]
    entry = service.audit(subject="acme").items[0]
    assert (entry.action, "take more room than a row has" in entry.reason) == ("refuse_segment", True)


def test_a_catalog_must_keep_the_features_of_exceptions(service: Service) -> None:
    document = {**CATALOG.document(), "features": {**CATALOG.document()["features"]}}
    document["features"]["beta"] = {"kind": "switch", "default": False}
    service.set_catalog(FakeCatalog(document), b"{}", "beta.json")
    join(service, "pilot")
    override(service, "pilot", True, feature="beta")
    with pytest.raises(errors.CatalogError, match=r"beta is gone but in .* an override of segment pilot"):
        service.set_catalog(FakeCatalog(), b"{}", "catalog.json")


def test_a_segment_is_moved_as_its_members(service: Service) -> None:
    put(service, "acme", "bravo", "charlie")
    join(service, "leaving", "acme", "charlie")
    moved = service.move(move_segment("leaving", destination("free")))
    assert ([one.customer for one in moved.moves], moved.after) == (["acme", "charlie"], None)
    assert [service.get_customer(one).plan for one in ("acme", "bravo", "charlie")] == ["free", "pro", "free"]
    with pytest.raises(errors.UnknownSegment):
        service.move(move_segment("nobody", destination("free")))


def test_segments_are_listed_in_pages_and_audited(service: Service) -> None:
    put(service, "acme")
    for n in range(3):
        service.put_members(put_members(f"s{n}", add=["acme"]), by=By("jo", "pilot"))
    override(service, "s1", 5, by=By("jo"), reason="more seats")
    first = service.list_segments(limit=2)
    rest = service.list_segments(first.cursor)
    assert [one.name for one in (*first.items, *rest.items)] == ["s0", "s1", "s2"]
    one = first.items[1]
    assert (one.members, one.reason, one.author) == (1, "pilot", "jo")
    assert [(each.feature, each.value, each.segment) for each in one.overrides] == [("seats", 5, "s1")]
    assert [(each.action, each.reason) for each in service.audit(subject="s1").items] == [
        ("put_segment_override", "more seats"),
        ("put_segment", "pilot"),
    ]


def test_with_a_key_an_exception_is_made_once(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    once = By(key="pilot")
    asked = put_segment_override("pilot", "seats", 100)
    first = service.ask(asked, once)
    service.remove_segment_override("pilot", "seats")
    assert service.ask(asked, once) == first == PartOfSegment(1, False)
    assert seats(service, "acme") == 25


def test_bad_requests_are_refused(service: Service) -> None:
    put(service, "acme")
    with pytest.raises(errors.UnknownCustomer):
        join(service, "pilot", "acme", "nobody")
    with pytest.raises(errors.UnknownSegment):
        override(service, "pilot", 5)
    join(service, "pilot", "acme")
    with pytest.raises(errors.WrongType):
        override(service, "pilot", "many")
    with pytest.raises(errors.UnknownFeature):
        override(service, "pilot", 1, feature="nothing")
    with pytest.raises(errors.InstantError):
        override(service, "pilot", 1, starts_at=5, expires_at=5)
    with pytest.raises(errors.RecordError, match="name them once"):
        put_members("pilot", add=["acme"], remove=["acme"])
    with pytest.raises(errors.RecordError, match="at most 1000"):
        put_members("pilot", add=[f"c{n}" for n in range(1_001)])
    with pytest.raises(errors.WrongType):
        put_members("pilot", add="acme")
    with pytest.raises(errors.NameInvalid):
        put_members("")
    assert service.remove_segment_override("pilot", "seats").count == 0
    assert seats(service, "acme") == 25


# What a record says is what the rules say of the exceptions that stand, after any changes in any order.

WINDOWS = st.sampled_from([(None, None), (None, 6), (3, None), (2, 5), (4, 8)])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just("override"), st.sampled_from(["own", "a", "b"]), st.integers(1, 99), WINDOWS),
        st.tuples(st.just("remove"), st.sampled_from(["own", "a", "b"])),
        st.tuples(st.just("delete"), st.sampled_from("ab")),
    ),
    max_size=15,
)


@examples(25)
@given(changes=CHANGES)
def test_a_record_says_what_the_rules_say(changes: Any) -> None:
    from fastcheck.hub.store.sqlite import SqliteStore

    store, clock = SqliteStore.in_memory(), ManualClock(MAY_2024_MS)
    service = Service(store, clock, parse)
    service.set_catalog(CATALOG, CATALOG.source(), "catalog.json")
    put(service, "acme")
    join(service, "a")
    join(service, "b")
    member: set[str] = set()
    made: dict[str, tuple[int, int, Any]] = {}  # who it is made for -> (when, value, window)

    def at(day: int | None) -> int | None:
        return None if day is None else MAY_2024_MS + 100 + day

    try:
        for number, change in enumerate(changes):
            clock.advance(1)
            what, of = change[:2]
            if what == "join":
                names = {"add": ["acme"]} if change[2] else {"remove": ["acme"]}
                service.put_members(put_members(of, **names))  # type: ignore[arg-type]
                member = member | {of} if change[2] else member - {of}
            elif what == "override":
                starts, ends = (at(one) for one in change[3])
                made[of] = (number, change[2], (starts, ends))
                if of == "own":
                    request = put_override("acme", "seats", change[2], starts_at=starts, expires_at=ends)
                    service.put_override(request)
                else:
                    override(service, of, change[2], starts_at=starts, expires_at=ends)
            elif what == "remove":
                made.pop(of, None)
                if of == "own":
                    service.remove_override("acme", "seats")
                else:
                    service.remove_segment_override(of, "seats")
            else:
                service.delete_segment(of)
                made.pop(of, None)
                member.discard(of)
                join(service, of)
            for instant in range(MAY_2024_MS + 100, MAY_2024_MS + 110):
                holding = [
                    (of == "own", number, value)
                    for of, (number, value, (starts, ends)) in made.items()
                    if of in {"own", *member}
                    and (starts is None or starts <= instant)
                    and (ends is None or instant < ends)
                ]
                assert seats(service, "acme", instant) == (max(holding)[2] if holding else 25)
    finally:
        store.close()


def test_the_record_leaves_out_what_can_never_count(service: Service) -> None:
    put(service, "acme")
    join(service, "pilot", "acme")
    override(service, "pilot", 100)
    service.put_override(put_override("acme", "seats", 7))
    record = unpack_record(b"".join(service.records()))
    assert record.overrides == (("seats", (3, 7), None, None),)
