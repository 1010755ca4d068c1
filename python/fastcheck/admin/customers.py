"""Customers: who they are, and what they bought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastcheck.admin.base import AdminBase
from fastcheck.errors import FastcheckError, WrongType
from fastcheck.wire.answers import Customer, Page
from fastcheck.wire.fields import Instant, at_ms, listed
from fastcheck.wire.operations.customers import (
    Addon,
    DeleteCustomer,
    GetCustomer,
    ListCustomers,
    NamedCustomer,
    PutCustomer,
    PutCustomers,
)

CUSTOMERS_PER_REQUEST = 2_000
"""Customers that cross the owner's socket at once; within the owner itself there is no such bound."""


class CustomersAdmin(AdminBase):
    """Who customers are, and what they bought."""

    def put_customer(
        self,
        id: str,
        *,
        plan: str | None = None,
        version: int | None = None,
        addons: Mapping[str, int | tuple[int, Instant]] | None = None,
        aliases: Iterable[str] = (),
        trial_plan: str | None = None,
        trial_version: int | None = None,
        trial_until: Instant | None = None,
        since: Instant | None = None,
        reason: str = "",
    ) -> bool:
        """Makes a customer what is said here; what is left out, they do not have. Overrides and grants stay.

        `version`: default the one they have, or the newest for a plan they come to. `addons`: name ->
        quantity or (quantity, until). `trial_until` without `trial_plan`: the plan itself is on trial.
        `since`: where anniversaries count from, default now. False if they were so already.

        Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError` (a plan, version or add-on that the
        catalog does not have), `Conflict` (a key that is somebody else's).

        >>> ents.admin.put_customer("bravo", plan="free", aliases=["stripe:cus_9"])
        True
        >>> ents.limit("stripe:cus_9", "api_calls")
        1000
        >>> from datetime import datetime, timezone
        >>> end = datetime(2100, 1, 1, tzinfo=timezone.utc)
        >>> ents.admin.put_customer("bravo", plan="free", trial_plan="pro", trial_until=end)
        True
        >>> ents.decide("bravo", "export").source
        'trial'
        """
        request = PutCustomer(
            id,
            plan=plan,
            version=version,
            addons=_addons(addons),
            aliases=aliases,  # type: ignore[arg-type]  # Any iterable; the request makes a tuple of it.
            trial_plan=trial_plan,
            trial_version=trial_version,
            trial_until=at_ms(trial_until, "trial_until"),
            since=at_ms(since, "since"),
        )
        return self._ask(request, reason).changed

    def put_customers(self, customers: Iterable[str | Mapping[str, Any]], *, reason: str = "") -> int:
        """`put_customer` for many: dicts with its arguments, or bare ids. How many changed.

        In the process that owns the directory all are put or none; from another process, each 2,000 of
        them.

        >>> ents.admin.put_customers([{"id": "bravo", "plan": "free"}, {"id": "charlie", "plan": "pro"}])
        2
        """
        named = tuple(_named(one) for one in listed(customers, "customers"))
        if self._owns():
            return self._ask(PutCustomers(named), reason).count if named else 0
        parts = [
            PutCustomers(named[start : start + CUSTOMERS_PER_REQUEST])
            for start in range(0, len(named), CUSTOMERS_PER_REQUEST)
        ]
        return sum(self._ask(part, reason, place).count for place, part in enumerate(parts))

    def delete_customer(self, customer: str, *, reason: str = "") -> None:
        """Removes a customer: their aliases are free again, what is left of their grants is taken. For 30
        days `restore` brings everything back; putting the id again brings back what was paid for. Raises
        `UnknownCustomer`.

        >>> ents.admin.delete_customer("tiny", reason="left")
        >>> ents.decide("tiny", "api_calls").reason
        'unknown_customer'
        """
        self._ask(DeleteCustomer(customer), reason)

    def get_customer(self, customer: str, *, at: Instant | None = None) -> Customer:
        """A customer by id or alias, as of now or of an instant. Raises `UnknownCustomer`.

        >>> ents.admin.get_customer("acme").plan
        'pro'
        """
        return self._ask(GetCustomer(customer, at_ms(at, "at")))

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids; `page.cursor` asks for the rest.

        >>> [customer.id for customer in ents.admin.list_customers().items]
        ['acme', 'tiny']
        """
        return self._ask(ListCustomers(cursor, limit))


def _addons(given: object) -> dict[str, Addon]:
    """Add-ons from name -> quantity, or (quantity, until). Raises `WrongType`, `RecordError`,
    `InstantError`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise WrongType(f"addons must be a dict of name to quantity, not {type(given).__name__}")
    return {name: _addon(one) for name, one in given.items()}


def _addon(given: Any) -> Addon:
    quantity, until = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, None)
    return Addon(quantity, at_ms(until, "an add-on's end"))


def _named(fields: object) -> NamedCustomer:
    """A customer from an id, or from a dict with the arguments of `put_customer`."""
    if isinstance(fields, str):
        return NamedCustomer(fields)
    if not isinstance(fields, Mapping) or "id" not in fields:
        raise WrongType('a customer is a dict with an "id" and the arguments of put_customer')
    given = dict(fields)
    if "addons" in given:
        given["addons"] = _addons(given["addons"])
    for one in ("trial_until", "since"):
        if one in given:
            given[one] = at_ms(given[one], one)
    try:
        return NamedCustomer(**given)
    except TypeError as error:
        if isinstance(error, FastcheckError):
            raise
        raise WrongType(f"a customer is a dict with the arguments of put_customer: {error}") from None
