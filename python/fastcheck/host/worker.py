"""How a process that does not own the directory asks the one that does.

Every request may be repeated: the owner's answer to a repeated one is the same and changes nothing more. So
when the owner dies in the middle, the request is sent again to its successor, within the caller's bound."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

from fastcheck import errors
from fastcheck.errors import FastcheckError, OwnerUnavailable, ProtocolError
from fastcheck.host.framing import frame, read_frame
from fastcheck.host.socket import connect
from fastcheck.wire.packing import pack, unpack

IDLE_MAX = 8
"""Connections kept for the next request."""
RETRY_S = 0.02
"""Between attempts while no owner answers."""


class OwnerClient:
    """Asks the owner over `owner.sock`, from any thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._pid = os.getpid()
        self._lock = threading.RLock()  # A signal handler may come in between.
        self._idle: list[socket.socket] = []

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float) -> Any:
        """One request. Raises what the owner raised, or `OwnerUnavailable` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        request = frame(pack([method, args, kwargs]))
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise OwnerUnavailable(
                    f"the owner of {os.path.dirname(self.path)} did not answer within {timeout_s:g} s: "
                    "check that a process has the directory open"
                )
            body = None
            with contextlib.suppress(OSError, ProtocolError):
                body = self._once(request, left_s)
            if body is not None:
                # Outside of the attempt: an error of the owner's may itself be an OSError.
                try:
                    return _answer(body)
                except OwnerUnavailable:
                    pass  # It listens already and has just begun, or is closing: ask again.
            time.sleep(min(RETRY_S, max(0.0, deadline - time.monotonic())))

    def try_call(self, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        """One attempt. Raises OSError where no owner answers."""
        return _answer(self._once(frame(pack([method, args, {}])), timeout_s))

    def _once(self, request: bytes, timeout_s: float) -> bytes:
        peer = self._take(timeout_s)
        try:
            peer.settimeout(timeout_s)
            peer.sendall(request)
            body = read_frame(peer.recv)
            if body is None:
                raise ConnectionResetError("the owner hung up")
        except BaseException:
            peer.close()
            raise
        self._put_back(peer)
        return body

    def _take(self, timeout_s: float) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect(self.path, timeout_s)

    def _put_back(self, peer: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX:
                self._idle.append(peer)
                return
        peer.close()

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            idle, self._idle = self._idle, []
        for peer in idle:
            peer.close()

    def close_inherited(self) -> None:
        """In a forked child: closes the descriptors without the lock, which some thread of the parent may
        hold."""
        for peer in self._idle:
            peer.close()


def _answer(body: bytes) -> Any:
    match unpack(body):
        case (True, value):
            return value
        case (False, str() as name, tuple() as args):
            raise _rebuilt(name, args)
    raise ProtocolError("an answer of the owner is malformed")


def _rebuilt(name: str, args: tuple[Any, ...]) -> FastcheckError:
    kind = errors.by_name(name)
    if kind is errors.CatalogError:
        return errors.CatalogError(list(args[0]) if args and isinstance(args[0], tuple) else [str(args)])
    return kind(*args)
