"""What owners store and load: usage records, and the records of customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases.rewriting import RECORDS_PER_CHUNK
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.packing import pack


class Records(Core):
    """Usage records to store, customers' records for hosts."""

    def record_usage(
        self, records: Sequence[tuple[str, int, str, str, str, int, Sequence[tuple[str, int]]]]
    ) -> None:
        """Stores usage records: (position, at, event, customer, feature, units, [(quantity, n)…]). Those
        whose position is known are skipped."""
        rows = [(*record[:6], pack([tuple(one) for one in record[6]])) for record in records]
        self._run(lambda call: call.books.put_usage(rows))

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
