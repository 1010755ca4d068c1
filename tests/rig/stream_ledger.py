"""A ledger in memory for tests of the stream: changes, catalogs, epochs, tokens, and snapshots in a plain
file."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fastcheck.errors import CatalogError, Forbidden, StoreError
from fastcheck.hub.store.statements import StoredCatalog
from fastcheck.wire.packing import pack
from fastcheck.wire.record import CustomerRecord, pack_record, unpack_record

Answer = TypeVar("Answer")

NOW_MS = 1_714_521_600_000
EPOCH = 77


@dataclass(frozen=True)
class Position:
    epoch: int
    seq: int
    digest: int
    catalog_digest: str


@dataclass(frozen=True)
class LoggedChange:
    seq: int
    at: int
    kind: str
    body: bytes
    count: int
    digest: int


@dataclass(frozen=True)
class Changes:
    epoch: int
    first_kept: int
    items: tuple[LoggedChange, ...]


@dataclass(frozen=True)
class FoundRecords:
    epoch: int
    seq: int
    missing: tuple[str, ...]
    records: bytes


@dataclass(frozen=True)
class TokenState:
    id: str
    name: str
    scopes: tuple[str, ...]
    rate_per_s: float | None = None
    expires_at: int | None = None
    revoked_at: int | None = None


def record(number: int, plan: str = "pro", size: int = 0) -> bytes:
    """A customer's record; `size` bytes of alias make it larger."""
    aliases = tuple(f"{number}-{i}-".ljust(500, "x") for i in range(size // 500))
    return pack_record(CustomerRecord(number, f"customer {number}", plan=plan, aliases=aliases))


def change(seq: int, body: bytes = b"", kind: str = "records", digest: int | None = None) -> LoggedChange:
    """A row of the log."""
    return LoggedChange(seq, NOW_MS + seq, kind, body, 1, seq * 1_000 if digest is None else digest)


def _sum(records: Sequence[bytes]) -> int:
    return sum(hash(one) for one in records) % (1 << 64)


@dataclass
class MemoryLedger:
    """Every change is one record or one catalog. Its digest is a sum, as the ledger's is."""

    epoch: int = EPOCH
    seq: int = 0
    first_kept: int = 1
    now_ms: Callable[[], int] = lambda: NOW_MS
    records: dict[str, bytes] = field(default_factory=dict)
    log: list[LoggedChange] = field(default_factory=list)
    catalog: StoredCatalog | None = None
    known: dict[str, TokenState] = field(default_factory=dict)
    denied: list[tuple[str, str, str, str]] = field(default_factory=list)
    committed: Callable[[int], None] | None = None
    failing: bool = False
    reads: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def streaming(self) -> MemoryLedger:
        """As the service's part; this ledger is each of them."""
        return self

    tokens = streaming

    @property
    def digest(self) -> int:
        return _sum(list(self.records.values()))

    def put(self, *records: bytes) -> int:
        """One change with these records."""
        with self.lock:
            for one in records:
                self.records[unpack_record(one).id] = one
            return self._log("records", b"".join(records), len(records))

    def put_catalog(self, source: bytes = b"catalog: 1", filename: str = "catalog.yaml") -> int:
        with self.lock:
            self.catalog = StoredCatalog(source, filename, str(hash(source)), {})
            return self._log("catalog", pack([filename, source]), 0)

    def _log(self, kind: str, body: bytes, count: int) -> int:
        self.seq += 1
        self.log.append(LoggedChange(self.seq, self.now_ms(), kind, body, count, self.digest))
        if self.committed is not None:
            self.committed(self.seq)
        return self.seq

    def forget(self, before: int) -> None:
        """The log begins at `before`."""
        with self.lock:
            self.first_kept = before
            self.log = [one for one in self.log if one.seq >= before]

    def new_epoch(self) -> None:
        with self.lock:
            self.epoch += 1
            self.log.clear()
            self.seq += 1
            self.first_kept = self.seq + 1

    def _reading(self) -> None:
        self.reads += 1
        if self.failing:
            raise StoreError("memory", "does not answer", "wait")

    def position(self) -> Position:
        with self.lock:
            self._reading()
            catalog = "" if self.catalog is None else self.catalog.digest
            return Position(self.epoch, self.seq, self.digest, catalog)

    def changes(self, after: int, limit_bytes: int) -> Changes:
        with self.lock:
            self._reading()
            items: list[LoggedChange] = []
            size = 0
            for one in self.log:
                if one.seq > after:
                    size += len(one.body)
                    if items and size > limit_bytes:
                        break
                    items.append(one)
            return Changes(self.epoch, self.first_kept, tuple(items))

    def scan(self, work: Callable[[Position, StoredCatalog, Iterator[bytes]], Answer]) -> Answer:
        with self.lock:
            at, catalog, records = self.position(), self.catalog, list(self.records.values())
        if catalog is None:
            raise CatalogError(["there is no catalog yet"])
        return work(at, catalog, iter(records))

    def find_records(self, keys: Sequence[str]) -> FoundRecords:
        with self.lock:
            self._reading()
            missing = tuple(key for key in keys if key not in self.records)
            found = b"".join(self.records[key] for key in keys if key in self.records)
            return FoundRecords(self.epoch, self.seq, missing, found)

    # Tokens.

    def make_token(self, *scopes: str, expires_at: int | None = None, rate_per_s: float | None = None) -> str:
        """The text of a new token."""
        id = secrets.token_hex(8)
        text = f"fc_live_{id}_{secrets.token_urlsafe(32)}"
        self.known[text] = TokenState(id, f"token {len(self.known)}", scopes, rate_per_s, expires_at)
        return text

    def revoke(self, text: str) -> None:
        self.known[text] = replace(self.known[text], revoked_at=self.now_ms())

    def token_of(self, text: str, environment: str, now: int) -> TokenState:
        self._reading()
        found = self.known.get(text)
        if found is None:
            raise Forbidden("the token is unknown: ask for another")
        if not text.startswith(f"fc_{environment}_"):
            raise Forbidden("the token is of another environment")
        return found

    def token_states(self, ids: Sequence[str]) -> dict[str, TokenState]:
        self._reading()
        return {state.id: state for state in self.known.values() if state.id in ids}

    def audit_denied(self, *, source: str, author: str, subject: str, reason: str) -> bool:
        self.denied.append((source, author, subject, reason))
        return True


class PlainWriter:
    """A snapshot's file as plain text and bytes, in place of the native one."""

    def __init__(self, path: str, epoch: int, seq: int, digest: int, filename: str, source: bytes) -> None:
        self._file = open(path, "wb")  # noqa: SIM115
        self._file.write(f"{epoch} {seq} {digest}\n".encode() + source + b"\n")
        self._customers = 0

    def add(self, records: bytes) -> None:
        self._customers += 1
        self._file.write(records)

    def finish(self) -> tuple[int, int]:
        size = self._file.tell()
        self._file.close()
        return self._customers, size
