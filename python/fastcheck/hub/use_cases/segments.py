"""Segments: customers who are treated alike, and the exceptions made for them.

An exception of a segment stands in each member's record, so that checks know no segments and an exception
that begins next week begins without anybody's doing. What changes for many members is brought to them in
parts, in the order of their numbers; the segment's row says how far that is, so that whoever comes next goes
on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastcheck.errors import Conflict, RecordError, UnknownSegment
from fastcheck.hub.store.statements import StoredCustomer, StoredOverride, StoredSegment
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.customers import put_records
from fastcheck.hub.use_cases.overrides import merged, seen
from fastcheck.hub.use_cases.overrides import summary as override_summary
from fastcheck.hub.use_cases.records import checked
from fastcheck.hub.use_cases.settings import feature_of, taken
from fastcheck.hub.use_cases.transaction import Call, Changed
from fastcheck.wire.answers import Page, Segment, travels
from fastcheck.wire.requests import PutOverride
from fastcheck.wire.segment_requests import MEMBERS_PER_REQUEST, PutMembers


@travels
@dataclass(frozen=True)
class Segmented:
    """What one part of a change of a segment did."""

    changed: tuple[Changed, ...]
    count: int
    """Members that came or went; of an exception, 1 where it changed."""
    left: bool
    """Whether there are more parts."""
    refused: tuple[str, ...] = ()
    """Customers whose record could not take the exception; they are left as they were."""


def members(call: Call, name: str, after: int, limit: int) -> list[int]:
    """Numbers of members. Raises `UnknownSegment`."""
    known(call, name)
    return [number for number, _ in call.books.members_after(name, after, limit)]


def behind(call: Call, name: str, limit: int) -> list[int]:
    """The next members that are still to get what changed."""
    row = call.books.segment(name)
    if row is None or row.behind is None:
        return []
    return [number for number, _ in call.books.members_after(name, row.behind, limit)]


def concerned(call: Call, request: PutMembers) -> list[int]:
    """The numbers of the customers whom a request lets in or takes out."""
    coming, going = _who(call, request)[:2]
    return [*coming, *going]


def put_members(call: Call, request: PutMembers, finals: Sequence[Totals]) -> Segmented:
    """Lets customers in and takes others out; makes the segment. Raises `UnknownCustomer`, `Conflict`."""
    books = call.books
    row = books.segment(request.segment, held=True)
    coming, going, left = _who(call, request)
    books.lock([*coming, *going, *(one.number for one in finals)])
    call.accounts().settle(finals)
    if row is None:
        books.put_segment(StoredSegment(request.segment, call.by.reason, call.by.author, call.now))
    elif row.ending:
        raise Conflict(f"segment {request.segment!r:.80} is being deleted: try again in a moment")
    books.add_members(request.segment, coming)
    books.remove_members(request.segment, going)
    if row is None or coming or going:
        after = {"added": len(coming), "removed": len(going)}
        call.note("put_segment", request.segment, None, after)
    changed, refused = _rewrite(call, [*coming, *going])
    return Segmented(tuple(changed), len(coming) + len(going), left, tuple(refused))


def delete(call: Call, name: str, finals: Sequence[Totals]) -> Segmented:
    """Takes everybody out and removes the segment. Raises `UnknownSegment`."""
    row = known(call, name, held=True)
    call.note("delete_segment", name, {"members": call.books.member_count(name)}, None)
    call.books.remove_segment_override(name)
    call.books.put_segment(replace(row, behind=0, ending=True))
    return go_on(call, name, finals)


def put_override(call: Call, request: PutOverride, finals: Sequence[Totals]) -> Segmented:
    """Makes an exception for every member. Raises `UnknownSegment`, `UnknownFeature`, `WrongType`."""
    row, feature = known(call, request.customer, held=True), feature_of(call.product, request.feature)
    one = StoredOverride(
        request.feature,
        taken(call.product, request.value, feature),
        request.starts_at,
        request.expires_at,
        request.reason,
        call.by.author,
        call.now,
    )
    before = _override(call, row.name, request.feature)
    call.books.put_segment_override(row.name, one)
    was = None if before is None else override_summary(before)
    call.note("put_segment_override", row.name, was, override_summary(one), reason=request.reason)
    call.books.put_segment(replace(row, behind=0))
    return go_on(call, row.name, finals)


def remove_override(call: Call, name: str, feature: str, finals: Sequence[Totals]) -> Segmented:
    """Ends an exception of a segment. Raises `UnknownSegment`."""
    row, before = known(call, name, held=True), _override(call, name, feature)
    if before is None:
        call.accounts().settle(finals)
        return Segmented((), 0, False)
    call.books.remove_segment_override(name, feature)
    call.note("remove_segment_override", name, override_summary(before), None)
    call.books.put_segment(replace(row, behind=0))
    return go_on(call, name, finals)


def go_on(
    call: Call, name: str, finals: Sequence[Totals], limit: int = MEMBERS_PER_REQUEST, *, skip: bool = False
) -> Segmented:
    """Brings what changed to the next members; `skip`: leaves them as they are."""
    row = call.books.segment(name, held=True)
    part = [] if row is None or row.behind is None else call.books.members_after(name, row.behind, limit)
    call.books.lock([*(number for number, _ in part), *(one.number for one in finals)])
    call.accounts().settle(finals)
    if row is None or row.behind is None:
        return Segmented((), 1, False)
    changed: list[Changed] = []
    if skip:
        refused = [id for _, id in part]
        for id in refused:
            why = "their account cannot take it"
            call.note("refuse_segment", id, None, {"segment": name}, reason=why)
    else:
        changed, refused = _rewrite(call, [number for number, _ in part])
    left = len(part) == limit
    if left:
        call.books.put_segment(replace(row, behind=part[-1][0]))
    elif row.ending:
        call.books.drop_segment(name)
    else:
        call.books.put_segment(replace(row, behind=None))
    return Segmented(tuple(changed), 1, left, tuple(refused))


def shown(call: Call, row: StoredSegment) -> Segment:
    """A segment as callers see it."""
    overrides = tuple(seen(call, one, "", row.name) for one in call.books.segment_overrides(row.name))
    count = call.books.member_count(row.name)
    return Segment(row.name, count, overrides, row.reason, row.author, row.created_at)


def page(call: Call, cursor: str | None, count: int) -> Page[Segment]:
    """Segments in the order of their names."""
    found = call.books.segments_after(cursor or "", count + 1)
    part = found[:count]
    return Page(
        tuple(shown(call, row) for row in part if not row.ending),
        part[-1].name if len(found) > count else None,
    )


def member_page(call: Call, name: str, after: int, count: int) -> Page[str]:
    """Members' ids, in the order of their numbers. Raises `UnknownSegment`."""
    known(call, name)
    found = call.books.members_after(name, after, count + 1)
    part = tuple(id for _, id in found[:count])
    return Page(part, str(found[count - 1][0]) if len(found) > count else None)


def known(call: Call, name: str, *, held: bool = False) -> StoredSegment:
    """A segment; `held`: nobody else changes it until the transaction ends. Raises `UnknownSegment`."""
    row = call.books.segment(name, held=held)
    if row is None or row.ending:
        raise UnknownSegment(f"there is no segment {name!r:.80}: make it with put_segment")
    return row


def _who(call: Call, request: PutMembers) -> tuple[list[int], list[int], bool]:
    """(who comes, who goes, whether more go than one part takes)."""
    asked = list(dict.fromkeys(call.number(one) for one in request.add))
    named = [call.number(one) for one in request.remove]
    here = call.books.members_among(request.segment, [*asked, *named])
    coming = [number for number in asked if number not in here]
    going = [number for number in dict.fromkeys(named) if number in here]
    left = False
    if request.only:
        stay, after = set(asked), 0
        while len(going) <= MEMBERS_PER_REQUEST:
            part = call.books.members_after(request.segment, after, MEMBERS_PER_REQUEST)
            going += [number for number, _ in part if number not in stay]
            if len(part) < MEMBERS_PER_REQUEST:
                break
            after = part[-1][0]
        left = len(going) > MEMBERS_PER_REQUEST
        going = going[:MEMBERS_PER_REQUEST]
    return coming, going, left


def _rewrite(call: Call, numbers: Sequence[int]) -> tuple[list[Changed], list[str]]:
    """Brings customers' records up to their overrides; (what changed, whose record has no room)."""
    records: list[tuple[StoredCustomer, StoredCustomer, int]] = []
    refused: list[str] = []
    for number in numbers:
        stored = call.books.customer(number)
        overrides = merged(call, number)
        if stored.record.deleted or overrides == stored.record.overrides:
            continue
        try:
            new = checked(call, replace(stored.record, overrides=overrides), stored.since)
        except RecordError as error:
            call.note("refuse_segment", stored.record.id, None, None, reason=str(error))
            refused.append(stored.record.id)
        else:
            records.append((stored, new, call.now))
    return put_records(call, records), refused


def _override(call: Call, name: str, feature: str) -> StoredOverride | None:
    return next((one for one in call.books.segment_overrides(name) if one.feature == feature), None)
