"""Segments and the exceptions made for them. What changes for many members is done in parts: the hub goes on
by itself, and who wants to see the end asks to continue."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Change, Changes, ChangesTagged, Reads
from fastcheck.hub.http.api.bodies import (
    Body,
    Cursor,
    FeatureName,
    Limit,
    Name,
    SegmentName,
    instant_of,
    value_of,
)
from fastcheck.hub.http.api.customers import OverrideTerms
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.hub.service import Service
from fastcheck.hub.use_cases import preconditions
from fastcheck.hub.use_cases.segments import Segmented
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.segment_requests import MEMBERS_PER_REQUEST, put_members, put_segment_override
from fastcheck.wire.shapes import PartOfSegment

router = subject("segments")

Members = Annotated[list[Name], Field(max_length=MEMBERS_PER_REQUEST)]


class AllMembers(Body):
    """Who shall be in a segment; whoever else is leaves it."""

    customers: Members = Field(description="Ids or aliases; at most 1,000: add more with PATCH.")


class SomeMembers(Body):
    """Who comes and who goes; 1,000 customers together."""

    add: Members = Field(default_factory=list)
    remove: Members = Field(default_factory=list)


@router.get("/segments", **answers(Page[Segment]))
def list_segments(asked: Reads, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Segments in the order of their names."""
    return asked.answer(asked.service.list_segments(cursor, limit), Page[Segment])


@router.get("/segments/{segment:name}", **answers(Segment, single=True))
def get_segment(segment: SegmentName, asked: Reads) -> Response:
    """A segment, how many are in it, and its exceptions."""
    return asked.single(asked.service.get_segment(segment))


@router.put("/segments/{segment:name}", **answers(PartOfSegment, changes=True))
def put_segment(segment: SegmentName, body: AllMembers, change: ChangesTagged) -> Response:
    """Makes a segment of these customers."""
    request = put_members(segment, add=body.customers, only=True)
    return _part(change, _guarded(change, segment).put_members(request, by=change.by))


@router.patch("/segments/{segment:name}", **answers(PartOfSegment, changes=True))
def patch_segment(segment: SegmentName, body: SomeMembers, change: ChangesTagged) -> Response:
    """Lets customers in and takes others out; makes the segment where there is none."""
    request = put_members(segment, add=body.add, remove=body.remove)
    return _part(change, _guarded(change, segment).put_members(request, by=change.by))


@router.delete("/segments/{segment:name}", **answers(PartOfSegment, changes=True))
def delete_segment(segment: SegmentName, change: ChangesTagged) -> Response:
    """Removes a segment; its members lose its exceptions."""
    return _part(change, _guarded(change, segment).delete_segment(segment, by=change.by))


@router.post("/segments/{segment:name}/continuation", **answers(PartOfSegment, changes=True))
def go_on_segment(segment: SegmentName, change: Changes) -> Response:
    """Brings what changed to the next members; nothing where no part is left."""
    return _part(change, change.service.go_on_segment(segment))


@router.get("/segments/{segment:name}/members", **answers(Page[str]))
def list_members(segment: SegmentName, asked: Reads, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """The ids of a segment's members."""
    return asked.answer(asked.service.list_members(segment, cursor, limit), Page[str])


@router.put("/segments/{segment:name}/overrides/{feature:name}", **answers(PartOfSegment, changes=True))
def put_segment_override_terms(
    segment: SegmentName, feature: FeatureName, body: OverrideTerms, change: Changes
) -> Response:
    """Makes an exception for every member of a segment, present and future."""
    request = put_segment_override(
        segment,
        feature,
        value_of(body.value),
        starts_at=instant_of(body.starts_at, "starts_at"),
        expires_at=instant_of(body.expires_at, "expires_at"),
        reason=change.reason(body.reason),
    )
    return _part(change, change.service.put_segment_override(request, by=change.by))


@router.delete("/segments/{segment:name}/overrides/{feature:name}", **answers(PartOfSegment, changes=True))
def remove_segment_override(segment: SegmentName, feature: FeatureName, change: Changes) -> Response:
    """Ends an exception of a segment; `count` 0 where there was none."""
    return _part(change, change.service.remove_segment_override(segment, feature, by=change.by))


def _guarded(change: Change, segment: str) -> Service:
    if not change.conditional:
        return change.service
    return change.service.provided(preconditions.segment(segment, change.check))


def _part(change: Change, done: Segmented) -> Response:
    return change.done(PartOfSegment(done.count, done.left))
