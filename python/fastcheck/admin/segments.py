"""Segments: customers who are treated alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from fastcheck.admin.base import AdminBase
from fastcheck.errors import WrongType
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.by import ANYBODY
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.customers import ResolveCustomers
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
    keys,
)
from fastcheck.wire.record import SettingValue
from fastcheck.wire.shapes import PartOfSegment


class SegmentsAdmin(AdminBase):
    """Exceptions for many customers at once."""

    def put_segment(
        self,
        segment: str,
        customers: Iterable[str] | None = None,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        reason: str = "",
    ) -> int:
        """Makes a segment of these customers, or adds and removes some; how many came or went. Who comes gets
        the segment's exceptions at once, who goes loses them.

        All or none up to 1,000 customers; more in parts of 1,000. Raises `UnknownCustomer`, `WrongType`,
        `RecordError` (a customer both added and removed), `Conflict` (the segment is being deleted).

        >>> ents.admin.put_segment("beta", ["acme"])
        1
        >>> ents.admin.put_segment("beta", add=["tiny"], remove=["acme"], reason="next round")
        2
        >>> ents.admin.list_members("beta").items
        ('tiny',)
        """
        coming, going = keys(add, "add"), keys(remove, "remove")
        if customers is None:
            if len(coming) + len(going) <= MEMBERS_PER_REQUEST:
                return self._members([PatchSegment(segment, coming, going)], reason)
            parts = [
                *(PatchSegment(segment, add=one) for one in _parts(coming)),
                *(PatchSegment(segment, remove=one) for one in _parts(going)),
            ]
            return self._members(parts, reason)
        if coming or going:
            raise WrongType("name customers=[…], or add=[…] and remove=[…], not both")
        wanted = keys(customers, "customers")
        if len(wanted) <= MEMBERS_PER_REQUEST:
            return self._members([PutSegment(segment, wanted)], reason)
        count = self._members([PatchSegment(segment, add=one) for one in _parts(wanted)], reason)
        stay = {id for part in _parts(wanted) for id in self._ask(ResolveCustomers(part)).ids}
        gone = tuple(one for one in self._all_members(segment) if one not in stay)
        parts = [PatchSegment(segment, remove=one) for one in _parts(gone)]
        return count + self._members(parts, reason, "remove")

    def _members(self, parts: Sequence[PutSegment | PatchSegment], reason: str, what: str = "add") -> int:
        count = 0
        for place, part in enumerate(parts):
            left, turn = True, 0
            while left:
                done = self._ask(part, reason, f"{what}/{place}/{turn}")
                count, left, turn = count + done.count, done.left, turn + 1
        return count

    def _all_members(self, segment: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = self.list_members(segment, cursor, 1_000)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                return found

    def delete_segment(self, segment: str, *, reason: str = "") -> None:
        """Removes a segment; its members lose its exceptions. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["acme"])
        1
        >>> ents.admin.delete_segment("beta", reason="the beta is over")
        >>> ents.admin.list_segments().items
        ()
        """
        self._finish(segment, self._ask(DeleteSegment(segment), reason))

    def get_segment(self, segment: str) -> Segment:
        """A segment, how many are in it, and its exceptions. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["acme", "tiny"])
        2
        >>> ents.admin.get_segment("beta").members
        2
        """
        return self._ask(GetSegment(segment))

    def list_segments(self, cursor: str | None = None, limit: int = 100) -> Page[Segment]:
        """Segments in the order of their names; `page.cursor` asks for the rest.

        >>> ents.admin.put_segment("beta", ["acme"])
        1
        >>> [segment.name for segment in ents.admin.list_segments().items]
        ['beta']
        """
        return self._ask(ListSegments(cursor, limit))

    def list_members(self, segment: str, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """The ids of a segment's members; `page.cursor` asks for the rest. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["acme", "tiny"])
        2
        >>> ents.admin.list_members("beta").items
        ('acme', 'tiny')
        """
        return self._ask(ListMembers(segment, cursor, limit))

    def put_segment_override(
        self,
        segment: str,
        feature: str,
        value: SettingValue | Decimal,
        *,
        starts_at: Instant | None = None,
        expires_at: Instant | None = None,
        reason: str = "",
    ) -> None:
        """Makes an exception for every member of a segment, present and future; values as of `put_override`.
        One per feature and segment; another takes its place. With `starts_at` it begins by itself.

        A customer's own exception is stronger while it holds; of several segments', the newest is. Members
        are changed in parts of 1,000. Raises `UnknownSegment`, `UnknownFeature`, `WrongType`, `InstantError`.

        >>> ents.admin.put_segment("beta", ["tiny"])
        1
        >>> ents.admin.put_segment_override("beta", "export", True, reason="beta of the new export")
        >>> ents.check("tiny", "export")
        True
        >>> [(one.feature, one.segment) for one in ents.admin.list_overrides("tiny")]
        [('export', 'beta')]
        """
        starts, ends = at_ms(starts_at, "starts_at"), at_ms(expires_at, "expires_at")
        request = PutSegmentOverride(
            segment, feature, value=value, starts_at=starts, expires_at=ends, reason=reason
        )
        self._finish(segment, self._ask(request))

    def remove_segment_override(self, segment: str, feature: str, *, reason: str = "") -> bool:
        """Ends an exception of a segment; False if there was none. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["tiny"])
        1
        >>> ents.admin.put_segment_override("beta", "export", True)
        >>> ents.admin.remove_segment_override("beta", "export"), ents.check("tiny", "export")
        (True, False)
        """
        done = self._ask(RemoveSegmentOverride(segment, feature), reason)
        self._finish(segment, done)
        return done.count > 0

    def _finish(self, segment: str, part: PartOfSegment) -> None:
        """Does the parts that are left. No key goes with them: each is another change."""
        while part.left:
            part = self._answers(GoOnSegment(segment), ANYBODY)


def _parts(customers: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [
        customers[start : start + MEMBERS_PER_REQUEST]
        for start in range(0, len(customers), MEMBERS_PER_REQUEST)
    ]
