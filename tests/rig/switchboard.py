"""A TCP forwarder in the test's own process: what stands between hosts and hubs in a real place. Its target
can be changed, and its connections cut."""

from __future__ import annotations

import contextlib
import socket
import threading


class Switchboard:
    """Listens on a free port, and connects each caller to the target of the moment."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                called = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                caller.close()
                continue
            called.settimeout(None)
            with self._lock:
                self._open |= {caller, called}
            for source, sink in ((caller, called), (called, caller)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(one)

    def cut(self) -> None:
        """Cuts every connection."""
        with self._lock:
            everybody = list(self._open)
        for one in everybody:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()
