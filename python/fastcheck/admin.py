"""`ents.admin`: what administrators do. The same methods in every process of the host.

Requests are checked here, so that a mistake costs no round trip. A call that returned is on disk, and every
check and burn on the host that begins afterwards sees it. A call that raised changed nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from .amounts import Credits
from .answers import AuditEntry, Balance, Customer, GrantState, Override, Page
from .errors import WrongType
from .hub import requests
from .hub.requests import Instant, PutCustomer
from .wire import SettingValue, name, note

Call = Callable[..., Any]
Item = TypeVar("Item")

CUSTOMERS_PER_REQUEST = 2_000
"""Customers that cross the owner's socket at once; within the owner itself there is no such bound."""


class Admin:
    """Administers one directory. `author` is noted in the audit log with every change."""

    def __init__(self, call: Call, owns: Callable[[], bool], author: str = "") -> None:
        self._call = call
        self._owns = owns
        self._author = author

    def by(self, author: str) -> Admin:
        """The same, in somebody's name.

        >>> ents.admin.by("jo@example.com").put_override("acme", "seats", 40, reason="pilot")
        >>> ents.admin.audit(subject="acme", limit=1).items[0].author
        'jo@example.com'
        """
        return Admin(self._call, self._owns, note(author, "author"))

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
            id, plan=plan, version=version, addons=addons, aliases=aliases, trial_plan=trial_plan,
            trial_version=trial_version, trial_until=trial_until, since=since,
        )  # fmt: skip
        return bool(self._call("put_customers", [request], self._author, note(reason, "reason")))

    def put_customers(self, customers: Iterable[str | Mapping[str, Any]], *, reason: str = "") -> int:
        """`put_customer` for many: dicts with its arguments, or bare ids. How many changed.

        In the process that owns the directory all are put or none; from another process, each 2,000 of
        them.

        >>> ents.admin.put_customers([{"id": "bravo", "plan": "free"}, {"id": "charlie", "plan": "pro"}])
        2
        """
        note(reason, "reason")
        checked = [requests.from_mapping(one) for one in customers]
        if self._owns():
            return int(self._call("put_customers", checked, self._author, reason)) if checked else 0
        parts: list[list[PutCustomer]] = [
            checked[start : start + CUSTOMERS_PER_REQUEST]
            for start in range(0, len(checked), CUSTOMERS_PER_REQUEST)
        ]
        return sum(int(self._call("put_customers", part, self._author, reason)) for part in parts)

    def delete_customer(self, customer: str, *, reason: str = "") -> None:
        """Removes a customer: their aliases are free again, their grants are voided. Raises
        `UnknownCustomer`.

        >>> ents.admin.delete_customer("tiny", reason="left")
        >>> ents.decide("tiny", "api_calls").reason
        'unknown_customer'
        """
        self._call("delete_customer", name(customer, "customer"), self._author, note(reason, "reason"))

    def get_customer(self, customer: str) -> Customer:
        """A customer by id or alias. Raises `UnknownCustomer`.

        >>> ents.admin.get_customer("acme").plan
        'pro'
        """
        found: Customer = self._call("get_customer", name(customer, "customer"))
        return found

    def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]:
        """Customers in the order of their ids; `page.cursor` asks for the rest.

        >>> [customer.id for customer in ents.admin.list_customers().items]
        ['acme', 'tiny']
        """
        found: Page[Customer] = self._call("list_customers", _cursor(cursor), limit)
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
        self._call("put_override", request, self._author)

    def remove_override(self, customer: str, feature: str, *, reason: str = "") -> bool:
        """Ends an exception; False if there was none.

        >>> ents.admin.remove_override("tiny", "export")
        False
        """
        return bool(
            self._call(
                "remove_override", name(customer, "customer"), name(feature, "feature"), self._author,
                note(reason, "reason"),
            )
        )  # fmt: skip

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included.

        >>> ents.admin.put_override("tiny", "seats", 3, reason="pilot")
        >>> [(one.feature, one.value, one.reason) for one in ents.admin.list_overrides("tiny")]
        [('seats', 3, 'pilot')]
        """
        return list(self._call("list_overrides", name(customer, "customer")))

    def grant(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        id: str | None = None,
        priority: int = 100,
        effective_at: Instant | None = None,
        expires_at: Instant | None = None,
        kind: str = "paid",
        reason: str = "",
    ) -> str:
        """Puts credits into a pool; the grant's id. Smaller `priority` burns first; `kind` is paid,
        promotional or plan. With an `id` of your own, asking again changes nothing.

        Raises `AmountError`, `WrongType`, `UnknownCustomer`, `UnknownPool`, `InstantError`, `Conflict` (the
        id exists with other terms).

        >>> ents.admin.grant("acme", "ai_credits", Decimal("12.5"), id="order_17", reason="top-up")
        'order_17'
        >>> ents.admin.balance("acme", "ai_credits").remaining
        Decimal('50012.5')
        """
        # An id in any case, so that a request repeated to another owner is not granted twice.
        own = id if id is not None else f"g_{secrets.token_hex(12)}"
        request = requests.make_grant(
            customer, pool, amount, id=own, priority=priority, effective_at=effective_at,
            expires_at=expires_at, kind=kind, reason=reason,
        )  # fmt: skip
        state: GrantState = self._call("grant", request, self._author)
        return state.id

    def void(self, grant_id: str, *, reason: str = "") -> GrantState:
        """Takes back what is left of a grant; again changes nothing. Raises `UnknownGrant`, `Conflict` (used
        up).

        >>> ents.admin.void(ents.admin.grant("acme", "ai_credits", 100), reason="refunded").remaining
        0
        """
        state: GrantState = self._call(
            "void", name(grant_id, "a grant's id"), self._author, note(reason, "reason")
        )
        return state

    def list_grants(self, customer: str, pool: str | None = None) -> list[GrantState]:
        """A customer's grants as they are now, oldest first, ended ones included.

        >>> [(one.amount, one.kind) for one in ents.admin.list_grants("acme", "ai_credits")]
        [(50000, 'paid')]
        """
        checked = None if pool is None else name(pool, "pool")
        return list(self._call("list_grants", name(customer, "customer"), checked))

    def balance(self, customer: str, pool: str) -> Balance:
        """What a customer has in a pool, to this moment.

        >>> ents.consume("acme", "gpt-4o", 12)
        True
        >>> balance = ents.admin.balance("acme", "ai_credits")
        >>> balance.remaining, balance.used
        (49988, 12)
        """
        found: Balance = self._call("balance", name(customer, "customer"), name(pool, "pool"))
        return found

    def set_catalog(self, source: bytes | str, *, filename: str = "<catalog>", reason: str = "") -> bool:
        """Puts a catalog (its text) in force in every process; False if it was already. Raises `CatalogError`
        for mistakes, and for what customers use that it would take away.

        >>> source = open("catalog.yaml").read()
        >>> ents.admin.set_catalog(source.replace("seats: 25", "seats: 30"), filename="catalog.yaml")
        True
        >>> ents.limit("acme", "seats")
        30
        """
        if not isinstance(source, (bytes, str)):
            raise WrongType(f"a catalog is text or bytes, not {type(source).__name__}")
        data = source.encode("utf-8", "replace") if isinstance(source, str) else source
        return bool(self._call("set_catalog", data, filename, self._author, note(reason, "reason")))

    def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]:
        """Who changed what, when and why, newest first; `subject`: one customer's id.

        >>> [entry.action for entry in ents.admin.audit(subject="acme").items]
        ['grant', 'put_customer']
        """
        found: Page[AuditEntry] = self._call("audit", _cursor(cursor), limit, subject)
        return found

    def list_usage(
        self, cursor: str | None = None, limit: int = 100
    ) -> Page[tuple[int, str, str, str, int, Any]]:
        """Usage records: (at, event, customer, feature, units, quantities), in the order they were stored.

        >>> ents.consume("acme", "gpt-4o", 12, event="req_8f2")
        True
        >>> ents.admin.list_usage().items  # records arrive within a round of the owner, some 50 ms
        ()
        """
        found: Page[tuple[int, str, str, str, int, Any]] = self._call("list_usage", _cursor(cursor), limit)
        return found


def _cursor(cursor: object) -> str | None:
    return None if cursor is None else name(cursor, "cursor")
