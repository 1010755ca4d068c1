"""Parts of changes of segments: what changed for many members is brought to them a part at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from fastcheck.hub.service import Done, Service
from fastcheck.hub.use_cases.use_case import Concerns
from fastcheck.wire.operation import Asks, Request
from fastcheck.wire.operations.segments import (
    DeleteSegment,
    GoOnSegment,
    PatchSegment,
    PutSegment,
    PutSegmentOverride,
    RemoveSegmentOverride,
)
from fastcheck.wire.shapes import PartOfSegment

REFUSED_NAMED = 3
"""Customers named in a note to the operator."""
Begins = DeleteSegment | PutSegmentOverride | RemoveSegmentOverride
"""Changes of all members: what is done at once is the first part of them."""


class SegmentParts:
    """Remembers which segments have parts left, and which pools those concern: only leases of these pools are
    taken back. Parts are done in rounds, and by whoever asks to go on. The caller holds the publication."""

    def __init__(self, service: Service, ask: Asks, note: Callable[[str], None]) -> None:
        """`ask`: the owner, which asks back what a request concerns; `note` tells an operator something."""
        self._service: Final = service
        self._ask: Final = ask
        self._note: Final = note
        self._left: dict[str, frozenset[str] | None] = {}

    def find(self) -> None:
        """What a predecessor left undone, in whatever pools."""
        self._left = dict.fromkeys(self._service.segments_behind())

    def round(self) -> bool:
        """One part of what is left; whether there is more."""
        segment = next(iter(self._left), None)
        if segment is not None:
            self._ask(GoOnSegment(segment))
        return bool(self._left)

    def concerned(self, request: Request[Any], concerned: Concerns) -> Concerns:
        """Whose leases a request concerns, and the pools of what is left of an earlier change."""
        if isinstance(request, GoOnSegment) and request.segment in self._left:
            return replace(concerned, pools=self._left[request.segment])
        if isinstance(request, Begins):
            return replace(concerned, pools=self._widened(request.segment, concerned))
        return concerned

    def done(self, request: Request[Any], concerned: Concerns, done: Done[Any]) -> None:
        """Notes what is left after a part."""
        if not isinstance(request, (GoOnSegment, PutSegment, PatchSegment, Begins)):
            return
        part: PartOfSegment = done.answer
        if isinstance(request, (GoOnSegment, Begins)):
            if part.left:
                self._left[request.segment] = None if concerned.pools is None else frozenset(concerned.pools)
            elif part.count:
                self._left.pop(request.segment, None)
        refused = done.effects.refused
        if refused:
            some = ", ".join(refused[:REFUSED_NAMED])
            self._note(
                f"{len(refused)} customers could not take what segment {request.segment} gives ({some}): "
                "see the audit log for refuse_segment"
            )

    def _widened(self, segment: str, concerned: Concerns) -> frozenset[str] | None:
        earlier = self._left.get(segment, frozenset())
        if earlier is None or concerned.pools is None:
            return None
        return earlier | frozenset(concerned.pools)
