"""WebSocket (RFC 6455) as a server speaks it after the handshake: bytes in, events and bytes out.

Only binary messages are spoken, without extensions. What a server sends is not masked, so a message made here
is the same bytes for every connection and is written to each socket as it is.

The reader buffers no more than one message of the announced bound: a length over it is refused by its header,
before its payload is taken."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009
NO_CODE: Final = 1005
"""What a close without a code is taken for; never sent."""

_CONTINUATION: Final = 0x0
_BINARY: Final = 0x2
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_FIN: Final = 0x80
_MASKED: Final = 0x80
_CONTROL_BYTES_MAX: Final = 125


class Message(NamedTuple):
    """A whole binary message."""

    data: bytes


class Ping(NamedTuple):
    """To be answered with `pong(data)`."""

    data: bytes


class Close(NamedTuple):
    """The peer says that it closes; nothing comes after it."""

    code: int


Event: TypeAlias = Message | Ping | Close


class Violation(Exception):
    """The peer breaks the protocol; `code` is for the close frame."""

    def __init__(self, code: int, detail: str) -> None:
        self.code = code
        super().__init__(detail)


def binary(parts: Iterable[bytes]) -> bytes:
    """One message with these parts one after the other, ready for a socket."""
    payload = b"".join(parts)
    return _frame(_BINARY, payload)


def pong(data: bytes) -> bytes:
    """The answer to a ping."""
    return _frame(_PONG, data)


def close(code: int) -> bytes:
    """The last frame."""
    return _frame(_CLOSE, struct.pack("!H", code))


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((_FIN | opcode, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _FIN | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, 127, size) + payload


class Reader:
    """What comes from one client, as events."""

    __slots__ = ("_bytes_max", "_fragments", "_rest")

    def __init__(self, bytes_max: int) -> None:
        """`bytes_max`: of one message, all its fragments together."""
        self._bytes_max = bytes_max
        self._rest: bytearray | None = None  # The beginning of a frame whose end has not come yet.
        self._fragments: bytearray | None = None  # Of a message whose last fragment has not come yet.

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `Violation`; nothing may be fed after it."""
        if self._rest is not None:
            self._rest += data
            data = bytes(self._rest)
            self._rest = None
        events: list[Event] = []
        at, end = 0, len(data)
        while at < end:
            frame = self._parse(data, at, end)
            if frame is None:
                self._rest = bytearray(data[at:] if at else data)
                break
            at, fin, opcode, payload = frame
            event = self._event(fin, opcode, payload)
            if event is not None:
                events.append(event)
                if type(event) is Close:
                    break
        return events

    def _parse(self, data: bytes, at: int, end: int) -> tuple[int, bool, int, bytes] | None:
        """(Where the next frame begins, last fragment?, opcode, payload); None where its end is missing."""
        if end - at < 2:
            return None
        first, second = data[at], data[at + 1]
        opcode, size = first & 0x0F, second & 0x7F
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits are set: no extension was agreed on")
        if not second & _MASKED:
            raise Violation(PROTOCOL_ERROR, "a frame of a client must be masked")
        at += 2
        if opcode >= _CLOSE:
            if size > _CONTROL_BYTES_MAX or not first & _FIN:
                raise Violation(PROTOCOL_ERROR, "a control frame that is long, or in fragments")
        elif size == 126:
            if end - at < 2:
                return None
            size = int.from_bytes(data[at : at + 2], "big")
            at += 2
        elif size == 127:
            if end - at < 8:
                return None
            size = int.from_bytes(data[at : at + 8], "big")
            at += 8
        if size + (0 if self._fragments is None else len(self._fragments)) > self._bytes_max:
            raise Violation(TOO_BIG, f"a message has at most {self._bytes_max} bytes")
        begin = at + 4
        if end - begin < size:
            return None
        payload = _unmasked(data[at:begin], data[begin : begin + size]) if size else b""
        return begin + size, bool(first & _FIN), opcode, payload

    def _event(self, fin: bool, opcode: int, payload: bytes) -> Event | None:
        if opcode == _BINARY:
            if self._fragments is not None:
                raise Violation(PROTOCOL_ERROR, "a message begins before the last one has ended")
            if fin:
                return Message(payload)
            self._fragments = bytearray(payload)
            return None
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise Violation(PROTOCOL_ERROR, "a fragment without a beginning")
            self._fragments += payload
            if not fin:
                return None
            whole, self._fragments = bytes(self._fragments), None
            return Message(whole)
        if opcode == _PING:
            return Ping(payload)
        if opcode == _PONG:
            return None
        if opcode == _CLOSE:
            return Close(int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_CODE)
        if opcode == _TEXT:
            raise Violation(UNSUPPORTED, "messages are binary: send msgpack frames")
        raise Violation(PROTOCOL_ERROR, f"a frame of the unknown opcode {opcode}")


def _unmasked(mask: bytes, data: bytes) -> bytes:
    size = len(data)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")
