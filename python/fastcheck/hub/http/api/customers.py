"""Customers and their overrides."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictStr
from starlette.responses import Response

from fastcheck.hub.http.api.asked import Change, Changes, ChangesTagged, Reads
from fastcheck.hub.http.api.bodies import (
    At,
    Body,
    Cursor,
    CustomerKey,
    FeatureName,
    Instant,
    Limit,
    Name,
    Note,
    Value,
    Version,
    given_instant,
    instant_of,
    value_of,
)
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.hub.service import Service
from fastcheck.hub.use_cases import preconditions
from fastcheck.wire.answers import Customer, Override, Page
from fastcheck.wire.headers import CUSTOMERS_PER_BATCH, KEYS_PER_REQUEST
from fastcheck.wire.record import ADDONS_MAX, ALIASES_MAX
from fastcheck.wire.requests import PutCustomer, put_customer, put_override
from fastcheck.wire.shapes import Changed, Count, Ids, Removed

router = subject("customers")

MOVES_PER_LOOK = 256
"""Moves that are due and done at once before a customer is put."""


class Addon(Body):
    """An add-on that a customer has."""

    quantity: Annotated[int, Field(strict=True, ge=1, lt=1 << 31)] = 1
    until: Instant | None = Field(default=None, description="Until when (exclusive); null: for good.")


class CustomerTerms(Body):
    """What a customer shall be. What is left out, they do not have; overrides and grants stay."""

    plan: Name | None = Field(default=None, examples=["pro"])
    version: Version | None = Field(
        default=None, description="Default: the one they have, or the newest for a plan they come to."
    )
    addons: dict[Name, Addon] = Field(default_factory=dict, max_length=ADDONS_MAX)
    aliases: list[Name] = Field(default_factory=list, max_length=ALIASES_MAX, examples=[["stripe:cus_9"]])
    trial_plan: Name | None = None
    trial_version: Version | None = None
    trial_until: Instant | None = Field(
        default=None, description="The trial's end. Without `trial_plan`, the plan itself is on trial."
    )
    since: Instant | None = Field(default=None, description="Where anniversaries count from; default: now.")

    def request(self, id: str) -> PutCustomer:
        """For the service."""
        addons: dict[str, Any] = {
            name: (one.quantity, None if one.until is None else given_instant(one.until, "until"))
            for name, one in self.addons.items()
        }
        return put_customer(
            id,
            plan=self.plan,
            version=self.version,
            addons=addons,
            aliases=self.aliases,
            trial_plan=self.trial_plan,
            trial_version=self.trial_version,
            trial_until=instant_of(self.trial_until, "trial_until"),
            since=instant_of(self.since, "since"),
        )


class NamedCustomer(CustomerTerms):
    """A customer by id, and what they shall be."""

    id: Name


class Batch(Body):
    """Customers, all or none of which are put."""

    customers: list[NamedCustomer] = Field(max_length=CUSTOMERS_PER_BATCH)


class Keys(Body):
    """Ids or aliases."""

    keys: list[StrictStr] = Field(max_length=KEYS_PER_REQUEST)


class OverrideTerms(Body):
    """An exception to one feature."""

    value: Value
    starts_at: Instant | None = None
    expires_at: Instant | None = None
    reason: Note = None


@router.get("/customers", **answers(Page[Customer]))
def list_customers(asked: Reads, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Customers in the order of their ids."""
    return asked.answer(asked.service.list_customers(cursor, limit), Page[Customer])


@router.post("/customers:batch", **answers(Count, changes=True))
def put_customers(body: Batch, change: Changes) -> Response:
    """Makes customers what is said, all or none. How many changed."""
    requests = [one.request(one.id) for one in body.customers]
    return change.done(Count(_put(change, change.service, requests) if requests else 0))


@router.post("/customers:resolve", **answers(Ids))
def resolve_customers(body: Keys, asked: Reads) -> Response:
    """The ids behind ids and aliases, in their order."""
    return asked.answer(Ids(tuple(asked.service.ids_of(body.keys))))


@router.put("/customers/{customer:name}", **answers(Changed, changes=True))
def put_customer_terms(customer: CustomerKey, body: CustomerTerms, change: ChangesTagged) -> Response:
    """Makes a customer, by id, what is said. `If-Match` with the entity tag of the customer as it was read
    refuses where somebody changed it since; `If-None-Match: *` where it is there already."""
    request = body.request(customer)
    return change.done(Changed(bool(_put(change, _guarded(change, customer), [request]))))


@router.get("/customers/{customer:name}", **answers(Customer, single=True))
def get_customer(customer: CustomerKey, asked: Reads, at: At = None) -> Response:
    """A customer by id or alias, now or at an instant."""
    return asked.single(asked.service.get_customer(customer, instant_of(at, "at")))


@router.delete("/customers/{customer:name}", **answers(None, changes=True))
def delete_customer(customer: CustomerKey, change: ChangesTagged) -> Response:
    """Removes a customer: their aliases are free again, their grants are voided."""
    _guarded(change, customer).delete_customer(customer, by=change.by)
    return change.nothing()


@router.get("/customers/{customer:name}/overrides", **answers(Page[Override]))
def list_overrides(customer: CustomerKey, asked: Reads) -> Response:
    """A customer's exceptions, ended ones included; on one page."""
    return asked.answer(Page(tuple(asked.service.list_overrides(customer)), None), Page[Override])


@router.put("/customers/{customer:name}/overrides/{feature:name}", **answers(None, changes=True))
def put_override_terms(
    customer: CustomerKey, feature: FeatureName, body: OverrideTerms, change: Changes
) -> Response:
    """Makes an exception for one customer; another of the feature gives way."""
    request = put_override(
        customer,
        feature,
        value_of(body.value),
        starts_at=instant_of(body.starts_at, "starts_at"),
        expires_at=instant_of(body.expires_at, "expires_at"),
        reason=change.reason(body.reason),
    )
    change.service.put_override(request, by=change.by)
    return change.nothing()


@router.delete("/customers/{customer:name}/overrides/{feature:name}", **answers(Removed, changes=True))
def remove_override(customer: CustomerKey, feature: FeatureName, change: Changes) -> Response:
    """Ends an exception."""
    return change.done(Removed(change.service.remove_override(customer, feature, by=change.by) is not None))


def _guarded(change: Change, customer: str) -> Service:
    if not change.conditional:
        return change.service
    return change.service.provided(preconditions.customer(customer, change.check))


def _put(change: Change, service: Service, requests: list[PutCustomer]) -> int:
    """Moves that were due come first, as everywhere: what is put now counts after them."""
    now = change.clock.now_ms()
    due_at = change.service.next_move_at()
    if due_at is not None and due_at <= now:
        for request in requests:
            number = change.service.find(request.id)
            while number is not None and (due := change.service.due_moves(now, MOVES_PER_LOOK, number)):
                change.service.carry_out([id for id, _ in due])
    return sum(len(one.ids) for one in service.put_customers(requests, by=change.by))
