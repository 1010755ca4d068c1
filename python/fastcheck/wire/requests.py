"""What callers ask the service for, checked: names within bounds, instants in ms, nothing half meant.

Everything here looks only at the request itself; whether plans and features exist is the catalog's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastcheck.clock import instant_ms
from fastcheck.errors import InstantError, RecordError, WrongType
from fastcheck.ledger.model import GrantKind, checked_amount
from fastcheck.ledger.periods import UTC, Anchor, Recurrence, Span
from fastcheck.wire.answers import travels
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import INTEGER_MAX, name, note

QUANTITY_MAX = (1 << 31) - 1
PRIORITY_MAX = (1 << 31) - 1


def _items(entries: object, what: str) -> Iterable[tuple[Any, Any]]:
    if entries is None:
        return ()
    if not isinstance(entries, Mapping):
        raise WrongType(f"{what} must be a dict of name to quantity, not {type(entries).__name__}")
    return entries.items()


def whole(value: object, what: str, least: int, most: int = QUANTITY_MAX) -> int | None:
    """An int within bounds, or None. Raises `WrongType`, `RecordError`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise RecordError(f"{what} must lie between {least} and {most}")
    return value


@travels
@dataclass(frozen=True)
class MakeGrant:
    """An amount to put into a pool."""

    customer: str
    pool: str
    amount: object
    """Credits; checked against the pool's scale by the service."""
    id: str | None = None
    """The caller's own id makes the request idempotent."""
    priority: int = 100
    effective_at: int | None = None
    expires_at: int | None = None
    kind: str = "paid"
    reason: str = ""
    every: str | None = None
    """How often the balance is set to the full amount again: "month", "2 weeks"; None: once."""
    anchor: str = Anchor.ANNIVERSARY.value
    """anniversary (of effective_at) or calendar."""
    zone: str = UTC
    """The time zone in which periods begin."""
    rollover: tuple[tuple[str, Any], ...] = ()
    """What a refill keeps, checked against the pool's scale by the service: min, max (credits), percent,
    once."""
    cost: tuple[int, str] | None = None
    """What is paid for the amount, each time: (minor units, currency)."""


def make_grant(
    customer: str,
    pool: str,
    amount: object,
    *,
    id: str | None = None,
    priority: int = 100,
    effective_at: Instant | None = None,
    expires_at: Instant | None = None,
    kind: str = "paid",
    reason: str = "",
    every: str | None = None,
    anchor: str = Anchor.ANNIVERSARY.value,
    zone: str = UTC,
    rollover: Mapping[str, Any] | None = None,
    cost: tuple[int, str] | None = None,
) -> MakeGrant:
    """Checks a grant. Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError`."""
    starts = None if effective_at is None else instant_ms(effective_at, "effective_at")
    ends = None if expires_at is None else instant_ms(expires_at, "expires_at")
    if starts is not None and ends is not None and ends <= starts:
        raise InstantError("expires_at is not after effective_at: the grant would never be active")
    checked = whole(priority, "priority", -PRIORITY_MAX, PRIORITY_MAX)
    if checked is None:
        raise WrongType("priority must be an int")
    kinds = [one.value for one in GrantKind]
    if not isinstance(kind, str) or kind not in kinds:
        raise RecordError(f"kind must be one of {', '.join(kinds)}, not {kind!r:.40}")
    if every is None and (rollover is not None or zone != UTC):
        raise RecordError("rollover and zone are about a grant that is made again: give every, too")
    if anchor not in [one.value for one in Anchor]:
        raise RecordError(f"anchor must be anniversary or calendar, not {anchor!r:.40}")
    if every is not None:
        Recurrence(span(every, "every"), Anchor(anchor), 0, name(zone, "zone"))
    return MakeGrant(
        name(customer, "customer"),
        name(pool, "pool"),
        amount,
        None if id is None else name(id, "id"),
        checked,
        starts,
        ends,
        kind,
        note(reason, "reason"),
        every,
        anchor,
        zone,
        _rollover(rollover),
        _cost(cost),
    )


def span(text: object, what: str) -> Span:
    """A length of calendar time such as "3 months". Raises `WrongType`, `RecordError`."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str such as '3 months', not {type(text).__name__}")
    try:
        return Span.parse(text)
    except ValueError as error:
        raise RecordError(f"{what}: {error}") from None


def _rollover(given: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    entries = dict(_items(given, "rollover"))
    unknown = sorted(set(entries) - {"min", "max", "percent", "once"}, key=str)
    if unknown:
        raise RecordError(f"rollover has no {unknown[0]!r:.40}: it has min, max, percent, once")
    if given is not None and "max" not in entries:
        raise RecordError("rollover needs max, the most credits that a refill keeps")
    whole(entries.get("percent"), "rollover percent", 1, 100)
    if not isinstance(entries.get("once", False), bool):
        raise WrongType("rollover once must be True or False")
    return tuple(sorted(entries.items()))


def _cost(given: tuple[int, str] | None) -> tuple[int, str] | None:
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise WrongType("cost must be (minor units, currency), such as (1999, 'EUR') for 19.99 euro")
    amount = whole(given[0], "the cost", 0, INTEGER_MAX)
    currency = given[1]
    if amount is None or not isinstance(currency, str):
        raise WrongType("cost must be (minor units, currency), such as (1999, 'EUR') for 19.99 euro")
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise RecordError(f"a currency is three capital letters such as EUR, not {currency!r:.40}")
    return amount, currency


@travels
@dataclass(frozen=True)
class UsageEvent:
    """Something that a customer used."""

    id: str
    """The sender's own: the same event is counted once, however often it is sent."""
    at: int
    customer: str
    """An id or alias."""
    feature: str
    units: int = 1
    subject: str | None = None
    """Who or what it is about, for counts of distinct ones."""


def usage_event(
    id: str, at: Instant, customer: str, feature: str, units: int = 1, subject: str | None = None
) -> UsageEvent:
    """Checks an event. Raises `WrongType`, `NameInvalid`, `InstantError`, `AmountError`."""
    return UsageEvent(
        name(id, "the id of a usage event"),
        instant_ms(at, "at"),
        name(customer, "customer"),
        name(feature, "feature"),
        checked_amount(units, "units"),
        None if subject is None else name(subject, "subject"),
    )
