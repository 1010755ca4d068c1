"""Epochs of a ledger: it began, or it was put back from an older backup."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from fastcheck.errors import Conflict
from fastcheck.hub.store.log_changes import begin_log, log_records
from fastcheck.hub.store.statements import AccountKey
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.json import Wide
from fastcheck.wire.operations.epochs import BeginEpoch, GetPosition
from fastcheck.wire.shapes import LedgerPosition

EPOCH_BITS = 62
NUMBERS_SPARE = 1 << 20
"""How far ahead of the ledger's own a customer's number is believed; a damaged cell may name any."""
NOT_MET = -1
"""Instead of a lease: of a customer whose number the ledger has not given yet."""


@dataclass(frozen=True)
class Beyond:
    """What a host knows that the ledger has no memory of."""

    seq: int = 0
    """The last change that it saw."""
    number: int = 0
    """The highest number of a customer that it lent for."""
    leases: int = 0
    """Leases that the ledger never gave out, or gave out smaller."""
    booked: Mapping[str, int] = field(default_factory=dict)
    """Units used of such leases, by pool, that are booked now."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """The same of customers and pools that the ledger does not have: nobody to book them to."""


def made_up() -> int:
    """A new epoch, never 0."""
    return secrets.randbelow((1 << EPOCH_BITS) - 1) + 1


def position(call: Call, request: GetPosition) -> LedgerPosition:
    """The epoch and the number of the last change. Raises `Conflict` before there was an epoch."""
    epoch = call.statements.epoch()
    if epoch is None:
        raise Conflict("the ledger has no epoch yet: the hub or owner that opens it begins the first")
    return LedgerPosition(Wide(epoch), call.statements.seq())


def begin(call: Call, request: BeginEpoch) -> LedgerPosition:
    """Begins another epoch because an operator says that the ledger was restored. Every lease is booked
    before, and rows are made anew after."""
    if call.totals:
        call.accounts().settle(call.totals)
    epoch = renew(call, Beyond(), request.reason)
    call.effects.rows_anew = True
    return LedgerPosition(Wide(epoch), call.statements.seq())


def _everything(call: Call, request: BeginEpoch) -> Concerns:
    return Concerns(all=True)


def renew(call: Call, beyond: Beyond, reason: str = "") -> int:
    """Begins another epoch; what the old one may have given out after the backup is not given out again."""
    statements = call.statements
    before = {"epoch": statements.epoch(), "seq": statements.seq()}
    last_number = statements.last_number()
    statements.raise_counter("numbers", min(beyond.number, last_number + NUMBERS_SPARE))
    statements.raise_counter("seq", beyond.seq)
    epoch = made_up()
    statements.put_epoch(epoch)
    seq = statements.next_seq()
    if call.streams:
        begin_log(statements, seq - 1)
        log_records(statements, call.now, seq, (), b"", 0)
    after = {"epoch": epoch, "seq": seq, "known_beyond": asdict(beyond)}
    call.note("ledger_restored", "", before, after, reason=reason)
    return epoch


def last_leases(call: Call, accounts: Iterable[AccountKey]) -> dict[AccountKey, int]:
    """The newest lease of each account: 0 where there was none, `NOT_MET` where the customer is to come.
    Left out: pools that the catalog does not have, customers lost with an earlier epoch, and numbers that
    nobody can have."""
    wanted, met = set(accounts), call.statements.last_number()
    known = call.statements.known_numbers(number for number, _ in wanted)
    found = {
        (number, pool): 0 if number in known else NOT_MET
        for number, pool in wanted
        if (pool in call.product.pools if number in known else met < number <= met + NUMBERS_SPARE)
    }
    for lease in call.statements.leases_of(known):
        key = (lease.number, lease.pool)
        if key in found:
            found[key] = max(found[key], lease.lease)
    return found


USE_CASES = (UseCase(GetPosition, position), UseCase(BeginEpoch, begin, _everything))
