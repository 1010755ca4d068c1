"""A catalog as a program gives it to `open`: a path, its text, or bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from fastcheck.errors import CatalogError, DirectoryError, WrongType
from fastcheck.wire.catalog import CatalogLike

CATALOG_FILE_BYTES_MAX = 16 << 20
"""Bytes of a catalog file; the core has the same bound."""

Parse = Callable[[bytes, str], CatalogLike]


@dataclass(frozen=True)
class GivenCatalog:
    """A catalog with the text it came from."""

    catalog: CatalogLike
    source: bytes
    filename: str


def read_catalog(catalog: object, parse: Parse) -> GivenCatalog | None:
    """A catalog as callers give it: a path, its text (more than one line, or JSON), or bytes. Raises
    `CatalogError`, `DirectoryError`, `WrongType`."""
    if catalog is None:
        return None
    if isinstance(catalog, bytes):
        return GivenCatalog(parse(catalog, "<catalog>"), catalog, "<catalog>")
    if isinstance(catalog, str) and ("\n" in catalog or catalog.lstrip().startswith("{")):
        try:
            text = catalog.encode("utf-8")
        except UnicodeEncodeError as error:
            raise CatalogError(
                [f"<catalog>: a lone surrogate at position {error.start}: not Unicode text"]
            ) from error
        return GivenCatalog(parse(text, "<catalog>"), text, "<catalog>")
    if isinstance(catalog, (str, os.PathLike)):
        path = os.fspath(catalog)
        try:
            with open(path, "rb") as file:
                data = file.read(CATALOG_FILE_BYTES_MAX + 1)
        except (OSError, ValueError) as error:
            raise DirectoryError(
                str(path)[:400], f"the catalog cannot be read: {error}", "name a catalog file"
            ) from error
        if len(data) > CATALOG_FILE_BYTES_MAX:
            raise CatalogError([f"{path}: over {CATALOG_FILE_BYTES_MAX} bytes: split the product"])
        return GivenCatalog(parse(data, str(path)), data, str(path))
    source = getattr(catalog, "source", None)
    if isinstance(source, bytes):
        return GivenCatalog(catalog, source, "<catalog>")  # type: ignore[arg-type]
    raise WrongType(f"catalog must be a path, text or bytes, not {type(catalog).__name__}")
