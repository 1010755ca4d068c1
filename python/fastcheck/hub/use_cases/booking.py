"""Lines that no account shows yet, booked: the background does it in small parts, an export what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from fastcheck.hub.catalog.product import Offer, Product
from fastcheck.hub.catalog.sources import stays
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.timeline import states
from fastcheck.hub.use_cases.transaction import Call

Key = TypeVar("Key")


def book(call: Call, limit: int) -> int:
    """Brings customers along whose accounts may be behind their lines; how many there were."""
    return _book(call, call.statements.unbooked(limit))


def book_of_now(call: Call) -> None:
    """The same for customers who changed at this very instant: what they are now has no length once the
    catalog changes at it, too, and leaves no trace but in their accounts."""
    _book(call, call.statements.unbooked_since(call.now))


def _book(call: Call, numbers: Sequence[int]) -> int:
    statements = call.statements
    statements.lock(numbers)
    accounts = call.accounts()
    for number in numbers:
        stored = statements.customer(number)
        for name in sorted(_pools(call, stored)):
            pool, lease = call.product.pools.get(name), statements.last_lease(number, name)
            # What an open lease used comes before what ends since; it was booked when it was lent.
            if pool is not None and (lease is None or not lease.open):
                accounts.update(stored, pool)
    statements.booked(numbers)
    return len(numbers)


def _pools(call: Call, stored: StoredCustomer) -> set[str]:
    """The pools in which a customer ever had lines."""
    found = states(call.statements, call.catalogs, stored, -1, call.now)
    return {name for state in found for name in pools_of_lines(state.product, state.stored)}


def pools_of_lines(product: Product, stored: StoredCustomer) -> set[str]:
    """The pools in which a customer has lines that an account must show."""
    return {
        grant.pool
        for stay in stays(product, stored.record, stored.since)
        if stay.offer is not None
        for grant in stay.offer.grants
    }


def note_changed(call: Call, old: Product, new: Product) -> None:
    """Notes the customers of offers whose lines another catalog changes."""
    plans = _changed(old.plans, new.plans)
    call.statements.put_unbooked_of(plans, _changed(old.addons, new.addons))


def _changed(old: Mapping[Key, Offer], new: Mapping[Key, Offer]) -> list[Key]:
    return [key for key, offer in new.items() if key in old and offer.grants != old[key].grants]
