"""Frames on the owner's socket: a 4-byte big-endian length and one msgpack value."""

from __future__ import annotations

import struct
from collections.abc import Callable

from fastcheck.errors import ProtocolError

FRAME_BYTES_MAX = 32 << 20
"""Bytes of one frame: a catalog file at its bound, or some ten thousand customers, with room to spare."""
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
