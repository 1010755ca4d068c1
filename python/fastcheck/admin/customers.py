"""Customers and their overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from fastcheck.admin.base import AdminBase, cursor_of, instant_of
from fastcheck.wire import requests
from fastcheck.wire.answers import Customer, Override, Page
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name
from fastcheck.wire.record import SettingValue
from fastcheck.wire.requests import PutCustomer

CUSTOMERS_PER_REQUEST = 2_000
"""Customers that cross the owner's socket at once; within the owner itself there is no such bound."""


class CustomersAdmin(AdminBase):
    """Who customers are, what they bought, and the exceptions made for them."""

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
        request = requests.put_customer(
            id,
            plan=plan,
            version=version,
            addons=addons,
            aliases=aliases,
            trial_plan=trial_plan,
            trial_version=trial_version,
            trial_until=trial_until,
            since=since,
        )
        return bool(self._call("put_customers", [request], self._by(reason)))

    def put_customers(self, customers: Iterable[str | Mapping[str, Any]], *, reason: str = "") -> int:
        """`put_customer` for many: dicts with its arguments, or bare ids. How many changed.

        In the process that owns the directory all are put or none; from another process, each 2,000 of
        them.

        >>> ents.admin.put_customers([{"id": "bravo", "plan": "free"}, {"id": "charlie", "plan": "pro"}])
        2
        """
        checked = [requests.from_mapping(one) for one in customers]
        if self._owns():
            return int(self._call("put_customers", checked, self._by(reason))) if checked else 0
        parts: list[list[PutCustomer]] = [
            checked[start : start + CUSTOMERS_PER_REQUEST]
            for start in range(0, len(checked), CUSTOMERS_PER_REQUEST)
        ]
        return sum(
            int(self._call("put_customers", part, self._by(reason, place)))
            for place, part in enumerate(parts)
        )

    def delete_customer(self, customer: str, *, reason: str = "") -> None:
        """Removes a customer: their aliases are free again, their grants are voided. Raises
        `UnknownCustomer`.

        >>> ents.admin.delete_customer("tiny", reason="left")
        >>> ents.decide("tiny", "api_calls").reason
        'unknown_customer'
        """
        self._call("delete_customer", name(customer, "customer"), self._by(reason))

    def get_customer(self, customer: str, *, at: Instant | None = None) -> Customer:
        """A customer by id or alias, as of now or of an instant. Raises `UnknownCustomer`.

        >>> ents.admin.get_customer("acme").plan
        'pro'
        """
        found: Customer = self._call("get_customer", name(customer, "customer"), instant_of(at))
        return found

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids; `page.cursor` asks for the rest.

        >>> [customer.id for customer in ents.admin.list_customers().items]
        ['acme', 'tiny']
        """
        found: Page[Customer] = self._call("list_customers", cursor_of(cursor), limit)
        return found

    def put_override(
        self,
        customer: str,
        feature: str,
        value: SettingValue | Decimal,
        *,
        starts_at: Instant | None = None,
        expires_at: Instant | None = None,
        reason: str = "",
    ) -> None:
        """Makes an exception for one customer: bool for a switch or credit, int or None (unlimited) for a
        limit or meter, str, int or bool for a value. One per feature; another takes its place.

        Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`, `RecordError`, `InstantError`.

        >>> ents.admin.put_override("tiny", "export", True, reason="beta")
        >>> ents.check("tiny", "export")
        True
        """
        request = requests.put_override(
            customer, feature, value, starts_at=starts_at, expires_at=expires_at, reason=reason
        )
        self._call("put_override", request, self._by())

    def remove_override(self, customer: str, feature: str, *, reason: str = "") -> bool:
        """Ends an exception; False if there was none.

        >>> ents.admin.remove_override("tiny", "export")
        False
        """
        return bool(
            self._call(
                "remove_override", name(customer, "customer"), name(feature, "feature"), self._by(reason)
            )
        )

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included.

        >>> ents.admin.put_override("tiny", "seats", 3, reason="pilot")
        >>> [(one.feature, one.value, one.reason) for one in ents.admin.list_overrides("tiny")]
        [('seats', 3, 'pilot')]
        """
        return list(self._call("list_overrides", name(customer, "customer")))
