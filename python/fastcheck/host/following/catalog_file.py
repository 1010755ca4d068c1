"""The catalog of a host on demand, in a file of its own: what the rows in the arena were resolved with.

``[1, sha256 of the text, filename, text]`` as msgpack, replaced as a whole. A host that holds every customer
has its catalog in the checkpoint."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

from fastcheck.errors import DirectoryError, ProtocolError
from fastcheck.wire.frames import CATALOG_BYTES_MAX
from fastcheck.wire.packing import pack, unpack

_VERSION: Final = 1
_FILE_BYTES_MAX: Final = CATALOG_BYTES_MAX + 65_536


def write(path: Path, source: bytes, filename: str) -> None:
    """Stores a catalog: the old one or the new one is there, whatever happens. Raises `DirectoryError`."""
    replace(path, pack([_VERSION, hashlib.sha256(source).digest(), filename, source]))


def replace(path: Path, data: bytes) -> None:
    """Replaces a file's content, on disk when this returns; mode 0600. Raises `DirectoryError`."""
    fresh = path.with_name(path.name + ".new")
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(fresh, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise DirectoryError(
            path, error.strerror or str(error), "make room, or give this user write access"
        ) from error


def read(path: Path) -> tuple[bytes, str] | None:
    """(text, filename); None where there is none that is whole. Raises `DirectoryError`."""
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DirectoryError(
            path, error.strerror or str(error), "give this user read access, or remove the file"
        ) from error
    try:
        match unpack(data):
            case (1, bytes() as digest, str() as filename, bytes() as source) if (
                hashlib.sha256(source).digest() == digest
            ):
                return source, filename
    except ProtocolError:
        pass
    return None
