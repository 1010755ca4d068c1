"""The audit log, in pages."""

from __future__ import annotations

from typing import Any

from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.ledger.model import AMOUNT_MAX
from fastcheck.wire.answers import AuditEntry, Page
from fastcheck.wire.cursor import number_of
from fastcheck.wire.operations.audit import ListAudit
from fastcheck.wire.packing import unpack


def of(call: Call, request: ListAudit) -> Page[AuditEntry]:
    """Changes, newest first. Raises `RecordError` for a cursor that no page gave."""
    found = call.statements.audit_before(
        number_of(request.cursor, AMOUNT_MAX), request.subject, request.limit + 1
    )
    part = tuple(AuditEntry(*row[:6], _plain(row[6]), _plain(row[7])) for row in found[: request.limit])
    return Page(part, str(part[-1].number) if len(found) > request.limit else None)


def _plain(packed: bytes | None) -> dict[str, Any] | None:
    return None if packed is None else unpack(packed)


USE_CASES = (UseCase(ListAudit, of),)
