"""Segments: customers who are treated alike. What changes for many members is done in parts: the hub goes on
by itself, and a caller who wants to see the end asks to continue while parts are left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastcheck.errors import RecordError, WrongType
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.fields import Cursor, FeatureName, Kind, Limit, Name, SegmentName
from fastcheck.wire.names import name
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.operations.overrides import OverrideTerms
from fastcheck.wire.shapes import PartOfSegment

MEMBERS_PER_REQUEST: Final = 1_000
"""Customers of one request, which is one transaction."""


def keys(customers: Any, what: str) -> tuple[str, ...]:
    """Customers' ids or aliases, each once. Raises `WrongType`, `NameInvalid`."""
    if isinstance(customers, str) or not isinstance(customers, Iterable):
        raise WrongType(f"{what} must be a list of str, not one {type(customers).__name__}")
    return tuple(dict.fromkeys(name(one, "customer") for one in customers))


def _few(count: int) -> None:
    if count > MEMBERS_PER_REQUEST:
        raise RecordError(f"{count} customers in one request, at most {MEMBERS_PER_REQUEST}")


Members = Annotated[tuple[Name, ...], Kind(keys, schema={"maxItems": MEMBERS_PER_REQUEST})]


@dataclass(frozen=True)
class PutSegment(Request[PartOfSegment]):
    """Makes a segment of these customers; members who are not named leave it. Where more than 1,000 are to
    leave, that many do: `left` says to ask again."""

    segment: SegmentName
    customers: Members
    """Ids or aliases; at most 1,000: add more with PATCH."""

    def agree(self) -> None:
        _few(len(self.customers))


@dataclass(frozen=True)
class PatchSegment(Request[PartOfSegment]):
    """Lets customers in and takes others out, 1,000 together; makes the segment where there is none."""

    segment: SegmentName
    add: Members = ()
    remove: Members = ()

    def agree(self) -> None:
        coming = set(self.add)
        for one in self.remove:
            if one in coming:
                raise RecordError(f"customer {one!r:.80} is to be added and removed: name them once")
        _few(len(self.add) + len(self.remove))


@dataclass(frozen=True)
class DeleteSegment(Request[PartOfSegment]):
    """Removes a segment; its members lose its exceptions."""

    segment: SegmentName


@dataclass(frozen=True)
class GoOnSegment(Request[PartOfSegment]):
    """Brings what changed to the next members; nothing where no part is left."""

    segment: SegmentName


@dataclass(frozen=True)
class GetSegment(Request[Segment]):
    """A segment, how many are in it, and its exceptions."""

    segment: SegmentName


@dataclass(frozen=True)
class ListSegments(Request[Page[Segment]]):
    """Segments in the order of their names."""

    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class ListMembers(Request[Page[str]]):
    """The ids of a segment's members."""

    segment: SegmentName
    cursor: Cursor | None = None
    limit: Limit = 100


@dataclass(frozen=True)
class PutSegmentOverride(OverrideTerms, Request[PartOfSegment]):
    """Makes an exception for every member of a segment, present and future."""

    segment: SegmentName
    feature: FeatureName


@dataclass(frozen=True)
class RemoveSegmentOverride(Request[PartOfSegment]):
    """Ends an exception of a segment; `count` 0 where there was none."""

    segment: SegmentName
    feature: FeatureName


_ONE = "/segments/{segment}"
_OVERRIDE = "/segments/{segment}/overrides/{feature}"
_CHANGES = ("segments.write", Touches.PUBLISHES, Repeat.KEYED)

OPERATIONS = (
    Operation(ListSegments, "GET", "/segments", "segments.read"),
    Operation(GetSegment, "GET", _ONE, "segments.read", tagged=True),
    Operation(PutSegment, "PUT", _ONE, *_CHANGES, tag_of=GetSegment),
    Operation(PatchSegment, "PATCH", _ONE, *_CHANGES, tag_of=GetSegment),
    Operation(DeleteSegment, "DELETE", _ONE, *_CHANGES, tag_of=GetSegment),
    Operation(GoOnSegment, "POST", f"{_ONE}/continuation", "segments.write", Touches.PUBLISHES, Repeat.NAMES),
    Operation(ListMembers, "GET", f"{_ONE}/members", "segments.read"),
    Operation(PutSegmentOverride, "PUT", _OVERRIDE, *_CHANGES),
    Operation(RemoveSegmentOverride, "DELETE", _OVERRIDE, *_CHANGES),
)
