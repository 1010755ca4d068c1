"""The frames of the stream between hub and host: one msgpack array each, as ``docs/format/stream.md`` says.

A message carries one frame or several, one after the other::

    [version, type, field…]

Whoever reads takes nothing on trust: a message is no longer than its bound, a frame has the fields of its
type with the right kinds and within bounds, or the whole message is refused with a code and what is wrong.

Room for newer peers: fields after the known ones are read over; so are whole frames of a type from
`OPTIONAL_FROM` on. A frame of an unknown type below that is required, and so refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgpack

from fastcheck.errors import ProtocolError
from fastcheck.wire.names import NAME_BYTES_MAX

VERSION: Final = 1
OPTIONAL_FROM: Final = 128
"""Types from here on may be read over by who does not know them."""

HUB_MESSAGE_BYTES_MAX: Final = 8 << 20
"""Bytes of one message to a host. It is announced in `Intent`; the host's WebSocket refuses longer ones."""
HOST_MESSAGE_BYTES_MAX: Final = 256 << 10
"""Bytes of one message to the hub."""
RECORDS_BYTES_MAX: Final = 4 << 20
"""Bytes of records in one frame. A change with more is several frames before one commit."""
PIECE_BYTES_MAX: Final = 1 << 20
"""Bytes of a snapshot in one frame."""
CATALOG_BYTES_MAX: Final = 16 << 20
"""Bytes of a catalog's text: it travels in parts of `PIECE_BYTES_MAX`, each a frame."""
FRAMES_PER_MESSAGE_MAX: Final = 65_536
ENTRIES_MAX: Final = 1_024
"""Entries that an array may declare: memory for them is taken before they come."""
KEYS_PER_WANT_MAX: Final = 256
"""Customers asked for at once; the core's bound of a name applies to each."""
WANTS_OPEN_MAX: Final = 64
"""Questions of one host that wait for their answer."""
DETAIL_BYTES_MAX: Final = 1_024
"""Bytes of a text that says what is wrong."""
NAME_MAX: Final = NAME_BYTES_MAX

U64_MAX: Final = (1 << 64) - 1
I63_MAX: Final = (1 << 63) - 1

# Why a message or an update was refused (`Refused.code`, `Nack.code`) or a stream ended (`Goodbye.code`).
MALFORMED: Final = "malformed"  # Not msgpack, or not the fields of its type.
TOO_LARGE: Final = "too_large"  # Over an announced bound.
UNKNOWN_FRAME: Final = "unknown_frame"  # Of a required type that this version does not know.
VERSION_UNKNOWN: Final = "version"  # Another version of the frames.
UNEXPECTED: Final = "unexpected"  # Not at this point of the conversation.
GAP: Final = "gap"  # Numbers are not one after the other.
EPOCH: Final = "epoch"  # Of another life of the ledger.
DIGEST: Final = "digest"  # What the host has is not what the hub has.
REFUSED: Final = "refused"  # The core refuses a record or a catalog; `detail` says which and why.
DRAIN: Final = "drain"  # The hub goes away for a while.
BUSY: Final = "busy"  # More wait for a place than may.
TOO_SLOW: Final = "too_slow"  # The host fell behind what the hub keeps.
REVOKED: Final = "revoked"  # The token is not in force any more.
FORBIDDEN: Final = "forbidden"  # The token does not allow this.
REPLACED: Final = "replaced"  # The same host connected again.
IDLE: Final = "idle"  # Nothing was heard for too long.
CODES: Final = frozenset({
    MALFORMED, TOO_LARGE, UNKNOWN_FRAME, VERSION_UNKNOWN, UNEXPECTED, GAP, EPOCH, DIGEST, REFUSED,
    DRAIN, BUSY, TOO_SLOW, REVOKED, FORBIDDEN, REPLACED, IDLE,
})  # fmt: skip

NONE: Final = 0
DELTA: Final = 1
FULL: Final = 2
ALL: Final = 0
ON_DEMAND: Final = 1


class Refused(ProtocolError):
    """A message that is not as it must be; `code` is one of `CODES`."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")


@dataclass(frozen=True, slots=True)
class Have:
    """What somebody is at: the ledger's epoch, the number of the last change, the sum of record hashes after
    it."""

    epoch: int
    seq: int
    digest: int


@dataclass(frozen=True, slots=True)
class Hello:
    """host → hub, first: who it is and what it has."""

    host: str
    """The directory's own id, the same for every process of the host and after every restart."""
    arena: int
    have: Have | None
    """None: nothing that could be continued."""
    mode: int
    """`ALL` customers, or those asked for (`ON_DEMAND`)."""
    software: str = ""
    """Name and version of what connects, for the hub's lists."""


@dataclass(frozen=True, slots=True)
class Ack:
    """host → hub: everything up to `seq` is visible to checks, and comes to this digest."""

    seq: int
    digest: int


@dataclass(frozen=True, slots=True)
class Nack:
    """host → hub: what came is refused; the last good state stays in force."""

    seq: int
    """Of the commit that was refused; the host's own where it was no commit."""
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Want:
    """host → hub, on demand: customers by id or alias."""

    id: int
    """Counts up; the answer has the same."""
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Intent:
    """hub → host: what follows until the next commit of `to`, and the bounds that hold from here on."""

    kind: int
    """`NONE`: nothing is missing. `DELTA`: the changes after `seq_from`. `FULL`: a snapshot as of `seq_from`,
    in pieces; what the host has is dropped at its commit."""
    epoch: int
    seq_from: int
    seq_to: int
    hub_at_ms: int
    heartbeat_ms: int
    """How often the hub shows life; a host that hears nothing for three times as long hangs up."""
    customers: int = 0
    """At most so many of a snapshot; 0 where it is none."""
    snapshot_bytes: int = 0
    """Of the snapshot's file."""
    message_bytes_max: int = HUB_MESSAGE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class CatalogPart:
    """hub → host: a part of a catalog's text, before the commit that puts it in force."""

    filename: str
    size: int
    """Bytes of the whole text."""
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Records:
    """hub → host: customer records one after the other, before the commit that makes them visible."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """hub → host: a part of a snapshot's file."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """hub → host: what came since the last commit is one change, and counts from here on."""

    epoch: int
    seq: int
    digest: int
    at_ms: int
    """When the ledger stored it, by the hub's clock."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """hub → host: the hub lives, and this is where the stream stands at this point."""

    hub_at_ms: int
    epoch: int
    seq: int
    digest: int


@dataclass(frozen=True, slots=True)
class Found:
    """hub → host, on demand: the answer to `Want`, as of change `seq`."""

    id: int
    seq: int
    missing: tuple[str, ...]
    """Keys that are nobody's."""
    data: bytes
    """The records of the others."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """hub → host, last."""

    code: str
    detail: str
    retry_after_ms: int
    """The host waits at least so long before it connects again."""


Frame: TypeAlias = (
    Hello | Ack | Nack | Want | Intent | CatalogPart | Records | Piece | Commit | Heartbeat | Found | Goodbye
)

_packb = msgpack.Packer(autoreset=True).pack


def encode(frame: Frame) -> bytes:
    """A frame as bytes."""
    packed: bytes = _packb(_FIELDS[type(frame)](frame))
    return packed


def _have(have: Have | None) -> tuple[int, int, int] | None:
    return None if have is None else (have.epoch, have.seq, have.digest)


_FIELDS: dict[type[Any], Callable[[Any], Sequence[object]]] = {
    Hello: lambda f: (VERSION, 1, f.host, f.arena, _have(f.have), f.mode, f.software),
    Ack: lambda f: (VERSION, 2, f.seq, f.digest),
    Nack: lambda f: (VERSION, 3, f.seq, f.code, f.detail),
    Want: lambda f: (VERSION, 4, f.id, f.keys),
    Intent: lambda f: (
        VERSION, 16, f.kind, f.epoch, f.seq_from, f.seq_to, f.hub_at_ms, f.heartbeat_ms, f.customers,
        f.snapshot_bytes, f.message_bytes_max,
    ),
    CatalogPart: lambda f: (VERSION, 17, f.filename, f.size, f.offset, f.data),
    Records: lambda f: (VERSION, 18, f.data),
    Piece: lambda f: (VERSION, 19, f.offset, f.data),
    Commit: lambda f: (VERSION, 20, f.epoch, f.seq, f.digest, f.at_ms),
    Heartbeat: lambda f: (VERSION, 21, f.hub_at_ms, f.epoch, f.seq, f.digest),
    Found: lambda f: (VERSION, 22, f.id, f.seq, f.missing, f.data),
    Goodbye: lambda f: (VERSION, 23, f.code, f.detail, f.retry_after_ms),
}  # fmt: skip


def decode(message: bytes, *, from_hub: bool) -> list[Frame]:
    """The frames of a message, in order. Raises `Refused`; nothing of a refused message counts."""
    bound = HUB_MESSAGE_BYTES_MAX if from_hub else HOST_MESSAGE_BYTES_MAX
    if len(message) > bound:
        raise Refused(TOO_LARGE, f"a message of {len(message)} bytes, at most {bound} are taken")
    readers = _FROM_HUB if from_hub else _FROM_HOST
    found: list[Frame] = []
    for values in _arrays(message):
        frame = _frame(values, readers)
        if frame is not None:
            found.append(frame)
    return found


def _arrays(message: bytes) -> Iterator[tuple[Any, ...]]:
    """The values of a message. The unpacker believes no declared length beyond the message's own."""
    unpacker = msgpack.Unpacker(
        use_list=False,
        strict_map_key=True,
        max_buffer_size=max(len(message), 1),
        max_array_len=ENTRIES_MAX,
        max_map_len=ENTRIES_MAX,
        max_ext_len=ENTRIES_MAX,
    )
    unpacker.feed(message)
    count = 0
    while unpacker.tell() < len(message):
        count += 1
        if count > FRAMES_PER_MESSAGE_MAX:
            raise Refused(TOO_LARGE, f"more than {FRAMES_PER_MESSAGE_MAX} frames in one message")
        try:
            values = unpacker.unpack()
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
            raise Refused(MALFORMED, f"not msgpack: {str(error)[:200] or type(error).__name__}") from error
        if not isinstance(values, tuple) or len(values) < 2:
            raise Refused(MALFORMED, "a frame is an array of a version, a type and fields")
        yield values


def _frame(values: tuple[Any, ...], readers: dict[int, tuple[int, Callable[..., Frame]]]) -> Frame | None:
    version, kind = values[0], values[1]
    if type(version) is not int or type(kind) is not int or kind < 0:
        raise Refused(MALFORMED, "a frame begins with two numbers, its version and its type")
    if version != VERSION:
        raise Refused(VERSION_UNKNOWN, f"frames of version {version}, this side knows {VERSION}")
    reader = readers.get(kind)
    if reader is None:
        if kind >= OPTIONAL_FROM:
            return None
        raise Refused(UNKNOWN_FRAME, f"a frame of type {kind}, which is required and not known here")
    fields, read = reader
    if len(values) - 2 < fields:
        raise Refused(
            MALFORMED, f"a frame of type {kind} has {len(values) - 2} fields, {fields} are required"
        )
    return read(*values[2 : 2 + fields])


# Each kind of field, checked. The text says what it must be.


def _natural(value: Any, what: str, most: int = I63_MAX) -> int:
    if type(value) is int and 0 <= value <= most:
        return value
    raise Refused(MALFORMED, f"{what} must be a whole number from 0 to {most}, not {_shown(value)}")


def _text(value: Any, what: str, most: int, *, empty: bool = True) -> str:
    if not isinstance(value, str):
        raise Refused(MALFORMED, f"{what} must be text, not {_shown(value)}")
    if not value and not empty:
        raise Refused(MALFORMED, f"{what} is empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Refused(MALFORMED, f"{what} is not Unicode text") from None
    if size > most or "\0" in value:
        raise Refused(MALFORMED, f"{what} has more than {most} bytes, or a NUL")
    return value


def _bytes(value: Any, what: str, most: int) -> bytes:
    if not isinstance(value, bytes):
        raise Refused(MALFORMED, f"{what} must be bytes, not {_shown(value)}")
    if len(value) > most:
        raise Refused(TOO_LARGE, f"{what} has {len(value)} bytes, at most {most} are taken")
    return value


def _keys(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise Refused(MALFORMED, f"{what} must be a list, not {_shown(value)}")
    if len(value) > KEYS_PER_WANT_MAX:
        raise Refused(TOO_LARGE, f"{len(value)} {what}, at most {KEYS_PER_WANT_MAX} at once")
    return tuple(_text(key, "a key", NAME_MAX, empty=False) for key in value)


def _code(value: Any) -> str:
    """A code; one of a newer peer is taken as it is."""
    return _text(value, "a code", 64, empty=False)


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.40}"


def _read_hello(host: Any, arena: Any, have: Any, mode: Any, software: Any) -> Hello:
    if have is not None:
        if not isinstance(have, tuple) or len(have) < 3:
            raise Refused(MALFORMED, "what a host has is nothing, or epoch, seq and digest")
        have = Have(
            _natural(have[0], "epoch"), _natural(have[1], "seq"), _natural(have[2], "digest", U64_MAX)
        )
    if mode not in (ALL, ON_DEMAND) or isinstance(mode, bool):
        raise Refused(MALFORMED, f"a host's mode must be {ALL} or {ON_DEMAND}, not {_shown(mode)}")
    return Hello(
        _text(host, "a host's id", 128, empty=False),
        _natural(arena, "arena", U64_MAX),
        have,
        mode,
        _text(software, "software", 128),
    )


def _read_want(id: Any, keys: Any) -> Want:
    wanted = _keys(keys, "keys")
    if not wanted:
        raise Refused(MALFORMED, "no keys are wanted")
    return Want(_natural(id, "id"), wanted)


def _read_intent(
    kind: Any,
    epoch: Any,
    seq_from: Any,
    seq_to: Any,
    hub_at_ms: Any,
    heartbeat_ms: Any,
    customers: Any,
    snapshot_bytes: Any,
    message_bytes_max: Any,
) -> Intent:
    intent = Intent(
        _natural(kind, "kind", FULL),
        _natural(epoch, "epoch"),
        _natural(seq_from, "seq_from"),
        _natural(seq_to, "seq_to"),
        _natural(hub_at_ms, "hub_at_ms"),
        _natural(heartbeat_ms, "heartbeat_ms"),
        _natural(customers, "customers"),
        _natural(snapshot_bytes, "snapshot_bytes"),
        _natural(message_bytes_max, "message_bytes_max"),
    )
    if intent.heartbeat_ms == 0:
        raise Refused(MALFORMED, "heartbeat_ms must be at least 1")
    if intent.seq_from > intent.seq_to:
        raise Refused(GAP, f"changes from {intent.seq_from} to {intent.seq_to}: backwards")
    return intent


def _read_catalog(filename: Any, size: Any, offset: Any, data: Any) -> CatalogPart:
    part = CatalogPart(
        _text(filename, "filename", 4_096),
        _natural(size, "size"),
        _natural(offset, "offset"),
        _bytes(data, "a part of a catalog", PIECE_BYTES_MAX),
    )
    if part.size > CATALOG_BYTES_MAX:
        raise Refused(TOO_LARGE, f"a catalog of {part.size} bytes, at most {CATALOG_BYTES_MAX} are taken")
    if not part.data or part.offset + len(part.data) > part.size:
        raise Refused(MALFORMED, "a part of a catalog that is empty, or goes beyond its size")
    return part


_FROM_HOST: dict[int, tuple[int, Callable[..., Frame]]] = {
    1: (5, _read_hello),
    2: (2, lambda seq, digest: Ack(_natural(seq, "seq"), _natural(digest, "digest", U64_MAX))),
    3: (
        3,
        lambda seq, code, detail: Nack(
            _natural(seq, "seq"), _code(code), _text(detail, "detail", DETAIL_BYTES_MAX)
        ),
    ),
    4: (2, _read_want),
}
_FROM_HUB: dict[int, tuple[int, Callable[..., Frame]]] = {
    16: (9, _read_intent),
    17: (4, _read_catalog),
    18: (1, lambda data: Records(_bytes(data, "records", RECORDS_BYTES_MAX))),
    19: (
        2,
        lambda offset, data: Piece(
            _natural(offset, "offset"), _bytes(data, "a piece of a snapshot", PIECE_BYTES_MAX)
        ),
    ),
    20: (
        4,
        lambda epoch, seq, digest, at_ms: Commit(
            _natural(epoch, "epoch"), _natural(seq, "seq"), _natural(digest, "digest", U64_MAX),
            _natural(at_ms, "at_ms"),
        ),
    ),
    21: (
        4,
        lambda hub_at_ms, epoch, seq, digest: Heartbeat(
            _natural(hub_at_ms, "hub_at_ms"), _natural(epoch, "epoch"), _natural(seq, "seq"),
            _natural(digest, "digest", U64_MAX),
        ),
    ),
    22: (
        4,
        lambda id, seq, missing, data: Found(
            _natural(id, "id"), _natural(seq, "seq"), _keys(missing, "missing keys"),
            _bytes(data, "records", RECORDS_BYTES_MAX),
        ),
    ),
    23: (
        3,
        lambda code, detail, retry_after_ms: Goodbye(
            _code(code), _text(detail, "detail", DETAIL_BYTES_MAX), _natural(retry_after_ms, "retry_after_ms")
        ),
    ),
}  # fmt: skip
