"""Customer records written: the accounts brought along, notices and the hosts' log kept up, events told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from fastcheck.errors import Conflict
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store import Again
from fastcheck.hub.store.log_changes import log_records
from fastcheck.hub.store.statements import Statements, StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.booking import pools_of_lines
from fastcheck.hub.use_cases.records import checked
from fastcheck.hub.use_cases.transaction import Call, Changed
from fastcheck.hub.use_cases.upcoming_ends import of_records
from fastcheck.wire.events import Kind
from fastcheck.wire.record import CustomerRecord

RECORDS_PER_CHUNK = 4_096
CHANGE_BYTES_MAX = 2 << 20
"""Bytes of records in one change, unless one record alone has more: what a host must hold before it can show
any of it."""
IDS_PER_QUERY = 500
EVENTS_PER_CHANGE_MAX = 64
"""Customers of one call that are each told of; a bulk load is not news of each of them."""


def rewrite(call: Call, stored: StoredCustomer, record: CustomerRecord, since: Since) -> None:
    """Replaces one known customer's record. Raises `RecordError` where the catalog refuses it."""
    new = checked(call, record, since)
    shift(call.accounts(), stored, new)
    write(call, [new], {record.number})


def put_records(call: Call, changes: Sequence[tuple[StoredCustomer, StoredCustomer, int]]) -> None:
    """Replaces known customers' records: (as it was, as it is, from which instant on). Each customer once."""
    for old, new, at in changes:
        shift(call.accounts_at(at), old, new)
        if at < call.now:
            accounts = call.accounts()
            for pool in pools_of(accounts, new.record.number):
                accounts.update(new, pool)
    for at, part in groupby(sorted(changes, key=itemgetter(2)), key=itemgetter(2)):
        changed = [new for _, new, _ in part]
        write(replace(call, now=at), changed, {one.record.number for one in changed}, call.now)


def shift(accounts: Accounts, old: StoredCustomer, new: StoredCustomer) -> None:
    """Brings a customer's accounts to now under the old record, then under the new one, which may then be
    written."""
    names = {pool.name for pool in pools_of(accounts, old.record.number)}
    if old.changed_at >= accounts.now:
        # What the customer was has no length, and leaves no trace but in their accounts.
        names |= pools_of_lines(accounts.product, old) & set(accounts.product.pools)
    for name in sorted(names):
        accounts.shift(old, new, accounts.product.pools[name])
    accounts.statements.forget_parts(old.record.number)


def pools_of(accounts: Accounts, number: int) -> list[Pool]:
    """The pools of the catalog in which a customer has an account."""
    pools = accounts.product.pools
    return [pools[one] for one in accounts.statements.pools_of(number) if one in pools]


def write(
    call: Call, changed: Sequence[StoredCustomer], known: set[int], stored_at: int | None = None
) -> None:
    """Writes records in chunks, each a change of its own for the hosts. What `known` ones were is kept.
    `stored_at`: the present, where the change counts from an earlier instant (the call's)."""
    statements, at = call.statements, call.now
    ordered = sorted(known)
    for start in range(0, len(ordered), IDS_PER_QUERY):
        at = max(at, statements.keep_past(ordered[start : start + IDS_PER_QUERY], at))
    for part in _parts(changed):
        records, packed = [one.record for one in part], b"".join(one.packed for one in part)
        _check_keys(statements, records)
        replaced = [one.number for one in records if one.number in known]
        statements.replace_notices(replaced, of_records(records, call.now, call.notice_ms))
        old = statements.packed_of(replaced) if call.streams else []
        # Whoever else changes records waits from here on until this transaction ends: little is left to do.
        seq = statements.next_seq()
        if call.streams:
            log_records(statements, call.now if stored_at is None else stored_at, seq, old, packed, len(part))
        statements.put_customers(part, seq, at)
        statements.put_unbooked(one.record.number for one in part if pools_of_lines(call.product, one))
        for one in records if len(changed) <= EVENTS_PER_CHANGE_MAX else ():
            kind = Kind.CUSTOMER_DELETED if one.deleted else Kind.CUSTOMER_CHANGED
            statements.tell(kind, call.now, one.number, one.id, {"seq": seq})
        ids, deleted = tuple(one.id for one in records), all(one.deleted for one in records)
        call.effects.changed.append(Changed(seq, packed, ids, deleted))


def _parts(changed: Sequence[StoredCustomer]) -> Iterator[list[StoredCustomer]]:
    """Customers in chunks within the bounds of one change."""
    part: list[StoredCustomer] = []
    size = 0
    for one in changed:
        size += len(one.packed)
        if part and (len(part) == RECORDS_PER_CHUNK or size > CHANGE_BYTES_MAX):
            yield part
            part, size = [], len(one.packed)
        part.append(one)
    if part:
        yield part


def _check_keys(statements: Statements, records: Sequence[CustomerRecord]) -> None:
    """Raises `Conflict` where an id or alias is already somebody else's."""
    owners: dict[str, int] = {}
    ids = {record.id for record in records}
    for record in records:
        for key in (record.id, *record.aliases):
            if owners.setdefault(key, record.number) != record.number:
                raise Conflict(f"key {key!r:.80} is given to two customers in one call: keep it with one")
    keys = list(owners)
    for start in range(0, len(keys), IDS_PER_QUERY):
        part = keys[start : start + IDS_PER_QUERY]
        taken = statements.numbers_of_ids(part)
        if any(owners[key] != number for key, number in taken.items() if key in ids):
            raise Again  # Somebody made this customer after we looked.
        for key, number in (*taken.items(), *statements.numbers_of_aliases(part).items()):
            if owners[key] != number:
                raise Conflict(f"key {key!r:.80} already belongs to another customer: remove it there first")
