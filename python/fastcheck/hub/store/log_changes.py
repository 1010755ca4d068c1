"""Logging changes for hosts that follow a hub: in the transaction of the change, once it has its number.

The row of seq is held from `next_seq` to the commit. So whoever comes here is alone, and the digest that is
read is that of the change before."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.store.digests import MODULUS, moved, summed
from fastcheck.hub.store.statements import LoggedChange, Statements
from fastcheck.hub.store.statements.change_log import CATALOG, RECORDS
from fastcheck.wire.packing import pack

RECORDS_PER_SUM = 4_096
"""Records read at once to sum a digest anew."""


def log_records(
    statements: Statements, at: int, seq: int, old: Sequence[bytes], packed: bytes, count: int
) -> None:
    """Logs records that are about to be written as change `seq`, in the place of `old` ones, whose customers
    the caller holds."""
    digest, logged = _before(statements, seq)
    after = moved(digest, old, packed)
    statements.log_change(LoggedChange(seq, at, RECORDS, packed, count, after), logged + len(packed))


def log_catalog(statements: Statements, at: int, seq: int, filename: str, source: bytes) -> None:
    """Logs that change `seq` put a catalog in force."""
    digest, logged = _before(statements, seq)
    body = pack([filename, source])
    statements.log_change(LoggedChange(seq, at, CATALOG, body, 0, digest), logged + len(body))


def begin_log(statements: Statements, seq: int) -> int:
    """Sums the digest anew as of change `seq`, the last whose records are written, and drops the log up to
    there; the digest. It takes some 2 s for each million customers."""
    total = number = 0
    while rows := statements.records_after(number, RECORDS_PER_SUM):
        number = rows[-1][0]
        total += summed(b"".join(packed for _, packed in rows))
    digest = total % MODULUS
    statements.count_changes(digest, seq, statements.log_state().changes_bytes)
    statements.raise_counter("changes_from", seq + 1)
    statements.drop_changes(seq + 1)
    return digest


def _before(statements: Statements, seq: int) -> tuple[int, int]:
    """(digest, bytes ever logged) before change `seq`. Where somebody wrote without logging meanwhile, as an
    embedded owner does, the log begins anew."""
    state = statements.log_state()
    if state.digest_seq == seq - 1:
        return state.digest, state.changes_bytes
    return begin_log(statements, seq - 1), state.changes_bytes
