"""The state directory that a command looks into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcheck.errors import OwnerUnavailable

if TYPE_CHECKING:
    from fastcheck import Entitlements


def entitlements(directory: str) -> Entitlements:
    """Attaches to the service that runs there; where none runs, owns the directory for the moment.

    Raises `DirectoryError`, `CatalogError`, `OwnerUnavailable`."""
    from fastcheck import Entitlements

    try:
        return Entitlements.attach(directory)
    except OwnerUnavailable:
        return Entitlements.open(directory)
