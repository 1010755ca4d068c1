"""The directory that holds a host's state: made with mode 0700, or refused with what to do."""

from __future__ import annotations

import os
from pathlib import Path

from fastcheck.errors import DirectoryError, NameInvalid, WrongType

MODE = 0o700


def prepare(directory: object, *, make: bool) -> Path:
    """The directory as a path; makes it if wanted. Raises `DirectoryError`, `WrongType`, `NameInvalid`."""
    if not isinstance(directory, (str, os.PathLike)):
        raise WrongType(f"directory must be a path, not {type(directory).__name__}")
    text = os.fspath(directory)
    if not isinstance(text, str):
        raise WrongType("directory must be a str path, not bytes")
    if not text or "\0" in text:
        raise NameInvalid("directory is empty or holds a NUL: name a directory")
    try:
        path = Path(text).absolute()
        if make:
            path.mkdir(mode=MODE, parents=True, exist_ok=True)
        if not path.is_dir():
            missing = not path.exists()
            raise DirectoryError(
                path,
                "does not exist" if missing else "is not a directory",
                "open it with Entitlements.open first" if missing else "name a directory",
            )
    except FileExistsError as error:
        raise DirectoryError(path, "is a file, not a directory", "name a directory") from error
    except UnicodeEncodeError as error:
        raise NameInvalid("directory holds a lone surrogate: name a directory with text") from error
    except OSError as error:
        if isinstance(error, DirectoryError):
            raise
        what_to_do = {
            "NotADirectoryError": "a file stands where a directory is expected; name a directory",
            "PermissionError": "give this user write access, or use another directory",
        }.get(type(error).__name__, "use a directory on a local, writable file system")
        raise DirectoryError(text[:400], error.strerror or str(error), what_to_do) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise DirectoryError(
            path, "cannot be written", "give this user write access, or use another directory"
        )
    return path
