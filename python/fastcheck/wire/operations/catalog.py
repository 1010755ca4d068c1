"""The catalog: what is sold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.errors import WrongType
from fastcheck.wire.fields import Kind
from fastcheck.wire.names import note
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.shapes import CatalogCheck, CatalogText, Changed

UNNAMED = "<catalog>"
"""The filename of a catalog that has none."""


def _text(value: object, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise WrongType(f"{what} must be bytes, not {type(value).__name__}")
    return value


Source = Annotated[bytes, Kind(_text, called="a catalog's text")]
Filename = Annotated[str, Kind(note, called="the catalog's filename")]


def source_of(given: bytes | str) -> bytes:
    """A catalog's text as callers in Python give it. Raises `WrongType`."""
    if not isinstance(given, (bytes, str)):
        raise WrongType(f"a catalog is text or bytes, not {type(given).__name__}")
    return given.encode("utf-8", "replace") if isinstance(given, str) else given


@dataclass(frozen=True)
class GetCatalog(Request[CatalogText]):
    """The catalog in force, as it was put."""


@dataclass(frozen=True)
class SetCatalog(Request[Changed]):
    """Puts a catalog in force on every host. Refused with every mistake, and with everything in use that it
    would take away. `If-Match` with the entity tag of the catalog as it was read refuses where another caller
    was faster."""

    source: Source
    filename: Filename = UNNAMED
    """How messages call it."""


@dataclass(frozen=True)
class CheckCatalog(Request[CatalogCheck]):
    """What `set_catalog` would refuse, and what it would do to whom; nothing is written."""

    source: Source
    filename: Filename = UNNAMED
    """How messages call it."""


OPERATIONS = (
    Operation(GetCatalog, "GET", "/catalog", "catalog.read", tagged=True),
    Operation(
        SetCatalog, "PUT", "/catalog", "catalog.write", Touches.PUBLISHES, Repeat.KEYED, tag_of=GetCatalog
    ),
    Operation(CheckCatalog, "POST", "/catalog:check", "catalog_problems.read"),
)
