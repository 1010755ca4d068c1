"""Customer records as a host on demand looks at them: whose they are and under which keys. What they say is
for the native module alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from fastcheck.wire.frames import MALFORMED, Refused
from fastcheck.wire.record import DELETED

_NUMBER, _ID, _FLAGS, _ALIASES = 0, 1, 2, 8


@dataclass(frozen=True, slots=True)
class Named:
    """One record, with who it is about."""

    number: int
    keys: tuple[str, ...]
    """The id, then the aliases."""
    deleted: bool
    data: bytes


def split(records: bytes) -> Iterator[Named]:
    """The records of some bytes, in order. Raises `Refused` for bytes that are no records."""
    unpacker = msgpack.Unpacker(use_list=False, strict_map_key=True, max_buffer_size=max(len(records), 1))
    unpacker.feed(records)
    start = 0
    while start < len(records):
        try:
            record: Any = unpacker.unpack()
            number, id, flags = record[_NUMBER], record[_ID], record[_FLAGS]
            keys = (id, *record[_ALIASES])
        except (ValueError, TypeError, LookupError, RecursionError, msgpack.UnpackException) as error:
            raise Refused(MALFORMED, f"not a customer record: {str(error)[:200]}") from error
        if type(number) is not int or type(flags) is not int or not all(isinstance(key, str) for key in keys):
            raise Refused(MALFORMED, "not a customer record: its number, flags or keys are of other types")
        end = unpacker.tell()
        yield Named(number, keys, bool(flags & DELETED), records[start:end])
        start = end
