"""The frames of the stream between hub and host: one msgpack array each, as ``docs/format/stream.md`` says.

A message carries one frame or several, one after the other::

    [version, type, field…]

Whoever reads takes nothing on trust: a message is no longer than its bound, a frame has the fields of its
type with the right kinds and within bounds, or the whole message is refused with a code and what is wrong.

A frame is a class: its `TYPE`, its fields in their order, and the form of each. `FromHost` and `FromHub` say
who sends which. What is written and read is made from these.

Room for newer peers: fields after the known ones are read over; so are whole frames of a type from
`OPTIONAL_FROM` on. A frame of an unknown type below that is required, and so refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args, get_type_hints, overload

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
WANTS_KEPT_MAX: Final = 64
"""Questions of one host that a hub keeps until it answers. A host asks fewer at once."""
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


# The forms of fields. The text says what a value must be.

Take: TypeAlias = Callable[[Any], Any]
"""Gives a value that came as the field's. Raises `Refused`."""


@dataclass(frozen=True, eq=False)
class Form:
    """What a field may hold."""

    take: Callable[[str], Take]
    """Makes the field's `Take`, which calls it by this name in what it says."""
    called: str = ""
    """How messages call the field; default: its name."""
    plain: Callable[[Any], object] | None = None
    """Gives what msgpack writes; None: the value itself."""


def _natural(what: str, most: int = I63_MAX) -> Take:
    def take(value: Any) -> int:
        if type(value) is int and 0 <= value <= most:
            return value
        raise Refused(MALFORMED, f"{what} must be a whole number from 0 to {most}, not {_shown(value)}")

    return take


def _text(what: str, most: int, *, empty: bool = True) -> Take:
    def take(value: Any) -> str:
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

    return take


def _bytes(what: str, most: int) -> Take:
    def take(value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise Refused(MALFORMED, f"{what} must be bytes, not {_shown(value)}")
        if len(value) > most:
            raise Refused(TOO_LARGE, f"{what} has {len(value)} bytes, at most {most} are taken")
        return value

    return take


def _keys(what: str) -> Take:
    key = _text("a key", NAME_MAX, empty=False)

    def take(value: Any) -> tuple[str, ...]:
        if not isinstance(value, tuple):
            raise Refused(MALFORMED, f"{what} must be a list, not {_shown(value)}")
        if len(value) > KEYS_PER_WANT_MAX:
            raise Refused(TOO_LARGE, f"{len(value)} {what}, at most {KEYS_PER_WANT_MAX} at once")
        return tuple([key(one) for one in value])

    return take


def _have(what: str) -> Take:
    epoch, seq, digest = _natural("epoch"), _natural("seq"), _natural("digest", U64_MAX)

    def take(value: Any) -> Have | None:
        if value is None:
            return None
        if not isinstance(value, tuple) or len(value) < 3:
            raise Refused(MALFORMED, f"{what} is nothing, or epoch, seq and digest")
        return Have(epoch(value[0]), seq(value[1]), digest(value[2]))

    return take


def _plain_have(have: Have | None) -> tuple[int, int, int] | None:
    return None if have is None else (have.epoch, have.seq, have.digest)


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.40}"


Natural = Annotated[int, Form(_natural)]
Digest = Annotated[int, Form(partial(_natural, most=U64_MAX))]
Detail = Annotated[str, Form(partial(_text, most=DETAIL_BYTES_MAX))]
Code = Annotated[str, Form(partial(_text, most=64, empty=False), "a code")]
"""One of `CODES`; one of a newer peer is taken as it is."""
RecordBytes = Annotated[bytes, Form(partial(_bytes, most=RECORDS_BYTES_MAX), "records")]


class Body:
    """What all frames have."""

    __slots__ = ()
    TYPE: ClassVar[int]

    def agree(self) -> None:
        """Raises `Refused` where fields that came contradict each other."""


@dataclass(frozen=True, slots=True)
class Hello(Body):
    """host → hub, first: who it is and what it has."""

    TYPE = 1

    host: Annotated[str, Form(partial(_text, most=128, empty=False), "a host's id")]
    """The directory's own id, the same for every process of the host and after every restart."""
    arena: Annotated[int, Form(partial(_natural, most=U64_MAX))]
    have: Annotated[Have | None, Form(_have, "what a host has", _plain_have)]
    """None: nothing that could be continued."""
    mode: Annotated[int, Form(partial(_natural, most=ON_DEMAND), "a host's mode")]
    """`ALL` customers, or those asked for (`ON_DEMAND`)."""
    software: Annotated[str, Form(partial(_text, most=128))] = ""
    """Name and version of what connects, for the hub's lists."""


@dataclass(frozen=True, slots=True)
class Ack(Body):
    """host → hub: everything up to `seq` is visible to checks, and comes to this digest."""

    TYPE = 2

    seq: Natural
    digest: Digest


@dataclass(frozen=True, slots=True)
class Nack(Body):
    """host → hub: what came is refused; the last good state stays in force."""

    TYPE = 3

    seq: Natural
    """Of the commit that was refused; the host's own where it was no commit."""
    code: Code
    detail: Detail


@dataclass(frozen=True, slots=True)
class Want(Body):
    """host → hub, on demand: customers by id or alias."""

    TYPE = 4

    id: Natural
    """Counts up; the answer has the same."""
    keys: Annotated[tuple[str, ...], Form(_keys)]

    def agree(self) -> None:
        if not self.keys:
            raise Refused(MALFORMED, "no keys are wanted")


@dataclass(frozen=True, slots=True)
class Intent(Body):
    """hub → host: what follows until the next commit of `to`, and the bounds that hold from here on."""

    TYPE = 16

    kind: Annotated[int, Form(partial(_natural, most=FULL))]
    """`NONE`: nothing is missing. `DELTA`: the changes after `seq_from`. `FULL`: a snapshot as of `seq_from`,
    in pieces; what the host has is dropped at its commit."""
    epoch: Natural
    seq_from: Natural
    seq_to: Natural
    hub_at_ms: Natural
    heartbeat_ms: Natural
    """How often the hub shows life; a host that hears nothing for three times as long hangs up."""
    customers: Natural = 0
    """At most so many of a snapshot; 0 where it is none."""
    snapshot_bytes: Natural = 0
    """Of the snapshot's file."""
    message_bytes_max: Natural = HUB_MESSAGE_BYTES_MAX

    def agree(self) -> None:
        if self.heartbeat_ms == 0:
            raise Refused(MALFORMED, "heartbeat_ms must be at least 1")
        if self.seq_from > self.seq_to:
            raise Refused(GAP, f"changes from {self.seq_from} to {self.seq_to}: backwards")


@dataclass(frozen=True, slots=True)
class CatalogPart(Body):
    """hub → host: a part of a catalog's text, before the commit that puts it in force."""

    TYPE = 17

    filename: Annotated[str, Form(partial(_text, most=4_096))]
    size: Natural
    """Bytes of the whole text."""
    offset: Natural
    data: Annotated[bytes, Form(partial(_bytes, most=PIECE_BYTES_MAX), "a part of a catalog")]

    def agree(self) -> None:
        if self.size > CATALOG_BYTES_MAX:
            raise Refused(TOO_LARGE, f"a catalog of {self.size} bytes, at most {CATALOG_BYTES_MAX} are taken")
        if not self.data or self.offset + len(self.data) > self.size:
            raise Refused(MALFORMED, "a part of a catalog that is empty, or goes beyond its size")


@dataclass(frozen=True, slots=True)
class Records(Body):
    """hub → host: customer records one after the other, before the commit that makes them visible."""

    TYPE = 18

    data: RecordBytes


@dataclass(frozen=True, slots=True)
class Piece(Body):
    """hub → host: a part of a snapshot's file."""

    TYPE = 19

    offset: Natural
    data: Annotated[bytes, Form(partial(_bytes, most=PIECE_BYTES_MAX), "a piece of a snapshot")]


@dataclass(frozen=True, slots=True)
class Commit(Body):
    """hub → host: what came since the last commit is one change, and counts from here on."""

    TYPE = 20

    epoch: Natural
    seq: Natural
    digest: Digest
    at_ms: Natural
    """When the ledger stored it, by the hub's clock."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Body):
    """hub → host: the hub lives, and this is where the stream stands at this point."""

    TYPE = 21

    hub_at_ms: Natural
    epoch: Natural
    seq: Natural
    digest: Digest


@dataclass(frozen=True, slots=True)
class Found(Body):
    """hub → host, on demand: the answer to `Want`, as of change `seq`."""

    TYPE = 22

    id: Natural
    seq: Natural
    missing: Annotated[tuple[str, ...], Form(_keys, "missing keys")]
    """Keys that are nobody's."""
    data: RecordBytes
    """The records of the others."""


@dataclass(frozen=True, slots=True)
class Goodbye(Body):
    """hub → host, last."""

    TYPE = 23

    code: Code
    detail: Detail
    retry_after_ms: Natural
    """The host waits at least so long before it connects again."""


FromHost: TypeAlias = Hello | Ack | Nack | Want
FromHub: TypeAlias = Intent | CatalogPart | Records | Piece | Commit | Heartbeat | Found | Goodbye
Frame: TypeAlias = FromHost | FromHub


# What is made from the classes.


@dataclass(frozen=True, eq=False)
class Row:
    """How a frame is written and read."""

    frame: type[Body]
    name: str
    """In words, as the page of the format has it."""
    fields: tuple[str, ...]
    values: Callable[[Any], Sequence[object]]
    """Version, type and fields of a frame, as msgpack writes them."""
    read: Callable[[Sequence[Any]], Any]
    """The frame of such values; what follows them is a newer peer's. Raises `Refused`."""
    length: int
    """At least so many values come."""


def _row(frame: type[Any]) -> Row:
    names = tuple(one.name for one in fields(frame))
    hints = get_type_hints(frame, include_extras=True)
    forms: list[Form] = [hints[one].__metadata__[0] for one in names]
    read = _read(frame, [form.take(form.called or name) for name, form in zip(names, forms, strict=True)])
    return Row(
        frame,
        re.sub("(?<=[a-z])(?=[A-Z])", " ", frame.__name__).lower(),
        names,
        _values(frame, names, [form.plain for form in forms]),
        read if frame.agree is Body.agree else _agreed(read),
        2 + len(names),
    )


# As text first, as the standard library makes a dataclass: a loop over the fields takes half as long again.


def _values(
    frame: type[Any], names: Sequence[str], plain: Sequence[Any]
) -> Callable[[Any], Sequence[object]]:
    parts = [
        f"frame.{one}" if plain[n] is None else f"plain[{n}](frame.{one})" for n, one in enumerate(names)
    ]
    text = f"lambda frame: ({VERSION}, {frame.TYPE}, {', '.join(parts)})"
    return eval(text, {"plain": plain})  # type: ignore[no-any-return]


def _read(frame: type[Any], takes: list[Take]) -> Callable[[Sequence[Any]], Any]:
    parts = [f"take{n}(values[{2 + n}])" for n in range(len(takes))]
    known = {"frame": frame, **{f"take{n}": take for n, take in enumerate(takes)}}
    return eval(f"lambda values: frame({', '.join(parts)})", known)  # type: ignore[no-any-return]


def _agreed(read: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def read_agreed(values: Sequence[Any]) -> Any:
        found = read(values)
        found.agree()
        return found

    return read_agreed


def _rows(frames: Iterable[type[Any]]) -> dict[int, Row]:
    return {one.TYPE: _row(one) for one in frames}


FROM_HOST: Final = _rows(get_args(FromHost))
FROM_HUB: Final = _rows(get_args(FromHub))
_VALUES: Final = {row.frame: row.values for rows in (FROM_HOST, FROM_HUB) for row in rows.values()}

_packb = msgpack.Packer(autoreset=True).pack


def encode(frame: Frame) -> bytes:
    """A frame as bytes."""
    packed: bytes = _packb(_VALUES[type(frame)](frame))
    return packed


@overload
def decode(message: bytes, *, from_hub: Literal[True]) -> list[FromHub]: ...
@overload
def decode(message: bytes, *, from_hub: Literal[False]) -> list[FromHost]: ...
@overload
def decode(message: bytes, *, from_hub: bool) -> list[Frame]: ...


def decode(message: bytes, *, from_hub: bool) -> list[Any]:
    """The frames of a message, in order. Raises `Refused`; nothing of a refused message counts."""
    bound = HUB_MESSAGE_BYTES_MAX if from_hub else HOST_MESSAGE_BYTES_MAX
    if len(message) > bound:
        raise Refused(TOO_LARGE, f"a message of {len(message)} bytes, at most {bound} are taken")
    rows = FROM_HUB if from_hub else FROM_HOST
    found: list[Any] = []
    for values in _arrays(message):
        frame = _frame(values, rows)
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


def _frame(values: tuple[Any, ...], rows: dict[int, Row]) -> Any:
    version, kind = values[0], values[1]
    if type(version) is not int or type(kind) is not int or kind < 0:
        raise Refused(MALFORMED, "a frame begins with two numbers, its version and its type")
    if version != VERSION:
        raise Refused(VERSION_UNKNOWN, f"frames of version {version}, this side knows {VERSION}")
    row = rows.get(kind)
    if row is None:
        if kind >= OPTIONAL_FROM:
            return None
        raise Refused(UNKNOWN_FRAME, f"a frame of type {kind}, which is required and not known here")
    if len(values) < row.length:
        came, least = len(values) - 2, row.length - 2
        raise Refused(MALFORMED, f"a frame of type {kind} has {came} fields, {least} are required")
    return row.read(values)
