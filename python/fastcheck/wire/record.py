"""Customer records as bytes, for the native module.

A customer record is one msgpack array with fixed positions::

    [number, id, flags, plan | nil, version | nil, since_ms,
     [[addon, quantity, until_ms | nil]…],
     [[feature, setting, starts_ms | nil, expires_ms | nil]…],
     [alias…],
     [plan, version | nil, until_ms] | nil]

    flags     1 = deleted
    setting   [0] off, [1] on, [2] unlimited, [3, int], [4, text], [5, bool]

Several records are simply put one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack

from fastcheck.errors import ProtocolError, RecordError, WrongType
from fastcheck.wire.kinds import Form, kind_of
from fastcheck.wire.names import INTEGER_MAX, TEXT_BYTES_MAX, text_within
from fastcheck.wire.packing import unpack
from fastcheck.wire.unhandled import unhandled

ADDONS_MAX = 1_024
"""Add-ons of one customer. The core has the same bound; so the next."""
ALIASES_MAX = 256
"""Aliases of one customer."""

DELETED = 1

SettingValue = bool | int | str | None
"""A setting as callers give it; None = unlimited."""
Setting = tuple[Any, ...]
"""A setting as it travels: (0,), (1,), (2,), (3, int), (4, text) or (5, bool)."""

OFF: Setting = (0,)
ON: Setting = (1,)
UNLIMITED: Setting = (2,)


def setting(value: SettingValue | Setting, kind: str, feature: str) -> Setting:
    """A caller's value of an override as a setting of a feature of this kind: by the kind's form bool, int or
    None (unlimited) or False (none), or text, int or bool. Raises `WrongType`, `RecordError`, `NameInvalid`,
    `ProtocolError` for a kind that is not known."""
    form = kind_of(kind).form
    match form:
        case Form.ON_OFF:
            if isinstance(value, bool):
                return ON if value else OFF
            raise WrongType(f"{feature} is a {kind}: an override is True or False, not {value!r:.80}")
        case Form.BOUND:
            return _bound(value, kind, feature)
        case Form.VALUE:
            return _value(value, kind, feature)
        case _:
            unhandled(form)


def _bound(value: SettingValue | Setting, kind: str, feature: str) -> Setting:
    if value is None:
        return UNLIMITED
    if value is False:
        return OFF
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= INTEGER_MAX:
            raise RecordError(f"{feature} is a {kind}: an override lies between 0 and {INTEGER_MAX}")
        return (3, value)
    raise WrongType(
        f"{feature} is a {kind}: an override is an int, or None for unlimited, not {type(value).__name__}"
    )


def _value(value: SettingValue | Setting, kind: str, feature: str) -> Setting:
    if isinstance(value, bool):
        return (5, value)
    if isinstance(value, int):
        if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
            raise RecordError(f"{feature}: the value does not fit 64 bits")
        return (3, value)
    if isinstance(value, str):
        return (4, text_within(value, f"the value of {feature}", TEXT_BYTES_MAX, empty=True))
    raise WrongType(f"{feature} is a {kind}: an override is a str, int or bool, not {type(value).__name__}")


def setting_value(stored: Setting) -> SettingValue:
    """The inverse of `setting`, for people."""
    if stored[0] in (0, 1):
        return bool(stored[0])
    value: SettingValue = None if stored[0] == 2 else stored[1]
    return value


@dataclass(frozen=True)
class Trial:
    """A plan with an end, on top of the customer's own."""

    plan: str
    version: int | None
    until_ms: int


@dataclass(frozen=True)
class CustomerRecord:
    """What one customer has, as the native module wants to know it."""

    number: int
    """Stays with the customer for good; never given to another."""
    id: str
    deleted: bool = False
    plan: str | None = None
    version: int | None = None
    since_ms: int = 0
    """When the customer came to the plan: where anniversaries count from."""
    addons: tuple[tuple[str, int, int | None], ...] = ()
    """(name, quantity, until)."""
    overrides: tuple[tuple[str, Setting, int | None, int | None], ...] = ()
    """(feature, setting, starts, expires)."""
    aliases: tuple[str, ...] = ()
    trial: Trial | None = None


def pack_record(record: CustomerRecord) -> bytes:
    """The record as bytes."""
    trial = record.trial
    packed: bytes = msgpack.packb(
        [
            record.number,
            record.id,
            DELETED if record.deleted else 0,
            record.plan,
            record.version,
            record.since_ms,
            record.addons,
            record.overrides,
            record.aliases,
            None if trial is None else (trial.plan, trial.version, trial.until_ms),
        ]
    )
    return packed


def unpack_record(data: bytes) -> CustomerRecord:
    """The inverse of `pack_record`, for bytes of our own ledger. Raises `ProtocolError`."""
    try:
        number, id, flags, plan, version, since_ms, addons, overrides, aliases, trial = unpack(data)
        return CustomerRecord(
            number,
            id,
            bool(flags & DELETED),
            plan,
            version,
            since_ms,
            addons,
            overrides,
            aliases,
            None if trial is None else Trial(*trial),
        )
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"a stored customer record is malformed ({error}): restore the ledger") from error
