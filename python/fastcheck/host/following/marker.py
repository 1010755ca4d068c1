"""`hub.json`: says that a directory follows a hub, which one, how, and under which name the host is known
there. It holds no secret."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fastcheck.errors import DirectoryError

NAME: Final = "hub.json"
_VERSION: Final = 1
_BYTES_MAX: Final = 65_536
MODES: Final = ("all", "on_demand")


@dataclass(frozen=True)
class Marker:
    """What `hub.json` says."""

    url: str
    mode: str
    """all, or on_demand."""
    host: str
    """The directory's own id, the same for every process and after every restart."""


def read(directory: Path) -> Marker | None:
    """The marker of a directory; None where it follows no hub. Raises `DirectoryError`."""
    path = directory / NAME
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DirectoryError(path, error.strerror or str(error), "give this user read access") from error
    try:
        match json.loads(data):
            case {"version": 1, "url": str() as url, "mode": str() as mode, "host": str() as host} if (
                mode in MODES and 0 < len(host) <= 128
            ):
                return Marker(url, mode, host)
    except (ValueError, RecursionError):
        pass
    raise DirectoryError(path, "is damaged, or of another version", "remove the directory, and connect again")


def claim(directory: Path, url: str, mode: str) -> Marker:
    """The marker of a directory that is to follow a hub; made by the first who asks. Raises `DirectoryError`
    for a directory with a ledger of its own, or that follows another hub, or in another way."""
    found = read(directory)
    if found is None:
        if (directory / "ledger.db").exists():
            raise DirectoryError(
                directory,
                "has a ledger of its own",
                "open it with Entitlements.open, or connect in another directory",
            )
        _make(directory, Marker(url, mode, f"h_{secrets.token_hex(12)}"))
        found = read(directory)
    if found is None:
        raise DirectoryError(directory, f"{NAME} was removed", "connect again")
    if found.url != url:
        raise DirectoryError(
            directory,
            f"follows {found.url}, not {url}",
            "use another directory, or delete this one: all that is in it comes from the hub",
        )
    if found.mode != mode:
        raise DirectoryError(
            directory,
            f"holds customers={found.mode!r}, not {mode!r}",
            "use another directory, or delete this one: all that is in it comes from the hub",
        )
    return found


def refuse(directory: Path) -> None:
    """Raises `DirectoryError` for a directory that follows a hub."""
    found = read(directory)
    if found is not None:
        raise DirectoryError(
            directory,
            f"follows the hub at {found.url}",
            "use Entitlements.connect, or open another directory",
        )


def _make(directory: Path, marker: Marker) -> None:
    fresh = directory / f"{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "w") as file:
                json.dump({"version": _VERSION, **asdict(marker)}, file)
                file.flush()
                os.fsync(fd)
            with contextlib.suppress(FileExistsError):  # Another process was first: its marker counts.
                os.link(fresh, directory / NAME)
        finally:
            os.unlink(fresh)
    except OSError as error:
        raise DirectoryError(
            directory / NAME, error.strerror or str(error), "use a directory on a local, writable file system"
        ) from error
