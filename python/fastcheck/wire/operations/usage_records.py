"""Usage records: what hosts recorded of each use that names an event."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.wire.answers import Page
from fastcheck.wire.fields import Cursor, CustomerKey, FeatureName, InstantMs, Limit
from fastcheck.wire.operation import Operation, Request
from fastcheck.wire.shapes import UsageRecord


@dataclass(frozen=True)
class ListUsage(Request[Page[UsageRecord]]):
    """Usage records in the order they were stored. With filters a page may hold fewer than `limit` and still
    have a cursor."""

    cursor: Cursor | None = None
    limit: Limit = 100
    customer: CustomerKey | None = None
    """Only this one's: id or alias."""
    feature: FeatureName | None = None
    """Only of this one."""
    since: InstantMs | None = None
    """From this instant on."""
    until: InstantMs | None = None
    """Before this instant."""


OPERATIONS = (Operation(ListUsage, "GET", "/usage", "usage_records.read"),)
