"""A PostgreSQL server of the tests' own: in a temporary directory, on a free loopback port, gone afterwards.

Only the standard library, because `install_postgres.py` looks with it before anything is installed."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAMS = ("initdb", "pg_ctl", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
SUPERUSER = "postgres"
STARTS_MAX = 8
"""Ports tried, when another program takes the free one first."""
READY_WITHIN_S = 60.0
STATUS_LINE = 7
"""Of `postmaster.pid`, counted from 0: "ready" once connections are taken."""
MEMORY_DISK = "/dev/shm"
MEMORY_BYTES_MIN = 4 << 30
"""Free there; a container may have but 64 MiB in all."""
SOCKET_PATH_MAX = 90
"""A socket's path must fit in 107 bytes, its name included."""
WHAT_TO_INSTALL = (
    f"PostgreSQL's server is not installed: looked for {', '.join(PROGRAMS)} in PATH and in {DEBIAN}/*/bin. "
    "Install it with `apt-get install postgresql` (or `make postgres` as root), or put its bin directory "
    "into PATH."
)


class PostgresMissing(Exception):
    """The programs are not on this machine; the message says what to install."""


class PostgresFailed(Exception):
    """The server did not start; the message ends with its log."""


@dataclass(frozen=True)
class Programs:
    """Where the server's programs are."""

    bin: Path
    version: str
    """As it says itself: "15.13"."""

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} at {self.bin}"


def find_programs() -> Programs:
    """From the first of PATH that has all, else Debian's newest. Raises `PostgresMissing`."""
    debian = sorted(DEBIAN.glob("*/bin"), key=lambda one: _number(one.parent.name), reverse=True)
    for directory in (*map(Path, os.get_exec_path()), *debian):
        if all(os.access(directory / name, os.X_OK) for name in PROGRAMS):
            # initdb looks for its siblings beside itself, so links into the real directory are followed.
            real = (directory / "initdb").resolve().parent
            said = subprocess.check_output([real / "postgres", "--version"], text=True)
            return Programs(real, said.split()[2])
    raise PostgresMissing(WHAT_TO_INSTALL)


_CLUSTER: list[str] = []
"""Where `initdb` made one, which takes a second: servers begin with a copy."""


class PrivatePostgres:
    """One server. `start` it, or use it in a `with`; it is stopped when left, at exit, and when the thread
    that started it ends without a word (SIGKILL of the tests).

    Superuser `postgres`, no password, on 127.0.0.1 and on a socket in its directory. Its commits are on disk
    when they are acknowledged, unless `durable` is False."""

    def __init__(self, *, durable: bool = True) -> None:
        """Finds the programs. Raises `PostgresMissing`."""
        self.programs = find_programs()
        self.port = 0
        """0 before the first start; stays the same across restarts."""
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._user = _server_user()

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    @property
    def directory(self) -> Path:
        """Its temporary directory: data, socket and log."""
        assert self._directory is not None, "the server was not started"
        return self._directory

    def url(self, database: str = "postgres") -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def dsn(self, database: str = "postgres") -> str:
        """For psycopg and psql."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Makes the cluster if there is none, starts, and waits until connections are taken. Raises
        `PostgresFailed`."""
        assert self._process is None, "the server runs already"
        if self._directory is None:
            self._make()
        for _ in range(1 if self.port else STARTS_MAX):
            port = self.port or _free_port()
            if self._try(port):
                self.port = port
                return
        raise PostgresFailed(f"no free port found, or {self.port} was taken meanwhile: {self._log_end()}")

    def stop(self, *, keep: bool = True) -> None:
        """Ends the server with its connections, keeps the data (unless not `keep`). Again: nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        mode = "fast" if keep else "immediate"
        self._call("pg_ctl", "stop", "-m", mode, "-w", "-t", "60", "-D", str(self._data))
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stops in good order and starts again on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL for the postmaster and its children, as at a crash of the machine's software; `start` then
        recovers. (A server whose children still live would not let another one into the data.)"""
        process, self._process = self._process, None
        assert process is not None, "the server does not run"
        children = children_of(process.pid)
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _wait_until_gone(children)

    def close(self) -> None:
        """Stops and removes everything. Again: nothing."""
        atexit.unregister(self.close)
        try:
            self.stop(keep=False)
        finally:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._directory = None

    def __enter__(self) -> PrivatePostgres:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def new_database(self, name: str) -> Iterator[str]:
        """An empty database, dropped when left; its URL for SQLAlchemy."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            yield self.url(name)
        finally:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs one statement, committed."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    # Inside.

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _make(self) -> None:
        place = _reachable_directory() if self._durable else memory_disk() or _reachable_directory()
        self._directory = Path(tempfile.mkdtemp(prefix="fastcheck-pg-", dir=place))
        atexit.register(self.close)
        self._directory.chmod(0o700)
        if self._user is not None:
            os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)
        if not _CLUSTER:
            directory = tempfile.mkdtemp(prefix="fastcheck-pg-", dir=memory_disk() or _reachable_directory())
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            if self._user is not None:
                os.chown(directory, self._user.pw_uid, self._user.pw_gid)
            options = ("-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
            self._succeed("initdb", "-D", f"{directory}/data", *options)
            _CLUSTER.append(f"{directory}/data")
        self._succeed("cp", "-a", _CLUSTER[0], str(self._data))

    def _try(self, port: int) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": self.directory,
            "timezone": "UTC", "shared_buffers": "32MB", "dynamic_shared_memory_type": "mmap",
        }  # fmt: skip
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
            settings |= {"wal_level": "minimal", "max_wal_senders": 0}
        command = [str(self.programs.bin / "postgres"), "-D", str(self._data)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        setpriv = shutil.which("setpriv")
        if setpriv is not None:
            # SIGINT is a fast shutdown: the server does not outlive tests that are killed.
            command = [setpriv, "--pdeathsig", "INT", "--", *command]
        with open(self.directory / "log", "wb") as log:
            # Its own session, so that Ctrl-C reaches the tests alone and they stop it in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **self._as_user(),
            )
        end = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self._process.poll() is not None:
                self._process = None
                if "could not bind" in self._log_end():
                    return False
                raise PostgresFailed(f"the server ended at its start:\n{self._log_end()}")
            if time.monotonic() > end:
                self.stop()
                raise PostgresFailed(f"not ready within {READY_WITHIN_S:g} s:\n{self._log_end()}")
            time.sleep(0.02)
        return True

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # A file that a killed predecessor left has another pid.
        ours = len(lines) > STATUS_LINE and lines[0] == str(self.pid)
        return ours and lines[STATUS_LINE].strip() == "ready"

    def _log_end(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2_000:]

    def _succeed(self, *command: str) -> None:
        done = self._call(*command)
        if done.returncode:
            raise PostgresFailed(f"{command[0]} failed:\n{done.stdout}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        ours = self.programs.bin / program
        return subprocess.run(
            [ours if ours.exists() else program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            check=False,
            **self._as_user(),
        )

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def runs(pid: int) -> bool:
    """Whether there is such a process and it is more than a name that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while any(map(runs, pids)):
        assert time.monotonic() < end, f"some of {pids} never ended"
        time.sleep(0.01)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root. None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SUPERUSER)
    except KeyError:
        return pwd.getpwnam("nobody")


def memory_disk() -> str:
    """A directory that is in memory, for what nobody keeps; "" where there is none with enough room."""
    there = os.path.isdir(MEMORY_DISK) and shutil.disk_usage(MEMORY_DISK).free >= MEMORY_BYTES_MIN
    return MEMORY_DISK if there else ""


def _reachable_directory() -> str:
    """A place for temporary files that every user may pass through, with room for a socket's name."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = Path(place).resolve()
        if len(str(path)) < SOCKET_PATH_MAX - 30 and all(
            one.stat().st_mode & 0o001 for one in (path, *path.parents)
        ):
            return str(path)
    raise PostgresFailed("no temporary directory that the server's user may enter: set TMPDIR to one")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
