"""Changes of plans with an instant: asked for, done when they are due, cancelled.

A move counts from its instant, whenever it is done: the accounts are brought to that instant under the old
record, and from there on under the new one. Top-ups, overrides and add-ons stay."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from fastcheck.clock import at_utc
from fastcheck.errors import AmountError, Conflict, FastcheckError, InstantError, RecordError, UnknownMove
from fastcheck.hub.catalog.subscription import period_end
from fastcheck.hub.store.statements import StoredCustomer, StoredMove
from fastcheck.hub.use_cases.moving import after_move, named, version_of
from fastcheck.hub.use_cases.records import checked
from fastcheck.hub.use_cases.rewriting import put_records
from fastcheck.hub.use_cases.segments import members as segment_members
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase
from fastcheck.wire.answers import Move, Page
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operations.plan_changes import (
    MOVES_PER_REQUEST,
    NOW,
    PERIOD_END,
    CancelMove,
    Destination,
    ListMoves,
    Migrate,
    MoveCustomers,
    MoveSegment,
)
from fastcheck.wire.record import CustomerRecord
from fastcheck.wire.shapes import PartOfMoves

Asked = MoveCustomers | MoveSegment | Migrate


def concerned(call: Call, request: Asked) -> Concerns:
    """The customers whom a request is about. Raises `UnknownCustomer`, `UnknownSegment`."""
    return Concerns(_numbers(call, request)[0])


def ask(call: Call, request: Asked) -> PartOfMoves:
    """Does a move that counts from now, and notes one ahead. Raises `UnknownCustomer`, `RecordError` (a plan
    that the catalog does not have, add-ons that the plan does not take), `InstantError`, `Conflict`."""
    numbers, after = _numbers(call, request)
    call.statements.lock([*numbers, *(one.number for one in call.totals)])
    call.accounts().settle(call.totals)
    rows: list[StoredMove] = []
    records: list[tuple[StoredCustomer, StoredCustomer, int]] = []
    shown: list[Move] = []
    for number in numbers:
        ahead = catch_up(call, number)
        stored = call.statements.customer(number)
        if isinstance(request, Migrate):
            move, replaced = _migration(call, request, stored, ahead)
        else:
            move, replaced = _asked(call, request, stored, ahead)
        if move is None:
            continue
        new = _on_plan(replace(call, now=move.at), stored, move)
        _note(call, stored.record, move)
        if move.at == call.now:
            move = move.done(call.now)
            if new.record != stored.record:
                records.append((stored, new, call.now))
        rows += [*replaced, move]
        shown.append(_shown(move, stored.record.id))
    call.statements.put_moves(rows)
    put_records(call, records)
    return PartOfMoves(tuple(shown), after)


def is_due(call: Call) -> bool:
    """Whether a move of any customer is due."""
    at = call.statements.next_move_at()
    return at is not None and at <= call.now


def due(call: Call, at: int, limit: int, number: int | None = None) -> list[tuple[str, int]]:
    """(id, customer's number) of moves due at an instant (inclusive), of all or one customer: each customer's
    first."""
    first: dict[int, str] = {}
    for id, of in call.statements.moves_due(at, limit, number):
        first.setdefault(of, id)
    return [(id, of) for of, id in first.items()]


def catch_up(call: Call, number: int) -> list[StoredMove]:
    """Does what is due of one customer, whom the call holds, in its order: it was due before what is asked
    now. The moves that are still ahead."""
    while True:
        ahead = call.statements.moves_ahead(number)
        if not ahead or ahead[0].at > call.now:
            return ahead
        _do_or_cancel(call, [ahead[0].id])


def carry_out(call: Call, ids: Sequence[str]) -> None:
    """Does moves that are due, each customer's at most one. Those that are done, cancelled or not due are
    left alone; those that cannot be done are cancelled, and say why."""
    found = [call.statements.move(id) for id in ids]
    call.statements.lock([one.number for one in (*found, *call.totals) if one is not None])
    call.accounts().settle(call.totals)
    _do_or_cancel(call, ids)


def _do_or_cancel(call: Call, ids: Sequence[str]) -> None:
    try:
        with call.attempt():
            _do(call, ids)
    except (AmountError, Conflict, InstantError, RecordError) as error:
        # Found while accounts were brought along: one alone cannot be done, and the others can.
        if len(ids) == 1:
            _give_up(call, ids[0], str(error))
        else:
            for id in ids:
                _do_or_cancel(call, [id])


def _do(call: Call, ids: Sequence[str]) -> None:
    rows: list[StoredMove] = []
    records: list[tuple[StoredCustomer, StoredCustomer, int]] = []
    for id in ids:
        move = call.statements.move(id)
        if move is None or not _pending(move) or move.at > call.now:
            continue
        stored = call.statements.customer(move.number)
        try:
            new = _on_plan(replace(call, now=move.at), stored, move)
        except FastcheckError as error:
            rows.append(_cancelled(_unasked(call), move, stored.record.id, str(error)))
            continue
        asked = replace(call, by=By(move.author, move.reason))
        asked.note("move", stored.record.id, _summary(stored.record), _summary(new.record))
        rows.append(move.done(call.now))
        if new.record != stored.record:
            records.append((stored, new, move.at))
    call.statements.put_moves(rows)
    put_records(call, records)


def _give_up(call: Call, id: str, why: str) -> None:
    """Cancels a due move that cannot be done."""
    move = call.statements.move(id)
    if move is not None and _pending(move):
        customer = call.statements.customer(move.number).record.id
        call.statements.put_moves([_cancelled(_unasked(call), move, customer, why)])


def _unasked(call: Call) -> Call:
    """The call, for what nobody asked for."""
    return replace(call, by=ANYBODY)


def cancel(call: Call, request: CancelMove) -> Move:
    """Cancels a move ahead; again: no change. Raises `UnknownMove`, `Conflict` for one that is done."""
    id = request.id
    move = _held(call, id)
    if move is None:
        raise UnknownMove(f"there is no move {id!r:.80}: see list_moves")
    if move.done_at is not None:
        done_at = at_utc(move.done_at)
        raise Conflict(f"move {id} was done at {done_at:%Y-%m-%d %H:%M:%S} UTC: move them back")
    if _pending(move) and move.at <= call.now:
        raise Conflict(f"move {id} is due and counts already: move them back")
    customer = call.statements.customer(move.number).record.id
    if move.cancelled_at is None:
        move = _cancelled(call, move, customer, call.by.reason)
        call.statements.put_moves([move])
    return _shown(move, customer)


def page(call: Call, request: ListMoves) -> Page[Move]:
    """Moves in the order of their instants. Raises `UnknownCustomer`, `RecordError`."""
    number = None if request.customer is None else call.number(request.customer)
    at, after = -1, ""
    if request.cursor is not None:
        first, _, after = request.cursor.partition(":")
        if not (first.isascii() and first.isdigit() and len(first) < 19):
            raise RecordError("cursor must be one that an earlier page gave")
        at = int(first)
    found = call.statements.moves_after(at, after, request.limit + 1, number, pending=request.pending)
    part = tuple(_shown(move, id) for move, id in found[: request.limit])
    return Page(part, f"{part[-1].at}:{part[-1].id}" if len(found) > request.limit else None)


def _numbers(call: Call, request: Asked) -> tuple[list[int], int | None]:
    if isinstance(request, MoveCustomers):
        return list(dict.fromkeys(call.number(one) for one in request.customers)), None
    if isinstance(request, MoveSegment):
        part = segment_members(call, request.segment, request.after, MOVES_PER_REQUEST)
        return part, part[-1] if len(part) == MOVES_PER_REQUEST else None
    found = call.statements.numbers_on(request.plan, request.from_version, request.after, MOVES_PER_REQUEST)
    return found, found[-1] if len(found) == MOVES_PER_REQUEST else None


def _asked(
    call: Call, to: Destination, stored: StoredCustomer, ahead: Sequence[StoredMove]
) -> tuple[StoredMove, list[StoredMove]]:
    """The move asked for, and those it takes the place of."""
    record, at = stored.record, _instant(call, to.when, stored.record)
    later = [one for one in ahead if one.at >= at]
    if later and not to.replace:
        one = later[0]
        raise Conflict(
            f"customer {record.id!r:.80} will be moved to {named(one)} at "
            f"{at_utc(one.at):%Y-%m-%d %H:%M:%S} UTC, which is not before this move: "
            f"cancel_move({one.id!r}), or pass replace=True"
        )
    earlier = [one for one in ahead if one.at < at]
    plan, bought = (earlier[-1].plan, earlier[-1].version) if earlier else (record.plan, record.version)
    version = version_of(call.product, to.plan, to.version, bought if plan == to.plan else None)
    move = _new(call, record.number, at, to.plan, version, keep_since=to.keep_since)
    return move, [_cancelled(call, one, record.id, f"replaced by {move.id}") for one in later]


def _migration(
    call: Call, request: Migrate, stored: StoredCustomer, ahead: Sequence[StoredMove]
) -> tuple[StoredMove | None, list[StoredMove]]:
    """As `_asked`; None where it is ahead already. Moves to other plans are left as they are."""
    record, at = stored.record, _instant(call, request.when, stored.record)
    version = version_of(call.product, request.plan, request.to_version, None)
    old = (request.plan, request.from_version)
    same = [one for one in ahead if (one.from_plan, one.from_version) == old]
    if any((one.at, one.version) == (at, version) for one in same):
        return None, []
    move = _new(call, record.number, at, request.plan, version, old=old)
    return move, [_cancelled(call, one, record.id, f"replaced by {move.id}") for one in same]


def _new(
    call: Call,
    number: int,
    at: int,
    plan: str | None,
    version: int | None,
    *,
    keep_since: bool = False,
    old: tuple[str | None, int | None] = (None, None),
) -> StoredMove:
    return StoredMove(
        f"m_{secrets.token_hex(12)}",
        number,
        at,
        plan,
        version,
        keep_since,
        *old,
        call.by.reason,
        call.by.author,
        call.now,
    )


def _instant(call: Call, when: str | int, record: CustomerRecord) -> int:
    if when == NOW:
        return call.now
    if when == PERIOD_END:
        return period_end(call.product, record, call.now)
    assert isinstance(when, int)
    if when < call.now:
        raise InstantError(f'when = {when} ms has passed: a move counts from now on, use when="now"')
    return when


def _on_plan(call: Call, stored: StoredCustomer, move: StoredMove) -> StoredCustomer:
    """A customer once they are moved at the call's instant. Raises `RecordError`."""
    return checked(call, *after_move(call.product, stored.record, stored.since, move, call.now))


def _held(call: Call, id: str) -> StoredMove | None:
    """A move, which nobody else does or cancels until the transaction ends."""
    move = call.statements.move(id)
    if move is None:
        return None
    call.statements.lock([move.number])
    return call.statements.move(id)


def _pending(move: StoredMove) -> bool:
    return move.done_at is None and move.cancelled_at is None


def _cancelled(call: Call, move: StoredMove, customer: str, why: str) -> StoredMove:
    call.note("cancel_move", customer, {"id": move.id, "plan": move.plan, "at": move.at}, None, reason=why)
    return move.cancelled(call.now, why)


def _note(call: Call, record: CustomerRecord, move: StoredMove) -> None:
    after = {"id": move.id, "plan": move.plan, "version": move.version, "at": move.at}
    call.note("move" if move.from_plan is None else "migrate", record.id, _summary(record), after)


def _summary(record: CustomerRecord) -> dict[str, object]:
    return {"plan": record.plan, "version": record.version, "since_ms": record.since_ms}


def _shown(move: StoredMove, customer: str) -> Move:
    return Move(
        move.id,
        customer,
        move.plan,
        move.version,
        move.at,
        move.keep_since,
        move.reason,
        move.author,
        move.created_at,
        move.done_at,
        move.cancelled_at,
        move.cancelled_why,
    )


USE_CASES = (
    UseCase(MoveCustomers, ask, concerned),
    UseCase(MoveSegment, ask, concerned),
    UseCase(Migrate, ask, concerned),
    UseCase(CancelMove, cancel),
    UseCase(ListMoves, page),
)
