"""The token a host connects with: given, in a file that may be replaced at any time, or in the
environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from fastcheck.errors import Forbidden, NameInvalid, WrongType

VARIABLE: Final = "FASTCHECK_TOKEN"
_BYTES_MAX: Final = 1_024
_TOKEN: Final = re.compile(r"[!-~]+")  # What a header can carry: visible ASCII, no blanks.


def source_of(
    token: object, token_file: object, environment: Mapping[str, str] = os.environ
) -> Callable[[], str]:
    """How to get the token, asked before every attempt. Raises `WrongType`, `NameInvalid` for one that cannot
    be; what it returns raises `Forbidden` where there is none, and `NameInvalid`."""
    if token is not None and token_file is not None:
        raise WrongType("give token or token_file, not both")
    if token is not None:
        if not isinstance(token, str):
            raise WrongType(f"token must be a str, not {type(token).__name__}")
        given = _checked(token, "token")
        return lambda: given
    if token_file is not None:
        if not isinstance(token_file, (str, os.PathLike)):
            raise WrongType(f"token_file must be a path, not {type(token_file).__name__}")
        path = Path(os.fspath(token_file))
        return lambda: _read(path)
    return lambda: _of_environment(environment)


def _of_environment(environment: Mapping[str, str]) -> str:
    found = environment.get(VARIABLE)
    if not found:
        raise Forbidden(f"there is no token: give token=…, token_file=… or set {VARIABLE}")
    return _checked(found.strip(), VARIABLE)


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise Forbidden(f"the token cannot be read from {path}: {error}") from error
    return _checked(data.decode("ascii", "replace").strip(), str(path))


def _checked(token: str, what: str) -> str:
    if not token or len(token) > _BYTES_MAX or _TOKEN.fullmatch(token) is None:
        raise NameInvalid(f"{what} holds no token: it looks like fc_live_<id>_<secret>")
    return token
