"""What is read in pages: usage records and the audit log."""

from __future__ import annotations

from typing import Any

from fastcheck.errors import RecordError
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.answers import AuditEntry, Page
from fastcheck.wire.packing import unpack

PAGE_ITEMS_MAX = 1_000


def items(limit: int) -> int:
    """How many items a page shall have. Raises `RecordError`."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE_ITEMS_MAX:
        raise RecordError(f"limit must be an int from 1 to {PAGE_ITEMS_MAX}")
    return limit


def place(cursor: str | None, first: int) -> int:
    """Where a page of numbered items begins. Raises `RecordError`."""
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RecordError("cursor must be one that an earlier page gave")
    return int(cursor)


def usage(
    call: Call, after: int, count: int, customer: str | None, feature: str | None, since: int, until: int
) -> Page[tuple[int, str, str, str, int, Any]]:
    """Usage records in the order in which they were stored; `customer`: an id or alias, also of one who was
    deleted."""
    if customer is not None:
        number = call.books.number_of(customer)
        customer = customer if number is None else call.books.customer(number).record.id
    found, last = call.books.usage_within(after, count, customer, feature, since, until)
    part = tuple((*row[1:6], unpack(row[6])) for row in found)
    return Page(part, None if last is None else str(last))


def audit(call: Call, below: int, subject: str | None, count: int) -> Page[AuditEntry]:
    """Changes, newest first."""
    found = call.books.audit_before(below, subject, count + 1)
    part = tuple(AuditEntry(*row[:6], _plain(row[6]), _plain(row[7])) for row in found[:count])
    return Page(part, str(part[-1].number) if len(found) > count else None)


def _plain(packed: bytes | None) -> dict[str, Any] | None:
    return None if packed is None else unpack(packed)
