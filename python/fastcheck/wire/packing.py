"""Plain values as msgpack."""

from __future__ import annotations

from typing import Any

import msgpack

from fastcheck.errors import ProtocolError


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
