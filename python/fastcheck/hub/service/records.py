"""What was used, what was changed, and why something is as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastcheck.clock import INSTANT_MS_MAX, instant_ms
from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import explanations, reports
from fastcheck.hub.use_cases.rewriting import RECORDS_PER_CHUNK
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger.model import AMOUNT_MAX
from fastcheck.wire.answers import AuditEntry, Explanation, Page
from fastcheck.wire.names import name
from fastcheck.wire.packing import pack


class Records(Core):
    """Usage records, the audit log, records for hosts, explanations."""

    def record_usage(
        self, records: Sequence[tuple[str, int, str, str, str, int, Sequence[tuple[str, int]]]]
    ) -> None:
        """Stores usage records: (position, at, event, customer, feature, units, [(quantity, n)…]). Those
        whose position is known are skipped."""
        rows = [(*record[:6], pack([tuple(one) for one in record[6]])) for record in records]
        self._run(lambda call: call.books.put_usage(rows))

    def list_usage(
        self,
        cursor: str | None = None,
        limit: int = 100,
        customer: str | None = None,
        feature: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Page[tuple[int, str, str, str, int, Any]]:
        """Usage records in the order in which they were stored, of instants in [since, until)."""
        count, after = reports.items(limit), reports.place(cursor, 0)
        of = None if customer is None else name(customer, "customer")
        named = None if feature is None else name(feature, "feature")
        first = 0 if since is None else instant_ms(since, "since")
        end = INSTANT_MS_MAX if until is None else instant_ms(until, "until")
        return self._read(lambda call: reports.usage(call, after, count, of, named, first, end))

    def seq(self) -> int:
        """The number of the last change."""
        return self._read(lambda call: call.books.seq())

    def records(self, *, since_seq: int = -1) -> Iterator[bytes]:
        """Chunks of customer records: all, or those changed after `since_seq` with deletions. A transaction
        for each."""
        number = 0

        def chunk(call: Call) -> list[tuple[int, bytes]]:
            return call.books.records_after(number, RECORDS_PER_CHUNK, since_seq=since_seq)

        while rows := self._read(chunk):
            number = rows[-1][0]
            yield b"".join(packed for _, packed in rows)

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Changes, newest first."""
        count, below = reports.items(limit), reports.place(cursor, AMOUNT_MAX)
        return self._read(lambda call: reports.audit(call, below, subject, count))

    def explain(self, customer: str, feature: str, at: int | None = None) -> Explanation:
        """Every source of a feature for a customer at an instant (default: now), which one won, and what a
        check answers then: for the past from what was stored then, for the future from what is known now."""
        key, checked = name(customer, "customer"), name(feature, "feature")
        return self._read(lambda call: explanations.explain(self._at(call, at), key, checked))
