"""Usage records."""

from __future__ import annotations

from typing import Any

from fastcheck.admin.base import AdminBase
from fastcheck.wire.answers import Page
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.usage_records import ListUsage


class UsageRecordsAdmin(AdminBase):
    """What was used."""

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
