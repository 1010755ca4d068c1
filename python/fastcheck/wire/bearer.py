"""The address and the token that a client sends with. Pure."""

from __future__ import annotations

from fastcheck.errors import NameInvalid, WrongType
from fastcheck.wire.address import address

TOKEN_CHARACTERS_MAX = 1_024


def base_url(url: object, *, insecure: bool = False) -> str:
    """The hub's address for HTTP, without a slash at its end. Raises as `address`."""
    return address(url, insecure=insecure).http


def bearer(token: object) -> str:
    """The value of the Authorization header. Raises `WrongType`, `NameInvalid`; neither repeats the token."""
    if not isinstance(token, str):
        raise WrongType(f"token must be a str, not {type(token).__name__}")
    text = token.strip()  # A file's last line ends with a newline.
    if not text or len(text) > TOKEN_CHARACTERS_MAX or not (text.isascii() and text.isprintable()):
        raise NameInvalid(
            "token is empty, too long, or holds what no token does: look at where it comes from"
        )
    if " " in text:
        raise NameInvalid("token holds a space: give the token alone, without 'Bearer'")
    return f"Bearer {text}"
