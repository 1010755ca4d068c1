"""Who customers are to a host."""

from __future__ import annotations

from collections.abc import Iterator

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases.rewriting import RECORDS_PER_CHUNK
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.names import name


class Customers:
    """Numbers, ids and records."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def number_of(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._core.read(lambda call: call.number(checked))

    def find(self, key: str) -> int | None:
        """The number behind an id or alias; None where there is none."""
        checked = name(key, "customer")
        return self._core.read(lambda call: call.statements.number_of(checked))

    def id_of(self, number: int) -> str | None:
        """The id behind a number; None for a deleted customer."""
        record = self._core.read(lambda call: call.statements.customer(number).record)
        return None if record.deleted else record.id

    def seq(self) -> int:
        """The number of the last change."""
        return self._core.read(lambda call: call.statements.seq())

    def records(self, *, since_seq: int = -1) -> Iterator[bytes]:
        """Chunks of customer records: all, or those changed after `since_seq` with deletions. A transaction
        for each."""
        number = 0

        def chunk(call: Call) -> list[tuple[int, bytes]]:
            return call.statements.records_after(number, RECORDS_PER_CHUNK, since_seq=since_seq)

        while rows := self._core.read(chunk):
            number = rows[-1][0]
            yield b"".join(packed for _, packed in rows)
