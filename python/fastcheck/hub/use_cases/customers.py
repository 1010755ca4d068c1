"""Customers: making them what is asked, deleting them, showing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from fastcheck.errors import Conflict
from fastcheck.hub.catalog.product import Pool
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store import Again
from fastcheck.hub.store.log_changes import log_records
from fastcheck.hub.store.statements import Books, StoredCustomer
from fastcheck.hub.use_cases.accounts import Accounts, Totals
from fastcheck.hub.use_cases.records import build, checked
from fastcheck.hub.use_cases.transaction import Call, Changed
from fastcheck.hub.use_cases.upcoming_ends import of_records
from fastcheck.ledger.burn import void
from fastcheck.wire.answers import AddonState, Customer, Page, TrialState
from fastcheck.wire.events import Kind
from fastcheck.wire.record import CustomerRecord
from fastcheck.wire.requests import PutCustomer

RECORDS_PER_CHUNK = 4_096
CHANGE_BYTES_MAX = 2 << 20
"""Bytes of records in one change, unless one record alone has more: what a host must hold before it can show
any of it."""
IDS_PER_QUERY = 500
EVENTS_PER_CHANGE_MAX = 64
"""Customers of one call that are each told of; a bulk load is not news of each of them."""


def changing(call: Call, requests: Sequence[PutCustomer]) -> list[int]:
    """The numbers of known customers whose record these requests would change. Raises as `put`."""
    found = []
    for request, number in _known(call.books, requests):
        if number is not None:
            stored = call.books.customer(number)
            if build(call, request, stored).record != stored.record:
                found.append(number)
    return found


def put(call: Call, requests: Sequence[PutCustomer], finals: Sequence[Totals]) -> list[Changed]:
    """Makes the customers what the requests say. Raises `RecordError`, `Conflict`."""
    books, accounts = call.books, call.accounts()
    known = list(_known(books, requests))
    books.lock([number for _, number in known if number is not None] + [one.number for one in finals])
    accounts.settle(finals)
    changed: list[StoredCustomer] = []
    rewritten: set[int] = set()
    fresh = sum(number is None for _, number in known)
    last = books.take_numbers(fresh) - fresh if fresh else 0
    seen: set[str] = set()
    for request, number in known:
        if request.id in seen:
            raise Conflict(f"customer {request.id!r:.80} is named twice in one call: name each once")
        seen.add(request.id)
        stored = None if number is None else books.customer(number)
        if number is None:
            last += 1
        new = build(call, request, stored, last)
        if stored is not None:
            if new.record == stored.record:
                continue
            rewritten.add(new.record.number)
            _move(accounts, stored, new)
            before = None if stored.record.deleted else _summary(stored.record)
            call.note("put_customer", request.id, before, _summary(new.record))
        elif len(requests) == 1:
            call.note("put_customer", request.id, None, _summary(new.record))
        changed.append(new)
    if len(requests) > 1 and fresh:
        call.note("put_customers", "", None, {"new": fresh})
    return _write(call, changed, rewritten, call.now)


def delete(call: Call, key: str, finals: Sequence[Totals]) -> Changed:
    """Removes a customer. Raises `UnknownCustomer`."""
    books, stored, accounts = call.books, call.held(key, finals), call.accounts()
    accounts.settle(finals)
    number, id = stored.record.number, stored.record.id
    books.remove_override(number)
    for pool in _pools_of(accounts, number):
        before = accounts.update(stored, pool)
        after = before
        for one in before.holdings:
            after = void(after, one.id)
        accounts.save(number, pool.name, before, after)
    books.leave_segments(number)
    books.remove_caps(books.caps_of([number]))
    books.release_all(number)
    books.cancel_moves_of(number, call.now, "the customer was deleted")
    books.remove_notices(number)
    books.remove_top_ups(number, call.now)
    call.note("delete_customer", id, _summary(stored.record), None)
    return rewrite(call, accounts, stored, CustomerRecord(number, id, deleted=True), Since())


def rewrite(
    call: Call, accounts: Accounts, stored: StoredCustomer, record: CustomerRecord, since: Since
) -> Changed:
    """Replaces one known customer's record. Raises `RecordError` where the catalog refuses it."""
    new = checked(call, record, since)
    _move(accounts, stored, new)
    return _rewritten(call, [new], call.now)[0]


def put_records(call: Call, changes: Sequence[tuple[StoredCustomer, StoredCustomer, int]]) -> list[Changed]:
    """Replaces known customers' records: (as it was, as it is, from which instant on). Each customer once."""
    for old, new, at in changes:
        _move(call.accounts_at(at), old, new)
        if at < call.now:
            accounts = call.accounts()
            for pool in _pools_of(accounts, new.record.number):
                accounts.update(new, pool)
    return [
        done
        for at, part in groupby(sorted(changes, key=itemgetter(2)), key=itemgetter(2))
        for done in _rewritten(replace(call, now=at), [new for _, new, _ in part], call.now)
    ]


def _rewritten(call: Call, changed: Sequence[StoredCustomer], stored_at: int) -> list[Changed]:
    return _write(call, changed, {one.record.number for one in changed}, stored_at)


def shown(record: CustomerRecord) -> Customer:
    """A record as callers see it."""
    trial = record.trial
    return Customer(
        record.id,
        record.plan,
        record.version,
        record.since_ms,
        tuple(AddonState(*addon) for addon in record.addons),
        record.aliases,
        None if trial is None else TrialState(trial.plan, trial.version or 0, trial.until_ms),
    )


def page(call: Call, cursor: str | None, count: int) -> Page[Customer]:
    """Customers in the order of their ids."""
    found = call.books.customers_after(cursor or "", count + 1)
    part = found[:count]
    return Page(tuple(shown(one) for one in part), part[-1].id if len(found) > count else None)


def _known(books: Books, requests: Sequence[PutCustomer]) -> Iterator[tuple[PutCustomer, int | None]]:
    for start in range(0, len(requests), IDS_PER_QUERY):
        part = requests[start : start + IDS_PER_QUERY]
        known = books.numbers_of_ids([request.id for request in part])
        for request in part:
            yield request, known.get(request.id)


def _move(accounts: Accounts, old: StoredCustomer, new: StoredCustomer) -> None:
    """Brings a customer's accounts to now under the old record, then under the new one, which may then be
    written."""
    for pool in _pools_of(accounts, old.record.number):
        accounts.update(old, pool)
        accounts.update(new, pool)
    accounts.books.forget_parts(old.record.number)


def _pools_of(accounts: Accounts, number: int) -> list[Pool]:
    pools = accounts.product.pools
    return [pools[one] for one in accounts.books.pools_of(number) if one in pools]


def _write(call: Call, changed: Sequence[StoredCustomer], known: set[int], stored_at: int) -> list[Changed]:
    """Writes records in chunks, each a change of its own for the hosts. What `known` ones were is kept.
    `stored_at`: now, also where the change counts from an earlier instant."""
    books, found, at = call.books, [], call.now
    ordered = sorted(known)
    for start in range(0, len(ordered), IDS_PER_QUERY):
        at = max(at, books.keep_past(ordered[start : start + IDS_PER_QUERY], at))
    for part in _parts(changed):
        records, packed = [one.record for one in part], b"".join(one.packed for one in part)
        _check_keys(books, records)
        replaced = [one.number for one in records if one.number in known]
        books.replace_notices(replaced, of_records(records, call.now, call.notice_ms))
        old = books.packed_of(replaced) if call.streams else []
        # Whoever else changes records waits from here on until this transaction ends: little is left to do.
        seq = books.next_seq()
        if call.streams:
            log_records(books, stored_at, seq, old, packed, len(part))
        books.put_customers([(one.record, one.packed, one.since) for one in part], seq, at)
        for one in records if len(changed) <= EVENTS_PER_CHANGE_MAX else ():
            kind = Kind.CUSTOMER_DELETED if one.deleted else Kind.CUSTOMER_CHANGED
            books.tell(kind, call.now, one.number, one.id, {"seq": seq})
        found.append(Changed(seq, packed, tuple(one.id for one in records)))
    return found


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


def _check_keys(books: Books, records: Sequence[CustomerRecord]) -> None:
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
        taken = books.numbers_of_ids(part)
        if any(owners[key] != number for key, number in taken.items() if key in ids):
            raise Again  # Somebody made this customer after we looked.
        for key, number in (*taken.items(), *books.numbers_of_aliases(part).items()):
            if owners[key] != number:
                raise Conflict(f"key {key!r:.80} already belongs to another customer: remove it there first")


def _summary(record: CustomerRecord) -> dict[str, Any]:
    trial = record.trial
    return {
        "plan": record.plan,
        "version": record.version,
        "since_ms": record.since_ms,
        "addons": record.addons,
        "aliases": record.aliases,
        "trial": None if trial is None else (trial.plan, trial.version, trial.until_ms),
    }
