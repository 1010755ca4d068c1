"""Customers: making them what is asked, deleting them, showing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastcheck.errors import Conflict, NameInvalid
from fastcheck.hub.store.statements import Statements, StoredCustomer
from fastcheck.hub.use_cases import plan_changes
from fastcheck.hub.use_cases.records import build, trials_of
from fastcheck.hub.use_cases.rewriting import IDS_PER_QUERY, shift, write
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.answers import AddonState, Customer, Page, TrialState
from fastcheck.wire.operations.customers import (
    CustomerTerms,
    DeleteCustomer,
    GetCustomer,
    ListCustomers,
    PutCustomer,
    PutCustomers,
    ResolveCustomers,
)
from fastcheck.wire.record import CustomerRecord
from fastcheck.wire.shapes import Changed, Count, Ids

Asked = Sequence[tuple[str, CustomerTerms]]
"""(id, what they shall be)."""


def put_one(call: Call, request: PutCustomer) -> Changed:
    """Makes a customer what the request says. Raises `RecordError`, `Conflict`."""
    return Changed(bool(_put(call, [(request.customer, request)])))


def put_many(call: Call, request: PutCustomers) -> Count:
    """`put_one` for many, all or none; those that are so already are left alone."""
    return Count(_put(call, [(one.id, one) for one in request.customers]))


def concerns_one(call: Call, request: PutCustomer) -> Concerns:
    """The customer, if they would change."""
    return _concerned(call, [(request.customer, request)])


def concerns_many(call: Call, request: PutCustomers) -> Concerns:
    """The known customers who would change."""
    return _concerned(call, [(one.id, one) for one in request.customers])


def _concerned(call: Call, asked: Asked) -> Concerns:
    """Known customers whose record would change, or who have a move that is due. Raises as `_put`."""
    found = []
    due = plan_changes.is_due(call)
    for id, terms, number in _known(call.statements, asked):
        if number is not None:
            stored = call.statements.customer(number)
            changes = build(call, id, terms, stored).record != stored.record
            if changes or (due and plan_changes.due(call, call.now, 1, number)):
                found.append(number)
    return Concerns(found)


def _put(call: Call, asked: Asked) -> int:
    """How many changed. Moves that were due come first: what is put now counts after them."""
    if not asked:
        return 0
    statements, accounts = call.statements, call.accounts()
    known = list(_known(statements, asked))
    statements.lock(
        [number for _, _, number in known if number is not None] + [one.number for one in call.totals]
    )
    accounts.settle(call.totals)
    due = plan_changes.is_due(call)
    changed: list[StoredCustomer] = []
    rewritten: set[int] = set()
    fresh = sum(number is None for _, _, number in known)
    last = statements.take_numbers(fresh) - fresh if fresh else 0
    seen: set[str] = set()
    for id, terms, number in known:
        if id in seen:
            raise Conflict(f"customer {id!r:.80} is named twice in one call: name each once")
        seen.add(id)
        if number is None:
            stored = None
            last += 1
        else:
            if due:
                plan_changes.catch_up(call, number)
            stored = statements.customer(number)
            if stored.record.deleted:
                if stored.record.id != id:
                    raise NameInvalid(f"{id!r:.80} names a deleted customer whose id was freed: take another")
                statements.forget_deletion(number)
        new = build(call, id, terms, stored, last)
        if stored is not None:
            if new.record == stored.record:
                continue
            rewritten.add(new.record.number)
            shift(accounts, stored, new)
            before = None if stored.record.deleted else summary(stored.record)
            call.note("put_customer", id, before, summary(new.record))
        elif len(asked) == 1:
            call.note("put_customer", id, None, summary(new.record))
        changed.append(new)
    if len(asked) > 1 and fresh:
        call.note("put_customers", "", None, {"new": fresh})
    write(call, changed, rewritten)
    return len(changed)


def get(call: Call, request: GetCustomer) -> Customer:
    """A customer by id or alias. Raises `UnknownCustomer`."""
    return shown(call.customer(request.customer))


def current(call: Call, request: PutCustomer | DeleteCustomer) -> Customer | None:
    """The customer as it is held for a change, after moves that were due; None where there is none."""
    if call.statements.number_of(request.customer) is None:
        # There is no row to hold. Whoever makes a customer takes a number, and waits now until this ends.
        call.statements.take_numbers(0)
        if call.statements.number_of(request.customer) is None:
            return None
    number = call.held(request.customer).record.number
    plan_changes.catch_up(call, number)
    return shown(call.statements.customer(number))


def page(call: Call, request: ListCustomers) -> Page[Customer]:
    """Customers in the order of their ids."""
    found = call.statements.customers_after(request.cursor or "", request.limit + 1)
    part = found[: request.limit]
    return Page(tuple(shown(one) for one in part), part[-1].record.id if len(found) > request.limit else None)


def resolve(call: Call, request: ResolveCustomers) -> Ids:
    """The ids behind ids and aliases. Raises `UnknownCustomer`."""
    return Ids(tuple(call.customer(key).record.id for key in request.keys))


def shown(stored: StoredCustomer) -> Customer:
    """A customer as callers see them."""
    record = stored.record
    trial = record.trial
    return Customer(
        record.id,
        record.plan,
        record.version,
        record.since_ms,
        tuple(AddonState(*addon) for addon in record.addons),
        record.aliases,
        None
        if trial is None
        else TrialState(trial.plan, trial.version or 0, trial.until_ms, max(trials_of(stored), 1)),
    )


def _known(statements: Statements, asked: Asked) -> Iterator[tuple[str, CustomerTerms, int | None]]:
    for start in range(0, len(asked), IDS_PER_QUERY):
        part = asked[start : start + IDS_PER_QUERY]
        known = statements.numbers_of_ids([id for id, _ in part])
        for id, terms in part:
            yield id, terms, known.get(id)


def summary(record: CustomerRecord) -> dict[str, Any]:
    """A customer as the audit log keeps them."""
    trial = record.trial
    return {
        "plan": record.plan,
        "version": record.version,
        "since_ms": record.since_ms,
        "addons": record.addons,
        "aliases": record.aliases,
        "trial": None if trial is None else (trial.plan, trial.version, trial.until_ms),
    }


USE_CASES = (
    UseCase(PutCustomer, put_one, concerns_one, current),
    UseCase(PutCustomers, put_many, concerns_many),
    UseCase(GetCustomer, get),
    UseCase(ListCustomers, page),
    UseCase(ResolveCustomers, resolve),
)
