"""The state directory that a command looks into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastcheck.errors import DirectoryError, OwnerUnavailable

if TYPE_CHECKING:
    from fastcheck import Entitlements


def entitlements(directory: str) -> Entitlements:
    """Attaches to the service that runs there; where none runs, owns the directory for the moment. Never
    makes one of a directory that is none.

    Raises `DirectoryError`, `CatalogError`, `OwnerUnavailable`."""
    from fastcheck import Entitlements

    try:
        return Entitlements.attach(directory)
    except OwnerUnavailable:
        if not Path(directory, "ledger.db").exists():
            raise DirectoryError(
                directory, "is not a state directory", "name the one that Entitlements.open was given"
            ) from None
        return Entitlements.open(directory)
