"""How a socket to a hub is opened: bounded, verified, and with the token for one address only."""

from __future__ import annotations

import logging
import ssl
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

from fastcheck._fastcheck import __version__
from fastcheck.wire import frames

OPEN_TIMEOUT_S: Final = 5.0
"""For TCP, TLS and the handshake together."""
CLOSE_TIMEOUT_S: Final = 0.5
"""For a polite end; then the connection is cut."""
QUEUE_FRAMES: Final = 4
"""Messages read ahead: each may have `HUB_MESSAGE_BYTES_MAX`."""
SOFTWARE: Final = f"fastcheck-python/{__version__}"

# The library would log the headers, and with them the token, where somebody turns debugging on for all.
_quiet = logging.getLogger("fastcheck.stream.websocket")
_quiet.setLevel(logging.WARNING)


class _Connect(connect):
    """Follows no redirect: the token is for one address."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def context(ca_file: str | None) -> ssl.SSLContext:
    """How certificates are verified; made for each attempt, so that a renewed file counts. Raises
    `OSError`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise OSError(f"the authorities in {ca_file} cannot be read: {error}") from error


async def shake_hands(url: str, token: str, tls: ssl.SSLContext | None) -> ClientConnection:
    """A connection whose handshake is done. Raises what `reasons.of_error` tells apart."""
    return await _Connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        user_agent_header=SOFTWARE,
        compression=None,
        proxy=None,
        ssl=tls,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=None,  # The hub's heartbeats show life; a pong may wait behind a long apply.
        max_size=frames.HUB_MESSAGE_BYTES_MAX,
        max_queue=QUEUE_FRAMES,
        logger=_quiet,
    )
