"""Usage records, in pages."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.clock import INSTANT_MS_MAX
from fastcheck.hub.use_cases.rewriting import IDS_PER_QUERY
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import UseCase
from fastcheck.wire.answers import Page
from fastcheck.wire.cursor import number_of
from fastcheck.wire.operations.usage_records import ListUsage
from fastcheck.wire.packing import unpack
from fastcheck.wire.shapes import Quantity, UsageRecord

Row = tuple[str, int, str, str, str, int, bytes]
"""(position, at, event, customer, feature, units, quantities)."""


def store(call: Call, rows: Sequence[Row]) -> None:
    """Stores usage records. What comes late under an id that names its customer no more is kept with the rest
    of theirs."""
    named = sorted({row[3] for row in rows})
    known: set[str] = set()
    for start in range(0, len(named), IDS_PER_QUERY):
        known.update(call.statements.numbers_of_ids(named[start : start + IDS_PER_QUERY]))
    kept = {id: _kept_as(call, id) for id in named if id not in known}
    call.statements.put_usage((*row[:3], kept.get(row[3], row[3]), *row[4:]) for row in rows)


def _kept_as(call: Call, key: str) -> str:
    number = call.statements.number_of(key)
    if number is not None:
        return call.statements.customer(number).record.id
    return call.statements.freed_id(key) or key


def of(call: Call, request: ListUsage) -> Page[UsageRecord]:
    """Usage records of instants in [since, until), in the order in which they were stored; of a customer by
    id or alias, also of one who was deleted. Raises `RecordError` for a cursor that no page gave."""
    customer = request.customer
    if customer is not None:
        number = call.statements.number_of(customer)
        customer = customer if number is None else call.statements.customer(number).record.id
    found, last = call.statements.usage_within(
        number_of(request.cursor, 0),
        request.limit,
        customer,
        request.feature,
        0 if request.since is None else request.since,
        INSTANT_MS_MAX if request.until is None else request.until,
    )
    part = tuple(UsageRecord(*row[1:6], _quantities(row[6])) for row in found)
    return Page(part, None if last is None else str(last))


def _quantities(packed: bytes) -> tuple[Quantity, ...]:
    return tuple(Quantity(*one) for one in unpack(packed))


USE_CASES = (UseCase(ListUsage, of),)
