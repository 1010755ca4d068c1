"""The catalog, the audit log, usage records."""

from __future__ import annotations

from typing import Any

from fastcheck.admin.base import AdminBase
from fastcheck.errors import WrongType
from fastcheck.wire.answers import AuditEntry, Page
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.audit import ListAudit
from fastcheck.wire.operations.epochs import BeginEpoch
from fastcheck.wire.operations.usage_records import ListUsage


class RecordsAdmin(AdminBase):
    """What is sold, what was changed, what was used."""

    def set_catalog(self, source: bytes | str, *, filename: str = "<catalog>", reason: str = "") -> bool:
        """Puts a catalog (its text) in force in every process; False if it was already. Raises `CatalogError`
        for mistakes, and for what customers use that it would take away.

        >>> source = open("catalog.yaml").read()
        >>> ents.admin.set_catalog(source.replace("seats: 25", "seats: 30"), filename="catalog.yaml")
        True
        >>> ents.limit("acme", "seats")
        30
        """
        if not isinstance(source, (bytes, str)):
            raise WrongType(f"a catalog is text or bytes, not {type(source).__name__}")
        data = source.encode("utf-8", "replace") if isinstance(source, str) else source
        return bool(self._call("set_catalog", data, filename, self._by(reason)))

    def restored(self, *, reason: str) -> int:
        """Says that an older backup was put in the ledger's place, where fastcheck cannot notice it because
        the mapped files are gone as well; otherwise it does this by itself. Every lease is closed and booked,
        a new epoch begins, and the audit log says so. The new epoch.

        >>> epoch = ents.admin.restored(reason="the disk died; back to the backup of 02:00")
        >>> ents.admin.audit(limit=1).items[0].action
        'ledger_restored'
        >>> ents.consume("acme", "gpt-4o", 12)
        True
        """
        return int(self._ask(BeginEpoch(reason), reason).epoch)

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Who changed what, when and why, newest first; `subject`: one customer's id.

        >>> [entry.action for entry in ents.admin.audit(subject="acme").items]
        ['grant', 'put_customer']
        """
        return self._ask(ListAudit(cursor, limit, subject))

    def list_usage(
        self,
        cursor: str | None = None,
        limit: int = 100,
        *,
        customer: str | None = None,
        feature: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Page[tuple[int, str, str, str, int, Any]]:
        """Usage records: (at, event, customer, feature, units, quantities), in the order they were stored;
        of one customer (id or alias), one feature, instants in [since, until). With filters a page may hold
        fewer than `limit` and still have a cursor.

        >>> ents.consume("acme", "gpt-4o", 12, event="req_8f2")
        True
        >>> ents.admin.list_usage().items  # records arrive within a round of the owner, some 50 ms
        ()
        """
        asked = ListUsage(cursor, limit, customer, feature, at_ms(since, "since"), at_ms(until, "until"))
        found = self._ask(asked)
        return Page(found.items, found.cursor)
