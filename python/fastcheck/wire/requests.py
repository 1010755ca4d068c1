"""What callers ask the service for, checked: names within bounds, instants in ms, nothing half meant.

Everything here looks only at the request itself; whether plans and features exist is the catalog's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fastcheck.clock import instant_ms
from fastcheck.errors import FastcheckError, InstantError, RecordError, WrongType
from fastcheck.wire.answers import travels
from fastcheck.wire.fields import Instant
from fastcheck.wire.names import name, note
from fastcheck.wire.record import ADDONS_MAX, ALIASES_MAX, SettingValue

QUANTITY_MAX = (1 << 31) - 1


@travels
@dataclass(frozen=True)
class PutCustomer:
    """What a customer shall be; whatever is not named here, they shall not have (overrides and grants
    aside)."""

    id: str
    plan: str | None = None
    version: int | None = None
    """None: the version they have, or the newest for a plan they come to."""
    addons: tuple[tuple[str, int, int | None], ...] = ()
    """(name, quantity, until)."""
    aliases: tuple[str, ...] = ()
    trial_plan: str | None = None
    trial_version: int | None = None
    trial_until: int | None = None
    since: int | None = None
    """None: the instant they have, or now for a plan they come to."""


def put_customer(
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
) -> PutCustomer:
    """`addons`: name -> quantity, or (quantity, until). `trial_until` without `trial_plan` means that `plan`
    itself is on trial and ends then; `trial_plan` without `trial_until` lasts as long as the plan says.
    Raises `WrongType`, `NameInvalid`, `InstantError`, `RecordError`."""
    if trial_until is not None and trial_plan is None:
        if plan is None:
            raise RecordError("trial_until without a plan: give trial_plan, or plan")
        plan, trial_plan, version, trial_version = None, plan, None, version
    if isinstance(aliases, str):
        raise WrongType("aliases must be a list of str, not one str")
    keys = tuple(sorted({name(key, "an alias") for key in aliases}))
    parts = tuple(sorted(_addon(key, value) for key, value in _items(addons, "addons")))
    for what, count, most in (("aliases", len(keys), ALIASES_MAX), ("add-ons", len(parts), ADDONS_MAX)):
        if count > most:
            raise RecordError(f"{count} {what}, at most {most} for one customer")
    return PutCustomer(
        name(id, "a customer's id"),
        None if plan is None else name(plan, "plan"),
        whole(version, "version", 1),
        parts,
        keys,
        None if trial_plan is None else name(trial_plan, "trial_plan"),
        whole(trial_version, "trial_version", 1),
        None if trial_until is None else instant_ms(trial_until, "trial_until"),
        None if since is None else instant_ms(since, "since"),
    )


def _items(entries: object, what: str) -> Iterable[tuple[Any, Any]]:
    if entries is None:
        return ()
    if not isinstance(entries, Mapping):
        raise WrongType(f"{what} must be a dict of name to quantity, not {type(entries).__name__}")
    return entries.items()


def _addon(key: object, value: object) -> tuple[str, int, int | None]:
    until: int | None = None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value, end = value
        until = None if end is None else instant_ms(end, "an add-on's end")
    checked = name(key, "an add-on")
    quantity = whole(value, f"the quantity of {checked}", 1)
    if quantity is None:
        raise WrongType(f"the quantity of {checked} must be an int")
    return checked, quantity, until


def whole(value: object, what: str, least: int, most: int = QUANTITY_MAX) -> int | None:
    """An int within bounds, or None. Raises `WrongType`, `RecordError`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise RecordError(f"{what} must lie between {least} and {most}")
    return value


def from_mapping(fields: object) -> PutCustomer:
    """A `PutCustomer` from a dict with the arguments of `put_customer`."""
    if isinstance(fields, str):
        return put_customer(fields)
    if not isinstance(fields, Mapping) or "id" not in fields:
        raise WrongType('a customer is a dict with an "id" and the arguments of put_customer')
    try:
        return put_customer(**fields)
    except TypeError as error:
        if isinstance(error, FastcheckError):
            raise
        raise WrongType(f"a customer is a dict with the arguments of put_customer: {error}") from None


@travels
@dataclass(frozen=True)
class PutOverride:
    """An exception to one feature."""

    customer: str
    feature: str
    value: SettingValue | Decimal
    starts_at: int | None
    expires_at: int | None
    reason: str


def put_override(
    customer: str,
    feature: str,
    value: SettingValue | Decimal,
    *,
    starts_at: Instant | None = None,
    expires_at: Instant | None = None,
    reason: str = "",
) -> PutOverride:
    """`value`: bool for a switch or credit, int or None (unlimited) for a limit or meter, anything for a
    value."""
    starts = None if starts_at is None else instant_ms(starts_at, "starts_at")
    ends = None if expires_at is None else instant_ms(expires_at, "expires_at")
    if starts is not None and ends is not None and ends <= starts:
        raise InstantError("expires_at is not after starts_at: the override would never hold")
    return PutOverride(
        name(customer, "customer"), name(feature, "feature"), value, starts, ends, note(reason, "reason")
    )
