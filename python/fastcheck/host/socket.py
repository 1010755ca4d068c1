"""`owner.sock`: how other processes of the host ask the owner. One request, one answer, any number of times.

request  [method, [argument…], {name: argument…}]
answer   [true, value] or [false, error class, [argument…]]

The server does: accept; read a frame; call; answer; until the peer goes. A thread per connection, because a
first touch waits for the disk; the number of connections is bounded. The file has mode 0600 in a directory of
mode 0700, so only processes of the same user reach it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from fastcheck.errors import DirectoryError, FastcheckError, ProtocolError
from fastcheck.host.framing import frame, read_frame
from fastcheck.wire.packing import pack, unpack

log = logging.getLogger("fastcheck.owner")

CONNECTIONS_MAX = 1_024
"""Connections at once; further ones are refused and try again."""
_SUN_PATH_MAX = 100
"""Bytes of a socket's path that every kernel takes."""

Handler = Callable[[str, tuple[Any, ...], dict[str, Any]], object]


def address(directory_fd: int | None, path: str) -> str:
    """A path short enough for a socket: through the directory's descriptor where the real one is too long."""
    if len(os.fsencode(path)) <= _SUN_PATH_MAX or directory_fd is None:
        return path
    return f"/proc/self/fd/{directory_fd}/{os.path.basename(path)}"


@contextlib.contextmanager
def _reachable(path: str) -> Any:
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield address(fd, path)
    finally:
        os.close(fd)


def connect(path: str, timeout_s: float) -> socket.socket:
    """A connection to the owner. Raises OSError."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(timeout_s)
        with _reachable(path) as reachable:
            peer.connect(reachable)
    except BaseException:
        peer.close()
        raise
    return peer


class OwnerSocket:
    """The listening side."""

    def __init__(self, path: str, handler: Handler) -> None:
        """Listens at once; the caller holds the owner's lock, so a file found here is a dead owner's."""
        self.path = path
        self._handler = handler
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._peers: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with _reachable(path) as reachable:
                self._listener.bind(reachable)
            # Nobody can connect before `listen`, and the directory keeps others out in any case.
            os.chmod(path, 0o600)
            self._listener.listen(128)
        except OSError as error:
            self._listener.close()
            raise DirectoryError(
                path, error.strerror or str(error), "use a directory on a local, writable file system"
            ) from error
        self._thread = threading.Thread(target=self._accept, name="fastcheck-socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and hangs up."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def abandon(self) -> None:
        """In a forked child: closes the inherited descriptors and touches nothing else."""
        for one in (self._listener, *self._peers):
            with contextlib.suppress(OSError):
                one.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                if self._closing.is_set():
                    return
                # Out of descriptors: those that wait keep waiting, and this must not spin.
                self._closing.wait(0.05)
                continue
            with self._lock:
                refused = len(self._peers) >= CONNECTIONS_MAX
                if not refused:
                    self._peers.add(peer)
            if refused:
                peer.close()
                continue
            threading.Thread(target=self._serve, args=(peer,), name="fastcheck-peer", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            while (body := read_frame(peer.recv)) is not None:
                peer.sendall(self._answer(body))
        except (OSError, ProtocolError) as error:
            log.debug("a process hung up: %s", error)
        finally:
            with self._lock:
                self._peers.discard(peer)
            peer.close()

    def _answer(self, body: bytes) -> bytes:
        try:
            return frame(pack([True, self._handler(*_request(body))]))
        except FastcheckError as error:
            return frame(pack([False, type(error).__name__, _plain_args(error)]))
        except Exception as error:
            log.exception("a request of another process failed")
            return frame(pack([False, "FastcheckError", [f"the owner failed: {error!r}"]]))


def _request(body: bytes) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    message = unpack(body)
    match message:
        case (str() as method, tuple() as args, dict() as kwargs) if all(
            isinstance(key, str) for key in kwargs
        ):
            return method, args, kwargs
    raise ProtocolError("a request is [method, [argument…], {name: argument…}]")


def _plain_args(error: FastcheckError) -> list[object]:
    return [part if isinstance(part, (str, int, list)) else str(part) for part in error.args]
