"""What a customer and the catalog were, from an instant on: the states through which an account that was not
looked at is worked. See decision 0012."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from fastcheck.errors import RecordError
from fastcheck.hub.catalog.product import Pool, Product
from fastcheck.hub.catalog.sources import pool_lines, stays
from fastcheck.hub.store.statements import Statements, StoredCustomer, StoredMove
from fastcheck.hub.use_cases.moving import after_move
from fastcheck.ledger.lines import PLAN, Change, Line, Why
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.record import SettingValue, pack_record

BOUNDARIES_MAX = 1_000
"""Instants at which a customer's quota changed that are worked through one by one; older ones no longer
matter."""


class Catalogs(Protocol):
    """The catalogs of a ledger."""

    def since(self, statements: Statements, at: int) -> Sequence[tuple[int, int]]:
        """(instant, number) of the one in force at an instant, if there was one, and of those after it."""

    def get(self, statements: Statements, number: int) -> tuple[CatalogLike, Product]:
        """A catalog, parsed."""


@dataclass(frozen=True)
class State:
    """What counts from an instant on."""

    at: int
    stored: StoredCustomer
    catalog: CatalogLike
    product: Product

    def quota(self, pool: Pool, at: int) -> SettingValue:
        """What the meter behind a private pool resolves to at an instant; None = unlimited. 0 for a named
        pool, and for a meter that this catalog does not have."""
        if not pool.private or self.stored.record.deleted or pool.name not in self.product.features:
            return 0
        return self.catalog.resolve(self.stored.packed, at)[pool.name][0]

    def lines(self, pool: Pool, at: int) -> list[Line]:
        """The lines in a pool at an instant."""
        stored = self.stored
        return pool_lines(self.product, stored.record, stored.since, pool.name, self.quota(pool, at))

    def stays(self) -> dict[str, int]:
        """The offers, and when the customer came to them."""
        stored = self.stored
        return {one.key: one.starts_at for one in stays(self.product, stored.record, stored.since)}


def states(
    statements: Statements, catalogs: Catalogs, stored: StoredCustomer, after: int, until: int
) -> list[State]:
    """The states of a customer: the one at `after` (or the first there was), then those that began in
    (after, until]. `stored`: the customer as they are at `until`, moves ahead aside."""
    people = [stored]
    if stored.changed_at > after:
        past = statements.customer_states(stored.record.number, after)
        people = [*(one for one in past if one.changed_at < stored.changed_at), stored]
    found: list[State] = []
    # Of catalogs of the very instant at which an account was written, it may know the first alone. The first
    # is in force whatever a clock said that went back.
    begins = people[0].changed_at
    first, *later = catalogs.since(statements, begins if after < 0 else max(after, begins - 1))
    known = [first, *(one for one in later if one[0] <= until)]
    place = 0
    for one in people:
        if found:
            place = _catalogs_before(statements, catalogs, known, place, one.changed_at, found)
        catalog, product = catalogs.get(statements, known[place][1])
        found.append(State(one.changed_at, one, catalog, product))
    _catalogs_before(statements, catalogs, known, place, until + 1, found)
    return found


def _catalogs_before(
    statements: Statements,
    catalogs: Catalogs,
    known: Sequence[tuple[int, int]],
    place: int,
    before: int,
    found: list[State],
) -> int:
    """Adds the states that catalogs began before an instant (at one instant the catalog comes first); the
    place of the last of them."""
    while place + 1 < len(known) and known[place + 1][0] <= before:
        place += 1
        at, number = known[place]
        catalog, product = catalogs.get(statements, number)
        found.append(replace(found[-1], at=at, catalog=catalog, product=product))
    return place


def with_moves(moves: Iterable[StoredMove], last: State, until: int) -> Iterator[State]:
    """The states that moves ahead begin, as they will be carried out."""
    for move in moves:
        if move.at > until:
            return
        record, since = last.stored.record, last.stored.since
        try:
            record, since = after_move(last.product, record, since, move, move.at)
        except RecordError:
            continue  # It will be cancelled.
        packed = pack_record(record)
        at = max(move.at, last.at)
        last = replace(last, at=at, stored=StoredCustomer(record, packed, since, at))
        yield last


def resumed(
    statements: Statements,
    catalogs: Catalogs,
    stored: StoredCustomer,
    moves: Sequence[StoredMove],
    until: int,
) -> tuple[list[State], dict[str, str]]:
    """The states of a customer from a deletion on that had not been: `stored` is what they were then, as of
    its instant, `moves` are those that it cancelled, in their order. With the states, why moves that would
    have been due could not have been done, by their ids."""
    found = states(statements, catalogs, stored, stored.changed_at, until)
    failed: dict[str, str] = {}
    for move in moves:
        if move.at > until:
            break
        at = max(move.at, stored.changed_at)
        place = max(place for place, one in enumerate(found) if one.at <= at)
        state = found[place]
        try:
            record, since = after_move(state.product, state.stored.record, state.stored.since, move, at)
        except RecordError as error:
            failed[move.id] = str(error)
            continue
        moved = StoredCustomer(record, pack_record(record), since, at)
        later = [replace(one, stored=moved) for one in found[place + 1 :]]
        found = [*found[: place + 1], replace(state, at=at, stored=moved), *later]
    return found, failed


def between(one: State, other: State, pool: Pool) -> Change:
    """From one state to the next, in a pool."""
    before, after = one.stored.record, other.stored.record
    had, has = one.stays(), other.stays()
    same = not before.deleted and before.since_ms == after.since_ms  # A plan that keeps the anniversary.
    return Change(
        other.at,
        Why.CATALOG if one.stored == other.stored else Why.CUSTOMER,
        one.lines(pool, other.at - 1),
        other.lines(pool, other.at),
        frozenset(key for key, at in has.items() if had.get(key) == at or (same and key.startswith(PLAN))),
        frozenset(has),
        offers_stay=has.keys() == had.keys(),
        converted=before.plan is None
        and before.trial is not None
        and before.trial.until_ms > other.at
        and after.plan is not None
        and after.trial is None,
    )


def passed(state: State, pool: Pool, after: int, until: int) -> Iterator[Change]:
    """What time alone changes of a quota within a state, in (after, until)."""
    if not pool.private or state.stored.record.deleted:
        return
    found = sorted(at for at in state.catalog.boundaries(state.stored.packed) if after < at < until)
    for at in found[-BOUNDARIES_MAX:]:
        yield Change(at, Why.CUSTOMER, state.lines(pool, at - 1), state.lines(pool, at))
