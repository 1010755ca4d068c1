"""Fetches all that a host on demand holds anew, and comes to one whole new state. No I/O, no clock.

Needed where changes were missed (a full transfer) or mean something else (another catalog). What is in force
stays so until the new state is complete: every page of held customers as of some change, and on top of them
the changes that passed by since. Of a customer's changes the last one is what counts, and a page is no older
than the beginning; so pages, overridden by changes, are the state at the stream's position, once the stream
has come to the newest page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from fastcheck.host.following.demand import matched
from fastcheck.host.following.events import FoundCustomers
from fastcheck.host.following.records import split
from fastcheck.wire.frames import KEYS_PER_WANT_MAX

CHANGES_BYTES_MAX: Final = 64 << 20
"""Bytes of changes kept while pages are fetched; beyond them it begins anew from where the stream is."""
LOAD_CHUNK_BYTES: Final = 1 << 20


class Refetch:
    """One new state in the making."""

    def __init__(
        self, position: int, ids: Iterable[str], *, changes_bytes_max: int = CHANGES_BYTES_MAX
    ) -> None:
        self._changes_bytes_max = changes_bytes_max
        self._ids: dict[str, None] = dict.fromkeys(ids)
        self._position = position
        self._restart()

    def _restart(self) -> None:
        self._from = self._newest = self._position
        self._left: deque[str] = deque(self._ids)
        self._open: set[str] = set()
        self._pages: dict[int, bytes] = {}
        self._changes: dict[int, bytes | None] = {}
        self._changes_bytes = 0

    @property
    def complete(self) -> bool:
        """Whether the state is whole."""
        return not self._left and not self._open and self._position >= self._newest

    def next_keys(self) -> tuple[str, ...]:
        """The keys of the next page, which counts as asked; () where none is left."""
        count = min(len(self._left), KEYS_PER_WANT_MAX)
        keys = tuple(self._left.popleft() for _ in range(count))
        self._open.update(keys)
        return keys

    def passed(self, seq: int, records: bytes) -> None:
        """Changes up to `seq`. Raises `Refused` for bytes that are no records."""
        self._position = seq
        for named in split(records):
            self._changes_bytes += len(named.data) - len(self._changes.get(named.number) or b"")
            self._changes[named.number] = None if named.deleted else named.data
        if self._changes_bytes > self._changes_bytes_max:
            self._restart()

    def also(self, answer: FoundCustomers) -> None:
        """Customers that were asked for meanwhile, for the first time."""
        for _, named in matched(answer):
            if named is not None and answer.seq >= self._from:
                self._newest = max(self._newest, answer.seq)
                self._ids[named.keys[0]] = None
                self._pages[named.number] = named.data

    def found(self, answer: FoundCustomers) -> None:
        """A page. Raises `Refused` for one that does not answer its question."""
        page = matched(answer)
        again = answer.seq < self._from
        self._newest = max(self._newest, answer.seq)
        for key, named in page:
            if key not in self._open:
                continue  # Of before it began anew.
            self._open.discard(key)
            if again:
                self._left.append(key)
            elif named is not None:
                self._pages[named.number] = named.data

    def chunks(self) -> list[bytes]:
        """The records of the whole state, each customer once."""
        chunks: list[bytes] = []
        part = bytearray()
        for number, page in self._pages.items():
            data = self._changes.get(number, page)
            if data is not None:
                part += data
            if len(part) >= LOAD_CHUNK_BYTES:
                chunks.append(bytes(part))
                part.clear()
        if part:
            chunks.append(bytes(part))
        return chunks
