"""Preconditions about what requests change, as tests like to write them: see `Service.provided`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcheck.hub.use_cases.all import case_of
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.wire.operation import Request
from fastcheck.wire.operations.customers import PutCustomer
from fastcheck.wire.operations.segments import PutSegment

Expects = Callable[[Call], None]


def _current(request: Request[Any], check: Callable[[Any], None]) -> Expects:
    current = case_of(request).current
    assert current is not None

    def expects(call: Call) -> None:
        check(current(call, request))

    return expects


def customer(key: str, check: Callable[[Any], None]) -> Expects:
    """`check` is told of the customer, or of None where there is none."""
    return _current(PutCustomer(key), check)


def segment(name: str, check: Callable[[Any], None]) -> Expects:
    """`check` is told of the segment, or of None."""
    return _current(PutSegment(name, ()), check)
