"""The sender over HTTP. Certificates are verified, redirects are not followed, and no
secret, no body and no path of an address comes into a log or a message.

Endpoints name addresses that we then call from inside a network (server-side request forgery). `public_only`
refuses addresses that are not public, and calls the very address that was checked, so that a name which
resolves to another one a moment later gains nothing. Where customers choose endpoints, use it."""

from __future__ import annotations

import asyncio
import contextvars
import ipaddress
import logging
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from fastcheck.errors import NameInvalid, WrongType
from fastcheck.hub.webhooks.retry import Outcome
from fastcheck.wire.address import is_loopback

TIMEOUT_S = 15.0
"""For the whole attempt, however slowly the answer drips."""
RESPONSE_BYTES_MAX = 16_384
"""Read of an answer, so that its connection can serve again; beyond it the connection is closed."""
URL_CHARACTERS_MAX = 2_048
USER_AGENT = "fastcheck-webhooks"
EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 networks whose addresses stand for IPv4 ones, private ones too."""

_quiet: contextvars.ContextVar[bool] = contextvars.ContextVar("fastcheck_webhooks_quiet", default=False)


class HttpSender:
    """Sends webhooks; one per event loop. Close it, or use it in an `async with`."""

    def __init__(
        self, *, public_only: bool = False, tls: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`tls`: for authorities of one's own; without it, those that certifi knows. Raises `WrongType` for
        one that does not verify."""
        if tls is not None and not (tls.check_hostname and tls.verify_mode == ssl.CERT_REQUIRED):
            raise WrongType("tls must verify certificates and their names")
        self._public_only = public_only
        self._timeout_s = timeout_s
        # A connection to a checked address was verified for one name. Kept alive it would serve another name
        # at the same address, whose certificate nobody looked at.
        limits = httpx.Limits(max_keepalive_connections=0) if public_only else httpx.Limits()
        # Not from the environment: a proxy or .netrc there was not meant for this.
        self._client = httpx.AsyncClient(
            verify=True if tls is None else tls,
            limits=limits,
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": USER_AGENT},
        )
        logger = logging.getLogger("httpx")  # It logs whole addresses.
        if _unless_quiet not in logger.filters:
            logger.addFilter(_unless_quiet)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One attempt. Failures of every kind are outcomes."""
        loud = _quiet.set(True)
        try:
            return await asyncio.wait_for(self._post(url, headers, body), self._timeout_s)
        except NameInvalid as refused:
            return Outcome(None, str(refused))
        except (asyncio.TimeoutError, httpx.TimeoutException):
            return Outcome(None, f"no answer within {self._timeout_s:g} s")
        except httpx.ConnectError as error:
            return Outcome(None, f"could not connect: {error}")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Outcome(None, f"the connection failed: {type(error).__name__}")
        finally:
            _quiet.reset(loud)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        check_url(url)
        target, extensions, sent = httpx.URL(url), {}, dict(headers)
        if self._public_only:
            name = target.host
            sent["host"] = target.netloc.decode("ascii")
            target = target.copy_with(host=await public_address(name, target.port or 443))
            extensions["sni_hostname"] = name  # whom the certificate must name
        request = self._client.build_request(
            "POST", target, headers=sent, content=body, extensions=extensions
        )
        answer = await self._client.send(request, stream=True)
        try:
            read = 0
            async for chunk in answer.aiter_raw():  # raw: nothing is unpacked
                read += len(chunk)
                if read > RESPONSE_BYTES_MAX:
                    break
        finally:
            await answer.aclose()
        return Outcome(answer.status_code, retry_after=answer.headers.get("retry-after"))

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()

    async def __aenter__(self) -> HttpSender:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def check_url(url: object) -> str:
    """An endpoint's address: https, or http to this machine. Raises `WrongType`, `NameInvalid`."""
    if not isinstance(url, str):
        raise WrongType(f"an endpoint's url must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname or "", parts.username, parts.port
    except ValueError:
        raise NameInvalid("an endpoint's url cannot be read") from None
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url or not host:
        raise NameInvalid(f"an endpoint's url is at most {URL_CHARACTERS_MAX} printable ASCII characters")
    if user is not None or parts.fragment:
        raise NameInvalid("an endpoint's url has no user, no password and no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise NameInvalid("an endpoint's url begins with https:// (http:// only for this machine)")
    return url


async def public_address(host: str, port: int) -> str:
    """The address to call. Raises `NameInvalid` if any of the host's is not public, `OSError` if there is
    none."""
    found = await addresses_of(host, port)
    if not found or not all(map(is_public, found)):
        raise NameInvalid("the endpoint's address is not a public one")
    return found[0]


async def addresses_of(host: str, port: int) -> list[str]:
    """What a name resolves to now."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[4][0]) for where in found]


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet's, and means no other by it."""
    one = ipaddress.ip_address(address)
    if isinstance(one, ipaddress.IPv6Address):
        if one.ipv4_mapped is not None:  # Versions of Python differ about these.
            return is_public(str(one.ipv4_mapped))
        if any(one in network for network in EMBEDDING):
            return False
    return one.is_global and not one.is_multicast


def _unless_quiet(record: logging.LogRecord) -> bool:
    return not _quiet.get()
