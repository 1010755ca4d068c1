"""Which hub is meant, and whether a token may be sent there. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ..errors import NameInvalid, WrongType

URL_CHARACTERS_MAX = 2_048
TOKEN_CHARACTERS_MAX = 1_024
_SCHEMES = {"https": "https", "http": "http", "wss": "https", "ws": "http"}
"""The address of the stream is as good: it is the same port."""


def base_url(url: object, *, insecure: bool = False) -> str:
    """The hub's address without a slash at its end. Raises `WrongType`; `NameInvalid` for what is no address
    of a hub, and for `http://` to another machine: a token would travel there in the clear."""
    if not isinstance(url, str):
        raise WrongType(f"url must be a str such as 'https://hub:8700', not {type(url).__name__}")
    if len(url) > URL_CHARACTERS_MAX:
        raise NameInvalid(f"url has {len(url)} characters, at most {URL_CHARACTERS_MAX} are taken")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NameInvalid(f"url is no address ({error}): write it as https://hub:8700") from None
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not host:
        raise NameInvalid("url must begin with https:// (or http:// on this machine) and name a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise NameInvalid("url must be an address alone: no user, password, query or fragment")
    if scheme == "http" and not insecure and not is_loopback(host):
        raise NameInvalid(
            f"url is http:// to {host}, so that the token could be read on the way: use https://, or "
            "insecure=True where the network is trusted"
        )
    shown = f"[{host}]" if ":" in host else host
    where = shown if port is None else f"{shown}:{port}"
    return f"{scheme}://{where}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
