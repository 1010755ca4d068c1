"""Where a hub is: one address for the stream and for HTTP, without secrets in it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fastcheck.errors import NameInvalid, WrongType

STREAM_PATH: Final = "/v1/stream"
_SECURE: Final = {"wss": True, "https": True, "ws": False, "http": False}
_URL_CHARACTERS_MAX: Final = 2_048


@dataclass(frozen=True)
class HubAddress:
    """The address of a hub."""

    secure: bool
    authority: str
    """Host and port."""
    path: str
    """In front of every path of the hub's, without a slash at the end."""

    @property
    def stream(self) -> str:
        """Of the stream."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}{STREAM_PATH}"

    @property
    def http(self) -> str:
        """Of the API."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


def address(url: object, *, insecure: bool = False) -> HubAddress:
    """A hub's address from a URL: wss, https, ws or http. Raises `WrongType`, `NameInvalid`; an address
    without TLS that is not of this machine is refused, unless `insecure`."""
    if not isinstance(url, str):
        raise WrongType(f"the hub's url must be a str, not {type(url).__name__}")
    if len(url) > _URL_CHARACTERS_MAX:
        raise NameInvalid(f"the hub's url has {len(url)} characters, at most {_URL_CHARACTERS_MAX} are taken")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # The port is checked when it is read.
    except ValueError as error:
        raise NameInvalid(f"the hub's url cannot be read: {error}") from None
    secure = _SECURE.get(parts.scheme)
    if secure is None or not host:
        raise NameInvalid("the hub's url must look like wss://hub.example.com:8700")
    if parts.username is not None or parts.password is not None:
        raise NameInvalid("the hub's url holds a user or a password: give the token with token=…")
    if parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in url):
        raise NameInvalid("the hub's url has a query, a fragment or blanks: give scheme, host and port")
    if not secure and not insecure and not is_loopback(host):
        raise NameInvalid(
            f"the hub at {host} would get the token without TLS: use wss://, or insecure=True where the "
            "network is yours"
        )
    path = parts.path.rstrip("/").removesuffix(STREAM_PATH)
    return HubAddress(secure, parts.netloc.lower(), path)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
