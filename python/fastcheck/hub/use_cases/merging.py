"""Two customers who are one: what was bought and granted by hand, the keys, and what was used go to the one
who stays; the other ends."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from fastcheck.errors import Conflict, RecordError
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store import Again
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases import plan_changes
from fastcheck.hub.use_cases.customers import summary
from fastcheck.hub.use_cases.deletions import free, remove_parts
from fastcheck.hub.use_cases.grants import MERGED
from fastcheck.hub.use_cases.records import trials_of
from fastcheck.hub.use_cases.rewriting import pools_of, rewrite
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.ledger.merging import merged
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.operations.merging import MergeCustomers
from fastcheck.wire.record import ALIASES_MAX, CustomerRecord
from fastcheck.wire.shapes import Changed


def merge(call: Call, request: MergeCustomers) -> Changed:
    """Makes one customer of two; again: no change. Raises `UnknownCustomer`, `Conflict` (a customer into
    itself), `RecordError` (more aliases than one customer has)."""
    numbers = _numbers(call, request)
    call.statements.lock([*numbers, *(one.number for one in call.totals)])
    if _numbers(call, request) != numbers:
        raise Again  # A key went to another customer while we waited.
    call.accounts().settle(call.totals)
    gone, kept = numbers
    if gone == kept:
        if call.statements.customer(kept).record.id == request.customer:
            raise Conflict(f"customer {request.customer!r:.80} cannot be merged into itself: name two")
        return Changed(False)  # A key of theirs: they are one already.
    for number in numbers:
        plan_changes.catch_up(call, number)  # What was due counts before.
    one, other = call.statements.customer(gone), call.statements.customer(kept)
    new = replace(other.record, aliases=_aliases(one.record, other.record))
    moved = _move(call, one, other)
    remove_parts(call, gone, f"the customer was merged into {other.record.id}")
    call.note("merge_customer", one.record.id, summary(one.record), {"into": other.record.id})
    rewrite(call, one, CustomerRecord(gone, one.record.id, deleted=True), Since())
    kept_as = free(call, gone, one.record.id)
    call.statements.hand_over_purchases(gone, kept)
    after = {"from": one.record.id, "kept_as": kept_as, "grants": moved}
    call.note("merge_customer", other.record.id, None, after)
    rewrite(call, other, new, replace(other.since, trials=trials_of(one) + trials_of(other)))
    return Changed(True)


def _numbers(call: Call, request: MergeCustomers) -> tuple[int, int]:
    """(who ends, who stays). Raises `UnknownCustomer`."""
    return call.number(request.customer), call.number(request.into)


def _aliases(gone: CustomerRecord, kept: CustomerRecord) -> tuple[str, ...]:
    """The keys of both. Raises `RecordError` where they are too many."""
    found = tuple(sorted({*kept.aliases, *gone.aliases, gone.id}))
    if len(found) > ALIASES_MAX:
        raise RecordError(
            f"customer {kept.id!r:.80} would have {len(found)} aliases, at most {ALIASES_MAX} for one "
            "customer: remove some first"
        )
    return found


def _move(call: Call, one: StoredCustomer, other: StoredCustomer) -> int:
    """Brings both to now, and moves what goes to the one who stays. How many grants."""
    accounts, gone, kept = call.accounts(), one.record, other.record
    grants = 0
    for pool in pools_of(accounts, gone.number):
        mine, theirs = accounts.update(one, pool), accounts.update(other, pool)
        left, more = merged(mine, theirs, pool.rules, lambda id: _named(gone, id))
        grants += len(more.holdings) - len(theirs.holdings)
        accounts.save(gone.number, pool.name, mine, left)
        accounts.save(kept.number, pool.name, theirs, more)
    return grants


def _named(gone: CustomerRecord, id: str) -> str:
    """What a grant is called that was another customer's."""
    found = f"{MERGED}{gone.id}/{id}"
    if len(found.encode()) <= NAME_BYTES_MAX:
        return found
    return f"{MERGED}{gone.number}/{hashlib.sha256(id.encode()).hexdigest()}"


def concerned(call: Call, request: MergeCustomers) -> Concerns:
    """Both customers. Raises `UnknownCustomer`."""
    return Concerns(sorted({*_numbers(call, request)}))


# Alone, so that no usage record is stored under the id that this does not see.
USE_CASES = (UseCase(MergeCustomers, merge, concerned, exclusive=True),)
