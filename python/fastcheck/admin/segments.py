"""Segments: customers who are treated alike."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fastcheck.admin.base import AdminBase, cursor_of
from fastcheck.errors import WrongType
from fastcheck.wire import segment_requests as requests
from fastcheck.wire.answers import Page, Segment
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name
from fastcheck.wire.record import SettingValue
from fastcheck.wire.segment_requests import MEMBERS_PER_REQUEST, PutMembers


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
        coming, going = requests.keys(add, "add"), requests.keys(remove, "remove")
        if customers is None:
            parts = [
                *(requests.put_members(segment, add=one) for one in _parts(coming)),
                *(requests.put_members(segment, remove=one) for one in _parts(going)),
            ]
            if len(coming) + len(going) <= MEMBERS_PER_REQUEST:
                parts = [requests.put_members(segment, add=coming, remove=going)]
            return self._members(parts, reason)
        if coming or going:
            raise WrongType("name customers=[…], or add=[…] and remove=[…], not both")
        wanted = requests.keys(customers, "customers")
        if len(wanted) <= MEMBERS_PER_REQUEST:
            return self._members([requests.put_members(segment, add=wanted, only=True)], reason)
        count = self._members([requests.put_members(segment, add=one) for one in _parts(wanted)], reason)
        stay = {id for part in _parts(wanted) for id in self._call("ids_of", part)}
        gone = [one for one in self._all_members(segment) if one not in stay]
        return count + self._members(
            [requests.put_members(segment, remove=one) for one in _parts(gone)], reason, "remove"
        )

    def _members(self, parts: list[PutMembers], reason: str, what: str = "add") -> int:
        count = 0
        for place, part in enumerate(parts):
            left, turn = True, 0
            while left:
                done, left = self._call("put_members", part, self._by(reason, f"{what}/{place}/{turn}"))
                count, turn = count + done, turn + 1
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
        checked = name(segment, "segment")
        self._finish(checked, self._call("delete_segment", checked, self._by(reason)))

    def get_segment(self, segment: str) -> Segment:
        """A segment, how many are in it, and its exceptions. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["acme", "tiny"])
        2
        >>> ents.admin.get_segment("beta").members
        2
        """
        found: Segment = self._call("get_segment", name(segment, "segment"))
        return found

    def list_segments(self, cursor: str | None = None, limit: int = 100) -> Page[Segment]:
        """Segments in the order of their names; `page.cursor` asks for the rest.

        >>> ents.admin.put_segment("beta", ["acme"])
        1
        >>> [segment.name for segment in ents.admin.list_segments().items]
        ['beta']
        """
        found: Page[Segment] = self._call("list_segments", cursor_of(cursor), limit)
        return found

    def list_members(self, segment: str, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """The ids of a segment's members; `page.cursor` asks for the rest. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["acme", "tiny"])
        2
        >>> ents.admin.list_members("beta").items
        ('acme', 'tiny')
        """
        found: Page[str] = self._call("list_members", name(segment, "segment"), cursor_of(cursor), limit)
        return found

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
        request = requests.put_segment_override(
            segment, feature, value, starts_at=starts_at, expires_at=expires_at, reason=reason
        )
        self._finish(request.customer, self._call("put_segment_override", request, self._by()))

    def remove_segment_override(self, segment: str, feature: str, *, reason: str = "") -> bool:
        """Ends an exception of a segment; False if there was none. Raises `UnknownSegment`.

        >>> ents.admin.put_segment("beta", ["tiny"])
        1
        >>> ents.admin.put_segment_override("beta", "export", True)
        >>> ents.admin.remove_segment_override("beta", "export"), ents.check("tiny", "export")
        (True, False)
        """
        checked = name(segment, "segment")
        there, left = self._call(
            "remove_segment_override", checked, name(feature, "feature"), self._by(reason)
        )
        self._finish(checked, left)
        return bool(there)

    def _finish(self, segment: str, left: bool) -> None:
        while left:
            left = self._call("go_on_segment", segment)


def _parts(customers: list[str]) -> list[list[str]]:
    return [
        customers[start : start + MEMBERS_PER_REQUEST]
        for start in range(0, len(customers), MEMBERS_PER_REQUEST)
    ]
