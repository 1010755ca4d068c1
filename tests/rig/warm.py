"""Python processes that begin at once: forked from one that has imported the hub and all it needs.

A hub spends a second and a half on its imports, and the tests start hundreds of processes. A test whose
subject is the start itself, or what gets imported, runs `sys.executable`.

The tests ask a fork server for each process. It forks twice, and the second child becomes a child of the
tests (`PR_SET_CHILD_SUBREAPER`), so that they can wait for it as for any other."""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from typing import IO, Any

IMPORTED = (
    "fastcheck.cli", "fastcheck.hub.process", "fastcheck.hub_client", "fastcheck.host.embedded.participant",
    "fastcheck.host.following.participant", "httpx", "psycopg", "uvloop", "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
)  # fmt: skip
FDS_MAX = 256
"""A fork server has few open."""
ORDER_BYTES_MAX = 128 << 10
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER."""


class WarmProcess:
    """As `subprocess.Popen` of `python -c CODE ARGUMENT…`; no code: of `python -m fastcheck ARGUMENT…`."""

    def __init__(
        self,
        code: str | None,
        arguments: Sequence[object] = (),
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self.returncode: int | None = None
        order = {
            "code": code, "arguments": [str(one) for one in arguments], "cwd": os.fspath(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
        }  # fmt: skip
        given: list[int] = []
        try:
            for place, asked in enumerate((stdin, stdout, stderr)):
                given.append(self._fd(place, asked))
            self.pid = _server().fork(order, given)
        finally:
            for fd in given:
                os.close(fd)
        self._ends = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self._ended(status) if found else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            watch = select.poll()
            watch.register(self._ends, select.POLLIN)
            if not watch.poll(None if timeout is None else timeout * 1_000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self._ended(os.waitpid(self.pid, 0)[1])
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, status: int) -> None:
        self.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._ends)

    def _fd(self, place: int, asked: int | IO[Any] | None) -> int:
        """What the process gets there, to be closed here; ours of a pipe becomes an attribute."""
        if asked is None:
            return os.dup(place)
        if asked == subprocess.DEVNULL:
            return os.open(os.devnull, os.O_RDWR)
        if asked != subprocess.PIPE:
            return os.dup(asked if isinstance(asked, int) else asked.fileno())
        theirs, ours = os.pipe() if place == 0 else reversed(os.pipe())
        setattr(self, ("stdin", "stdout", "stderr")[place], _text(ours, "w" if place == 0 else "r"))
        return theirs


def run_fastcheck(*arguments: object, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs a command of `fastcheck` to its end; what it wrote."""
    process = WarmProcess(None, arguments, stderr=subprocess.PIPE)
    said: list[str] = ["", ""]
    assert process.stdout is not None
    assert process.stderr is not None

    def read(place: int, stream: IO[str]) -> None:
        with stream:
            said[place] = stream.read()

    readers = [threading.Thread(target=read, args=one) for one in enumerate((process.stdout, process.stderr))]
    for one in readers:
        one.start()
    try:
        code = process.wait(timeout_s)
    finally:
        process.kill()
    for one in readers:
        one.join()
    return subprocess.CompletedProcess(list(map(str, arguments)), code, *said)


def _text(fd: int, mode: str) -> IO[str]:
    return io.TextIOWrapper(open(fd, f"{mode}b"), encoding="utf-8", write_through=mode == "w")


class _Server:
    """The process that forks, which ends when its socket is closed: with the tests."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # One thread, as long as nobody asks for more: it forks.
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            environment["OPENBLAS_NUM_THREADS"] = "1"
            command = [sys.executable, "-m", "rig.warm", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
            )

    def fork(self, order: dict[str, Any], fds: list[int]) -> int:
        text = json.dumps(order).encode()
        assert len(text) <= ORDER_BYTES_MAX
        with self._lock:
            _adopt_orphans(True)
            try:
                socket.send_fds(self._orders, [text], fds)
                answer = self._orders.recv(16)
            finally:
                _adopt_orphans(False)
        assert answer, f"the fork server ended: {self._process.poll()}"
        return int(answer)


_SERVERS: list[_Server] = []


def _server() -> _Server:
    """One for each process of the tests."""
    if not _SERVERS or _SERVERS[0].pid != os.getpid():
        _SERVERS[:] = [_Server()]
    return _SERVERS[0]


def _adopt_orphans(adopt: bool) -> None:
    """Whether children of children that end become ours."""
    failed = ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, int(adopt), 0, 0, 0)
    assert not failed, os.strerror(ctypes.get_errno())


# In the fork server.


def _next_order(orders: socket.socket) -> dict[str, Any]:
    """Forks for each order, and returns it in the child. Ends the process when there are no more."""
    while True:
        text, fds, _, _ = socket.recv_fds(orders, ORDER_BYTES_MAX, 3)
        if not text:
            os._exit(0)
        told, tell = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if child:
                os.write(tell, str(child).encode())
                os._exit(0)
            for place, fd in enumerate(fds):
                os.dup2(fd, place)
            os.closerange(3, FDS_MAX)
            orders.detach()
            return dict(json.loads(text))
        os.waitpid(between, 0)
        orders.send(os.read(told, 16))
        for fd in (told, tell, *fds):
            os.close(fd)


def _become(order: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    sys.argv[:] = ["-c", *order["arguments"]]
    if order["code"] is None:
        runpy.run_module("fastcheck", run_name="__main__", alter_sys=True)
    else:
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        exec(compile(order["code"], "<string>", "exec"), module.__dict__)


def main() -> None:
    """Imports, then forks; in a child, runs what it was forked for."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _become(_next_order(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
