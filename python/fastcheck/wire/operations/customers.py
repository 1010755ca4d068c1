"""Customers: who they are, and what they bought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastcheck.errors import RecordError, WrongType
from fastcheck.wire.answers import Customer, Page
from fastcheck.wire.fields import (
    QUANTITY_MAX,
    At,
    Called,
    Checked,
    Cursor,
    CustomerKey,
    InstantMs,
    Kind,
    Limit,
    Name,
    PlanName,
    Told,
    Version,
    whole,
)
from fastcheck.wire.headers import CUSTOMERS_PER_BATCH, KEYS_PER_REQUEST
from fastcheck.wire.names import name
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.record import ADDONS_MAX, ALIASES_MAX
from fastcheck.wire.shapes import Changed, Count, Ids

ID: Final = Called("a customer's id")

Quantity = Annotated[
    int,
    Kind(lambda value, what: whole(value, what, 1), schema={"minimum": 1, "maximum": QUANTITY_MAX}),
    Called("the quantity of an add-on"),
]


@dataclass(frozen=True)
class Addon(Checked):
    """An add-on that a customer has."""

    quantity: Quantity = 1
    until: Annotated[InstantMs, Called("an add-on's end")] | None = None
    """Until when (exclusive); None: for good."""


def _addons(value: object, what: str) -> Mapping[str, Addon]:
    if type(value) is not dict:
        raise WrongType(f"{what} must be a dict of name to quantity, not {type(value).__name__}")
    _within(len(value), "add-ons", ADDONS_MAX)
    for one in value:
        name(one, "an add-on")
    return value


def _aliases(value: object, what: str) -> tuple[str, ...]:
    """Each once, in order."""
    if type(value) is not tuple:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise WrongType(f"{what} must be a list of str, not one {type(value).__name__}")
        value = tuple(value)
    for one in value:
        name(one, "an alias")
    if len(value) > 1:
        value = tuple(sorted(set(value)))
        _within(len(value), "aliases", ALIASES_MAX)
    return value


def _within(count: int, what: str, most: int) -> None:
    if count > most:
        raise RecordError(f"{count} {what}, at most {most} for one customer")


Addons = Annotated[Mapping[str, Addon], Kind(_addons, schema={"maxProperties": ADDONS_MAX})]
Aliases = Annotated[
    tuple[Name, ...], Kind(_aliases, schema={"maxItems": ALIASES_MAX}), Told((["stripe:cus_9"],))
]


@dataclass(frozen=True, kw_only=True)
class CustomerTerms(Checked):
    """What a customer shall be. What is left out, they do not have; overrides and grants stay."""

    plan: PlanName | None = None
    version: Version | None = None
    """Default: the one they have, or the newest for a plan they come to."""
    addons: Addons = field(default_factory=dict)
    aliases: Aliases = ()
    trial_plan: PlanName | None = None
    trial_version: Version | None = None
    trial_until: InstantMs | None = None
    """The trial's end. Without `trial_plan`, the plan itself is on trial."""
    since: InstantMs | None = None
    """Where anniversaries count from. Default: as they have it, or now for a plan they come to."""

    def agree(self) -> None:
        if self.trial_until is not None and self.trial_plan is None and self.plan is None:
            raise RecordError("trial_until without a plan: give trial_plan, or plan")


@dataclass(frozen=True)
class PutCustomer(CustomerTerms, Request[Changed]):
    """Makes a customer, by id, what is said. `If-Match` with the entity tag of the customer as it was read
    refuses where somebody changed it since; `If-None-Match: *` where it is there already."""

    customer: Annotated[CustomerKey, ID]


@dataclass(frozen=True)
class NamedCustomer(CustomerTerms):
    """A customer by id, and what they shall be."""

    id: Annotated[Name, ID]


def _customers(value: Any, what: str) -> tuple[NamedCustomer, ...]:
    return value if type(value) is tuple else tuple(value)


@dataclass(frozen=True)
class PutCustomers(Request[Count]):
    """Makes customers what is said, all or none. How many changed."""

    customers: Annotated[
        tuple[NamedCustomer, ...], Kind(_customers, schema={"maxItems": CUSTOMERS_PER_BATCH})
    ]
    """Over HTTP; within the process that owns a ledger there may be any number."""


@dataclass(frozen=True)
class DeleteCustomer(Request[None]):
    """Removes a customer: their aliases are free again, what is left of their grants is taken. For 30 days
    it can be undone."""

    customer: CustomerKey


@dataclass(frozen=True)
class GetCustomer(Request[Customer]):
    """A customer by id or alias, now or at an instant."""

    customer: CustomerKey
    at: At | None = None


@dataclass(frozen=True)
class ListCustomers(Request[Page[Customer]]):
    """Customers in the order of their ids."""

    cursor: Cursor | None = None
    limit: Limit = 100


def _keys(value: Any, what: str) -> tuple[str, ...]:
    return tuple(name(one, "customer") for one in value)


@dataclass(frozen=True)
class ResolveCustomers(Request[Ids]):
    """The ids behind ids and aliases, in their order."""

    keys: Annotated[tuple[Name, ...], Kind(_keys, schema={"maxItems": KEYS_PER_REQUEST})]


_PUTS = ("customers.write", Touches.PUBLISHES, Repeat.KEYED)

OPERATIONS = (
    Operation(ListCustomers, "GET", "/customers", "customers.read"),
    Operation(PutCustomers, "POST", "/customers:batch", *_PUTS),
    Operation(ResolveCustomers, "POST", "/customers:resolve", "customers.read"),
    Operation(PutCustomer, "PUT", "/customers/{customer}", *_PUTS, tag_of=GetCustomer),
    Operation(GetCustomer, "GET", "/customers/{customer}", "customers.read", tagged=True),
    Operation(DeleteCustomer, "DELETE", "/customers/{customer}", *_PUTS, tag_of=GetCustomer),
)
