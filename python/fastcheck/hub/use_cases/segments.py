"""Segments: customers who are treated alike, and the exceptions made for them.

An exception of a segment stands in each member's record, so that checks know no segments and an exception
that begins next week begins without anybody's doing. What changes for many members is brought to them in
parts, in the order of their numbers; the segment's row says how far that is, so that whoever comes next goes
on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fastcheck.errors import AmountError, Conflict, RecordError, UnknownSegment
from fastcheck.hub.store.statements import StoredCustomer, StoredOverride, StoredSegment
from fastcheck.hub.use_cases.overrides import made, merged, seen
from fastcheck.hub.use_cases.overrides import summary as override_summary
from fastcheck.hub.use_cases.records import checked
from fastcheck.hub.use_cases.rewriting import put_records
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase, pools_of
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.cursor import number_of
from fastcheck.wire.operations.segments import (
    MEMBERS_PER_REQUEST,
    DeleteSegment,
    GetSegment,
    GoOnSegment,
    ListMembers,
    ListSegments,
    PatchSegment,
    PutSegment,
    PutSegmentOverride,
    RemoveSegmentOverride,
)
from fastcheck.wire.shapes import PartOfSegment

Who = tuple[Sequence[int], Sequence[int], bool]
"""(who comes, who goes, whether more are to go than one part takes)."""
FIRST_PLACE = 0
"""Members' numbers are greater."""


def members(call: Call, name: str, after: int, limit: int) -> list[int]:
    """Numbers of members. Raises `UnknownSegment`."""
    known(call, name)
    return [number for number, _ in call.statements.members_after(name, after, limit)]


def put(call: Call, request: PutSegment) -> PartOfSegment:
    """Lets customers in and takes all others out; makes the segment. Raises `UnknownCustomer`, `Conflict`."""
    return _put_members(call, request.segment, lambda: _members_alone(call, request))


def patch(call: Call, request: PatchSegment) -> PartOfSegment:
    """Lets customers in and takes others out; makes the segment. Raises `UnknownCustomer`, `Conflict`."""
    return _put_members(call, request.segment, lambda: _members_named(call, request))


def concerned_alone(call: Call, request: PutSegment) -> Concerns:
    """The customers who come or go, and the pools that the segment's exceptions are about."""
    coming, going, _ = _members_alone(call, request)
    return Concerns([*coming, *going], _pools(call, request.segment))


def concerned_named(call: Call, request: PatchSegment) -> Concerns:
    """The customers who come or go, and the pools that the segment's exceptions are about."""
    coming, going, _ = _members_named(call, request)
    return Concerns([*coming, *going], _pools(call, request.segment))


def first_part(call: Call, request: DeleteSegment) -> Concerns:
    """The first members, and the pools that the segment's exceptions are about. Raises `UnknownSegment`."""
    numbers = members(call, request.segment, FIRST_PLACE, MEMBERS_PER_REQUEST)
    return Concerns(numbers, _pools(call, request.segment))


def first_part_of_feature(call: Call, request: PutSegmentOverride | RemoveSegmentOverride) -> Concerns:
    """The first members, and the pool of the feature. Raises `UnknownSegment`."""
    numbers = members(call, request.segment, FIRST_PLACE, MEMBERS_PER_REQUEST)
    return Concerns(numbers, pools_of(call, [request.feature]))


def next_part(call: Call, request: GoOnSegment) -> Concerns:
    """The next members that are still to get what changed, and any pool: nobody notes which it was."""
    row = call.statements.segment(request.segment)
    if row is None or row.behind is None:
        return Concerns()
    part = call.statements.members_after(row.name, row.behind, MEMBERS_PER_REQUEST)
    return Concerns([number for number, _ in part])


def _pools(call: Call, segment: str) -> frozenset[str]:
    return pools_of(call, [one.feature for one in call.statements.segment_overrides(segment)])


def _put_members(call: Call, segment: str, who: Callable[[], Who]) -> PartOfSegment:
    """`who` is asked once nobody else changes the segment."""
    statements = call.statements
    row = statements.segment(segment, held=True)
    coming, going, left = who()
    statements.lock([*coming, *going, *(one.number for one in call.totals)])
    call.accounts().settle(call.totals)
    if row is None:
        statements.put_segment(StoredSegment(segment, call.by.reason, call.by.author, call.now))
    elif row.ending:
        raise Conflict(f"segment {segment!r:.80} is being deleted: try again in a moment")
    statements.add_members(segment, coming)
    statements.remove_members(segment, going)
    if row is None or coming or going:
        call.note("put_segment", segment, None, {"added": len(coming), "removed": len(going)})
    _rewrite(call, [*coming, *going])
    return PartOfSegment(len(coming) + len(going), left)


def delete(call: Call, request: DeleteSegment) -> PartOfSegment:
    """Takes everybody out and removes the segment. Raises `UnknownSegment`."""
    row = known(call, request.segment, held=True)
    call.note("delete_segment", row.name, {"members": call.statements.member_count(row.name)}, None)
    call.statements.remove_segment_override(row.name)
    call.statements.put_segment(replace(row, behind=FIRST_PLACE, ending=True))
    return _go_on(call, row.name, MEMBERS_PER_REQUEST)


def put_override(call: Call, request: PutSegmentOverride) -> PartOfSegment:
    """Makes an exception for every member. Raises `UnknownSegment`, `UnknownFeature`, `WrongType`."""
    row, one = known(call, request.segment, held=True), made(call, request.feature, request)
    before = _override(call, row.name, request.feature)
    call.statements.put_segment_override(row.name, one)
    was = None if before is None else override_summary(before)
    call.note("put_segment_override", row.name, was, override_summary(one), reason=request.reason)
    call.statements.put_segment(replace(row, behind=FIRST_PLACE))
    return _go_on(call, row.name, MEMBERS_PER_REQUEST)


def remove_override(call: Call, request: RemoveSegmentOverride) -> PartOfSegment:
    """Ends an exception of a segment. Raises `UnknownSegment`."""
    row = known(call, request.segment, held=True)
    before = _override(call, row.name, request.feature)
    if before is None:
        call.accounts().settle(call.totals)
        return PartOfSegment(0, False)
    call.statements.remove_segment_override(row.name, request.feature)
    call.note("remove_segment_override", row.name, override_summary(before), None)
    call.statements.put_segment(replace(row, behind=FIRST_PLACE))
    return _go_on(call, row.name, MEMBERS_PER_REQUEST)


def go_on(call: Call, request: GoOnSegment) -> PartOfSegment:
    """Brings what changed to the next members. One whose account cannot take it is left as they were."""
    limit = MEMBERS_PER_REQUEST
    while limit:  # Ever fewer, down to the one that stands in the way.
        try:
            with call.attempt():
                return _go_on(call, request.segment, limit)
        except AmountError:
            limit = limit // 4 if limit > 3 else limit - 1
    return _go_on(call, request.segment, 1, skip=True)


def _go_on(call: Call, name: str, limit: int, *, skip: bool = False) -> PartOfSegment:
    """`skip`: leaves the next members as they are."""
    row = call.statements.segment(name, held=True)
    part = [] if row is None or row.behind is None else call.statements.members_after(name, row.behind, limit)
    call.statements.lock([*(number for number, _ in part), *(one.number for one in call.totals)])
    call.accounts().settle(call.totals)
    if row is None or row.behind is None:
        return PartOfSegment(1, False)
    if skip:
        for _, id in part:
            _refuse(call, id, {"segment": name}, "their account cannot take it")
    else:
        _rewrite(call, [number for number, _ in part])
    left = len(part) == limit
    if left:
        call.statements.put_segment(replace(row, behind=part[-1][0]))
    elif row.ending:
        call.statements.drop_segment(name)
    else:
        call.statements.put_segment(replace(row, behind=None))
    return PartOfSegment(1, left)


def get(call: Call, request: GetSegment) -> Segment:
    """A segment. Raises `UnknownSegment`."""
    return shown(call, known(call, request.segment))


def current(call: Call, request: PutSegment | PatchSegment | DeleteSegment) -> Segment | None:
    """The segment as it is held for a change; None where there is none."""
    row = call.statements.segment(request.segment, held=True)
    return None if row is None or row.ending else shown(call, row)


def shown(call: Call, row: StoredSegment) -> Segment:
    """A segment as callers see it."""
    overrides = tuple(seen(call, one, "", row.name) for one in call.statements.segment_overrides(row.name))
    count = call.statements.member_count(row.name)
    return Segment(row.name, count, overrides, row.reason, row.author, row.created_at)


def page(call: Call, request: ListSegments) -> Page[Segment]:
    """Segments in the order of their names."""
    found = call.statements.segments_after(request.cursor or "", request.limit + 1)
    part = found[: request.limit]
    return Page(
        tuple(shown(call, row) for row in part if not row.ending),
        part[-1].name if len(found) > request.limit else None,
    )


def member_page(call: Call, request: ListMembers) -> Page[str]:
    """Members' ids, in the order of their numbers. Raises `UnknownSegment`, `RecordError`."""
    known(call, request.segment)
    after, count = number_of(request.cursor, FIRST_PLACE), request.limit
    found = call.statements.members_after(request.segment, after, count + 1)
    part = tuple(id for _, id in found[:count])
    return Page(part, str(found[count - 1][0]) if len(found) > count else None)


def known(call: Call, name: str, *, held: bool = False) -> StoredSegment:
    """A segment; `held`: nobody else changes it until the transaction ends. Raises `UnknownSegment`."""
    row = call.statements.segment(name, held=held)
    if row is None or row.ending:
        raise UnknownSegment(f"there is no segment {name!r:.80}: make it with put_segment")
    return row


def _members_named(call: Call, request: PatchSegment) -> Who:
    asked = list(dict.fromkeys(call.number(one) for one in request.add))
    named = list(dict.fromkeys(call.number(one) for one in request.remove))
    here = call.statements.members_among(request.segment, [*asked, *named])
    return [one for one in asked if one not in here], [one for one in named if one in here], False


def _members_alone(call: Call, request: PutSegment) -> Who:
    asked = list(dict.fromkeys(call.number(one) for one in request.customers))
    here = call.statements.members_among(request.segment, asked)
    stay, going, after = set(asked), list[int](), FIRST_PLACE
    while len(going) <= MEMBERS_PER_REQUEST:
        part = call.statements.members_after(request.segment, after, MEMBERS_PER_REQUEST)
        going += [number for number, _ in part if number not in stay]
        if len(part) < MEMBERS_PER_REQUEST:
            break
        after = part[-1][0]
    left = len(going) > MEMBERS_PER_REQUEST
    return [one for one in asked if one not in here], going[:MEMBERS_PER_REQUEST], left


def _rewrite(call: Call, numbers: Sequence[int]) -> None:
    """Brings customers' records up to their overrides. Records without room for them stay as they are."""
    records: list[tuple[StoredCustomer, StoredCustomer, int]] = []
    for number in numbers:
        stored = call.statements.customer(number)
        overrides = merged(call, number)
        if stored.record.deleted or overrides == stored.record.overrides:
            continue
        try:
            new = checked(call, replace(stored.record, overrides=overrides), stored.since)
        except RecordError as error:
            _refuse(call, stored.record.id, None, str(error))
        else:
            records.append((stored, new, call.now))
    put_records(call, records)


def _refuse(call: Call, id: str, after: dict[str, str] | None, why: str) -> None:
    call.note("refuse_segment", id, None, after, reason=why)
    call.effects.refused += (id,)


def _override(call: Call, name: str, feature: str) -> StoredOverride | None:
    return next((one for one in call.statements.segment_overrides(name) if one.feature == feature), None)


USE_CASES = (
    UseCase(PutSegment, put, concerned_alone, current),
    UseCase(PatchSegment, patch, concerned_named, current),
    UseCase(DeleteSegment, delete, first_part, current),
    UseCase(GoOnSegment, go_on, next_part),
    UseCase(PutSegmentOverride, put_override, first_part_of_feature),
    UseCase(RemoveSegmentOverride, remove_override, first_part_of_feature),
    UseCase(GetSegment, get),
    UseCase(ListSegments, page),
    UseCase(ListMembers, member_page),
)
