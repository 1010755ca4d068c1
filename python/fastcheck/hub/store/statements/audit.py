"""The audit log: who did what to what, and why."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select

from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import audit
from fastcheck.wire.packing import pack

_PUT = insert(audit).inline()
_BEFORE = (
    select(
        audit.c.number,
        audit.c.at,
        audit.c.author,
        audit.c.action,
        audit.c.subject,
        audit.c.reason,
        audit.c.before,
        audit.c.after,
    )
    .where(audit.c.number < bindparam("below"))
    .order_by(audit.c.number.desc())
    .limit(bindparam("count"))
)
_BEFORE_OF = _BEFORE.where(audit.c.subject == bindparam("about"))


class Audit(Subject):
    """The audit log."""

    def put_audit(
        self, at: int, author: str, action: str, subject: str, reason: str, before: object, after: object
    ) -> None:
        """Notes a change."""
        self._db.execute(
            _PUT,
            {
                "at": at,
                "author": author,
                "action": action,
                "subject": subject,
                "reason": reason,
                "before": None if before is None else pack(before),
                "after": None if after is None else pack(after),
            },
        )

    def audit_before(
        self, number: int, subject: str | None, limit: int
    ) -> list[tuple[int, int, str, str, str, str, bytes | None, bytes | None]]:
        """Changes, newest first, numbers below `number`."""
        asked: dict[str, object] = {"below": number, "count": limit}
        if subject is None:
            found = self._db.execute(_BEFORE, asked)
        else:
            found = self._db.execute(_BEFORE_OF, {**asked, "about": subject})
        return [tuple(row) for row in found]
