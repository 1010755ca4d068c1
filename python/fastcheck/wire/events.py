"""The events that are told to other programs, each kind with its data, and their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

from fastcheck.clock import instant_ms
from fastcheck.errors import NameInvalid, RecordError, WrongType
from fastcheck.wire.names import INTEGER_MAX, name

Value = str | int | bool | Decimal | None
"""What an event's data are made of; instants ("…_at") are ms since 1970."""

AMOUNTS = frozenset({"amount", "remaining"})
"""Fields in credits: int or Decimal."""
SCALE_MAX = 12
"""Decimal digits that a pool may have."""

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""No full stop: the signature is over "id.timestamp.body"."""
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Kind(str, Enum):
    """What happened. The value is the `type` of the JSON."""

    LOW_BALANCE = "low_balance"
    """Use came to a percent of what was granted."""
    LIMIT_REACHED = "limit_reached"
    """Everything granted is used."""
    TIER_CROSSED = "tier_crossed"
    """Use came to a percent above 100: the customer owes."""
    TRIAL_ENDING = "trial_ending"
    GRANT_EXPIRING = "grant_expiring"
    """A grant with something left will soon expire."""
    OVERRIDE_ENDING = "override_ending"
    TOPPED_UP = "topped_up"
    """A grant was made automatically."""
    TOP_UP_CAPPED = "top_up_capped"
    """A balance is low, and the month's cap leaves less than its top-up."""
    PURCHASE_PAID = "purchase_paid"
    """An add-on was bought, or one that was ordered was paid."""
    PURCHASE_REFUNDED = "purchase_refunded"
    """What was not used of a purchase was taken back and paid back."""
    PURCHASE_CHARGED_BACK = "purchase_charged_back"
    """The payment of a purchase was taken back."""
    CUSTOMER_CHANGED = "customer_changed"
    CUSTOMER_DELETED = "customer_deleted"
    CATALOG_CHANGED = "catalog_changed"


_PURCHASE = ("purchase", "addon", "quantity", "minor_units", "currency")
"""The last two: the money that this moved; None where the purchase has no price."""
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.LOW_BALANCE: ("pool", "percent", "remaining"),
    Kind.LIMIT_REACHED: ("pool", "percent", "remaining"),
    Kind.TIER_CROSSED: ("pool", "percent", "remaining"),
    Kind.TRIAL_ENDING: ("plan", "version", "ends_at"),
    Kind.GRANT_EXPIRING: ("pool", "grant", "remaining", "expires_at"),
    Kind.OVERRIDE_ENDING: ("feature", "expires_at"),
    Kind.TOPPED_UP: ("pool", "grant", "amount", "remaining"),
    Kind.TOP_UP_CAPPED: ("pool", "remaining", "retry_at"),
    Kind.PURCHASE_PAID: _PURCHASE,
    Kind.PURCHASE_REFUNDED: _PURCHASE,
    Kind.PURCHASE_CHARGED_BACK: _PURCHASE,
    Kind.CUSTOMER_CHANGED: ("seq",),
    Kind.CUSTOMER_DELETED: ("seq",),
    Kind.CATALOG_CHANGED: ("seq", "digest"),
}
"""The data of each kind, always all of it; None where there is nothing to say."""


@dataclass(frozen=True)
class Event:
    """Something that happened, once. Raises `NameInvalid`, `RecordError`, `WrongType`, `InstantError`."""

    id: str
    """Unique; the same for every endpoint and every repeat."""
    kind: Kind
    at: int
    """When it happened, not when it is sent."""
    customer: str | None
    """None for what concerns all of them."""
    data: Mapping[str, Value]
    """As `FIELDS` says."""

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or ID.fullmatch(self.id) is None:
            raise NameInvalid("an event's id is 1 to 64 letters, digits, _ and -")
        if not isinstance(self.kind, Kind):
            raise WrongType(f"an event's kind is a Kind, not {self.kind!r:.40}")
        instant_ms(self.at, "at")
        if (self.customer is None) != (self.kind is Kind.CATALOG_CHANGED):
            raise RecordError(f"{self.kind.value} is about {'everyone' if self.customer else 'one customer'}")
        if self.customer is not None:
            name(self.customer, "customer")
        if set(self.data) != set(FIELDS[self.kind]):
            raise RecordError(f"the data of {self.kind.value} are {', '.join(FIELDS[self.kind])}")
        for key, value in self.data.items():
            _check(key, value)

    def body(self) -> bytes:
        """The JSON that is signed and sent: the same bytes each time."""
        about = {} if self.customer is None else {"customer": self.customer}
        data = about | {key: _plain(key, self.data[key]) for key in FIELDS[self.kind]}
        whole = {"type": self.kind.value, "timestamp": iso(self.at), "data": data}
        return json.dumps(whole, separators=(",", ":")).encode()


def iso(at: int) -> str:
    """An instant as ISO 8601 in UTC, with milliseconds.

    >>> iso(1_714_521_600_007)
    '2024-05-01T00:00:00.007Z'
    """
    moment = EPOCH + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check(key: str, value: Value) -> None:
    if key in AMOUNTS and value is not None and isinstance(value, bool | str):
        raise WrongType(f"{key} must be an int or a Decimal, not {type(value).__name__}")
    if key.endswith("_at") and value is not None:
        if not isinstance(value, int):
            raise WrongType(f"{key} must be an int (ms since 1970), not {type(value).__name__}")
        instant_ms(value, key)
    elif isinstance(value, str):
        name(value, key)
    elif isinstance(value, Decimal):
        if not value.is_finite() or abs(value) > INTEGER_MAX or not _exact(value):
            raise RecordError(f"{key} is not an amount of any pool")
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise RecordError(f"{key} is too large")
    elif value is not None:
        raise WrongType(f"{key} must be a str, int, bool, Decimal or None, not {type(value).__name__}")


def _exact(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -SCALE_MAX


def _plain(key: str, value: Value) -> str | int | bool | None:
    """As JSON has it: amounts as text, because many readers make floats of numbers; instants as ISO 8601."""
    if isinstance(value, Decimal) or (key in AMOUNTS and value is not None):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    if key.endswith("_at") and isinstance(value, int):
        return iso(value)
    return value
