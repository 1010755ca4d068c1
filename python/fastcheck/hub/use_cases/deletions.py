"""Customers deleted, deletions undone, ids freed.

A deletion keeps what it removes: for 30 days it can be undone as if it had not been. An account is then
worked through the time since as it would have been; what moved counts as moved at the return, because answers
and exports have shown until then that the customer was gone."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from fastcheck.errors import Conflict, UnknownCustomer
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store import Again
from fastcheck.hub.store.statements import Parts, StoredCustomer, StoredDeletion, StoredMove
from fastcheck.hub.use_cases import plan_changes
from fastcheck.hub.use_cases.booking import pools_of_lines
from fastcheck.hub.use_cases.customers import current, shown, summary
from fastcheck.hub.use_cases.moving import some
from fastcheck.hub.use_cases.overrides import merged
from fastcheck.hub.use_cases.records import checked, trials_of
from fastcheck.hub.use_cases.rewriting import pools_of, rewrite, write
from fastcheck.hub.use_cases.timeline import State, resumed, states
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase, customer
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.answers import Customer, DeletedCustomer, Page
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.operations.customers import DeleteCustomer
from fastcheck.wire.operations.deletions import FreeId, ListDeleted, RestoreCustomer
from fastcheck.wire.record import CustomerRecord, pack_record

RESTORED_WITHIN_MS = 30 * DAY_MS
"""How long a deletion can be undone."""


def delete(call: Call, request: DeleteCustomer) -> None:
    """Removes a customer: overrides, aliases and add-ons go, what is left of grants is taken (see decision
    0012). Their history stays, and for 30 days `restore` brings all of it back. Raises `UnknownCustomer`."""
    statements, number = call.statements, call.held(request.customer).record.number
    call.accounts().settle(call.totals)
    plan_changes.catch_up(call, number)  # What was due counts before.
    stored, accounts = statements.customer(number), call.accounts()
    taken = tuple(
        held.id
        for pool in pools_of(accounts, number)
        for held in accounts.update(stored, pool).holdings
        if held.parked is not None and (held.grant.voided_at or 0) >= call.now
    )
    parts = replace(remove_parts(call, number, "the customer was deleted"), taken=taken)
    call.note("delete_customer", stored.record.id, summary(stored.record), None)
    rewrite(
        call, stored, CustomerRecord(number, stored.record.id, deleted=True), Since(trials=trials_of(stored))
    )
    at = statements.customer(number).changed_at
    statements.put_deletion(StoredDeletion(number, at, stored.record, stored.since, parts))


def remove_parts(call: Call, number: int, why: str) -> Parts:
    """Removes what a customer has beside their record and accounts; `why`: of moves that are cancelled."""
    statements = call.statements
    parts = Parts(
        tuple(statements.overrides(number)),
        tuple(statements.segments_of(number)),
        tuple(statements.caps_of([number])),
        tuple(rule for rule, _ in statements.top_ups_of(number)),
        tuple(move.id for move in statements.moves_ahead(number)),
        (),
        call.by.reason,
        call.by.author,
    )
    statements.remove_override(number)
    statements.leave_segments(number)
    statements.remove_caps(parts.caps)
    statements.release_all(number)
    statements.cancel_moves_of(number, call.now, why)
    statements.remove_notices(number)
    statements.remove_top_ups(number, call.now)
    return parts


def restore(call: Call, request: RestoreCustomer) -> Customer:
    """Undoes a deletion. Raises `UnknownCustomer`, `Conflict` (the customer is there, or an alias has become
    another's), `RecordError` (the catalog has lost what they had)."""
    statements, id = call.statements, request.customer
    kept = _restorable(call, id)
    number = kept.number
    segments = [one for name in sorted(kept.parts.segments) if (one := statements.segment(name, held=True))]
    statements.lock([number, *(one.number for one in call.totals)])
    if statements.deletion(number) != kept:
        raise Again  # Somebody was faster.
    call.accounts().settle(call.totals)
    aliases = _aliases(call, kept, without=request.without_aliases)
    deleted, parts = statements.customer(number), kept.parts
    for override in parts.overrides:
        statements.put_override(number, override)
    for segment in segments:
        if not segment.ending:
            statements.add_members(segment.name, [number])
    pools = call.product.pools
    statements.put_caps([one for one in parts.caps if one.pool in pools])
    for rule in parts.top_ups:
        if rule.pool in pools:
            statements.put_top_up(rule)
    found = _gone_on(call, kept)
    last = found[-1].stored
    record = replace(last.record, aliases=aliases, overrides=merged(call, number))
    new = checked(call, record, replace(last.since, restored=True))
    found.append(State(call.now, new, call.catalog, call.product))
    accounts = call.accounts()
    past = states(statements, call.catalogs, deleted, -1, call.now)
    lines = (pools_of_lines(one.product, one.stored) for one in (*past, *found))
    names = {*statements.pools_of(number), *chain.from_iterable(lines)}
    for name in sorted(names & pools.keys()):
        accounts.undo(deleted, found, parts.taken, pools[name])
    statements.forget_deletion(number)
    call.note("restore_customer", id, None, summary(record))
    write(call, [new], {number})
    return shown(new)


def _restorable(call: Call, id: str) -> StoredDeletion:
    """What the deletion of a customer removed. Raises `UnknownCustomer`, `Conflict`."""
    number = _deleted(call, id)
    kept = call.statements.deletion(number)
    if kept is None or kept.at + RESTORED_WITHIN_MS <= call.now:
        raise UnknownCustomer(
            f"customer {id!r:.80} was deleted more than 30 days ago, and is not restored any more: make them "
            "anew with put_customer"
        )
    return kept


def _deleted(call: Call, id: str) -> int:
    """The number of a deleted customer. Raises `UnknownCustomer`, `Conflict` for one who is there."""
    number = call.statements.number_of(id)
    if number is not None:
        name = call.statements.customer(number).record.id
        if name == id:
            raise Conflict(f"customer {id!r:.80} is not deleted: delete_customer comes first")
        raise Conflict(f"key {id!r:.80} is an alias of customer {name!r:.80}: it names nobody else")
    number = call.statements.numbers_of_ids([id]).get(id)
    if number is None or call.statements.customer(number).record.id != id:
        raise UnknownCustomer(f"no customer ever had the id {id!r:.80}, or it was freed")
    return number


def _aliases(call: Call, kept: StoredDeletion, *, without: bool) -> tuple[str, ...]:
    """The aliases that a customer gets back. Raises `Conflict` for those that are another's, unless they are
    left out."""
    wanted = kept.record.aliases
    owners = {**call.statements.numbers_of_ids(wanted), **call.statements.numbers_of_aliases(wanted)}
    lost = [key for key in wanted if owners.get(key, kept.number) != kept.number]
    if lost and not without:
        raise Conflict(
            f"customer {kept.record.id!r:.80} had aliases that are another customer's now: "
            f"{some(lost)}: remove them there, or restore with without_aliases=True"
        )
    return tuple(key for key in wanted if key not in lost)


def _gone_on(call: Call, kept: StoredDeletion) -> list[State]:
    """What a customer would have been since a deletion. Moves that would have been due are done, or are
    cancelled where that could not be; the others are ahead again."""
    statements = call.statements
    found = [statements.move(id) for id in kept.parts.moves]
    moves = [
        replace(move, cancelled_at=None, cancelled_why="")
        for move in found
        if move is not None and move.cancelled_at is not None
    ]
    moves.sort(key=lambda move: (move.at, move.created_at, move.id))
    was = StoredCustomer(kept.record, pack_record(kept.record), kept.since, kept.at)
    gone_on, failed = resumed(statements, call.catalogs, was, moves, call.now)
    statements.put_moves([_settled(call, move, failed.get(move.id)) for move in moves])
    return gone_on


def _settled(call: Call, move: StoredMove, failed: str | None) -> StoredMove:
    if failed is not None:
        return move.cancelled(call.now, failed)
    return move.done(call.now) if move.at <= call.now else move


def page(call: Call, request: ListDeleted) -> Page[DeletedCustomer]:
    """Deleted customers who can be restored. Raises `RecordError` for a cursor that no page gave."""
    at, number = place_of(request.cursor, (0, 0))
    than, count = call.now - RESTORED_WITHIN_MS, request.limit
    found = call.statements.deletions_after(at, number, count + 1, than=than)
    items = tuple(
        DeletedCustomer(
            one.record.id,
            one.record.plan,
            one.at,
            one.at + RESTORED_WITHIN_MS,
            one.parts.reason,
            one.parts.author,
        )
        for one in found[:count]
    )
    last = found[count - 1] if len(found) > count else None
    return Page(items, None if last is None else cursor_of((last.at, last.number)))


def forget(call: Call) -> int:
    """Forgets deletions that can no longer be undone; how many."""
    return call.statements.forget_deletions(call.now - RESTORED_WITHIN_MS)


def free_id(call: Call, request: FreeId) -> None:
    """Takes the id from a deleted customer. Raises `UnknownCustomer`, `Conflict` for one who is there."""
    id = request.customer
    number = _deleted(call, id)
    call.statements.lock([number])
    if call.statements.number_of(id) is not None:
        raise Again  # Somebody restored them, or put the id again.
    call.note("free_id", id, None, {"kept_as": free(call, number, id)})


def free(call: Call, number: int, id: str) -> str:
    """Keeps a deleted customer under an id that no caller gives to anybody; which. Raises `Conflict` where it
    is in use."""
    call.statements.forget_deletion(number)
    return call.statements.free_id(number, id)


def _concerned(call: Call, request: RestoreCustomer) -> Concerns:
    return Concerns([_restorable(call, request.customer).number])


USE_CASES = (
    UseCase(DeleteCustomer, delete, customer, current),
    UseCase(RestoreCustomer, restore, _concerned),
    UseCase(ListDeleted, page),
    # Alone, so that no usage record is stored under the id that this does not see.
    UseCase(FreeId, free_id, exclusive=True),
)
