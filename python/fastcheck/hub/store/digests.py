"""Digests of customer records. The hub's only door to the native module, which hashes them as every host
does; `docs/format/stream.md` says what a digest is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastcheck._fastcheck import digest

MODULUS: Final = 1 << 64
_SIGN: Final = 1 << 63


def summed(records: bytes) -> int:
    """The digest of records, one after the other; deleted ones add nothing. Raises `RecordError`."""
    total: int = digest(records)[0] if records else 0
    return total


def moved(before: int, old: Iterable[bytes], new: bytes) -> int:
    """A digest after `new` records took the place of `old` ones."""
    return (before - summed(b"".join(old)) + summed(new)) % MODULUS


def signed(value: int) -> int:
    """A digest as the tables keep it: the same 64 bits as a signed number."""
    return value - MODULUS if value & _SIGN else value


def unsigned(stored: int) -> int:
    """The inverse of `signed`."""
    return stored % MODULUS
