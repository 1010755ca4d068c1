"""The audit log."""

from __future__ import annotations

from fastcheck.admin.base import AdminBase
from fastcheck.wire.answers import AuditEntry, Page
from fastcheck.wire.operations.audit import ListAudit


class AuditAdmin(AdminBase):
    """What was changed."""

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Who changed what, when and why, newest first; `subject`: one customer's id.

        >>> [entry.action for entry in ents.admin.audit(subject="acme").items]
        ['grant', 'put_customer']
        """
        return self._ask(ListAudit(cursor, limit, subject))
