"""What a hub sends to hosts: the log of changes, snapshots, and single customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fastcheck.errors import CatalogError, Conflict, RecordError
from fastcheck.hub.service.core import Core
from fastcheck.hub.store import log_changes
from fastcheck.hub.store.statements import LoggedChange, LogState, Statements, StoredCatalog
from fastcheck.hub.use_cases.epochs import made_up
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.names import name

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = TypeVar("Answer")

KEYS_PER_FIND_MAX: Final = 256
CHANGES_KEPT_BYTES: Final = 256 << 20
"""Bytes of the log. A host that was away for longer is sent a snapshot."""
CHANGES_KEPT_MS: Final = DAY_MS
"""Longer than a deployment or a night: a host that was away for less is sent what it missed, however little
that is, and not everything."""
CHANGES_PER_PRUNING: Final = 4_096
"""Changes dropped at once: bounds the transaction."""
MENDED_MAX: Final = 8
"""How often a read finds that somebody wrote without logging, before it gives up."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the ledger stands, at one instant."""

    epoch: int
    seq: int
    """The number of the last change."""
    digest: int
    """Sum (mod 2^64) of the hashes of all records after it."""
    catalog_digest: str
    """Of the catalog in force; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A part of the log."""

    epoch: int
    first_kept: int
    """The first change that the log still has. Whoever is at an earlier one than that before it has missed
    something."""
    items: tuple[LoggedChange, ...]
    """In order, without a gap."""


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """Customers that were asked for, at one instant."""

    epoch: int
    seq: int
    """The last change that the records show."""
    missing: tuple[str, ...]
    """Keys that are nobody's."""
    records: bytes
    """Those of the others, each customer once."""


class Streaming:
    """Reading what hosts are sent. The log is written by the changes themselves, where the service was made
    with `streams=True`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def begin_streaming(self) -> None:
        """Before the first change is logged or read: makes the digest true where somebody wrote without
        logging, as an embedded owner does; the log then begins after that. Nothing where it is true."""
        if self._core.store.read(lambda connection: _is_true(Statements(connection).log_state())):
            return

        def job(call: Call) -> None:
            call.statements.first_epoch(made_up())
            state = call.statements.log_state()
            if not _is_true(state):
                log_changes.begin_log(call.statements, state.seq)

        self._core.write(job, exclusive=True)

    def position(self) -> Position:
        """Where the ledger stands, in one read."""
        return self._true(self._core.store.read, _position)

    def changes(self, after: int, limit_bytes: int) -> Changes:
        """The logged changes after `after`: as many as have `limit_bytes` together, at least one if there is
        any, and at most 1,024."""

        def job(statements: Statements) -> Changes | None:
            state = statements.log_state()
            if state.epoch is None:
                return None
            return Changes(
                state.epoch, state.changes_from, tuple(statements.changes_after(after, limit_bytes))
            )

        return self._true(self._core.store.read, job)

    def scan(self, work: Callable[[Position, StoredCatalog, Iterator[bytes]], Answer]) -> Answer:
        """Everything of one instant, for a snapshot, beside the changes that go on meanwhile. `work` is given
        where the ledger stands, the catalog in force, and the records of all customers in chunks of about
        1 MiB, valid until it returns. Where the database falls away, it is called again from its beginning.
        Raises `CatalogError` where there is no catalog, and what `work` raises."""

        def job(statements: Statements) -> tuple[Answer] | None:
            at = _position(statements)
            if at is None:
                return None
            catalog = statements.catalog()
            if catalog is None:
                raise CatalogError(["there is no catalog yet: set one, then take a snapshot"])
            return (work(at, catalog, statements.scan_records()),)

        return self._true(self._core.store.scan, job)[0]

    def find_records(self, keys: Sequence[str]) -> FoundRecords:
        """The records of customers by id or alias, at most 256 keys. Raises `NameInvalid`, `RecordError`."""
        if len(keys) > KEYS_PER_FIND_MAX:
            raise RecordError(
                f"{len(keys)} customers are asked for at once, at most {KEYS_PER_FIND_MAX} are: ask in parts"
            )
        wanted = list(dict.fromkeys(name(key, "customer") for key in keys))

        def job(statements: Statements) -> FoundRecords | None:
            state = statements.log_state()
            if state.epoch is None:
                return None
            found = statements.packed_by_key(wanted) if wanted else {}
            missing = tuple(key for key in wanted if key not in found)
            records = b"".join(dict.fromkeys(found.values()))
            return FoundRecords(state.epoch, state.seq, missing, records)

        return self._true(self._core.store.read, job)

    def prune_changes(self, keep_bytes: int = CHANGES_KEPT_BYTES, keep_ms: int = CHANGES_KEPT_MS) -> int:
        """Drops logged changes that are older than `keep_ms`, and the oldest of those that have more than
        `keep_bytes` together; how many. At most 4,096 at once: call again while it is so many."""

        def cut(statements: Statements, now: int) -> tuple[int, int]:
            """(How many are to go, the first that stays.)"""
            beyond = statements.log_state().changes_bytes - keep_bytes
            oldest = statements.oldest_changes(CHANGES_PER_PRUNING)
            first = count = 0
            for seq, at, bytes_before in oldest:
                if bytes_before >= beyond and at >= now - keep_ms:
                    break
                first, count = seq + 1, count + 1
            return count, first

        def job(call: Call) -> int:
            count, first = cut(call.statements, call.now)
            if count:
                call.statements.raise_counter("changes_from", first)
                call.statements.drop_changes(first)
            return count

        if not self._core.read(lambda call: cut(call.statements, call.now))[0]:
            return 0
        return self._core.write(job)

    def _true(
        self,
        read: Callable[[Callable[[Connection], Answer | None]], Answer | None],
        job: Callable[[Statements], Answer | None],
    ) -> Answer:
        """Runs a job that reads; where it finds (None) that the digest is not true, that is mended first."""
        for _ in range(MENDED_MAX):
            answer = read(lambda connection: job(Statements(connection)))
            if answer is not None:
                return answer
            self.begin_streaming()
        raise Conflict("another program goes on writing this ledger without logging: stop it, then ask again")


def _is_true(state: LogState) -> bool:
    return state.epoch is not None and state.digest_seq == state.seq


def _position(statements: Statements) -> Position | None:
    state = statements.log_state()
    if state.epoch is None or not _is_true(state):
        return None
    return Position(state.epoch, state.seq, state.digest, statements.catalog_digest())
