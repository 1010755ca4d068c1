"""Two customers who are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.wire.fields import Called, CustomerKey
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.shapes import Changed


@dataclass(frozen=True)
class MergeCustomers(Request[Changed]):
    """Makes one customer of two. What was granted by hand and bought moves to the one who stays, and so do
    the keys; what was used counts against their plan. The other is deleted for good."""

    customer: CustomerKey
    """Who ends."""
    into: Annotated[CustomerKey, Called("into")]
    """Who stays."""


OPERATIONS = (
    Operation(
        MergeCustomers,
        "POST",
        "/customers/{customer}/merge",
        "customers.write",
        Touches.PUBLISHES,
        Repeat.KEYED,
    ),
)
