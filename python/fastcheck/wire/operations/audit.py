"""The audit log: who changed what, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.wire.answers import AuditEntry, Page
from fastcheck.wire.fields import Cursor, Kind, Limit
from fastcheck.wire.names import REASON_BYTES_MAX, note
from fastcheck.wire.operation import Operation, Request


@dataclass(frozen=True)
class ListAudit(Request[Page[AuditEntry]]):
    """Who changed what, when and why, newest first."""

    cursor: Cursor | None = None
    limit: Limit = 100
    subject: Annotated[str, Kind(note, schema={"maxLength": REASON_BYTES_MAX})] | None = None
    """One customer's id; empty: changes that concern no one of them."""


OPERATIONS = (Operation(ListAudit, "GET", "/audit", "audit.read"),)
