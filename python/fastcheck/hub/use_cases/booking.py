"""Lines that no account shows yet, booked: the background does it in small parts, an export what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from fastcheck.hub.catalog.product import Offer, Product
from fastcheck.hub.catalog.sources import stays
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.timeline import states
from fastcheck.hub.use_cases.transaction import Call

Key = TypeVar("Key")


def book(call: Call, limit: int) -> int:
    """Brings customers along whose accounts may be behind their lines; how many there were."""
    statements = call.statements
    numbers = statements.unbooked(limit)
    statements.lock(numbers)
    accounts = call.accounts()
    for number in numbers:
        stored = statements.customer(number)
        for name in sorted(_pools(call, stored)):
            pool = call.product.pools.get(name)
            if pool is not None:
                accounts.update(stored, pool)
    statements.booked(numbers)
    return len(numbers)


def _pools(call: Call, stored: StoredCustomer) -> set[str]:
    """The pools in which a customer ever had lines."""
    found = states(call.statements, call.catalogs, stored, -1, call.now)
    return {
        grant.pool
        for state in found
        for stay in stays(state.product, state.stored.record, state.stored.since)
        if stay.offer is not None
        for grant in stay.offer.grants
    }


def has_lines(product: Product, stored: StoredCustomer) -> bool:
    """Whether a customer has lines that an account must show."""
    found = stays(product, stored.record, stored.since)
    return any(stay.offer is not None and stay.offer.grants for stay in found)


def note_changed(call: Call, old: Product, new: Product) -> None:
    """Notes the customers of offers whose lines another catalog changes."""
    plans = _changed(old.plans, new.plans)
    call.statements.put_unbooked_of(plans, _changed(old.addons, new.addons))


def _changed(old: Mapping[Key, Offer], new: Mapping[Key, Offer]) -> list[Key]:
    return [key for key, offer in new.items() if key in old and offer.grants != old[key].grants]
