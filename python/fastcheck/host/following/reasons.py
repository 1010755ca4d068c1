"""Why there is no stream, in words that say what to do. No token ever becomes part of them."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from fastcheck.errors import FastcheckError
from fastcheck.wire import frames

FORBIDDEN_WAIT_MS: Final = 30_000
"""Between attempts with a token that is refused: somebody has to do something first."""
_DETAIL_CHARACTERS_MAX: Final = 400
_BODY_BYTES_MAX: Final = 65_536
_RETRY_AFTER_S_MAX: Final = 86_400


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, or a stream ended."""

    reason: str
    forbidden: bool = False
    """Whether the token is refused; only somebody else can mend that."""
    retry_after_ms: int = 0
    """What the hub asked for."""
    at_least_ms: int = 0
    """How long to wait in any case."""


def of_error(error: BaseException, url: str) -> Failure:
    """Of an exception while connecting or connected."""
    match error:
        case InvalidStatus():
            return _of_status(error, url)
        case ssl.SSLCertVerificationError():
            return Failure(
                f"the certificate of {url} does not verify: {error.verify_message}; give the authority's "
                "certificate with ca_file=…, or have the hub's renewed"
            )
        case ssl.SSLError():
            return Failure(f"TLS with {url} failed: {_plain(str(error))}")
        case socket.gaierror():
            return Failure(f"the name in {url} cannot be resolved: {_plain(error.strerror or str(error))}")
        case ConnectionRefusedError():
            return Failure(f"nobody listens at {url}")
        case TimeoutError():
            return Failure(f"{url} did not answer in time")
        case ConnectionClosed():
            return _of_close(error, url)
        case InvalidHandshake():
            return Failure(f"{url} is no hub's stream: {_plain(str(error))}")
        case FastcheckError():
            return Failure(str(error))
        case WebSocketException() | OSError() | EOFError():
            return Failure(f"the connection to {url} failed: {_plain(str(error)) or type(error).__name__}")
    return Failure(f"the connection to {url} failed: {type(error).__name__}: {_plain(str(error))}")


def of_goodbye(code: str, detail: str, retry_after_ms: int, url: str) -> Failure:
    """Of a goodbye, or of a hub that fell silent."""
    forbidden = code in (frames.REVOKED, frames.FORBIDDEN)
    said = f": {_plain(detail)}" if detail else ""
    return Failure(
        f"the hub at {url} ended the stream ({_plain(code)}){said}",
        forbidden,
        retry_after_ms,
        FORBIDDEN_WAIT_MS if forbidden else 0,
    )


def of_refusal(code: str, detail: str, url: str) -> Failure:
    """Of what this host refused."""
    return Failure(f"what {url} sent was refused ({code}): {_plain(detail)}")


def _of_status(error: InvalidStatus, url: str) -> Failure:
    response = error.response
    status = response.status_code
    detail = _detail(response.body)
    said = f": {detail}" if detail else ""
    try:
        retry_s = min(int(response.headers.get("Retry-After", "0")), _RETRY_AFTER_S_MAX)
    except (ValueError, LookupError):
        retry_s = 0
    if status in (401, 403):
        return Failure(
            f"{url} refuses the token (HTTP {status}){said}", True, max(retry_s, 0) * 1_000, FORBIDDEN_WAIT_MS
        )
    return Failure(f"{url} refuses the stream (HTTP {status}){said}", retry_after_ms=max(retry_s, 0) * 1_000)


def _of_close(error: ConnectionClosed, url: str) -> Failure:
    close = error.rcvd if error.rcvd is not None and not error.rcvd_then_sent else error.sent
    if close is None:
        return Failure(f"the connection to {url} was lost")
    return Failure(f"the connection to {url} was closed ({close.code}) {_plain(close.reason)}".rstrip())


def _detail(body: bytes | bytearray | None) -> str:
    """What a problem document (RFC 9457) says."""
    if not body or len(body) > _BODY_BYTES_MAX:
        return ""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return _plain(detail) if isinstance(detail, str) else ""


def _plain(text: str) -> str:
    """A peer's text for a log: one line, bounded."""
    return "".join(c if c.isprintable() else " " for c in text[:_DETAIL_CHARACTERS_MAX]).strip()
