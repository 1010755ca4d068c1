"""Segments: exceptions for many customers, brought to them in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastcheck.host.embedded.plan_changes import Moves
from fastcheck.hub.service import Totals
from fastcheck.hub.use_cases.segments import Segmented
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.requests import PutOverride
from fastcheck.wire.segment_requests import PutMembers

REFUSED_NAMED = 3
"""Customers named in a note to the operator."""


class Segments(Moves):
    """Brings what changed to the members, with the cells of the pools it concerns closed before. Each part is
    a change of its own; parts that are left are done in rounds, and by whoever calls `go_on_segment`."""

    _parts_left: dict[str, frozenset[str] | None]
    """Segments of which parts are left -> the pools that the change concerns; None: any."""

    def put_members(self, request: PutMembers, by: By = ANYBODY) -> tuple[int, bool]:
        """Lets customers in and takes others out; (how many, whether more are to go)."""
        with self._publication():
            pools = self._pools_concerned(request.segment)
            numbers = self._service.members_concerned(request)
            done = self._part(
                request.segment,
                numbers,
                pools,
                lambda finals: self._service.put_members(request, finals=finals, by=by),
            )
        return done.count, done.left

    def delete_segment(self, segment: str, by: By = ANYBODY) -> bool:
        """Removes a segment; whether parts are left."""
        with self._publication():
            return self._begin(
                segment,
                self._pools_concerned(segment),
                lambda finals: self._service.delete_segment(segment, finals=finals, by=by),
            ).left

    def put_segment_override(self, request: PutOverride, by: By = ANYBODY) -> bool:
        """Makes an exception for every member; whether parts are left."""
        with self._publication():
            return self._begin(
                request.customer,
                frozenset([self._pool_of(request.feature)]),
                lambda finals: self._service.put_segment_override(request, finals=finals, by=by),
            ).left

    def remove_segment_override(self, segment: str, feature: str, by: By = ANYBODY) -> tuple[bool, bool]:
        """Ends an exception of a segment; (whether there was one, whether parts are left)."""
        with self._publication():
            done = self._begin(
                segment,
                frozenset([self._pool_of(feature)]),
                lambda finals: self._service.remove_segment_override(segment, feature, finals=finals, by=by),
            )
        return done.count > 0, done.left

    def go_on_segment(self, segment: str) -> bool:
        """One more part; whether more are left."""
        with self._publication():
            if segment not in self._parts_left:
                return False
            pools = self._parts_left[segment]
            numbers = self._service.members_behind(segment)
            done = self._part(
                segment, numbers, pools, lambda finals: self._service.go_on_segment(segment, finals=finals)
            )
            if not done.left:
                del self._parts_left[segment]
            return done.left

    def _segments_round(self) -> None:
        """One part of what is left."""
        for segment in list(self._parts_left)[:1]:
            self.go_on_segment(segment)

    def _find_parts_left(self) -> None:
        """What a predecessor left undone."""
        self._parts_left = dict.fromkeys(self._service.segments_behind())

    def _begin(
        self, segment: str, pools: frozenset[str], change: Callable[[Sequence[Totals]], Segmented]
    ) -> Segmented:
        """The first part of a change of all members. What is left of an earlier change comes with it."""
        wider = self._parts_left.get(segment, frozenset())
        both = None if wider is None else wider | pools
        done = self._part(segment, self._service.first_members(segment), both, change)
        if done.left:
            self._parts_left[segment] = both
        elif done.count:
            self._parts_left.pop(segment, None)
        return done

    def _part(
        self,
        segment: str,
        numbers: Sequence[int],
        pools: frozenset[str] | None,
        change: Callable[[Sequence[Totals]], Segmented],
    ) -> Segmented:
        with self._stripes.hold(numbers):
            held = (key for number in numbers for key in self._keys_of(number))
            keys = [key for key in held if pools is None or key[1] in pools]
            finals = self._close(keys)
            try:
                done = change(finals)
                self._publish(done.changed, "customer_changed")
            finally:
                if keys:
                    self._reopen(keys, finals)
        if done.refused:
            some = ", ".join(done.refused[:REFUSED_NAMED])
            self._note(
                f"{len(done.refused)} customers could not take what segment {segment} gives ({some}): "
                "see the audit log for refuse_segment"
            )
        return done

    def _pools_concerned(self, segment: str) -> frozenset[str]:
        return frozenset(self._pool_of(one) for one in self._service.features_of_segment(segment))
