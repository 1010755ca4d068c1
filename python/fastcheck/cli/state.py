"""The state directory that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastcheck.errors import DirectoryError, OwnerUnavailable

if TYPE_CHECKING:
    from fastcheck import Entitlements


def entitlements(directory: str) -> Entitlements:
    """Attaches to the process that has the directory open; without one, owns the directory for this command.
    Never makes a state directory.

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
