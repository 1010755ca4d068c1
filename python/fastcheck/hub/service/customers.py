"""Customers and their overrides."""

from __future__ import annotations

from collections.abc import Sequence

from fastcheck.hub.service.core import Core
from fastcheck.hub.use_cases import customers, overrides, reports
from fastcheck.hub.use_cases.accounts import Totals
from fastcheck.hub.use_cases.transaction import Changed
from fastcheck.wire.answers import Customer, Override, Page
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.names import name
from fastcheck.wire.requests import PutCustomer, PutOverride


class Customers(Core):
    """Who they are, what they bought, and the exceptions made for them."""

    def number_of(self, key: str) -> int:
        """The number behind an id or alias. Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._read(lambda call: call.number(checked))

    def find(self, key: str) -> int | None:
        """The number behind an id or alias; None where there is none."""
        checked = name(key, "customer")
        return self._read(lambda call: call.books.number_of(checked))

    def ids_of(self, keys: Sequence[str]) -> list[str]:
        """The ids behind ids and aliases. Raises `UnknownCustomer`."""
        checked = [name(key, "customer") for key in keys]
        return self._read(lambda call: [call.customer(key).record.id for key in checked])

    def id_of(self, number: int) -> str | None:
        """The id behind a number; None for a deleted customer."""
        record = self._read(lambda call: call.books.customer(number).record)
        return None if record.deleted else record.id

    def changing(self, requests: Sequence[PutCustomer]) -> list[int]:
        """The numbers of known customers whose record these requests would change. Raises as
        `put_customers`."""
        return self._read(lambda call: customers.changing(call, requests))

    def put_customers(
        self, requests: Sequence[PutCustomer], *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> list[Changed]:
        """Makes the customers what the requests say; all or none. Those that already are so are left alone.

        Raises `RecordError` for plans, versions or add-ons the catalog does not have, `Conflict` for an alias
        or id that is somebody else's."""
        changed = self._change(
            lambda call: customers.put(call, requests, finals), by, "put_customers", tuple(requests)
        )
        return list(changed)

    def delete_customer(self, key: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY) -> Changed:
        """Removes a customer: overrides, aliases and add-ons go, grants are voided. Their history stays."""
        checked = name(key, "customer")
        return self._change(
            lambda call: customers.delete(call, checked, finals), by, "delete_customer", checked
        )

    def get_customer(self, key: str, at: int | None = None) -> Customer:
        """A customer by id or alias as of an instant (default: now). Raises `UnknownCustomer`."""
        checked = name(key, "customer")
        return self._read(lambda call: customers.shown(self._at(call, at).customer(checked).record))

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids."""
        count = reports.items(limit)
        return self._read(lambda call: customers.page(call, cursor, count))

    def put_override(
        self, request: PutOverride, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> Changed:
        """Makes an exception for one customer. Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`."""
        return self._change(lambda call: overrides.put(call, request, finals), by, "put_override", request)

    def remove_override(
        self, customer: str, feature: str, *, finals: Sequence[Totals] = (), by: By = ANYBODY
    ) -> Changed | None:
        """Ends an exception; None if there is none."""
        key, checked = name(customer, "customer"), name(feature, "feature")
        return self._change(
            lambda call: overrides.remove(call, key, checked, finals), by, "remove_override", key, checked
        )

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included."""
        checked = name(customer, "customer")
        return self._read(lambda call: overrides.of(call, checked))
