"""Segments and the exceptions made for them."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.errors import AmountError
from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import reports, segments
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.segments import Segmented
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.names import name
from fastcheck.wire.requests import PutOverride
from fastcheck.wire.segment_requests import MEMBERS_PER_REQUEST, PutMembers


class Segments(Core):
    """Customers who are treated alike. What changes for many is done in parts: `go_on_segment` while any is
    left."""

    def members_concerned(self, request: PutMembers) -> list[int]:
        """The numbers of those who come or go. Raises `UnknownCustomer`."""
        return self._read(lambda call: segments.concerned(call, request))

    def first_members(self, segment: str) -> list[int]:
        """The numbers of those whom the first part of a change of the segment is about. Raises
        `UnknownSegment`."""
        checked = name(segment, "segment")
        return self._read(lambda call: segments.members(call, checked, 0, MEMBERS_PER_REQUEST))

    def members_behind(self, segment: str) -> list[int]:
        """The numbers of those whom the next part is about."""
        return self._read(lambda call: segments.behind(call, segment, MEMBERS_PER_REQUEST))

    def segments_behind(self) -> list[str]:
        """Segments of which parts are left."""
        return self._read(lambda call: call.books.segments_behind())

    def features_of_segment(self, segment: str) -> list[str]:
        """The features that a segment makes exceptions for; none where there is no segment."""
        checked = name(segment, "segment")
        return self._read(lambda call: [one.feature for one in call.books.segment_overrides(checked)])

    def put_members(
        self, request: PutMembers, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> Segmented:
        """Lets customers in and takes others out; makes the segment. Raises `UnknownCustomer`."""
        return self._change(
            lambda call: segments.put_members(call, request, finals), by, "put_members", request
        )

    def delete_segment(self, segment: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY) -> Segmented:
        """Removes a segment and its exceptions. Raises `UnknownSegment`."""
        checked = name(segment, "segment")
        return self._change(
            lambda call: segments.delete(call, checked, finals), by, "delete_segment", checked
        )

    def put_segment_override(
        self, request: PutOverride, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> Segmented:
        """Makes an exception for every member, present and future. Raises `UnknownSegment`,
        `UnknownFeature`, `WrongType`."""
        return self._change(
            lambda call: segments.put_override(call, request, finals), by, "put_segment_override", request
        )

    def remove_segment_override(
        self, segment: str, feature: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> Segmented:
        """Ends an exception of a segment. Raises `UnknownSegment`."""
        key, checked = name(segment, "segment"), name(feature, "feature")
        return self._change(
            lambda call: segments.remove_override(call, key, checked, finals),
            by,
            "remove_segment_override",
            key,
            checked,
        )

    def go_on_segment(self, segment: str, *, finals: Sequence[Totals] = ()) -> Segmented:
        """Brings what changed to the next members. One whose account cannot take it is left as they were."""
        limit = MEMBERS_PER_REQUEST
        while limit:  # Ever fewer, down to the one that stands in the way.
            try:
                return self._go_on(segment, finals, limit)
            except AmountError:
                limit = limit // 4 if limit > 3 else limit - 1
        return self._go_on(segment, finals, 1, skip=True)

    def _go_on(self, segment: str, finals: Sequence[Totals], limit: int, *, skip: bool = False) -> Segmented:
        return self._run(lambda call: segments.go_on(call, segment, finals, limit, skip=skip))

    def get_segment(self, segment: str) -> Segment:
        """A segment with its exceptions. Raises `UnknownSegment`."""
        checked = name(segment, "segment")
        return self._read(lambda call: segments.shown(call, segments.known(call, checked)))

    def list_segments(self, cursor: str | None = None, limit: int = 100) -> Page[Segment]:
        """Segments in the order of their names."""
        count = reports.items(limit)
        return self._read(lambda call: segments.page(call, cursor, count))

    def list_members(self, segment: str, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """The ids of a segment's members. Raises `UnknownSegment`."""
        checked, count, after = name(segment, "segment"), reports.items(limit), reports.place(cursor, 0)
        return self._read(lambda call: segments.member_page(call, checked, after, count))
