"""Bytes that travel: customer records for the native module, and frames on the owner's socket.

A customer record is one msgpack array with fixed positions::

    [number, id, flags, plan | nil, version | nil, since_ms,
     [[addon, quantity, until_ms | nil]…],
     [[feature, setting, starts_ms | nil, expires_ms | nil]…],
     [alias…],
     [plan, version | nil, until_ms] | nil]

    flags     1 = deleted
    setting   [0] off, [1] on, [2] unlimited, [3, int], [4, text], [5, bool]

Several records are simply put one after the other. A frame is a 4-byte big-endian length and one msgpack
value."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]

from .errors import NameInvalid, ProtocolError, RecordError, WrongType

NAME_BYTES_MAX = 512
"""Bytes of any name: feature, plan, pool, customer id, alias. The core has the same bound."""
TEXT_BYTES_MAX = 16_384
"""Bytes of a text value."""
REASON_BYTES_MAX = 4_096
"""Bytes of a reason or author, so that an audit log cannot be made to grow without a bound."""
FRAME_BYTES_MAX = 32 << 20
"""Bytes of one frame: a catalog file at its bound, or some ten thousand customers, with room to spare."""
ADDONS_MAX = 1_024
"""Add-ons of one customer. The core has the same bound; so the next."""
ALIASES_MAX = 256
"""Aliases of one customer."""
INTEGER_MAX = (1 << 63) - 1

DELETED = 1

SettingValue = bool | int | str | None
"""A setting as callers give it; None = unlimited."""
Setting = tuple[Any, ...]
"""A setting as it travels: (0,), (1,), (2,), (3, int), (4, text) or (5, bool)."""

OFF: Setting = (0,)
ON: Setting = (1,)
UNLIMITED: Setting = (2,)


def name(text: object, what: str) -> str:
    """Checks an id, alias or name; `what` names it in the message. Raises `WrongType`, `NameInvalid`."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str, not {type(text).__name__}")
    return _text(text, what, NAME_BYTES_MAX, empty=False)


def note(text: object, what: str) -> str:
    """Checks free text such as a reason; may be empty."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str, not {type(text).__name__}")
    return _text(text, what, REASON_BYTES_MAX, empty=True)


def _text(text: str, what: str, bytes_max: int, *, empty: bool) -> str:
    if not text and not empty:
        raise NameInvalid(f"{what} is empty: give it at least one character")
    # A character is at most four bytes; the first test keeps a huge text from being encoded at all.
    if len(text) > bytes_max:
        raise NameInvalid(
            f"{what} has {len(text)} characters, at most {bytes_max} bytes are stored: shorten it"
        )
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise NameInvalid(
            f"{what} holds a lone surrogate at position {error.start}, which is not Unicode text: "
            "decode its source as UTF-8"
        ) from None
    if size > bytes_max:
        raise NameInvalid(f"{what} has {size} bytes, at most {bytes_max} are stored: shorten it")
    if "\0" in text:
        raise NameInvalid(f"{what} holds a NUL at position {text.index(chr(0))}: remove it")
    return text


def setting(value: SettingValue | Setting, kind: str, feature: str) -> Setting:
    """A caller's value of an override as a setting of a feature of this kind.

    switch and credit: bool. limit: int or None (unlimited). meter: int, None, or False (none).
    value: text, int or bool. Raises `WrongType`, `RecordError`, `NameInvalid`."""
    if kind in ("switch", "credit"):
        if isinstance(value, bool):
            return ON if value else OFF
        raise WrongType(f"{feature} is a {kind}: an override is True or False, not {value!r:.80}")
    if kind in ("limit", "meter"):
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
    if isinstance(value, bool):
        return (5, value)
    if isinstance(value, int):
        if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
            raise RecordError(f"{feature}: the value does not fit 64 bits")
        return (3, value)
    if isinstance(value, str):
        return (4, _text(value, f"the value of {feature}", TEXT_BYTES_MAX, empty=True))
    raise WrongType(f"{feature} is a value: an override is a str, int or bool, not {type(value).__name__}")


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
            number, id, bool(flags & DELETED), plan, version, since_ms, addons, overrides, aliases,
            None if trial is None else Trial(*trial),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"a stored customer record is malformed ({error}): restore the ledger") from error


def pack(value: object) -> bytes:
    """Any plain value as msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(data: bytes) -> Any:
    """One msgpack value; arrays come back as tuples. Raises `ProtocolError`."""
    try:
        return msgpack.unpackb(data, use_list=False, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"not msgpack: {error}") from error


_LENGTH = struct.Struct(">I")


def frame(body: bytes) -> bytes:
    """A body with its length in front. Raises `ProtocolError` over the bound."""
    if len(body) > FRAME_BYTES_MAX:
        raise ProtocolError(
            f"a frame of {len(body)} bytes is over the bound of {FRAME_BYTES_MAX}: send it in smaller parts"
        )
    return _LENGTH.pack(len(body)) + body


def read_frame(read: Callable[[int], bytes]) -> bytes | None:
    """The next body; None where the stream ends between frames. `read(n)` gives up to n bytes, b"" at the
    end."""
    head = _read_all(read, _LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ProtocolError("the stream ended inside a frame's length")
    (size,) = _LENGTH.unpack(head)
    if size > FRAME_BYTES_MAX:
        raise ProtocolError(f"a frame announces {size} bytes, over the bound of {FRAME_BYTES_MAX}")
    body = _read_all(read, size)
    if len(body) < size:
        raise ProtocolError("the stream ended inside a frame")
    return body


def _read_all(read: Callable[[int], bytes], size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        part = read(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
