"""One row for each operation: what is done for its request, and whose leases it concerns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.operation import Request

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Concerns:
    """Whose leases a request concerns: an owner closes or raises them, a hub recalls them from its hosts."""

    numbers: Sequence[int] = ()
    """Customers."""
    pools: Collection[str] | None = None
    """Only leases of these pools; None: of any."""
    all: bool = False
    """Every lease there is; `numbers` says nothing then."""


NOBODY = Concerns()


@dataclass(frozen=True)
class UseCase(Generic[Answer]):
    """What is done for the requests of one class."""

    request: type[Request[Answer]]
    run: Callable[[Call, Any], Answer]
    """The use case, inside its transaction."""
    concerns: Callable[[Call, Any], Concerns] = lambda call, request: NOBODY
    """Read before the change, in a transaction of its own."""
    current: Callable[[Call, Any], Any] | None = None
    """What there is of the thing that the request changes, held until the transaction ends; None where there
    is nothing. For preconditions."""
    kept: Callable[[Answer], Answer] = lambda answer: answer
    """What of the answer is stored under an idempotency key, and answers a repetition. Not a secret that is
    told once."""
    exclusive: bool = False
    """Whether nobody else may change anything meanwhile."""


def customer(call: Call, request: Any) -> Concerns:
    """All leases of the request's `customer`. Raises `UnknownCustomer`."""
    return Concerns([call.number(request.customer)])


def account(call: Call, request: Any) -> Concerns:
    """The lease of the request's `customer` and `pool`. Raises `UnknownCustomer`."""
    return Concerns([call.number(request.customer)], [request.pool])


def pool_of_feature(call: Call, request: Any) -> Concerns:
    """The lease that the request's `feature` spends for its `customer`. Raises `UnknownCustomer`."""
    return Concerns([call.number(request.customer)], pools_of(call, [request.feature]))


def pools_of(call: Call, features: Sequence[str]) -> frozenset[str]:
    """The pools that features spend."""
    found = (call.product.features.get(one) for one in features)
    return frozenset(one.pool for one in found if one is not None and one.pool is not None)
